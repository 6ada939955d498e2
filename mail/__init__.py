"""Mails as mails: rendered here; sent and tracked here by later versions. No tool, no prompt, no business rule."""

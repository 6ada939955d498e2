"""Slack, over HTTP events and over Socket Mode: it renders the agent's events, and reads what people say and press."""

"""The terminal: `smartcampaign chat`, `ask`, and one command for each frequent job. `main` is the console script."""

from __future__ import annotations


def main() -> None:
    """Run the command line. Ends with 0 (done), 1 (failed), 2 (usage) or 3 (a person must decide)."""
    # What a command needs is imported inside it: `--help` must not wait for a database driver or a language model.
    from interfaces.cli.commands import app

    app()

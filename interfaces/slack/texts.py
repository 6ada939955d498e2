"""What the door itself says in Slack."""

from __future__ import annotations

PROMPTS = (
    ("Find people", "Who cares about old clocks?"),
    ("Plan a campaign", "Create Harvest Fair about 10% off oak furniture and add everyone who restores things"),
    ("What worked", "How did my last campaigns do?"),
    ("What next", "What should I send next?"),
)
GREETING = (
    "Say what you want in plain words: find people, plan a campaign, draft its mail, see how it did. Nothing is sent "
    "or erased before somebody who may has approved its card."
)
NO_FILES = "Files are not read here. Import a list with: `smartcampaign import FILE`."

"""The app's manifest, from which Slack makes the app: https://docs.slack.dev/reference/app-manifest."""

from __future__ import annotations

from typing import Any

from interfaces.slack.texts import PROMPTS

PATH = "/slack/events"

# What the app may do. It reads direct messages and what mentions it, and no channel's other words.
SCOPES = ("app_mentions:read", "assistant:write", "chat:write", "commands", "files:write", "im:history", "users:read")
EVENTS = ("app_mention", "assistant_thread_context_changed", "assistant_thread_started", "message.im")


def manifest(url: str | None, name: str = "SmartCampaign") -> dict[str, Any]:
    """The manifest for an app that Slack calls at `url`, or with None for Socket Mode."""
    address = f"{url.rstrip('/')}{PATH}" if url else None
    at: dict[str, Any] = {"request_url": address} if address else {}
    command = {
        "command": "/campaign", "description": "Ask about contacts and campaigns",
        "usage_hint": "how did the last campaign do?", "should_escape": True,
    }  # fmt: skip
    return {
        "display_information": {
            "name": name, "description": "E-mail campaigns by talking. Nothing is sent before a person approves it.",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": name, "always_online": True},
            "assistant_view": {
                "assistant_description": "Finds people, plans campaigns, drafts mails and says how they did.",
                "suggested_prompts": [{"title": title, "message": message} for title, message in PROMPTS],
            },
            "slash_commands": [command | ({"url": address} if address else {})],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": at | {"bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True} | at,
            "org_deploy_enabled": False,
            "socket_mode_enabled": address is None,
            "token_rotation_enabled": False,
        },
    }  # fmt: skip

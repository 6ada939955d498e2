"""A program that is killed in the middle of a turn: what it did is kept, and told at the next message."""

from __future__ import annotations

import json
from uuid import uuid4

import httpx
import pytest

from evals.scripted_model import Answer, ScriptedModel, call
from tests.interfaces.cli.conftest import Home, model_settings
from tests.interfaces.cli.test_keys import free_port, wait_until_ready


@pytest.mark.slow
def test_a_kill_in_mid_turn_loses_nothing_and_does_nothing_twice(home: Home, model: ScriptedModel) -> None:
    name = f"Killed {uuid4().hex[:6]}"
    assert home.call("tenants", "add", name).code == 0
    key = home.call("keys", "create", "Front", "--tenant", name).out.strip()
    environment = model_settings(model) | {"DATABASE_URL": home.url, "SMARTCAMPAIGN_CONFIRM_WRITES": "never"}
    headers = {"Authorization": f"Bearer {key}"}
    model.script(call("create_contact", email="ada@example.org"), Answer(text="Too late.", delay=60))

    with home.started("serve", "--no-worker", "--port", str(port := free_port()), **environment) as program:
        wait_until_ready(program, port)
        url = f"http://127.0.0.1:{port}"
        said = {"message": "add ada@example.org"}
        with httpx.stream("POST", f"{url}/api/chat", json=said, headers=headers, timeout=60) as answer:
            seen = []
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: ")))
                if seen and seen[-1]["event"] == "tool_finished":
                    program.kill()
                    break
    thread = seen[0]["thread"]
    model.always(lambda body: Answer(text="She is."))

    with home.started("serve", "--no-worker", "--port", str(port), **environment) as program:
        wait_until_ready(program, port)
        # Whoever was listening is told that there is nothing to follow, and what was said.
        assert httpx.get(f"{url}/api/threads/{thread}/events", headers=headers).status_code == 204
        said = {"message": "is ada there?", "thread": thread, "stream": False}  # type: ignore[dict-item]
        again = httpx.post(f"{url}/api/chat", json=said, headers=headers, timeout=60).json()
        notices = [event["text"] for event in again["events"] if event["event"] == "notice"]
        assert len(notices) == 1
        assert "create contact" in notices[0]
        assert again["status"] == "done"
        contacts = httpx.get(f"{url}/api/contacts", headers=headers).json()["contacts"]
        assert [contact["email"] for contact in contacts] == ["ada@example.org"]
        program.terminate()
        assert program.wait(30) == 128 + 15

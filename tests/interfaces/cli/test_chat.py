"""The chat at a real (pseudo-)terminal, and from a pipe."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from evals.scripted_model import Answer, ScriptedModel, call
from tests.interfaces.cli.conftest import Home
from tests.interfaces.cli.terminal import CTRL_C, CTRL_D, ENTER, TAB, Pty

PROMPT = "›"


@pytest.fixture(scope="module")
def tenant(home: Home) -> str:
    assert home.call("tenants", "add", "Chat", "--time-zone", "Europe/London").code == 0
    return "Chat"


@pytest.fixture
def shop(scripted: Home, tenant: str) -> Home:
    return replace(scripted, environment=scripted.environment | {"SMARTCAMPAIGN_TENANT": tenant})


@pytest.fixture
def screen(shop: Home) -> Iterator[Pty]:
    screen = shop.terminal("chat")
    yield screen
    screen.close()


def test_a_conversation(shop: Home, screen: Pty, model: ScriptedModel) -> None:
    greeting = screen.wait_for(PROMPT)
    assert "Chat (Europe/London) · scripted" in greeting
    assert "No contacts yet" in greeting
    assert "smartcampaign sample" in greeting

    # A write is shown and asked about; another sentence than yes or no is a new request.
    model.script(
        call("create_contact", email="ada@example.org"), call("create_contact", email="ada@example.net"), "Added."
    )
    screen.type("add ada@example.org" + ENTER)
    assert "1. Add" in screen.wait_for("Do it?")
    screen.type("no, ada@example.net" + ENTER)
    assert "ada@example.net" in screen.wait_for("Do it?")
    screen.type("y" + ENTER)
    assert "✓" in screen.wait_for("Added.")

    # An erasure is a card, and the door reads the answer: what was typed before it does not count.
    screen.wait_for(PROMPT)
    model.script(replace(call("delete_contact", contact="ada@example.net"), delay=1.0), "I asked.", "It is gone.")
    screen.type("delete her" + ENTER)
    screen.wait_for("delete her")
    screen.type("y" + ENTER)
    assert "Erase ada@example.net?" in screen.wait_for("Approve? [y/N/later]:")
    assert shop.call("contacts", "show", "ada@example.net").code == 0
    screen.type("y" + ENTER)
    screen.wait_for("The contact is erased.")
    screen.wait_for(PROMPT)
    screen.type("is it done?" + ENTER)
    screen.wait_for("It is gone.")
    assert "A person approved" in str(model.requests[-1])

    screen.wait_for(PROMPT)
    screen.type("/hi" + TAB)
    screen.wait_for("/history")
    screen.type(ENTER)
    assert "add ada@example.org" in screen.wait_for("It is gone.")
    screen.wait_for(PROMPT)
    screen.type("/new" + ENTER)
    screen.wait_for("A new conversation.")
    screen.wait_for(PROMPT)
    screen.type("/nonsense" + ENTER)
    screen.wait_for("There is no command /nonsense")
    screen.wait_for(PROMPT)
    screen.type(CTRL_D)
    assert screen.exit_code() == 0


def test_ctrl_c_stops_the_turn_and_not_the_program(screen: Pty, model: ScriptedModel) -> None:
    model.script(Answer(text="Never seen.", delay=30))
    screen.wait_for(PROMPT)
    screen.type("say something" + ENTER)
    while not model.requests:
        screen.read(0.1)
    screen.type(CTRL_C)
    screen.wait_for("Stopped. What was done is kept.")
    screen.wait_for(PROMPT)
    model.script("Still here.")
    screen.type("and now?" + ENTER)
    screen.wait_for("Still here.")
    screen.wait_for(PROMPT)
    screen.type(CTRL_C)
    screen.wait_for("Ctrl-C again")
    screen.wait_for(PROMPT)
    screen.type(CTRL_C)
    assert screen.exit_code() == 0


def test_a_pasted_list_is_one_message(screen: Pty, model: ScriptedModel) -> None:
    model.script("Some rows.")
    screen.wait_for(PROMPT)
    screen.type("\x1b[200~import these\r\rEmail,Name\ra@example.org,A\x1b[201~" + ENTER)
    screen.wait_for("Some rows.")
    assert len(model.requests) == 1
    assert "Email,Name" in str(model.requests[0])
    screen.wait_for(PROMPT)
    screen.type("/quit" + ENTER)
    assert screen.exit_code() == 0


def test_approving_is_left_open_without_an_answer(shop: Home, screen: Pty, model: ScriptedModel) -> None:
    shop.call("contacts", "add", "open@example.org")
    model.script(call("delete_contact", contact="open@example.org"), "Asked.")
    screen.wait_for(PROMPT)
    screen.type("delete open@example.org" + ENTER)
    screen.wait_for("Approve?")
    screen.type(CTRL_C)
    screen.wait_for("Left open.")
    screen.wait_for(PROMPT)
    screen.type("/approvals" + ENTER)
    listed = screen.wait_for("/reject ID.")
    id = listed.split("Erase")[0].split()[-1]
    screen.wait_for(PROMPT)
    screen.type(f"/approve {id}" + ENTER)
    screen.wait_for("Approve?")
    screen.type("n" + ENTER)
    screen.wait_for("Rejected. Nothing was done.")


def test_what_is_approved_leaves_while_the_chat_is_open_and_says_so(new_home: Callable[[], Home]) -> None:
    home = new_home()
    people = "Email,First Name\nada@example.org,Ada\nbob@example.org,Bob\n"
    (home.path / "people.csv").write_text(people)
    assert home.run("contacts", "import", str(home.path / "people.csv")).code == 0
    screen = home.terminal("chat")
    try:
        for sentence, answer in (
            ("create a campaign called Lamp Week", "Do it?"),
            ("add ada@example.org and bob@example.org to Lamp Week", "Do it?"),
            ("draft a cheerful e-mail for Lamp Week about 10% off brass lamps", "Do it?"),
        ):
            screen.wait_for(PROMPT)
            screen.type(sentence + ENTER)
            screen.wait_for(answer)
            screen.type("y" + ENTER)
        screen.wait_for(PROMPT)
        screen.type("send Lamp Week" + ENTER)
        screen.wait_for("Approve? [y/N/later]:")
        screen.type("later" + ENTER)
        left_open = screen.wait_for(PROMPT)
        # Approved in another terminal; here nothing is typed, and what happens is shown above the prompt.
        id = left_open.split("smartcampaign approve ")[1][:8]
        assert "goes to 2 recipients" in home.run("approve", id, "--yes").out
        screen.wait_for("Lamp Week is being sent.", 20)
        screen.wait_for("Lamp Week is sent.", 20)
        screen.wait_for(PROMPT)  # while something is printed above it, nobody listens to keys
        screen.type(CTRL_D)
        assert screen.exit_code() == 0
    finally:
        screen.close()
    kept = home.run("outbox")
    assert "ada@example.org" in kept.out
    assert "bob@example.org" in kept.out
    assert "mails sent: 2" in home.run("campaigns", "show", "Lamp Week").out


def test_from_a_pipe(shop: Home, model: ScriptedModel) -> None:
    model.script("Hello.", call("create_contact", email="pipe@example.org"), "Added.",
                 call("delete_contact", contact="pipe@example.org"), "Asked.")  # fmt: skip
    ended = shop.run("chat", input="hello\nadd pipe@example.org\ny\ndelete pipe@example.org\ny\n/quit\nnever\n")
    assert ended.code == 0, ended.err
    assert "Hello.\n" in ended.out
    assert "\x1b" not in ended.out
    # A pipe is no person: the last "y" was a sentence like any other, and approved nothing.
    assert "Approve?" not in ended.out
    assert shop.call("contacts", "show", "pipe@example.org").code == 0


def test_it_leaves_in_order_when_asked_to(shop: Home, model: ScriptedModel) -> None:
    with shop.started("chat") as program:
        assert program.stdout is not None
        for line in program.stdout:
            if "/help" in line:
                break
        program.send_signal(signal.SIGTERM)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 128 + signal.SIGTERM
    assert err == ""


def test_a_narrow_terminal_without_colours(shop: Home) -> None:
    screen = shop.terminal("chat", columns=30, NO_COLOR="1")
    try:
        screen.wait_for(PROMPT)
        assert not [line for line in screen.raw.splitlines() if "\x1b[3" in line and "m" in line.split("\x1b[3")[1][:3]]
        screen.type(CTRL_D)
        assert screen.exit_code() == 0
    finally:
        screen.close()

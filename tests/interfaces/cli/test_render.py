"""How a turn looks: events made by hand, on a screen of letters."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator

import pytest
from rich.console import Console

from agent.events import (
    ApprovalAsked,
    ConfirmationAsked,
    Done,
    Event,
    Failed,
    Notice,
    ProposedCall,
    Text,
    ToolFinished,
    ToolStarted,
)
from interfaces.cli.render import Outcome, PlainScreen, RichScreen, Screen, play, proposal, split_blocks
from interfaces.cli.typeset import markdown, printable

SEARCH = (
    ToolStarted("1", "search_contacts", {"query": "old clocks", "limit": None}),
    ToolFinished("1", "search_contacts", True, "1 contact"),
)
TABLE = """\
| name | e-mail | people |
|---|---|---:|
| Patrick O'Shaughnessy | orders@bhandari-supplies.example | 1,200 |
"""
CARD = ApprovalAsked(
    "0f", "send", {"title": "Send it?", "facts": {"Recipients": "9"}}, "**Send it?** Approve: 0f", "2026"
)


async def shown(screen: Screen, *events: Event) -> Outcome:
    async def stream() -> AsyncGenerator[Event]:
        for event in events:
            yield event

    return await play(stream(), screen)


def rich_screen(width: int = 80, **more: bool) -> tuple[RichScreen, io.StringIO]:
    out = io.StringIO()
    return RichScreen(Console(file=out, width=width, highlight=False, force_terminal=True, **more)), out  # type: ignore[arg-type]


async def test_plain_keeps_the_answer_apart_from_the_steps() -> None:
    out, about = io.StringIO(), io.StringIO()
    await shown(PlainScreen(out, about), Notice("Careful."), *SEARCH, Text("Ada "), Text("found."), Done())
    assert out.getvalue() == "Ada found.\n"
    assert about.getvalue() == 'Careful.\n▸ search_contacts query="old clocks" ✓\n'


async def test_plain_on_one_stream_never_breaks_a_line_of_text() -> None:
    out = io.StringIO()
    await shown(PlainScreen(out, out), Text("One"), *SEARCH, Text("two"), Failed("No."))
    assert out.getvalue() == 'One\n▸ search_contacts query="old clocks" ✓\ntwo\nNo.\n'


async def test_what_a_turn_came_to() -> None:
    refused = ToolFinished("1", "search_contacts", False, "No.")
    asked = ConfirmationAsked([])
    outcome = await shown(PlainScreen(io.StringIO(), io.StringIO()), SEARCH[0], refused, CARD, asked)
    assert outcome == Outcome(confirmation=asked, approvals=[CARD], refused=True)
    assert (await shown(PlainScreen(io.StringIO(), io.StringIO()), refused, *SEARCH, Failed("x"))).failed


async def test_a_card_is_shown_once() -> None:
    for answer, times in ((f"{CARD.text}\n", 1), ("I asked for it.", 1)):
        out = io.StringIO()
        plain = PlainScreen(out, out)
        await shown(plain, CARD, Text(answer), Done())
        plain.card(CARD)
        assert out.getvalue().count("Send it?") == times
        rich, out = rich_screen()
        await shown(rich, CARD, Text(answer), Done())
        rich.card(CARD)
        assert out.getvalue().count("Send it?") == times


async def test_rich_sets_markdown_in_whole_blocks() -> None:
    screen, out = rich_screen()
    await shown(screen, Text("Two **bo"), Text("ld** words.\n\n| a | b |\n|---|-"), Text("--|\n| 1 | 2 |"), Done())
    text = printable(out.getvalue())
    assert "**" not in text.splitlines()[-1]
    assert "───" in text
    assert "|---|" not in text.split("───")[1]


async def test_no_color_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    screen = RichScreen(Console(file=out, width=60, highlight=False, force_terminal=True))
    await shown(screen, *SEARCH, Failed("No."), Text("`code` and a [link](https://example.org)"))
    screen.card(CARD)
    assert not [
        code for code in out.getvalue().split("\x1b[") if code[:2] in ("31", "32", "33", "36") and "m" in code[:3]
    ]


@pytest.mark.parametrize("width", [120, 80, 60, 40, 24])
def test_a_table_loses_nothing(width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(markdown(TABLE))
    assert max(map(len, out.getvalue().splitlines())) <= width
    letters = "".join(character for character in out.getvalue() if character.isalnum())
    for value in ("Patrick", "Shaughnessy", "ordersbhandarisuppliesexample", "1200"):
        assert value in letters
    if width >= 60:  # wide enough to be copied whole
        assert "orders@bhandari-supplies.example" in out.getvalue()


def test_a_link_shows_where_it_leads() -> None:
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=True).print(markdown("[your bank](https://elsewhere.example)"))
    assert "https://elsewhere.example" in out.getvalue()
    assert "\x1b]8" not in out.getvalue()


def test_nothing_steers_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x00c\x9bd\u202ee\r\nf\tg\rh") == "a[2Jbcde\nf\tgh"


def test_blocks_end_at_empty_lines_outside_of_code() -> None:
    assert split_blocks("one\n\ntwo") == ("one\n\n", "two")
    assert split_blocks("one\ntwo") == ("", "one\ntwo")
    assert split_blocks("```\na\n\nb") == ("", "```\na\n\nb")
    assert split_blocks("```\na\n\nb\n```\n\nc") == ("```\na\n\nb\n```\n\n", "c")


def test_a_proposal_shows_every_value_once() -> None:
    call = ProposedCall(
        "1", "create_contact", {"email": "ada@example.org", "tags": ["vip"], "phone": None}, "Add ada@example.org"
    )
    assert proposal([call, call]).splitlines() == [
        "This would be done:", "  1. Add ada@example.org", "       tags: vip",
        "  2. Add ada@example.org", "       tags: vip",
    ]  # fmt: skip


async def test_brackets_in_a_note_are_no_markup() -> None:
    screen, out = rich_screen()
    call = ProposedCall("1", "x", {"note": "[red]hot[/red] [/nothing]"}, "Add [bold]Ada[/bold]")
    await shown(
        screen, ToolStarted("1", "x", {"a": "[/b]"}), ToolFinished("1", "x", True, ""), ConfirmationAsked([call])
    )
    assert "[bold]Ada[/bold]" in out.getvalue()
    assert "[red]hot[/red] [/nothing]" in out.getvalue()
    assert '"[/b]"' in out.getvalue()

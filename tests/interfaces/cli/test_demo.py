"""The sample and the tour."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from interfaces.cli.demo import TOUR
from tests.interfaces.cli.conftest import Home
from tests.interfaces.cli.terminal import CTRL_D, ENTER


@pytest.mark.slow
def test_the_tour_plays_to_its_end_and_leaves_nothing(new_home: Callable[[], Home]) -> None:
    home = new_home()
    (home.path / "tour-2147483000").mkdir()  # of a tour that was killed
    # Whoever has a mail server set must not mail the sample with it.
    ended = home.run("demo", SMTP_URL="smtp://127.0.0.1:9")
    assert ended.code == 0, ended.out + ended.err
    assert len(TOUR) >= 8
    for text, _ in TOUR:
        assert f"› {text}\n" in ended.out
    assert not list(home.path.glob("tour-*"))
    assert not (home.path / "postgres").exists()
    answers = dict(zip([text for text, _ in TOUR], ended.out.split("› ")[1:], strict=True))
    assert "clocks" in answers["who cares about old clocks?"]
    assert "Added Ada Lovelace" in answers[TOUR[1][0]]
    for tool in ("create_campaign", "draft_email"):
        assert f"▸ {tool} " in answers[TOUR[2][0]]
    assert "Harvest Fair" in answers["preview Harvest Fair"]
    assert "Lamp Week" in answers["how did Lmap Week do?"]
    assert "Approve? [y/N/later]: n" in answers["send Harvest Fair"]
    assert "Rejected. Nothing was done." in answers["send Harvest Fair"]
    assert "Approve? [y/N/later]: y" in answers["please send Harvest Fair"]
    assert "(9 mails are in the outbox, sent to nobody.)" in answers["please send Harvest Fair"]
    # What came back came through the real endpoints, and was judged by the real rules.
    figures = answers["how did Harvest Fair do?"]
    assert "Harvest Fair, sent" in figures
    assert "opened by people: 4 of 9" in figures
    assert "clicked by people: 2 of 9, 2 clicks in all" in figures
    assert "left out, done by machines (privacy proxies, scanners): 2 opens, 1 click\n" in figures
    assert "| https://harrow-finch.example/oak | 2 | 2 |" in figures
    assert "Not enough data for rates" in figures
    assert "✗" not in ended.out.replace(answers["how did Lmap Week do?"], "")


@pytest.mark.slow
def test_the_sample_is_loaded_once_and_the_demo_talks_in_it(home: Home) -> None:
    first = home.run("sample")
    assert first.code == 0, first.err
    assert "Loaded 500 contacts" in first.err
    assert "already" in home.run("sample").err
    campaigns = json.loads(home.call("campaigns", "list", "--tenant", "Harrow & Finch", "--json").out)
    assert len(campaigns["campaigns"]) == 14
    screen = home.terminal("demo")
    try:
        assert "500 contacts" in screen.wait_for("›")
        screen.type("/help" + ENTER)
        screen.wait_for("/quit")
        screen.wait_for("›")
        screen.type(CTRL_D)
        assert screen.exit_code() == 0
    finally:
        screen.close()

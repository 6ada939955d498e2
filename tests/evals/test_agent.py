"""A part of the agent's cases (`make eval` plays all): with a script of the right calls, and with the planner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.choice import ModelChoice
from agent.models import choose
from db.embeddings import LocalEmbedder
from db.pool import Database
from evals import agent, report
from evals.scripted_model import ScriptedModel, call
from evals.stage import Stage
from evals.world import furnished
from tools import ALL_TOOLS

# What the planner must reach on the part that is played here.
PLANNER_FLOOR = 0.6


@pytest.fixture
def stage(database_url: str, database: Database, embedder: LocalEmbedder) -> Stage:
    return Stage(database_url, database, embedder)


def test_the_cases_are_many_and_of_every_kind() -> None:
    cases = agent.conversations()
    assert len(cases) >= 200
    assert {case.language for case in cases} == {"en", "de", "fr", "es"}
    assert {tool for case in cases for tool in case.tools} == {tool.name for tool in ALL_TOOLS}
    long = [case for case in cases if 3 <= len(case.turns) <= 8]
    assert len(long) >= 20
    assert sum(case.kind in ("ask", "decline", "talk") for case in cases) >= 30


async def test_a_script_of_the_right_calls_is_right(stage: Stage) -> None:
    with ScriptedModel() as server:
        choice = ModelChoice("scripted", server.url, "key", "native", 30, True)
        player = agent.Player(stage, await furnished(stage), choose(choice, stage.embedder), server)
        scores = await agent.run(player, agent.conversations()[::8])
    assert [score.why for score in scores if score.why] == []


async def test_the_planner_reaches_its_floor(stage: Stage) -> None:
    player = agent.Player(stage, await furnished(stage), choose(ModelChoice(), stage.embedder))
    scores = await agent.run(player, agent.conversations()[3::8])
    right = sum(score.passes(1) for score in scores) / len(scores)
    assert right >= PLANNER_FLOOR, [score.why for score in scores if score.why]


async def test_a_wrong_call_a_wrong_argument_and_a_forbidden_one_are_seen(stage: Stage) -> None:
    case = agent.Conversation.of(
        {
            "id": "x",
            "say": "Tag Emma Stone as vip",
            "calls": [{"update_contact": {"contact": "Emma Stone", "tags": ["vip"]}}],
            "database": {"contacts": {"emma@loom.example": {"tags": ["newsletter", "vip"]}}},
            "never": ["create_contact"],
        }
    )
    with ScriptedModel() as server:
        choice = ModelChoice("scripted", server.url, "key", "native", 30, True)
        player = agent.Player(stage, await furnished(stage), choose(choice, stage.embedder))
        server.script(call("update_contact", contact="Emma Stone", tags=["trade"]), "Done.")
        (score,) = await agent.run(player, [case])
        assert [why.split(":")[0] for why in score.why] == ["arguments", "database"]
        server.script(call("create_contact", email="emma.stone@loom.example"), "Which one?")
        server.script("Which one?")
        (score,) = await agent.run(player, [case])
        assert "tools" in [why.split(":")[0] for why in score.why]
        assert score.passes(1) == 0


def test_passes_counts_draws_without_putting_back() -> None:
    case = agent.conversations()[0]
    score = agent.Score(case, (True, True, True, False), (), 0, 0, (0, 0))
    assert score.passes(1) == 0.75
    assert score.passes(2) == 0.5
    assert score.passes(4) == 0


def test_the_report_says_what_changed(tmp_path: Path) -> None:
    first = report.Section(
        "agent, x", {"right": 0.5}, {"kind": {"ask": (1, 2)}}, {"a": True, "b": False}, {"b": ["no <b>"]}
    )
    second = report.Section("agent, x", {"right": 0.5}, {}, {"a": False, "b": True}, {"a": ["no"]})
    report.write(first, tmp_path)
    said = report.write(second, tmp_path)
    assert "Right since the last run: b" in said
    assert "Wrong since the last run: a" in said
    assert "| right | 0.500 | 0.500 |" in said
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Wrong since the last run: a" in page
    assert json.loads((tmp_path / "agent--x.json").read_text("utf-8"))["prompts"]
    report.write(first, tmp_path)
    assert "no &lt;b&gt;" in (tmp_path / "report.html").read_text("utf-8")

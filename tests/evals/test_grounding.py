"""The seeds of true and invented claims: what `python -m evals.grounding` prints, held to its targets."""

from __future__ import annotations

from evals import grounding


def test_all_invented_claims_are_caught_and_few_true_ones_refused() -> None:
    report = grounding.measure()
    assert len(report.true) >= 200
    assert len(report.false) >= 200
    assert report.caught == len(report.false), report.failures()
    assert report.refused <= 0.02 * len(report.true), report.failures()


def test_a_false_sentence_counts_only_when_its_invented_part_is_named() -> None:
    outcome = grounding.Outcome("a world", "12 of 99 people", ("99",), ("12",))
    assert not outcome.right
    assert grounding.Outcome("a world", "12 of 99 people", ("99",), ("99",)).right
    assert not grounding.Outcome("a world", "12 people", (), ("12",)).right

"""The verdict on variants, by simulation: how often equal ones are called a winner, how often a real one is found."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from db.variants import ArmRow, Outcome
from mail.significance import ALPHA
from mail.variants import ENOUGH, Verdict, judge


def arms(*counts: tuple[int, int], outcome: Outcome = "click") -> list[ArmRow]:
    """(did it, delivered) of each."""
    return [
        ArmRow("abcde"[place], of, 0, count if outcome == "click" else 0, count if outcome == "conversion" else 0)
        for place, (count, of) in enumerate(counts)
    ]


def played(chance: random.Random, *sides: tuple[float, int]) -> list[ArmRow]:
    """A test of variants with these true shares, each of so many people."""
    return arms(*((sum(chance.random() < share for _ in range(of)), of) for share, of in sides))


@pytest.mark.parametrize(
    ("share", "of", "how_many"),
    [(0.05, 100, 2), (0.05, 500, 2), (0.2, 200, 2), (0.5, 60, 2), (0.1, 200, 3), (0.1, 100, 5)],
)
def test_equal_variants_are_called_a_winner_no_more_often_than_is_stated(share: float, of: int, how_many: int) -> None:
    chance, times = random.Random(f"{share} {of} {how_many}"), 4_000
    won = sum(judge(played(chance, *[(share, of)] * how_many), "click").kind == "winner" for _ in range(times))
    # Three standard errors above the rate itself: one run in a thousand would be there by luck.
    assert won / times <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / times) ** 0.5


def test_a_big_difference_is_found() -> None:
    chance = random.Random("big")
    verdicts = [judge(played(chance, (0.05, 1_000), (0.10, 1_000)), "click") for _ in range(200)]
    assert sum(verdict.kind == "winner" and verdict.best == "b" for verdict in verdicts) >= 190
    of_three = [judge(played(chance, (0.05, 1_000), (0.05, 1_000), (0.12, 1_000)), "click") for _ in range(100)]
    assert sum(verdict.kind == "winner" and verdict.best == "c" for verdict in of_three) >= 95


def test_the_worse_one_hardly_ever_wins() -> None:
    chance = random.Random("small")
    verdicts = [judge(played(chance, (0.05, 300), (0.07, 300)), "click") for _ in range(1_000)]
    assert sum(verdict.kind == "winner" and verdict.best == "a" for verdict in verdicts) <= 10


def test_two_good_ones_have_no_winner_though_a_third_is_bad() -> None:
    verdict = judge(arms((100, 1_000), (101, 1_000), (20, 1_000)), "click")
    assert (verdict.kind, verdict.best) == ("no clear difference", "b")


def test_too_few_people_are_not_enough_data() -> None:
    assert judge(arms((0, ENOUGH - 1), (25, 500)), "click").kind == "not enough data"
    assert judge(arms((0, ENOUGH), (25, ENOUGH)), "click").kind == "winner"
    assert judge(arms((5, 100)), "click").kind == "not enough data"
    assert judge([], "click").kind == "not enough data"


def test_where_the_shares_are_the_same_none_is_ahead() -> None:
    verdict = judge(arms((5, 100), (10, 200)), "click")
    assert (verdict.kind, verdict.best, verdict.p) == ("no clear difference", None, 1.0)
    assert judge(arms((0, 100), (0, 100)), "click").best is None


def test_what_was_chosen_decides_and_nothing_else() -> None:
    both = [ArmRow("a", 500, 200, 10, 60), ArmRow("b", 500, 200, 60, 10)]
    assert judge(both, "click").best == "b"
    assert judge(both, "conversion").best == "a"


def test_the_order_of_the_variants_does_not_matter() -> None:
    chance = random.Random("order")
    for _ in range(50):
        sides = played(chance, (0.1, 80), (0.2, 90), (0.3, 100))
        verdicts = [judge(order, "click") for order in (sides, sides[::-1], [sides[1], sides[2], sides[0]])]
        for one, other in pairwise(verdicts):
            assert (one.kind, one.best) == (other.kind, other.best)
            assert one.p == pytest.approx(other.p)


def test_the_evidence_is_kept_whole() -> None:
    verdict = judge(arms((20, 400), (60, 400)), "click")
    assert Verdict.kept(verdict.evidence()) == verdict

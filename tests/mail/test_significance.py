"""The arithmetic against published figures and against itself."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.significance import (
    Moments,
    benjamini_hochberg,
    fisher,
    holm,
    meta_regression,
    shifted,
    strength,
    t_quantile,
    t_two_sided,
    two_proportions,
    wilson,
    within,
)


def test_wilson_gives_the_published_interval() -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I: 81 of 263, and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


@given(st.integers(1, 100_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share_and_stays_within_bounds(counts: tuple[int, int]) -> None:
    count, of = counts
    low, high = wilson(count, of)
    assert 0 <= low <= count / of <= high <= 1


@pytest.mark.parametrize(("count", "of"), [(1, 0), (3, 2), (-1, 4)])
def test_what_is_no_proportion_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(count, of)


def test_a_difference_has_newcombes_interval() -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II (a) and (c), method 10.
    found = two_proportions(56, 70, 48, 80)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    few = two_proportions(9, 10, 3, 10)
    assert (few.low, few.high) == pytest.approx((0.1705, 0.8090), abs=1e-4)


def test_few_counts_are_tested_exactly() -> None:
    # Fisher's tea taster (The Design of Experiments, 1935): 3 of 4 against 1 of 4.
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert two_proportions(3, 4, 1, 4).p == pytest.approx(34 / 70)
    assert fisher(1, 10, 8, 10) == pytest.approx(0.005477, abs=1e-6)
    # One rare thing among a million mails, in no time.
    assert two_proportions(0, 1_000_000, 3, 1_000).p < 1e-8


@given(*(st.integers(0, 40) for _ in range(2)))
def test_whoever_comes_first_the_test_says_the_same(one: int, other: int) -> None:
    forth, back = two_proportions(one, 40, other, 60), two_proportions(other, 60, one, 40)
    assert forth.value == pytest.approx(-back.value)
    assert forth.p == pytest.approx(back.p)
    assert forth.low <= forth.value <= forth.high


def test_student_is_as_in_the_tables() -> None:
    for freedom, quantile in ((1, 12.706), (2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (1000, 1.962)):
        assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=6e-4)
        assert t_two_sided(quantile, freedom) == pytest.approx(0.05, abs=2e-4)
    assert t_two_sided(0, 7) == pytest.approx(1)


def test_corrections_are_as_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert holm([]) == benjamini_hochberg([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_corrections_never_make_surer_and_keep_the_order(ps: list[float]) -> None:
    for correct in (holm, benjamini_hochberg):
        adjusted = correct(ps)
        assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
        ranked = [adjusted[i] for i in sorted(range(len(ps)), key=ps.__getitem__)]
        assert ranked == sorted(ranked)
    assert all(b <= h for b, h in zip(benjamini_hochberg(ps), holm(ps), strict=True))


def test_strength_is_said_in_words() -> None:
    assert [strength(p) for p in (0.0001, 0.005, 0.04, 0.05, 1)] == [
        "very strong evidence", "strong evidence", "some evidence", "no clear difference", "no clear difference",
    ]  # fmt: skip


def test_inside_groups_the_groups_own_level_does_not_count() -> None:
    # Two campaigns: in each, those with the trait do it twice as often; the second is at a lower level altogether, and
    # has more people with the trait, so that all taken together would hide the difference.
    mails = [(0, 1, 40, 50), (0, 0, 20, 50), (1, 1, 20, 100), (1, 0, 2, 20)]
    found = within(_moments(mails))
    assert found is not None
    weights = (50 * 50 / 100, 100 * 20 / 120)
    assert found.value == pytest.approx((weights[0] * 0.4 + weights[1] * 0.1) / sum(weights))
    assert found.low < found.value < found.high
    assert found.p < 0.001


def test_nothing_to_compare_is_no_difference() -> None:
    assert within(_moments([(0, 1, 3, 50)])) is None
    assert within(_moments([(0, 1, 0, 50), (0, 0, 0, 50)])) is None


def test_a_model_of_groups_finds_what_was_planted() -> None:
    counts, early, long = [], [], []
    for here, there in product((1, 0), repeat=2):
        for extra in (-0.02, 0.0, 0.02):
            share = shifted(0.4 + extra, 0.6 * here)
            counts.append((round(share * 1000), 1000))
            early.append(float(here))
            long.append(float(there))
    found = meta_regression(counts, [early, long])
    assert found is not None
    assert found[0].value == pytest.approx(0.6, abs=0.02)
    assert found[0].low < 0.6 < found[0].high
    assert found[0].p < 0.001
    assert found[1].p > 0.5


def test_traits_that_go_together_are_not_told_apart() -> None:
    counts = [(40, 100), (50, 100), (60, 100), (45, 100), (55, 100)]
    same = [1.0, 0.0, 1.0, 0.0, 1.0]
    assert meta_regression(counts, [same, same]) is None
    assert meta_regression(counts[:2], [same[:2]]) is None


@pytest.mark.parametrize(("spread", "share"), [(0.0, 0.4), (0.3, 0.4), (0.3, 0.03)])
def test_where_nothing_works_at_most_one_answer_in_twenty_claims_something(spread: float, share: float) -> None:
    chance = random.Random(5)
    claims, rounds = 0, 300
    for _ in range(rounds):
        traits = [chance.sample([0.0] * 6 + [1.0] * 6, 12) for _ in range(3)]
        counts = []
        for place in range(12):
            of = (430, 60)[place % 2]
            likely = shifted(share, chance.gauss(0, spread))
            counts.append((sum(chance.random() < likely for _ in range(of)), of))
        found = meta_regression(counts, traits)
        if found:
            claims += min(benjamini_hochberg([one.p for one in found])) < 0.05
    # 5 % and two and a half standard errors.
    assert claims / rounds <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / rounds)


def _moments(mails: list[tuple[int, int, int, int]]) -> Moments:
    """The sums of (group, has the trait, how many did it, of how many), each mail to a person of its own."""
    rows = [(group, x, int(i < did)) for group, x, did, of in mails for i in range(of)]
    u = q = uu = uq = qq = 0.0
    for group in {group for group, _, _ in rows}:
        own = [(x, y) for g, x, y in rows if g == group]
        mean_x, mean_y = sum(x for x, _ in own) / len(own), sum(y for _, y in own) / len(own)
        for x, y in own:
            a, b = (x - mean_x) * (y - mean_y), (x - mean_x) ** 2
            u, q, uu, uq, qq = u + a, q + b, uu + a * a, uq + a * b, qq + b * b
    return Moments(u=u, q=q, uu=uu, uq=uq, qq=qq)

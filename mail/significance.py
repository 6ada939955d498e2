"""How sure a figure is: intervals, tests of a difference, and the correction for making many of them.

Pure arithmetic on counts. Formulas and where they come from:

- Wilson's score interval of a proportion: E. B. Wilson, JASA 22 (1927) 209-212.
- The interval of a difference of two proportions: R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10.
- The pooled z-test, and Fisher's exact test where a count to be expected is below five: W. G. Cochran, Biometrics 10
  (1954) 417-451.
- Proportions of groups that differ beyond chance, by their traits: random-effects meta-regression, the spread between
  groups after R. DerSimonian and N. Laird, Controlled Clinical Trials 7 (1986) 177-188, the errors after G. Knapp and
  J. Hartung, Statistics in Medicine 22 (2003) 2693-2710. Student's t by the continued fraction of the incomplete beta
  function (NIST DLMF 8.17.22).
- A difference inside groups: N. Mantel and W. Haenszel, JNCI 22 (1959) 719-748, with errors that are robust to people
  who appear in several groups, K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986) 13-22.
- Corrections for many tests: S. Holm, Scand. J. Statistics 6 (1979) 65-70 (any false claim at most 5 %), and
  Y. Benjamini and Y. Hochberg, JRSS B 57 (1995) 289-300 (at most 5 % of the claims false; where there is nothing to
  find, any claim at most 5 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

ALPHA = 0.05
CONFIDENCE = 1 - ALPHA

_Z = NormalDist().inv_cdf(1 - ALPHA / 2)


@dataclass(frozen=True)
class Difference:
    """First minus second, its 95 % interval, and the chance of one as large where there is none."""

    value: float
    low: float
    high: float
    p: float


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of the proportion `count` / `of`. Holds for 0 and for all; `of` must not be 0."""
    if not 0 <= count <= of or of == 0:
        raise ValueError(f"{count} of {of} is no proportion.")
    share, z2 = count / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    # At the ends rounding would leave 1e-17, and an interval of nothing begins at nothing.
    low = 0.0 if count == 0 else max(0.0, middle - half)
    high = 1.0 if count == of else min(1.0, middle + half)
    return low, high


def two_proportions(count_1: int, of_1: int, count_2: int, of_2: int) -> Difference:
    """Whether two proportions differ: Newcombe's interval, and a z-test or (few counts) Fisher's exact test."""
    (low_1, high_1), (low_2, high_2) = wilson(count_1, of_1), wilson(count_2, of_2)
    share_1, share_2 = count_1 / of_1, count_2 / of_2
    value = share_1 - share_2
    low = value - math.hypot(share_1 - low_1, high_2 - share_2)
    high = value + math.hypot(high_1 - share_1, share_2 - low_2)
    pooled = (count_1 + count_2) / (of_1 + of_2)
    if min(pooled, 1 - pooled) * min(of_1, of_2) < 5:
        p = fisher(count_1, of_1, count_2, of_2)
    else:
        p = _two_sided(value / math.sqrt(pooled * (1 - pooled) * (1 / of_1 + 1 / of_2)))
    return Difference(value, low, high, p)


def fisher(count_1: int, of_1: int, count_2: int, of_2: int) -> float:
    """Fisher's exact two-sided p: the chance of all tables that are no likelier than this one."""
    total, of = count_1 + count_2, of_1 + of_2
    whole = _log_choose(of, total)
    possible = range(max(0, total - of_2), min(total, of_1) + 1)
    logs = [_log_choose(of_1, k) + _log_choose(of_2, total - k) - whole for k in possible]
    seen = logs[count_1 - possible.start]
    # The margin keeps the mirrored table, which is as likely, in spite of rounding.
    return min(1.0, math.fsum(math.exp(log) for log in logs if log <= seen + 1e-7))


def meta_regression(counts: Sequence[tuple[int, int]], traits: Sequence[Sequence[float]]) -> list[Difference] | None:
    """What each trait does to the log-odds of groups' proportions `(count, of)`, the other traits being equal.

    Groups differ for reasons of their own beyond chance, so each counts little more than once, however large it is.
    `traits` has one sequence a trait, one value a group: 1 has it, 0 has not. None where the traits can't be told
    apart, or where there are no groups to spare.
    """
    freedom = len(counts) - len(traits) - 1
    rows = [[1.0, *map(float, values)] for values in zip(*traits, strict=True)]
    if freedom < 1 or len(rows) != len(counts):
        return None
    # A half added to each count: none of 40 is no proof that the odds are nil.
    ys = [math.log((count + 0.5) / (of - count + 0.5)) for count, of in counts]
    chance = [1 / (count + 0.5) + 1 / (of - count + 0.5) for count, of in counts]
    weights = [1 / v for v in chance]
    first = _least_squares(rows, ys, weights)
    if first is None:
        return None
    fitted, inverse = first
    excess = sum(w * (y - f) ** 2 for w, y, f in zip(weights, ys, fitted[1], strict=True)) - freedom
    squares = _gram(rows, [w * w for w in weights])
    size = range(len(inverse))
    scale = sum(weights) - sum(inverse[i][j] * squares[j][i] for i in size for j in size)
    between = max(0.0, excess / scale) if scale > 0 else 0.0
    weights = [1 / (v + between) for v in chance]
    second = _least_squares(rows, ys, weights)
    if second is None:
        return None
    (slopes, fit), inverse = second
    # Knapp and Hartung's factor; never below 1, so that groups which agree by luck don't make us surer.
    factor = max(1.0, sum(w * (y - f) ** 2 for w, y, f in zip(weights, ys, fit, strict=True)) / freedom)
    quantile = t_quantile(1 - ALPHA / 2, freedom)
    found = []
    for place in range(1, len(slopes)):
        error = math.sqrt(factor * inverse[place][place])
        value = slopes[place]
        p = t_two_sided(value / error, freedom)
        found.append(Difference(value, value - quantile * error, value + quantile * error, p))
    return found


def shifted(share: float, log_odds: float) -> float:
    """The share that `share` becomes when its log-odds change by so much."""
    return 1 / (1 + (1 - share) / share * math.exp(-log_odds))


@dataclass(frozen=True)
class Moments:
    """Sums over people of what each of them contributes; see `within`.

    For a person's mails, with x (has the trait: 1 or 0) and y (did it: 1 or 0) less their means in that mail's group:
    u is the sum of x*y, q the sum of x*x.
    """

    u: float
    q: float
    uu: float
    uq: float
    qq: float


def within(sums: Moments) -> Difference | None:
    """The difference between mails with and without a trait, each compared inside its own group only.

    A person who is in many groups counts as one: their contributions are added up before they are squared. None when no
    group has both kinds, or nobody did it.
    """
    if sums.q <= 0 or sums.uu <= 0:
        return None
    value = sums.u / sums.q
    error = math.sqrt(max(0.0, sums.uu - 2 * value * sums.uq + value * value * sums.qq)) / sums.q
    return Difference(value, value - _Z * error, value + _Z * error, _two_sided(sums.u / math.sqrt(sums.uu)))


def holm(ps: Sequence[float]) -> list[float]:
    """The p of each test, corrected so that any false claim among all of them has at most the chance claimed."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for place, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, ps[index] * (len(ps) - place)))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """The p of each test, corrected so that of the claims made at most that share is false."""
    adjusted, lowest = [0.0] * len(ps), 1.0
    for place, index in reversed(list(enumerate(sorted(range(len(ps)), key=ps.__getitem__), start=1))):
        lowest = min(lowest, ps[index] * (len(ps) / place))
        adjusted[index] = lowest
    return adjusted


def strength(p: float) -> str:
    """A corrected p in words."""
    if p < 0.001:
        return "very strong evidence"
    if p < 0.01:
        return "strong evidence"
    return "some evidence" if p < ALPHA else "no clear difference"


def t_two_sided(t: float, freedom: float) -> float:
    """The chance of a t at least as far from 0."""
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_quantile(share: float, freedom: float) -> float:
    """The t below which `share` (over a half) of the distribution lies."""
    low, high = 0.0, 1.0
    while t_two_sided(high, freedom) > 2 * (1 - share):
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided(middle, freedom) > 2 * (1 - share) else (low, middle)
    return high


_Matrix = list[list[float]]


def _least_squares(
    rows: _Matrix, ys: list[float], weights: list[float]
) -> tuple[tuple[list[float], list[float]], _Matrix] | None:
    """((coefficients, fitted values), inverse of X'WX); None where the columns are not independent."""
    inverse = _inverted(_gram(rows, weights))
    if inverse is None:
        return None
    sums = [sum(w * row[i] * y for w, row, y in zip(weights, rows, ys, strict=True)) for i in range(len(inverse))]
    slopes = [_dot(line, sums) for line in inverse]
    return (slopes, [_dot(row, slopes) for row in rows]), inverse


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _gram(rows: _Matrix, weights: list[float]) -> _Matrix:
    size = range(len(rows[0]))
    return [[sum(w * row[i] * row[j] for w, row in zip(weights, rows, strict=True)) for j in size] for i in size]


def _inverted(matrix: _Matrix) -> _Matrix | None:
    """By elimination with the largest pivot; None for a matrix that has no inverse, or hardly one."""
    size = len(matrix)
    work = [[*line, *(float(i == j) for j in range(size))] for i, line in enumerate(matrix)]
    for place in range(size):
        pivot = max(range(place, size), key=lambda i: abs(work[i][place]))
        if abs(work[pivot][place]) < 1e-9 * max(1.0, matrix[place][place]):
            return None
        work[place], work[pivot] = work[pivot], work[place]
        work[place] = [value / work[place][place] for value in work[place]]
        for i in range(size):
            if i != place:
                work[i] = [a - work[i][place] * b for a, b in zip(work[i], work[place], strict=True)]
    return [line[size:] for line in work]


def _two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def _log_choose(of: int, k: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized I_x(a, b)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges quickly on the other side only
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    # Lentz's way of working out a continued fraction from the front.
    tiny, value, c, d = 1e-300, 1.0, 1.0, 0.0
    for step in range(500):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / ((1 + term * d) or tiny)
        c = (1 + term / c) or tiny
        value *= c * d
        if abs(1 - c * d) < 1e-14:
            break
    return front * (value - 1) / a

"""People and machines: a labelled replay with its two figures, and each rule by itself."""

from __future__ import annotations

import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from mail.classify import Seen, Verdict, classify

CASES = Path(__file__).parents[2] / "evals/cases/hits.yaml"
AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15"


def played(entry: dict[str, Any], dice: random.Random) -> tuple[list[Seen], list[str]]:
    """One mail: what comes in, and who it was."""
    at, seen, truth = AT, [], []
    for hit in entry["hits"]:
        low, high = hit["wait"]
        at += timedelta(seconds=math.exp(dice.uniform(math.log(low), math.log(high))))
        url = f"https://shop.example/{hit['link']}" if "link" in hit else None
        seen.append(Seen(hit["kind"], at, url, hit["agent"], hit.get("request", "")))
        truth.append(hit["is"])
    return seen, truth


@pytest.mark.parametrize("seed", range(5))
def test_of_500_hits_machines_are_marked_and_people_kept(seed: int) -> None:
    dice = random.Random(seed)
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for entry in yaml.safe_load(CASES.read_text())["mails"]:
        for _ in range(entry["times"]):
            seen, truth = played(entry, dice)
            for verdict, who in zip(classify(AT, seen), truth, strict=True):
                total[who] += 1
                right[who] += (verdict.who == "machine") == (who == "machine")
    assert total.total() >= 500
    marked, lost = right["machine"] / total["machine"], 1 - right["human"] / total["human"]
    assert marked >= 0.95, f"{marked:.3f} of {total['machine']} machines"
    assert lost <= 0.02, f"{lost:.3f} of {total['human']} people"


def verdicts(*hits: tuple[float, str, str | None, str], sent_at: datetime | None = AT) -> list[Verdict]:
    """(seconds after the mail was taken, kind, url, agent)."""
    seen = [Seen(kind, AT + timedelta(seconds=after), url, agent) for after, kind, url, agent in hits]
    return classify(sent_at, seen)


def test_apples_fetch_is_no_open_until_the_person_clicks() -> None:
    fetch = (300.0, "open", None, "Mozilla/5.0")
    assert verdicts(fetch) == [("machine", "apple_privacy")]
    click = (900.0, "click", "https://a.example/", SAFARI)
    assert verdicts(fetch, click) == [("human", "clicked"), ("human", "browser")]
    # One open is enough, and another program's open is one already.
    assert verdicts((100.0, "open", None, "Mozilla/5.0"), fetch, click)[0] == ("machine", "apple_privacy")
    assert verdicts(fetch, (500.0, "open", None, SAFARI), click)[0] == ("machine", "apple_privacy")
    # A machine's click proves nothing, and neither does one before.
    assert verdicts(fetch, (900.0, "click", "https://a.example/", "curl/8"))[0].who == "machine"
    assert verdicts(fetch, (200.0, "click", "https://a.example/", SAFARI))[0].who == "machine"


def test_haste_needs_a_known_beginning() -> None:
    click = (1.0, "click", "https://a.example/", CHROME)
    assert verdicts(click) == [("machine", "at_delivery")]
    assert verdicts(click, sent_at=None) == [("human", "browser")]


def test_what_cannot_be_told_is_unknown_and_counts_as_a_person() -> None:
    assert verdicts((99.0, "open", None, "")) == [("unknown", "no_agent")]
    assert verdicts((99.0, "open", None, "Mailspring/1.13.3")) == [("unknown", "unknown_agent")]


def test_verdicts_do_not_depend_on_the_order() -> None:
    dice = random.Random(7)
    for entry in yaml.safe_load(CASES.read_text())["mails"]:
        seen, _ = played(entry, dice)
        known = dict(zip(seen, classify(AT, seen), strict=True))
        for _ in range(5):
            shuffled = dice.sample(seen, len(seen))
            assert dict(zip(shuffled, classify(AT, shuffled), strict=True)) == known, entry["what"]


def test_every_rule_says_where_it_comes_from() -> None:
    rules = yaml.safe_load((Path(__file__).parents[2] / "mail/classify.yaml").read_text())
    for rule in [*rules["agents"], *rules["requests"].values(), rules["early"], rules["bursts"], rules["companions"]]:
        assert len(rule.get("source", "")) > 20 or rule in (rules["companions"],)

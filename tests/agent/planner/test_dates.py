"""The date grammar, at ten in the morning (UTC) of Wednesday, 18 November 2026, in Vienna."""

from __future__ import annotations

import pytest

from agent.planner import dates
from tests.agent.planner.conftest import NOW

AHEAD = {
    "tomorrow at 9am Europe/Berlin": "2026-11-19T09:00:00+01:00",
    "9:30 tomorrow": "2026-11-19T09:30:00+01:00",
    "next Monday": "2026-11-23T09:00:00+01:00",
    "Monday next week at 5pm CET": "2026-11-23T17:00:00+01:00",
    "a week from Monday": "2026-11-30T09:00:00+01:00",
    "December 5th": "2026-12-05T09:00:00+01:00",
    "the 5th of December": "2026-12-05T09:00:00+01:00",
    "Dec 5, 2027 at 09:00 UTC+2": "2027-12-05T09:00:00+02:00",
    "first of May": "2027-05-01T09:00:00+02:00",
    "in two weeks": "2026-12-02T09:00:00+01:00",
    "in a fortnight": "2026-12-02T09:00:00+01:00",
    "in 3 hours": "2026-11-18T14:00:00+01:00",
    "on Friday at 14h": "2026-11-20T14:00:00+01:00",
    "noon on Friday": "2026-11-20T12:00:00+01:00",
    "tonight at 8": "2026-11-18T20:00:00+01:00",
    "half past nine tomorrow": "2026-11-19T09:30:00+01:00",
    "tomorrow morning at 8 New York time": "2026-11-19T08:00:00-05:00",
    "3pm PST on the 3rd": "2026-12-03T15:00:00-08:00",
    "at 9": "2026-11-19T09:00:00+01:00",
    "at noon": "2026-11-18T12:00:00+01:00",
    "5/12/2026": "2026-12-05T09:00:00+01:00",
    "5.12.2026": "2026-12-05T09:00:00+01:00",
    "2026-12-05T10:00+01:00": "2026-12-05T10:00:00+01:00",
    "the 15th": "2026-12-15T09:00:00+01:00",
    "end of the month": "2026-11-30T09:00:00+01:00",
    "on Black Friday": "2026-11-27T09:00:00+01:00",
    "on Christmas Eve": "2026-12-24T09:00:00+01:00",
    "am 5.12. um 9 Uhr": "2026-12-05T09:00:00+01:00",
    "nächsten Montag um 10 Uhr": "2026-11-23T10:00:00+01:00",
    "übermorgen 9 Uhr 30": "2026-11-20T09:30:00+01:00",
    "heute Abend um 8": "2026-11-18T20:00:00+01:00",
    "le 5 décembre à 14h30": "2026-12-05T14:30:00+01:00",
    "lundi prochain à midi": "2026-11-23T12:00:00+01:00",
    "dans deux semaines": "2026-12-02T09:00:00+01:00",
    "el 5 de diciembre a las 9 de la noche": "2026-12-05T21:00:00+01:00",
    "mañana por la mañana": "2026-11-19T09:00:00+01:00",
}
BEHIND = {
    "since last month": "2026-10-01",
    "since Monday": "2026-11-16",
    "since March": "2026-03-01",
    "since yesterday": "2026-11-17",
    "in the last 30 days": "2026-10-19",
    "3 days ago": "2026-11-15",
    "seit letzter Woche": "2026-11-09",
    "vor 3 Tagen": "2026-11-15",
    "depuis hier": "2026-11-17",
    "this month": "2026-11-01",
}


@pytest.mark.parametrize(("said", "moment"), AHEAD.items())
def test_a_time_to_come(said: str, moment: str) -> None:
    found = dates.find(said, NOW, "Europe/Vienna", country="AT")
    assert [when.send_at() for when in found] == [moment]
    assert (found[0].start, found[0].end) == (0 if found[0].lead else found[0].start, len(said))


@pytest.mark.parametrize(("said", "day"), BEHIND.items())
def test_a_day_gone_by(said: str, day: str) -> None:
    assert [when.iso_day() for when in dates.find(said, NOW, "Europe/Vienna", past=True)] == [day]


@pytest.mark.parametrize(
    "said",
    ["good morning", "may I send it", "thanks, have a nice sun", "20% off at 5 shops", "24/7", "on the list", "no 12"],
)
def test_no_date(said: str) -> None:
    assert dates.find(said, NOW, "Europe/Vienna") == []


def test_the_americans_write_the_month_first() -> None:
    found = dates.find("12/5/2026", NOW, "America/New_York", country="US")
    assert [when.iso_day() for when in found] == ["2026-12-05"]


def test_summer_time_is_minded() -> None:
    (when,) = dates.find("5 July at 9am", NOW, "Europe/Vienna")
    assert when.send_at() == "2027-07-05T09:00:00+02:00"


@pytest.mark.parametrize("said", ["31 November", "30 February", "at 25:00", "2026-13-01"])
def test_a_date_that_does_not_exist(said: str) -> None:
    assert dates.impossible(said)


def test_a_leap_day_exists() -> None:
    assert not dates.impossible("29 February")

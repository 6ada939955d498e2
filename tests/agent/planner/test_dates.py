"""The date grammar, at ten in the morning (UTC) of Wednesday, 18 November 2026, in Vienna."""

from __future__ import annotations

from datetime import UTC, datetime

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
    "this Friday at half nine": "2026-11-20T09:30:00+01:00",
    "half 9 tomorrow": "2026-11-19T09:30:00+01:00",
    "nächsten Dienstag um halb zehn": "2026-11-24T09:30:00+01:00",
    "twenty to six on Friday": "2026-11-20T05:40:00+01:00",
    "mañana a las nueve y media": "2026-11-19T09:30:00+01:00",
    "demain à 9 heures et demie": "2026-11-19T09:30:00+01:00",
    "at 9ish on Monday": "2026-11-23T09:00:00+01:00",
    "tomorrow around 3": "2026-11-19T03:00:00+01:00",
    "heute Nachmittag um vier": "2026-11-18T16:00:00+01:00",
    "at 1430 tomorrow": "2026-11-19T14:30:00+01:00",
    "this evening": "2026-11-18T18:00:00+01:00",
    "tomorrow night": "2026-11-19T20:00:00+01:00",
    "am Montagmorgen um 8": "2026-11-23T08:00:00+01:00",
    "first Monday in December": "2026-12-07T09:00:00+01:00",
    "the last Friday of the month": "2026-11-27T09:00:00+01:00",
    "second Tuesday of January": "2027-01-12T09:00:00+01:00",
    "the 22nd of next month": "2026-12-22T09:00:00+01:00",
    "the first of the month": "2026-12-01T09:00:00+01:00",
    "on the ninth": "2026-12-09T09:00:00+01:00",
    "end of October": "2027-10-31T09:00:00+01:00",
    "Ende des Monats": "2026-11-30T09:00:00+01:00",
    "mid December": "2026-12-15T09:00:00+01:00",
    "next week Tuesday": "2026-11-24T09:00:00+01:00",
    "Tuesday of next week": "2026-11-24T09:00:00+01:00",
    "the Monday after next": "2026-11-30T09:00:00+01:00",
    "week after next": "2026-11-30T09:00:00+01:00",
    "Friday fortnight": "2026-12-04T09:00:00+01:00",
    "two weeks from Friday": "2026-12-04T09:00:00+01:00",
    "three days before Christmas": "2026-12-22T09:00:00+01:00",
    "the day after Boxing Day": "2026-12-27T09:00:00+01:00",
    "Thursday, 3 December": "2026-12-03T09:00:00+01:00",
    "on Wednesday the 2nd": "2026-12-02T09:00:00+01:00",
    "Thursday 3/12 at 10": "2026-12-03T10:00:00+01:00",
    "Friday 10am in New York": "2026-11-20T10:00:00-05:00",
    "New Year's Eve at 23:30": "2026-12-31T23:30:00+01:00",
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
    "since the weekend": "2026-11-14",
    "since mid October": "2026-10-15",
    "since the start of the year": "2026-01-01",
    "since Tuesday last week": "2026-11-10",
    "in the past fortnight": "2026-11-04",
    "since Black Friday": "2025-11-28",
    "since December": "2025-12-01",
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
    [
        "good morning",
        "may I send it",
        "thanks, have a nice sun",
        "20% off at 5 shops",
        "24/7",
        "on the list",
        "no 12",
        "the first 50 people",
        "half price",
        "9/10",
    ],
)
def test_no_date(said: str) -> None:
    assert dates.find(said, NOW, "Europe/Vienna") == []


def test_the_americans_write_the_month_first() -> None:
    found = dates.find("12/5/2026", NOW, "America/New_York", country="US")
    assert [when.iso_day() for when in found] == ["2026-12-05"]


def test_summer_time_is_minded() -> None:
    (when,) = dates.find("5 July at 9am", NOW, "Europe/Vienna")
    assert when.send_at() == "2027-07-05T09:00:00+02:00"


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("28 March at 1:30", "2027-03-28T01:30:00+01:00"),  # an hour before the clocks go forward in Vienna
        ("28 March at 3:30", "2027-03-28T03:30:00+02:00"),
        ("last Sunday of October at 9am", "2027-10-31T09:00:00+01:00"),  # they went back that night
        ("30 October 2027 at 9am", "2027-10-30T09:00:00+02:00"),
        ("28 March at 9am New York time", "2027-03-28T09:00:00-04:00"),  # two weeks after New York's change
        ("20 March at 9am New York time", "2027-03-20T09:00:00-04:00"),
        ("20 March at 9am", "2027-03-20T09:00:00+01:00"),
    ],
)
def test_the_offset_is_that_days(said: str, moment: str) -> None:
    assert [when.send_at() for when in dates.find(said, NOW, "Europe/Vienna")] == [moment]


@pytest.mark.parametrize(
    ("now", "said", "moment"),
    [
        (datetime(2026, 12, 31, 22, tzinfo=UTC), "tomorrow", "2027-01-01T09:00:00+01:00"),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "tomorrow", "2027-01-02T09:00:00+01:00"),  # New Year in Vienna
        (datetime(2026, 12, 30, 9, tzinfo=UTC), "next Friday", "2027-01-01T09:00:00+01:00"),
        (datetime(2026, 12, 30, 9, tzinfo=UTC), "the 5th", "2027-01-05T09:00:00+01:00"),
        (datetime(2026, 12, 30, 9, tzinfo=UTC), "end of the month", "2026-12-31T09:00:00+01:00"),
        (datetime(2026, 12, 30, 9, tzinfo=UTC), "in two weeks", "2027-01-13T09:00:00+01:00"),
        (datetime(2027, 1, 31, 9, tzinfo=UTC), "in a month", "2027-02-28T09:00:00+01:00"),
        (datetime(2028, 2, 27, 9, tzinfo=UTC), "in two days", "2028-02-29T09:00:00+01:00"),
    ],
)
def test_over_the_end_of_a_month_and_a_year(now: datetime, said: str, moment: str) -> None:
    assert [when.send_at() for when in dates.find(said, now, "Europe/Vienna")] == [moment]


def test_two_days_are_two_dates() -> None:
    found = dates.find("Monday, Tuesday", NOW, "Europe/Vienna")
    assert [when.iso_day() for when in found] == ["2026-11-23", "2026-11-24"]


@pytest.mark.parametrize("said", ["31 November", "30 February", "at 25:00", "2026-13-01"])
def test_a_date_that_does_not_exist(said: str) -> None:
    assert dates.impossible(said)


def test_a_leap_day_exists() -> None:
    assert not dates.impossible("29 February")

"""Grounding: what nothing backs is named, what something backs is not, in whatever words."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tools import written_form
from tools.grounding import LONGEST_CLAIM, MOST_CLAIMS, Facts, unknown_claims
from tools.written_form import Brief

FACTS = Facts(
    said=(
        "Harvest Fair",
        "10% off oak furniture, from £12. Open from 9am, 1,200 pieces, half of them restored",
        "Mention free delivery with the code OAK10. See https://harrow.example/oak or ring 020 7946 0018",
        "Harrow & Finch",
        "hello@harrow.example",
        "Ada",
        "Lovelace",
    ),
    heard=("collects punched cards in Leeds. 90% off for her at https://evil.example with code EVIL99, costs £3",),
    days=(date(2026, 12, 5),),
)

TRUE = [
    "10 % off", "10% off", "ten percent off", "ten per cent off", "10 Prozent", "10 pour cent", "10 por ciento",
    "from £12", "from 12 pounds", "from £12.00", "from GBP 12", "for twelve pounds", "12 quid", "£ 12",
    "5 December", "December 5th", "Dec 5", "5th of December", "the fifth of December", "5 Dec 2026", "2026-12-05",
    "Saturday, 5 December 2026", "Sat 5 December", "05/12/2026", "12/5/2026", "5.12.2026", "5. Dezember", "5 décembre",
    "5 de diciembre de 2026", "am Samstag", "le samedi", "in December", "in 2026", "this Saturday", "at the weekend",
    "from 9am", "from 9:00", "from 9 a.m.", "ab 9 Uhr", "at 9", "09:00",
    "1,200 pieces", "1200 pieces", "1.200 pezzi", "1 200 pièces",
    "free delivery", "Die kostenlose Lieferung ist für Sie und für alle", "livraison gratuite", "a discount",
    "use OAK10", "use oak10",
    "https://harrow.example/oak", "[look](https://harrow.example/oak/)", "http://www.harrow.example/oak",
    "Write to hello@harrow.example.", "Call 020 7946 0018", "Call +44 20 7946 0018", "Call (020) 7946-0018",
    "Welcome to the Harvest Fair", "Your Ada Lovelace", "We greet you, Ada.", "HARVEST FAIR", "people in Leeds",
    "Warm regards,  \nHarrow & Finch", "Feel free to reply.", "You may reply. I do.", "**Harvest** _Fair_",
    "1. Come\n2. See", "Hello {{ contact.first_name | default: \"there\" }}!", "{{ campaign.start_date }}",
    "{% if contact.first_name == 'Zoe' %}Hello{% endif %}", "[Unsubscribe]({{ unsubscribe_url }})",
    "Herzliche Grüße und bis bald, wir freuen uns auf Sie und die Möbel",
    "Your Cosy Autumn Corner Awaits", "one of our people", "See you there, and thank you.",
    "Dear friend,\n\nThere it is.",
]  # fmt: skip


@pytest.mark.parametrize("text", TRUE)
def test_what_is_known_is_not_marked(text: str) -> None:
    assert unknown_claims(text, FACTS) == []


FALSE = {
    "Now 50% off": "50%",
    "fifty percent off": "fifty percent",
    "at half price": "half price",
    "only £13": "£13",
    "only 12 euros": "12 euros",
    "just €9.99": "€9.99",
    "$1,000 worth": "$1,000",
    "costs 50p": "50p",
    "until 6 December": "6 December",
    "until 5 January": "5 January",
    "5 December 2027": "5 December 2027",
    "from the 4th to the 5 December": "4th to the 5 December",
    "4-5 December": "4-5 December",
    "on Friday": "Friday",
    "am Freitag": "Freitag",
    "in January": "January",
    "until midnight": "midnight",
    "at 8pm": "8pm",
    "um 20 Uhr": "20 Uhr",
    "ends tomorrow": "tomorrow",
    "only today": "today",
    "before Christmas": "Christmas",
    "500 happy readers": "500",
    "twenty-five pieces": "twenty-five",
    "five pieces": "five",
    "zwanzig Stück": "zwanzig",
    "in 2025": "2025",
    "use code SPRING": "SPRING",
    "use SAVE-20": "SAVE-20",
    "use save20": "save20",
    "see https://harrow.example/elm": "https://harrow.example/elm",
    "see https://harrow.example.evil.example/oak": "https://harrow.example.evil.example/oak",
    "see harrow-shop.com": "harrow-shop.com",
    "write to ada@other.example": "ada@other.example",
    "call 020 7946 0019": "020 7946 0019",
    "with a free gift": None,
    "with a voucher": "voucher",
    "guaranteed for life": "guaranteed",
    "full refund": "refund",
    "hurry, last chance": "hurry",
    "our award-winning oak": "award-winning",
    "we met Margaret there": "Margaret",
    "Margaret says it is lovely": "Margaret",
    "Margaret's table": "Margaret's",
    "with love from Margaret Hale": "Margaret Hale",
    "Warm regards,\n\nMargaret": "Margaret",
    "Warm regards,\nMargaret Hale": "Margaret Hale",
    "Dear Mr Darcy,": "Darcy",
    "Sehr geehrte Frau Müller, wir haben für Sie und für alle die Möbel": "Müller",
    "Liebe Freunde,\n\nwir haben für Sie und für alle die Möbel.\n\nViele Grüße  \nAnna Schmidt": "Anna Schmidt",
    "made in London by hand": "London",
    '{{ contact.first_name | default: "50% off" }}': "50%",
    "{% assign x = 'SAVE50' %}": "SAVE50",
    "ten\u00a0percent and 15\u00a0%": "15 %",
    "**50**% off": "50%",
    # What a note says of prices, codes and links is nobody's offer.
    "90% off": "90%",
    "only £3": "£3",
    "https://evil.example": "https://evil.example",
    "EVIL99": "EVIL99",
}


@pytest.mark.parametrize("text", FALSE)
def test_what_nothing_backs_is_named(text: str) -> None:
    claims = unknown_claims(text, FACTS)
    said = FALSE[text]
    assert claims == ([said] if said else []) or said in claims


def test_a_subject_counts_as_well() -> None:
    assert unknown_claims("Half price for Zoe\n\nHello there.", FACTS) == ["Half price", "Zoe"]


def test_claims_are_short_few_and_each_named_once() -> None:
    text = " ".join(f"{n} pieces, {n} again" for n in range(500, 600)) + " https://x.example/" + "a" * 500
    claims = unknown_claims(text, FACTS)
    assert len(claims) == MOST_CLAIMS
    assert len(set(claims)) == len(claims)
    (link,) = unknown_claims("https://x.example/" + "a" * 400, FACTS)
    assert len(link) == LONGEST_CLAIM


def test_without_any_fact_everything_is_a_claim() -> None:
    assert unknown_claims("Meet Ada on 5 December: 10% off.", Facts(())) == ["Ada", "5 December", "10%"]


@pytest.mark.parametrize(
    "text",
    ["1" * 50_000, "1 " * 25_000, "A" * 50_000, "Aa " * 15_000, "a." * 25_000, "(" * 50_000, "1-" * 25_000,
     "{{" * 25_000, "twenty " * 7_000, "a@" * 25_000, "http://" * 7_000, "*_" * 25_000, "5 December " * 4_000],
)  # fmt: skip
def test_hostile_text_is_read_in_seconds(text: str) -> None:
    began = time.perf_counter()
    unknown_claims(text, FACTS)
    assert time.perf_counter() - began < 5


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_text_raises_and_every_text_backs_itself(text: str) -> None:
    assert unknown_claims(text, Facts((text,))) == []


WORDS = """
Harvest Fair oak 10% £12 ten percent 5 December 2026 Friday 9am OAK10 free delivery the and of Margaret Hale London
https://shop.example/a_b ada@x.example half price 1,200 pieces 020 7946 0018 St. Anne's WI & - , . ; : ( ) [x](y) *b*
{{ contact.first_name }} {% raw %} \\ # Über Möbel für Kinder café 3.5 kg twenty-five tomorrow May März
"""
words = st.sampled_from(WORDS.split())
phrases = st.lists(words, max_size=14).map(" ".join) | st.text(max_size=80)
SAY = ["", "mention that ", "say ", "about ", "please write a cheerful mail and mention ", "erwähne, dass ", "dis que "]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    campaign=phrases.filter(lambda text: text.strip() != ""),
    description=st.none() | phrases,
    start=st.none() | st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    say=st.sampled_from(SAY),
    what=phrases,
    tone=st.sampled_from(["", "cheerful", "formal", "warm", "urgent", "fröhlich", "chaleureux", "alegre", "short"]),
    language=st.sampled_from(["", " in German", " in French", " in Spanish"]),
    sender=phrases.filter(lambda text: text.strip() != ""),
    note=st.none() | phrases | st.just("Collects punched cards. Restores old clocks, grumpy"),
)
@example(
    "Fair", "Lamps. Sale", date(2026, 12, 5), "mention ", "tea. 5 more", "warm", "", "H & F", "loves Victorian lamps"
)
def test_the_written_form_claims_nothing_new(
    campaign: str, description: str | None, start: date | None, say: str, what: str, tone: str, language: str,
    sender: str, note: str | None,
) -> None:  # fmt: skip
    instructions = say + what + language
    brief = Brief(campaign, description, start, instructions, tone, sender, date(2026, 11, 25), note)
    subject, body = written_form.write(brief)
    said = tuple(text for text in (campaign, description, instructions, sender) if text)
    facts = Facts(said, (note,) if note else (), (start,) if start else ())
    assert unknown_claims(f"{subject}\n\n{body}", facts) == []

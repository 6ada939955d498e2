"""People's names: before and after the address, in many countries, and what is none."""

from __future__ import annotations

import pytest

from agent.planner import names
from agent.planner.contract import Memory, Situation
from agent.planner.entities import mark

BESIDE_AN_ADDRESS = {
    "capitals before": ("Add Ada Lovelace (ada@x.example)", "Ada Lovelace"),
    "capitals behind": ("ada@x.example is a new customer, Oliver Twist", "Oliver Twist"),
    "small letters": ("add wei chen wei.chen@bamboo.example", "wei chen"),
    "small letters behind": ("new contact liz@ink.example liz hurley", "liz hurley"),
    "in a long sentence": (
        "i promised on the phone that we'd put Mr Rajesh Pillai on the list: rajesh@print.example",
        "Rajesh Pillai",
    ),
    "not the first word": ("Sadly we lost the card of Femi Adebayo, femi@harbour.example", "Femi Adebayo"),
    "another sentence": ("May we have t@umoya.example on file please? Thandeka Mokoena", "Thandeka Mokoena"),
    "a verb behind": ("Yusuf Demir keeps bees, his address is yusuf.demir@kovan.example", "Yusuf Demir"),
    "particles": ("add juan de la cruz jdlc@mar.example", "juan de la cruz"),
    "initials and a title": ("Dr. J. van der Berg <berg@x.example> wants in", "J. van der Berg"),
    "hyphens": ("save mohammed al-amin under m.alamin@souk.example", "mohammed al-amin"),
    "apostrophes": ("sign up Anne-Marie O'Neill with anne@neill.example", "Anne-Marie O'Neill"),
    "a word that is a name": ("Mark Tully rang, his mail is mark@tully.example", "Mark Tully"),
    "a German title": ("Könntest du bitte Frau Annika Brandt aufnehmen, annika@brandt.example?", "Annika Brandt"),
    "a place beside it": ("Ana from Lisbon, ana@porto.example", "Ana"),
    "the one beside it": ("Petra Holm sent me a new contact, Ines Duarte, inbox@azulejo.example", "Ines Duarte"),
    "all capitals": ("ADD ANNA BELL anna@bell.example", "ANNA BELL"),
}
ALONE = {
    "delete Ada Lovelace": "Ada Lovelace",
    "Sadly Walter has passed away": "Walter",
    "Sadly Walter Pym has passed away, so take him out": "Walter Pym",
    "Since she moved house, Ewa Kowalczyk can only be reached by phone": "Ewa Kowalczyk",
    "delete marek nowak from our contacts": "marek nowak",
    "Mary Poppins' new number": "Mary Poppins",
    "trag bei Jürgen Falk die Nummer ein": "Jürgen Falk",
}
NOBODY = ["she sings tenor now", "Ah good, that is fine", "delete everything", "find old lamps", "Tomorrow, please"]


@pytest.mark.parametrize(("said", "name"), BESIDE_AN_ADDRESS.values(), ids=BESIDE_AN_ADDRESS)
def test_a_name_beside_an_address(situation: Situation, said: str, name: str) -> None:
    marked = mark(said, situation, Memory())
    found = names.best(marked.text, [thing.value for thing in marked.of(marked.text, "email")])
    assert found
    assert found.name == name


@pytest.mark.parametrize(("said", "name"), ALONE.items())
def test_a_name_alone(said: str, name: str) -> None:
    assert names.person(said) == name


@pytest.mark.parametrize("said", NOBODY)
def test_no_name(said: str) -> None:
    assert names.person(said) == ""


@pytest.mark.parametrize(
    ("said", "first", "last"),
    [
        ("ada lovelace", "Ada", "Lovelace"),
        ("Dr Maria del Carmen Ortiz", "Maria", "del Carmen Ortiz"),
        ("ludwig van beethoven", "Ludwig", "van Beethoven"),
        ("Colette", "Colette", None),
    ],
)
def test_first_and_last_name(said: str, first: str, last: str | None) -> None:
    assert names.split_name(said) == {"first_name": first, **({"last_name": last} if last else {})}

"""Which column of a list is which field of a contact: by its name, in seven languages, or as its product calls it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tools.errors import BadCsv

# A table from a CRM may have several hundred; more is a file that was read wrongly, or no list of people.
MOST_COLUMNS = 1_000

LONGEST_NAME = 60

FIELDS = ("email", "first_name", "last_name", "name", "phone_number", "description", "tags", "status", "time_zone")

# Products whose column "attributes" holds a JSON object.
_WITH_JSON = ("listmonk", "SmartCampaign", "SmartCampaign errors")

# What a person may say of a column besides: take it along as it is, or leave it out.
KEEP, IGNORE = "keep", "ignore"


class NoEmailColumn(BadCsv):
    """No column for the e-mail address was found among: {names}. Call that column "email", or say which one it is:
    smartcampaign import --map "{first}=email". Nothing was imported."""


@dataclass(frozen=True)
class Columns:
    """What the columns of one table mean, by their places."""

    header: list[str]
    places: dict[str, int]
    """Of each field that has one column."""
    tags: list[int]
    consent: list[tuple[int, str]]
    """Columns about who may be mailed, and how they are read (`consent` in columns.yaml)."""
    json: int | None
    """A column of attributes as a JSON object."""
    kept: dict[int, str]
    """Columns that go along as attributes, under their names."""
    ignored: list[str]
    product: str | None
    shown: dict[str, str] = field(default_factory=dict)
    """Which column became which field, for people."""


def understood(header: Sequence[str], said: Mapping[str, str] | None = None) -> Columns:
    """What the columns of a table are. `said`: a person's word, a column's name to a field, which wins.

    Raises `NoEmailColumn`, or `BadCsv` for too many columns and for a name in `said` that is no column.
    """
    if len(header) > MOST_COLUMNS:
        raise BadCsv(problem=f"The table has {len(header):,} columns; at most {MOST_COLUMNS:,} can be read.")
    names = [name.strip()[:LONGEST_NAME] for name in header]
    words = [normal(name) for name in header]
    product = next((p for p, known in _rules()["products"].items() if known["has"] <= set(words)), None)
    left = _rules()["products"][product]["left"] if product else frozenset()
    by_person = _said(names, said or {})
    roles: dict[int, str] = dict(by_person)
    taken = {role for role in roles.values() if role in FIELDS and role not in ("tags", "status")}
    for role, places in _candidates(words).items():
        free = [place for place in places if place not in roles]
        if role in taken or not free:
            continue
        for place in free if role == "tags" else free[:1]:
            roles[place] = role
    if product in _WITH_JSON and "attributes" in words:
        roles.setdefault(words.index("attributes"), "json")
    consent = [(place, _consent_of(words[place]) or "state") for place, role in roles.items() if role == "status"]
    for place, word in enumerate(words):
        kind = _consent_of(word)
        if kind is not None and place not in roles:
            consent.append((place, kind))
            roles[place] = "status"
    for place, word in enumerate(words):
        if place not in roles:
            roles[place] = IGNORE if not word or word in left else KEEP
    columns = _columns(names, roles, consent, product)
    if "email" not in columns.places:
        seen = [name[:30] for name in names[:8] if name]
        raise NoEmailColumn(names=", ".join(seen) or "nothing", first=seen[0] if seen else "Column")
    return columns


def _columns(names: list[str], roles: dict[int, str], consent: list[tuple[int, str]], product: str | None) -> Columns:
    kept: dict[int, str] = {}
    for place in (place for place in sorted(roles) if roles[place] == KEEP):
        kept[place] = names[place] if names[place] not in kept.values() else f"{names[place]} {place + 1}"
    shown = {
        names[place]: "attributes" if roles[place] == "json" else roles[place]
        for place in sorted(roles)
        if roles[place] not in (KEEP, IGNORE)
    }
    return Columns(
        header=names,
        places={role: place for place, role in roles.items() if role in FIELDS and role not in ("tags", "status")},
        tags=sorted(place for place, role in roles.items() if role == "tags"),
        consent=sorted(consent),
        json=next((place for place, role in roles.items() if role == "json"), None),
        kept=kept,
        ignored=[names[place] for place in sorted(roles) if roles[place] == IGNORE and names[place]],
        product=product,
        shown=shown,
    )


def normal(name: str) -> str:
    """A column's name without case, accents, spaces and punctuation."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[\W_]", "", bare)


def known(header: Sequence[str]) -> int:
    """How many of the names are those of fields: more is the better reading of a header line."""
    words = {normal(name) for name in header}
    return sum(bool(places) for places in _candidates(list(words)).values())


def states() -> dict[str, str]:
    """The words for the states of a subscriber, each with ours."""
    return dict(_rules()["states"])


def _candidates(words: list[str]) -> dict[str, list[int]]:
    """The columns that could be each field, the best first."""
    found: dict[str, list[int]] = {}
    for role, kinds in _rules()["fields"].items():
        found[role] = [place for kind in kinds for place, word in enumerate(words) if word in kind]
    # A whole name is only needed where its parts are not.
    if found["first_name"] and found["last_name"]:
        found["name"] = []
    # "Nom" is the last name in French, and "Nome" the first in Italian and Portuguese: alone they are the whole name.
    for role in ("first_name", "last_name"):
        other = "last_name" if role == "first_name" else "first_name"
        is_alone = found[role] and not found[other] and not found["name"]
        if is_alone and words[found[role][0]] in ("nom", "nome", "nombre"):
            found["name"], found[role] = found[role], []
    return found


def _consent_of(word: str) -> str | None:
    return next((kind for kind, words in _rules()["consent"].items() if word in words), None)


def _said(names: list[str], said: Mapping[str, str]) -> dict[int, str]:
    roles: dict[int, str] = {}
    lower = [name.lower() for name in names]
    for name, role in said.items():
        if role not in (*FIELDS, KEEP, IGNORE):
            raise BadCsv(problem=f"There is no field {role!r}; there are: {', '.join((*FIELDS, KEEP, IGNORE))}.")
        if name.strip().lower()[:LONGEST_NAME] not in lower:
            near = get_close_matches(name.strip().lower(), lower, 1) or lower[:8]
            raise BadCsv(problem=f"There is no column {name[:LONGEST_NAME]!r}. Did you mean {', '.join(near)}?")
        roles[lower.index(name.strip().lower()[:LONGEST_NAME])] = role
    return roles


@cache
def _rules() -> dict[str, Any]:
    given = yaml.safe_load(files("tools.imports").joinpath("columns.yaml").read_text(encoding="utf-8"))
    return {
        "fields": {
            role: [frozenset(text.split()) for text in kinds.values()] for role, kinds in given["fields"].items()
        },
        "consent": {kind: frozenset(str(text).split()) for kind, text in given["consent"].items()},
        "products": {
            name: {part: frozenset(text.split()) for part, text in rule.items()}
            for name, rule in given["products"].items()
        },
        "states": {word: state for state, text in given["states"].items() for word in str(text).split()},
    }

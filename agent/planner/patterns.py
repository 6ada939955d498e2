"""Rules as regular expressions over folded text, in which things are single signs.

In a pattern "{C}" is a campaign that entities.py has found, "{E}" an address, and so on; other
names in braces are word lists of words.yaml. Long rules live in rules.yaml.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from agent.planner.text import data, lexicon

ThingKind = Literal["campaign", "email", "phone", "date", "quote", "tag"]
# Private signs, 256 of each kind: clean() lets none of them through from outside.
BASES: dict[ThingKind, int] = {
    "campaign": 0xE000,
    "email": 0xE100,
    "phone": 0xE200,
    "date": 0xE300,
    "quote": 0xE400,
    "tag": 0xE500,
}
LETTERS: dict[str, ThingKind] = {
    "{C}": "campaign",
    "{E}": "email",
    "{P}": "phone",
    "{D}": "date",
    "{Q}": "quote",
    "{T}": "tag",
}
SIGNS = {letter: f"[{chr(BASES[kind])}-{chr(BASES[kind] + 255)}]" for letter, kind in LETTERS.items()}
ANY_SIGN = f"[{chr(0xE000)}-{chr(0xE5FF)}]"


@cache
def pattern(text: str) -> re.Pattern[str]:
    for letter, signs in SIGNS.items():
        text = text.replace(letter, signs)
    text = text.replace("{any}", ANY_SIGN)
    return re.compile(re.sub(r"\{([a-z_]+)\}", lambda m: _list(m[1]), text))


@cache
def rule(name: str) -> re.Pattern[str]:
    return pattern("".join(data("rules.yaml")[name]))


@cache
def _list(name: str) -> str:
    found = lexicon()[name]
    if isinstance(found, dict):
        found = [word for words in found.values() for word in words]
    return "(?:" + "|".join(sorted((str(w) for w in found), key=len, reverse=True)) + ")"

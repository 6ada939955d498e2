"""Text before meaning: cleaning, folding, the language, and what was pasted below the sentence."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

Language = Literal["en", "de", "fr", "es"]

# A request is a sentence or a few. What is longer is a paste: only its beginning is read.
LONGEST = 1500

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‟": '"', "’": "'", "‘": "'", "`": "'"})
_ROW = re.compile(r"^[^\n]*[,;\t|][^\n]*$")
_LONE_ADDRESS = re.compile(r"^\s*[^\s,;]+@[^\s,;]+\s*$")
_HEADER = re.compile(r"\b(e-?mail|mail|email address|correo|adresse)\b", re.I)


@cache
def data(name: str) -> Any:
    """A data file of this folder."""
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    # libyaml's loader, where the wheel brings it, is ten times as fast at every start.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return loader(text).get_single_data()


@cache
def lexicon() -> dict[str, Any]:
    words: dict[str, Any] = data("words.yaml")
    return words


def fold(text: str) -> str:
    """Lower case without accents, the same length as the text so that positions still hold."""
    if text.isascii():
        return text.lower()
    return "".join(_fold_letter(letter) for letter in text)


@cache
def _fold_letter(letter: str) -> str:
    plain = unicodedata.normalize("NFD", letter)[0].lower()
    return plain if len(plain) == 1 else letter


def clean(text: str) -> str:
    """Without control characters and private signs (entities.py uses those), plain quotes, one space."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    kept = "".join(
        " " if unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp") else sign for sign in text
    )
    kept = re.sub(r"[¿¡]", " ", kept)
    # "Rename it -> Lantern Week", "all vips > Clock Club".
    return re.sub(r"\s+", " ", re.sub(r"\s(?:[-=]?>|→|⇒)\s", " to ", kept)).strip()


def split_paste(text: str) -> tuple[str, str]:
    """The sentence, and the table that was pasted with it: below, above or between."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n ")
    lines = text.split("\n")
    first = next((at for at, line in enumerate(lines[:12]) if _begins_table(lines, at)), None)
    if first is not None:
        lead, colon, header = lines[first].rpartition(": ")  # "import this: email,name"
        last = first + 1
        while last < len(lines) and (_ROW.match(lines[last]) or _LONE_ADDRESS.match(lines[last])):
            last += 1
        table = [header if colon else lines[first], *lines[first + 1 : last]]
        return "\n".join([*lines[:first], lead, *lines[last : last + 6]]).strip(), "\n".join(table).strip("\n")
    sentence, blank, rest = text.partition("\n\n")
    # Something long below a blank line is context even where it looks like no table we know.
    if blank and ("@" in rest or rest.strip().count("\n") > 2):
        return sentence, rest.strip("\n")
    return text, ""


def _begins_table(lines: list[str], at: int) -> bool:
    line = lines[at].rpartition(": ")[2]
    if len(lines) < at + 2 or re.search(r"[?!]", line):
        return False
    below = lines[at + 1]
    if _LONE_ADDRESS.match(line) or line.strip().lower() in ("email", "e-mail", "mail"):
        return bool(_LONE_ADDRESS.match(below))
    tabular = _ROW.match(line) and _ROW.match(below)
    return bool(tabular and ((_HEADER.search(line) and "@" not in line) or ("@" in line and "@" in below)))


def shorten(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0]


def language_of(text: str, default: Language = "en") -> Language:
    """By the small words; a draw, or none of them, stays with the default."""
    words = re.findall(r"[^\W\d_]+", fold(text))
    scores = {tongue: sum(word in small for word in words) for tongue, small in _small_words().items()}
    best = max(scores, key=lambda tongue: scores[tongue])
    return best if scores[best] > scores[default] else default


def is_foreign(text: str) -> bool:
    """Written in none of the alphabets of our four languages; things in it are signs, and no letters."""
    letters = re.findall(r"[^\W\d_]", text)
    return bool(letters) and not any(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)


@cache
def _small_words() -> dict[Language, frozenset[str]]:
    return {tongue: frozenset(words) for tongue, words in lexicon()["small_words"].items()}

"""People's names: before or after the address, capitalised or not."""

from __future__ import annotations

import re

from agent.planner.patterns import ANY_SIGN, rule
from agent.planner.spelling import vocabulary
from agent.planner.text import fold, lexicon

_PARTICLES = frozenset(map(str, lexicon()["name_particles"]))
_TITLES = frozenset(map(str, lexicon()["name_titles"]))
_FIELD_WORDS = frozenset(map(str, lexicon()["name_fields"]))
# Lower-case words that are no names although they stand where a name could.
_NOT_NAMES = frozenset(map(str, lexicon()["no_names"]))
_NAME = r"[^\W\d_][^\W\d_'’.-]*(?:['’-][^\W\d_]+)*\.?"
_LEADS = rule("names_leads")  # fmt: skip


def split_name(name: str) -> dict[str, str]:
    words = name.replace("’", "'").split()
    while words and fold(words[0]).rstrip(".") in _TITLES:
        words = words[1:]
    if not words:
        return {}
    words = [_capital(word) if name.islower() else word for word in words]
    return {"first_name": words[0], **({"last_name": " ".join(words[1:])} if len(words) > 1 else {})}


def _capital(word: str) -> str:
    return word if word in _PARTICLES else "-".join(part[:1].upper() + part[1:] for part in word.split("-"))


def name_in(segment: str, *, loose: bool = False) -> tuple[str, str]:
    """A name at the beginning of a piece of text, and the rest. `loose`: small letters will do."""
    text = segment.strip(" ,;:()<>|-")
    lead = _LEADS.match(fold(text))
    rest = text[lead.end() :] if lead else text
    words = rest.split()
    taken: list[str] = []
    for word in words[:6]:
        bare = word.strip(",.;:()'\"")
        plain = fold(bare)
        if not re.fullmatch(_NAME, bare) or re.search(ANY_SIGN, word):
            break
        if (
            (plain in _PARTICLES and taken)
            or (plain.rstrip(".") in _TITLES and not taken)
            or (bare[:1].isupper() and plain not in _NOT_NAMES)
            or (loose and plain not in _NOT_NAMES and len(taken) < 3)
        ):
            taken.append(word)
        else:
            break
        if word[-1:] in ",;:)":
            break
    while taken and fold(taken[-1]) in _PARTICLES:
        taken.pop()
    name = " ".join(taken).strip(" ,;:()")
    left = words[len(taken) :]
    framed = all(fold(word.strip(",.;:()")) in _NOT_NAMES for word in left[:2])
    if len(taken) > 4 or not name or (loose and not framed and not name[:1].isupper()):
        return "", segment
    return name, rest[len(" ".join(taken)) :].strip(" ,;:()")


def last_name_run(segment: str) -> str:
    """A run of capitalised words at the end ("... a contact for Ada King Lovelace")."""
    match = re.search(rf"((?:{_NAME}\s+)*{_NAME})[\s,:;(<|-]*$", segment)
    if not match:
        return ""
    words = match[1].split()
    taken: list[str] = []
    for word in reversed(words):
        plain = fold(word.strip("."))
        if (word[:1].isupper() and plain not in _NOT_NAMES and plain not in _TITLES) or (plain in _PARTICLES and taken):
            taken.insert(0, word)
        else:
            break
    while taken and fold(taken[0]) in _PARTICLES and taken[0].islower() and len(taken) == 1:
        taken.pop(0)
    if not taken or len(taken) > 5:
        return ""
    # The first word of a sentence is capitalised anyway: "Add", "Neuer".
    if _LEADS.fullmatch(fold(taken[0])) and len(taken) > 1:
        taken = taken[1:]
    return " ".join(taken) if not _LEADS.fullmatch(fold(" ".join(taken)) + " ") else ""


def person(text: str) -> str:
    """A person named in a clause that has no address: "delete Ada Lovelace", "tag Mary as vip"."""
    for match in re.finditer(
        r"[^\W\d_a-zß-ÿ][\w'’-]*(?:\s+(?:(?:van|von|de|der|di|da|la|del)\s+)*[^\W\d_a-zß-ÿ][\w'’-]*)*", text
    ):
        words = match.group(0).split()
        if match.start() == 0 or text[: match.start()].rstrip().endswith((".", "!", "?")):
            while words and (_LEADS.fullmatch(fold(words[0]) + " ") or fold(words[0]) in _NOT_NAMES):
                words = words[1:]
        name = re.sub(r"['’]s?$", "", " ".join(words))
        while words and fold(words[0]) in _FIELD_WORDS:
            words = words[2:] if len(words) > 1 and fold(words[1]) in _PARTICLES else words[1:]
        name = re.sub(r"['’]s?$", "", " ".join(words))
        if name and fold(name) not in _NOT_NAMES and not re.search(ANY_SIGN, name):
            return name
    # All in small letters: two words in a row that are no words of ours.
    lower = re.search(rf"(?<![\w@])({_NAME})\s+({_NAME})(?![\w@])", text)
    while lower:
        pair = [re.sub(r"['’]s$", "", word) for word in lower.groups()]
        if all(fold(w) not in vocabulary() and fold(w) not in _NOT_NAMES and len(w) > 1 for w in pair):
            return " ".join(pair)
        lower = re.compile(rf"(?<![\w@])({_NAME})\s+({_NAME})(?![\w@])").search(text, lower.start(2))
    return ""

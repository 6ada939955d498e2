"""What the models are told: one Markdown file a prompt, whose fingerprint travels with every answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Prompt:
    """A prompt's text, and an id that changes with every byte of it: `draft_email@112a4e74`."""

    id: str
    text: str


class UnknownPrompt(KeyError):
    """There is no prompt of that name; the text names those that there are."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, quotes and all; this one is a sentence.
        return str(self.args[0])


@cache
def load(name: str) -> Prompt:
    """The prompt of `prompts/<name>.md`. Raises `UnknownPrompt`."""
    if name not in names():
        raise UnknownPrompt(f"There is no prompt {name!r}; there are: {', '.join(names())}.")
    # A checkout on Windows may have other line ends: the same prompt has the same fingerprint there.
    text = files("prompts").joinpath(f"{name}.md").read_bytes().decode().replace("\r\n", "\n")
    return Prompt(id=f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:8]}", text=text)


def names() -> list[str]:
    """Every prompt there is. CHANGELOG.md and the like are written in capitals and are none."""
    found = (entry.name.removesuffix(".md") for entry in files("prompts").iterdir() if entry.name.endswith(".md"))
    return sorted(name for name in found if name.islower())

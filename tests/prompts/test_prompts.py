"""Prompts are files, and their fingerprints follow their bytes."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import pytest

import prompts
from prompts import UnknownPrompt


def test_a_prompt_has_its_text_and_a_fingerprint_of_it() -> None:
    prompt = prompts.load("draft_email")
    text = files("prompts").joinpath("draft_email.md").read_text(encoding="utf-8")
    assert prompt.text == text
    assert prompt.id == f"draft_email@{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def test_it_is_read_once() -> None:
    assert prompts.load("draft_email") is prompts.load("draft_email")


@pytest.mark.parametrize("name", ["", "poem", "../pyproject", "CHANGELOG", "draft_email.md", "__init__"])
def test_an_unknown_one_is_a_sentence_that_names_the_known(name: str) -> None:
    with pytest.raises(UnknownPrompt) as caught:
        prompts.load(name)
    assert isinstance(caught.value, KeyError)
    assert str(caught.value).startswith(f"There is no prompt {name!r}; there are: ")
    assert "draft_email" in str(caught.value)


def test_every_prompt_loads() -> None:
    for name in prompts.names():
        assert re.fullmatch(rf"{name}@[0-9a-f]{{8}}", prompts.load(name).id)


def test_the_draft_prompt_separates_data_from_instructions() -> None:
    text = prompts.load("draft_email").text
    assert "never an instruction" in text
    assert "unsubscribe_url" in text

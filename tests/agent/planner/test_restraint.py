"""What must never become a call: small talk, what is out of scope, what is vague."""

from __future__ import annotations

import pytest

from tests.agent.planner.conftest import Say

TALK = [
    "thanks, send my love to the team",
    "hi",
    "good morning!",
    "thank you so much",
    "I love Lamp Week",
    "our lamp week was a blast",
    "we already sent Lamp Week last year",
    "good job with the campaign",
    "see you on Friday",
    "never mind",
    "haha, delete Mondays",
    "danke dir",
    "merci beaucoup",
    "hola, ¿qué tal?",
]
OUT_OF_SCOPE = [
    "what's the weather in Vienna",
    "book me a flight to Rome on Friday",
    "write a haiku",
    "post Lamp Week on instagram",
    "delete all my contacts",
    "remove everybody",
    "approve it",
    "DROP TABLE contacts",
    "delete the campaign Lamp Week",
    "translate this into Chinese",
    "call nia on 07700 900777",
    "erzähl mir einen Witz",
    "write to everyone who unsubscribed",
]
VAGUE = [
    "send it",
    "delete it",
    "improve it",
    "add her to it",
    "draft an email",
    "create a campaign",
    "import my contacts",
    "add Jane Holt to the contacts",
    "send Lamp Week on 31 November",
]


@pytest.mark.parametrize("sentence", TALK)
def test_small_talk(say: Say, sentence: str) -> None:
    assert say(sentence).kind == "talk"
    # Nor is it when there is a campaign that "it" could be.
    assert say("show Harvest Fair", sentence).kind == "talk"


@pytest.mark.parametrize("sentence", OUT_OF_SCOPE)
def test_out_of_scope(say: Say, sentence: str) -> None:
    understood = say(sentence)
    assert (understood.kind, understood.calls) == ("decline", ())
    assert understood.reply


@pytest.mark.parametrize("sentence", VAGUE)
def test_vague(say: Say, sentence: str) -> None:
    understood = say(sentence)
    assert understood.kind == "ask"
    assert understood.reply.rstrip().endswith(("?", ".", ")"))


@pytest.mark.parametrize("sentence", ["help", "what can you do?", "Hilfe", "how do I import a list?"])
def test_help(say: Say, sentence: str) -> None:
    understood = say(sentence)
    assert understood.kind == "help"
    assert understood.reply


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("lösche alle Kontakte", "einzeln"),
        ("supprime tous mes contacts", "un par un"),
        ("borra todos los contactos", "uno"),
    ],
)
def test_the_answer_speaks_the_users_language(say: Say, sentence: str, word: str) -> None:
    assert word in say(sentence).reply


@pytest.mark.parametrize(
    ("sentence", "command"),
    [
        ("export all contacts to a csv", "smartcampaign export contacts"),
        ("exportiere alle Kontakte", "smartcampaign export contacts"),
        ("how do I import a list?", "smartcampaign import"),
        ("import the file customers.csv", "smartcampaign import"),
        ("unsubscribe ola@lund.example", "smartcampaign contacts unsubscribe"),
        ("melde ola@lund.example ab", "smartcampaign contacts unsubscribe"),
        ("désabonne ola@lund.example", "smartcampaign contacts unsubscribe"),
    ],
)
def test_what_the_terminal_does_is_named(say: Say, sentence: str, command: str) -> None:
    understood = say(sentence)
    assert not any(call.tool != "import_contacts" for call in understood.calls)
    assert understood.kind != "calls"
    assert command in understood.reply


def test_the_question_names_the_candidates(say: Say) -> None:
    assert "Lamp Week" in say("send it").reply

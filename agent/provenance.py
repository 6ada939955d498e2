"""Did the person say that? A model's write may not rest on what it made up, nor be about everybody.

Small models invent an address for a name, or pick a campaign nobody spoke of. What a write names must occur in what
was said or shown before: addresses and phone numbers to the letter, campaign names nearly. What the model itself
brought into the conversation (the words it searched for, a value that was refused) does not count as said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from rapidfuzz import fuzz

from agent.toolbox import TOOLS

# Only from a word's beginning: looked for at every place of a long one, it would take hours.
_ADDRESS = re.compile(r"(?<![^\s<>()\[\],;:\"'|])[^\s<>()\[\],;:\"'|]+@[^\s<>()\[\],;:\"'|]+[^\s<>()\[\],;:\"'|.!?]")

# Everybody, in the languages that the planner speaks too.
_EVERYBODY = (
    r"(?:every ?(?:one|body)|every (?:single )?(?:contact|person|customer|subscriber|address|one)|"
    r"all (?:of )?(?:(?:the|our|my|your|these|those) )*(?:contacts|people|persons|customers|subscribers|users|"
    r"addresses|records)|(?:the|our|my|your) (?:whole|entire|complete|full) (?:\w+ )?"
    r"(?:list|database|address book|audience|base)|all of (?:them|you)|anyone and everyone|"
    r"alle(?:n|s|r)?(?: (?:unsere|meine|die|der)n?r?)?(?: (?:kontakte|leute|kunden|personen|menschen|adressen)n?)?|"
    r"jeden|tout le monde|tou(?:s|tes) (?:(?:les|nos|mes) )?(?:contacts|clients|gens|personnes)|"
    r"todo el mundo|tod[oa]s (?:(?:los|las|nuestr[oa]s|mis) )?(?:contactos|clientes|personas))"
)
_SWEEPING = re.compile(rf"(?<!\w){_EVERYBODY}(?!\w)")
_NOBODY_IN_PARTICULAR = re.compile(
    r"all|any|each|every|everyone|everybody|anyone|anybody|contacts?|persons?|people|customers?|subscribers?|clients?|"
    r"list|database|them|they|him|her|the|our|your|whole|entire|records|users|"
    r"alles?|jeder|kontakte?|leute|kunden|tous|toutes|todos|todas|contactos|clientes"
)
# "to everyone in it", "to all contacts with the tag vip" are some, not all.
_TO_EVERYBODY = re.compile(
    rf"(?<!\w)(?:to|an|à|a) (?!all of them){_EVERYBODY}(?!\w)"
    r"(?! (?:who|whose|that|which|with|tagged|in it|in the campaign|on it|on the list|of it|interested|"
    r"die|der|mit|qui|avec|que|con)(?!\w))"
)


# Words for sending, in the planner's languages: a post or a print is no send.
_SENDING = re.compile(
    r"(?<!\w)(?:send|sent|mail|e-mail|schedul|go out|goes out|going out|launch|deliver|dispatch|ship|blast|release|"
    r"schick|verschick|send|versend|raus|abschick|plane|envo|expédi|lance|programm|manda|mánda|envi|enví|lanza)"
)


@dataclass(frozen=True)
class Doubt:
    """What nobody said: as a refusal that the model reads, and as a question to the person."""

    refusal: str
    question: str


def invented(call: ToolCall, messages: Sequence[BaseMessage], calls: Sequence[ToolCall]) -> str | None:
    """A sentence that says what nobody said, or None. `calls` are all of the answer: a later one may use an earlier."""
    found = doubt(call, messages, calls)
    return found.refusal if found else None


def doubt(
    call: ToolCall, messages: Sequence[BaseMessage], calls: Sequence[ToolCall], *, strict: bool = False
) -> Doubt | None:
    """What is doubtful about a write: the first of its values that nobody said, or that it is about everybody.

    `strict` is for small models: they may not pick a campaign from a list they have just called for, nor name a new
    one or a contact as nobody did.
    """
    if everybody := _about_everybody(call, messages, calls):
        return everybody
    arguments, heard = call["args"], said(messages)
    for address in _addresses(arguments):
        if not names(address, heard):
            return Doubt(
                f"Nobody gave the address {address}. Ask the person for it; never make one up.",
                "Which e-mail address do you mean? I need it to do that.",
            )
    phone = arguments.get("phone_number")
    if isinstance(phone, str) and phone and (len(_digits(phone)) < 3 or _digits(phone)[-6:] not in _digits(heard)):
        return Doubt(
            f"Nobody gave the number {phone}. Leave it out, or ask for it.",
            "Which phone number is it? I need it to do that.",
        )
    campaign = arguments.get("campaign")
    if isinstance(campaign, str) and campaign:
        created = {str(each["args"].get("name", "")).lower() for each in calls if each["name"] == "create_campaign"}
        before = said(_without_latest_reads(messages)) if strict else heard
        if campaign.lower() not in created and not spoken_of(campaign, before):
            return Doubt(
                f"Nobody spoke of the campaign {campaign}. Ask the person which campaign they mean.",
                "Which campaign do you mean?",
            )
    name = arguments.get("name")
    if strict and call["name"] == "create_campaign" and isinstance(name, str) and not names(name, heard):
        return Doubt(
            f"Nobody said the name {name}. Ask what the campaign shall be called.",
            "I would create a campaign. If that is what you want, what shall it be called?",
        )
    if strict and call["name"] == "send_campaign" and not _SENDING.search(by_people(messages)):
        return Doubt(
            "Nobody asked to send it. Say what you can do instead.",
            f"I can't do that; I can only mail it. For that, say: send {campaign}.",
        )
    contact = arguments.get("contact")
    doubted = strict or call["name"] in ("delete_contact", "unsubscribe_contact")
    if doubted and isinstance(contact, str) and contact and not _named(contact, heard):
        return Doubt(
            f"Nobody spoke of the contact {contact}. Ask the person whom they mean.",
            "Whom do you mean? Say it with the e-mail address or the full name.",
        )
    return None


def said(messages: Sequence[BaseMessage]) -> str:
    """What was said and shown, in lower case: people's messages and tools' results, without what the model put in."""
    asked = {
        call["id"]: call["args"]
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if _reads(call["name"])
    }
    texts: list[str] = []
    for message in messages:
        if isinstance(message, HumanMessage):
            texts.append(message.text.lower())
        elif isinstance(message, ToolMessage) and message.status != "error":
            # A refusal names what was refused, and a search what was searched for: echoes of the model's own words.
            # What was written is real, whoever worded it.
            texts.append(_without_echo(message.text.lower(), asked.get(message.tool_call_id, {})))
    return "\n".join(texts)


def by_people(messages: Sequence[BaseMessage]) -> str:
    """What people said themselves, in lower case."""
    return "\n".join(message.text.lower() for message in messages if isinstance(message, HumanMessage))


def names(value: str, text: str) -> bool:
    """Whether the text has this address or word as a whole: da@example.org is not in ada@example.org."""
    return bool(re.search(rf"(?<![\w.+%-]){re.escape(value.lower())}(?![\w-]|\.\w)", text))


def spoken_of(name: str, text: str) -> bool:
    """Whether the name is there, perhaps misspelt ("lmap week" for "lamp week")."""
    return names(name, text) or (len(name) > 3 and fuzz.partial_ratio(name.lower(), text) >= 80)


def _without_latest_reads(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The conversation without what tools showed since the person last spoke."""
    last = max((place for place, message in enumerate(messages) if isinstance(message, HumanMessage)), default=0)
    return [
        message
        for place, message in enumerate(messages)
        if place < last or not (isinstance(message, ToolMessage) and _reads(message.name))
    ]


def _reads(tool: str | None) -> bool:
    return tool not in TOOLS or TOOLS[tool].effect == "read"


def _about_everybody(call: ToolCall, messages: Sequence[BaseMessage], calls: Sequence[ToolCall]) -> Doubt | None:
    """Erasing is for one contact whom the person means, and a send goes to a campaign's own recipients."""
    last = next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
    sentence = " ".join(last.lower().split())
    if call["name"] == "delete_contact":
        contact = str(call["args"].get("contact", ""))
        if not _named(contact, by_people(messages)) and (_SWEEPING.search(sentence) or _erasures(messages, calls) > 1):
            return Doubt(
                "Contacts are erased one at a time, and only those whom the person names. Say so; erase nobody now.",
                "I erase contacts one at a time, and only those you name. Whom do you mean, by e-mail address?",
            )
    if call["name"] == "send_campaign" and _TO_EVERYBODY.search(sentence):
        adds = any(
            each["name"] == "add_contacts_to_campaign"
            or (each["name"] == "create_campaign" and each["args"].get("audience"))
            for each in calls
        )
        if not adds:
            return Doubt(
                "A campaign goes to its own recipients, not to everybody. Say so, and ask whether to send it to those.",
                "A campaign goes to its own recipients, not to everybody. Shall it be sent to those? To reach more "
                "people, add them to it first.",
            )
    return None


def _erasures(messages: Sequence[BaseMessage], calls: Sequence[ToolCall]) -> int:
    """How many contacts the present turn would erase or has asked to erase."""
    wanted = {str(call["args"].get("contact")) for call in calls if call["name"] == "delete_contact"}
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            break
        if isinstance(message, AIMessage):
            wanted |= {
                str(call["args"].get("contact")) for call in message.tool_calls if call["name"] == "delete_contact"
            }
    return len(wanted)


def _named(contact: str, text: str) -> bool:
    """Whether people named this contact: by the address, or by a part of the name."""
    if "@" in contact:
        return names(contact, text)
    if _SWEEPING.search(contact.lower()):
        return False
    words_of_it = re.findall(r"\w+", contact.lower())
    parts = [word for word in words_of_it if len(word) > 2 and not _NOBODY_IN_PARTICULAR.fullmatch(word)]
    words = set(re.findall(r"\w+", text))
    return any(fuzz.ratio(part, word) >= 75 for part in parts for word in words)


def _without_echo(text: str, arguments: dict[str, Any]) -> str:
    """A result without the first mention of what was asked: “Nobody found for “made@up.example”” shows no address."""
    for value in arguments.values():
        if isinstance(value, str) and value:
            text = text.replace(value.lower(), " ", 1)
    return text


def _addresses(arguments: dict[str, Any]) -> list[str]:
    given: list[str] = []
    for name in ("email", "emails", "contact", "to", "csv"):
        value = arguments.get(name)
        given += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    return [address for text in given for address in _ADDRESS.findall(text)]


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)

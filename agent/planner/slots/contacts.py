"""Slots of the contact tools."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

from agent.planner import names
from agent.planner.clauses import starts_request
from agent.planner.contract import Call
from agent.planner.patterns import ANY_SIGN, SIGNS, rule
from agent.planner.phrases import has_words, peel, without_signs
from agent.planner.slots import common
from agent.planner.slots.common import Filled, Request, call
from agent.planner.text import fold

_EMAIL, _PHONE, _CAMPAIGN = SIGNS["{E}"], SIGNS["{P}"], SIGNS["{C}"]
_LABEL = rule("contacts_label")
_NAMED = rule("contacts_named")
_PRONOUN = rule("contacts_pronoun")
_FRAME_WORDS = rule("contacts_frame_words")


def create(request: Request) -> Filled:
    pieces = _one_address_each(request.whole)
    if len(pieces) > 1:
        filled = [create(replace(request, clause=replace(request.clause, text=piece, more=""))) for piece in pieces]
        return Filled([call_ for one in filled for call_ in one.calls])
    text = request.whole
    address = request.first("email")
    if address is None:
        person = names.person(request.text)
        return call("create_contact", "email", **names.split_name(person))
    tags = common.tags(request, text)
    phone = request.first("phone")
    rest = _without_tags(request, text)
    before, _, after = rest.partition(next(s for s in rest if request.marked.things.get(s) is address))
    name, left = _name_around(before, after)
    if not name and (quote := request.first("quote")):
        name, left = quote.value, [re.sub(SIGNS["{Q}"], " ", piece) for piece in left]
    known = {fold(tag): tag for tag in request.situation.tags}
    bare = [piece for piece in left if fold(piece.strip(" .,")) in known]
    tags += [known[fold(piece.strip(" .,"))] for piece in bare]
    left = [piece for piece in left if piece not in bare] or [""]
    description = _description(request, [_after_command(left[0]), *left[1:]])
    return call(
        "create_contact",
        email=address.value,
        **names.split_name(request.say(name)),
        phone_number=phone.value if phone else None,
        description=description,
        tags=tags,
    )


def _one_address_each(text: str) -> list[str]:
    """ "Ann a@x and Bo b@x": two contacts. Cut between the addresses, at the joint nearest the first."""
    at = [match.start() for match in re.finditer(_EMAIL, text)]
    pieces, start = [], 0
    for here, following in itertools.pairwise(at):
        joint = re.search(r"\s*(?:;|,?\s+(?:and|und|et|y|plus|&)\s|,)", text[here:following])
        cut = here + (joint.end() if joint else 1)
        pieces.append(text[start:cut].rstrip(" ,;") if joint else text[start:cut])
        start = cut
    return [*pieces, text[start:]] if at else [text]


def _without_tags(request: Request, text: str) -> str:
    folded = fold(text)
    for match in reversed(list(common.TAGGED.finditer(folded))):
        start = re.search(r"(?:\b(?:and|with|with the|und|mit|,)\s*)*$", folded[: match.start()])
        text = text[: start.start() if start else match.start()] + ", " + text[match.end() :]
    return re.sub(SIGNS["{T}"], "", text)


def _name_around(before: str, after: str) -> tuple[str, list[str]]:
    """The name and the other pieces. An explicit "called ..." first, then before, then after."""
    pieces = list(re.split(r"[,;()<>|]|\s[-–—/]\s|\.\s|:\s", f"{before}|{after}"))
    cut = len(re.split(r"[,;()<>|]|\s[-–—/]\s|\.\s|:\s", before))
    for at, piece in enumerate(pieces):
        told = _NAMED.search(fold(piece))
        if told:
            name, more = names.name_in(piece[told.end() :], loose=True)
            if name:
                return name, [*pieces[:at], piece[: told.start()], more, *pieces[at + 1 :]]
    for at in range(cut - 1, -1, -1):
        name = names.last_name_run(_without_label(pieces[at]))
        if name:
            return name, [*pieces[:at], pieces[at].replace(name, " ", 1), *pieces[at + 1 :]]
    for at in range(cut, len(pieces)):
        name, more = names.name_in(re.sub(ANY_SIGN, " ", pieces[at]))
        if name:
            return name, [*pieces[:at], more, *pieces[at + 1 :]]
    # Nobody holds Shift in a chat: "add ada lovelace ada@example.org".
    for at in (*range(cut - 1, -1, -1), *range(cut, len(pieces))):
        name, more = names.name_in(_without_label(pieces[at]), loose=True)
        if name and not _FRAME_WORDS.match(fold(name) + " "):
            return name, [*pieces[:at], more, *pieces[at + 1 :]]
    return "", pieces


def _without_label(piece: str) -> str:
    label = _LABEL.search(fold(piece))
    return piece[: label.start()] if label else piece


def _description(request: Request, pieces: list[str]) -> str:
    kept: list[str] = []
    for piece in pieces:
        piece = _without_label(re.sub(rf"\s*{_PHONE}\s*", " ", _unlabelled_phone(piece))).strip(" ,.;:()-")
        told = _PRONOUN.match(fold(piece))
        bare = piece[told.end() :] if told else piece
        if bare.strip() and not _FRAME_WORDS.match(fold(bare).strip() + " ") and has_words(bare):
            kept.append(request.say(bare).strip(" ,.;:"))
    return ", ".join(kept)


def _after_command(piece: str) -> str:
    """Of "add the baker who ..." only what follows "who": the rest is the command."""
    if not starts_request(f"{piece} it") and not rule("contacts_after_command").search(fold(piece)):
        return piece
    told = re.search(r"\b(?:who|that|die|der|qui|que)\s", fold(piece))
    return piece[told.start() :] if told else ""


def _unlabelled_phone(piece: str) -> str:
    match = re.search(_PHONE, piece)
    return piece if not match else _without_label(piece[: match.start()]) + " " + piece[match.end() :]


_FIELDS = [
    ("last_name", r"(?:last name|surname|family name|nachnamen?|nom de famille|apellido)"),
    ("first_name", r"(?:first name|given name|vornamen?|prenom|nombre de pila)"),
    ("description", r"(?:description|notes?|notiz|bemerkung|beschreibung|nota|descripcion)"),
    ("name", r"(?:name|namen|nom|nombre)"),
]
_TO = rule("contacts_to").pattern


def update(request: Request) -> Filled:
    text, folded = request.whole, fold(request.whole)
    emails = request.all("email")
    phone = request.first("phone")
    new_address = bool(rule("contacts_update_new_address").search(folded))
    person = names.person(request.text) if not emails or (new_address and len(emails) == 1) else ""
    who: str | None = emails[0].value if emails else None
    email: str | None = None
    if len(emails) > 1:
        email = emails[1].value
    elif emails and new_address:
        who, email = person or request.memory.contact, emails[0].value
    elif not emails:
        who = person or request.memory.contact
        if (
            person
            and re.search(r"\b(?:her|his|their|she|he)\b", folded)
            and request.memory.contact
            and not _before_verb(text, person)
        ):
            who = request.memory.contact
    fields: dict[str, str] = {}
    called = re.search(
        r"\b(?:is|are)\s+(?:really |actually |now |properly )*(?:called|named)\s+(?P<it>[^,;.]+)", folded
    )
    if called:
        said = re.sub(r"\s+(?:now|actually)$", "", request.say(text[called.start("it") : called.end("it")]).strip(" ."))
        fields.update({"last_name": said} if "last name" in folded or "surname" in folded else names.split_name(said))
    for name, word in _FIELDS:
        match = re.search(rf"\b{word}(?!\w){_TO}(?P<it>.+?)(?:[.;]|$)", folded)
        if match and not fields:
            said = re.split(
                r",?\s+(?:not|instead of|rather than|nicht|pas)\s", text[match.start("it") : match.end("it")]
            )[0]
            said = request.say(re.sub(f"{_EMAIL}|{_PHONE}", "", said)).strip(" ,.'\"")
            if name == "name":
                fields.update(names.split_name(said.split(",")[0]))
            elif said:
                fields[name] = (
                    said
                    if name == "description"
                    else said.split(",")[0].title()
                    if said.islower()
                    else said.split(",")[0]
                )
    tags = common.tags(request, text)
    if not fields and not tags and not email and not phone:
        note = _note(request, text, who)
        if note:
            fields["description"] = note
    changes = bool(fields or tags or email or phone)
    missing = "contact" if not who else "" if changes else "change"
    return call(
        "update_contact",
        missing,
        contact=who,
        email=email,
        phone_number=phone.value if phone else None,
        tags=tags,
        **fields,
    )


def _before_verb(text: str, person: str) -> bool:
    return text.find(person) < 25 or bool(re.search(rf"(?:of|for|to|on) {re.escape(person)}", text))


def _note(request: Request, text: str, who: str | None) -> str:
    told = re.search(r"(?:\bnote\b[^:]*?(?::|\bthat\b)|\bremember that\b|\bknow that\b|:\s)", fold(text))
    rest = text[told.end() :] if told else text
    rest = re.sub(rf"^(?:update|change|edit)?\s*{_EMAIL}[\s,:]*", "", rest.strip(), flags=re.I)
    if who and rest.startswith(who):
        rest = rest[len(who) :]
    rest = re.sub(r"^'s\s+(?:notes?|description)?", "", rest)
    restated = rule("contacts_restated").search(fold(rest))
    rest = rest[: restated.start()] if restated else rest
    bare = rest.strip(" ,.:-")
    lead = _PRONOUN.match(fold(bare))
    bare = bare[lead.end() :] if lead else bare
    if not told and (starts_request(text) or rule("contacts_note_command").search(fold(bare))):
        return ""  # "give her a tag" says what to do, not what to note
    return request.say(re.sub(_EMAIL, "", bare)).strip(" ,.:-") if has_words(bare) else ""


def delete(request: Request) -> Filled:
    if addresses := request.all("email"):
        return Filled([Call("delete_contact", {"contact": address.value}) for address in addresses])
    if rule("contacts_delete").search(request.folded) and request.memory.contact:
        return call("delete_contact", contact=request.memory.contact)
    several = re.split(r"\s+(?:and|und|et|y|&)\s+|,\s+", request.text)
    people = [name for part in several if (name := names.person(part))]
    if len(several) > 1 and len(people) == len(several):
        return Filled([Call("delete_contact", {"contact": name}) for name in people])
    quoted = request.first("quote")
    person = quoted.value if quoted else names.person(request.text)
    person = re.sub(r"\s+(?:from|aus|de|for good|completely)\b.*$", "", person)
    return call("delete_contact", "" if person else "contact", contact=person)


def search(request: Request) -> Filled:
    text = request.text
    campaign = None
    inside = rule("contacts_search_inside").search(fold(text))
    if inside:
        campaign = request.marked.things[inside[1]].value
        text = without_signs(text, _CAMPAIGN)
    elif re.search(r"\b(?:in|on) (?:it|this campaign|that campaign|the campaign)\b", request.folded):
        campaign = request.memory.campaign
        text = re.sub(r"\b(?:in|on) (?:it|this campaign|that campaign|the campaign)\b", "", text, flags=re.I)
    status = common.status(request, "contact_status")
    tags = common.tags(request, text)
    text = _without_tags(request, text)
    plain, text = common.plain_tags(request, text)
    tags += [tag for tag in plain if tag not in tags]
    limit = common.limit(request)
    if status:
        text = _without_status(text)
    query = peel(text, "query")
    if query and rule("contacts_search").fullmatch(fold(query)):
        query = ""
    return call(
        "search_contacts",
        query=request.say(query).strip(" ?.!,'\""),
        limit=limit,
        status=status,
        tags=tags,
        campaign=campaign,
    )


def _without_status(text: str) -> str:
    from agent.planner.text import lexicon

    forms = [str(form) for forms in lexicon()["contact_status"].values() for form in forms]
    return (
        re.sub(
            rf"(?:(?:who|that|have|has|are|is|haben|sich|qui|sont)\s+)*(?<!\w)(?:{'|'.join(forms)})(?!\w)",
            "",
            fold(text),
        )
        if re.search("|".join(forms), fold(text))
        else text
    )


def imports(request: Request) -> Filled:
    dry = rule("contacts_imports_dry").search(fold(request.whole))
    return call("import_contacts", "" if request.paste else "csv", csv=request.paste, dry_run=True if dry else None)

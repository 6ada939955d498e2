"""Erasing one person: every row, every text that names them, and the files that the program keeps.

What stays: a hash of the address, so that it is never mailed again; the numbers of campaigns, which are nobody's then;
and in the audit log and the record of approvals an id that leads nowhere, as proof that it was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db import captures, contacts, conversations, deliveries, events, idempotency
from db import erasure as rows
from db.contacts import ContactRow
from db.erasure import Mention
from db.pool import Connection
from tools.base import Context
from tools.traces import Person, Traces

# What the terminal remembers of what was typed, and the log, where an error may have left a name.
FILES = ("chat_history", "smartcampaign.log", "smartcampaign.log.1")

# Addresses that were changed in a conversation are looked for again, as often as new ones come up.
MOST_ROUNDS = 5


@dataclass(frozen=True)
class Elsewhere:
    """Where else a person is named: in what is known about others, and in campaigns' texts."""

    notes: Sequence[Mention]
    campaigns: Sequence[str]

    def facts(self) -> dict[str, str]:
        """For the card that a person decides on."""
        facts = {}
        if self.notes:
            facts["Named in notes about others"] = f"{len(self.notes):,} (taken out there)"
        if self.campaigns:
            facts["Named in campaigns"] = f"{', '.join(self.campaigns)} (left as they are)"
        return facts


async def addresses_of(db: Connection, ctx: Context, row: ContactRow) -> list[str]:
    """Where mail for this person went: the address, and those that it was before."""
    return await rows.addresses(db, ctx.tenant.id, row.contact_id)


async def elsewhere(db: Connection, ctx: Context, row: ContactRow) -> Elsewhere:
    """Where the person is named outside of their own rows and of conversations."""
    traces = Traces(await _sought_in_notes(db, ctx, row))
    words = sorted(traces.words)
    found = await rows.mentions(db, ctx.tenant.id, row.contact_id, words)
    named = [mention for mention in found if _without(mention, traces) != mention]
    return Elsewhere(named, await rows.campaigns_naming(db, ctx.tenant.id, row.contact_id, words))


async def erase(db: Connection, ctx: Context, row: ContactRow) -> str:
    """Erase the person in this transaction; return what was done, as a sentence that names nobody.

    First the locks: no turn can write down any more what it had read, and no click or open comes in between.
    """
    tenant, id, now = ctx.tenant.id, row.contact_id, ctx.now()
    await conversations.hold_turns(db, tenant)
    await events.lock_erasure(db, tenant)
    person = Person.of(row).known_as(await addresses_of(db, ctx, row))
    in_notes = Traces(await _sought_in_notes(db, ctx, row))
    await idempotency.forget_answers(db, tenant)
    for address in sorted(person.addresses):
        await deliveries.suppress(db, tenant, address, reason="erased", source="delete_contact", at=now)
        await captures.forget(db, tenant, id, address)
    await rows.forget_in_history(db, tenant, id)
    await rows.forget_mails(db, tenant, id, sorted(person.addresses))
    notes = 0
    for mention in await rows.mentions(db, tenant, id, sorted(in_notes.words)):
        changed = _without(mention, in_notes)
        if changed != mention:
            notes += 1
            await rows.change_mention(db, tenant, changed, now)
    # Their names too may name the person, and what is done is told to the conversation.
    campaigns = list(map(in_notes.sparing, await rows.campaigns_naming(db, tenant, id, sorted(in_notes.words))))
    await contacts.erase(db, tenant, id)
    traces, talks = await _forget_conversations(db, ctx, person)
    await rows.change_approvals(db, tenant, id, traces, now)
    if notes and ctx.embed_later is not None:
        ctx.embed_later()
    unclean = await asyncio.to_thread(_clean_files, ctx.home, traces)
    return _what_was_done(notes, talks, campaigns, unclean)


async def _sought_in_notes(db: Connection, ctx: Context, row: ContactRow) -> Person:
    """The person as others' notes may name them: not by a name that another contact has too."""
    person = Person.of(row).known_as(await addresses_of(db, ctx, row))
    return person.nameless() if await rows.has_namesakes(db, ctx.tenant.id, row.contact_id) else person


async def _forget_conversations(db: Connection, ctx: Context, person: Person) -> tuple[Traces, int]:
    """Take the person out of every conversation, by every address that conversations gave them; say in how many."""
    talks = 0
    for _ in range(MOST_ROUNDS):
        traces = Traces(person)
        talks = max(talks, await rows.change_conversations(db, ctx.tenant.id, traces))
        new = {other for other in traces.others if not await rows.is_anybodys(db, ctx.tenant.id, other)}
        if not new - person.addresses:
            break
        person = person.known_as(new)
    return traces, talks


def _without(mention: Mention, traces: Traces) -> Mention:
    return replace(
        mention,
        description=traces.sparing(mention.description) if mention.description else mention.description,
        attributes=_spared(mention.attributes, traces),
    )


def _spared(value: Any, traces: Traces) -> Any:
    match value:
        case str():
            return traces.sparing(value)
        case list():
            return [_spared(each, traces) for each in value]
        case dict():
            return {key: _spared(each, traces) for key, each in value.items()}
    return value


def _clean_files(home: Path | None, traces: Traces) -> list[str]:
    """Take the person out of the program's own files; return those that could not be cleaned."""
    unclean = []
    for name in FILES if home is not None else ():
        assert home is not None
        try:
            with (home / name).open("r+", encoding="utf-8", errors="surrogateescape", newline="") as file:
                before = file.read()
                after = traces.text(before)
                if after != before:
                    # In place: a program that writes to this file goes on writing to it.
                    file.seek(0)
                    file.write(after)
                    file.truncate()
        except FileNotFoundError:
            continue
        except OSError:
            unclean.append(name)
    return unclean


def _what_was_done(notes: int, talks: int, campaigns: Sequence[str], unclean: Sequence[str]) -> str:
    sentences = ["The contact is erased. A hash of the address stays, so that it is never mailed again."]
    where = [f"{talks} {'conversation' if talks == 1 else 'conversations'}"] if talks else []
    where += [f"{notes} {'note' if notes == 1 else 'notes'} about others"] if notes else []
    if where:
        sentences.append(f"They were taken out of {' and '.join(where)}.")
    if campaigns:
        sentences.append(f"These campaigns may still name them, look at their texts: {', '.join(campaigns)}.")
    if unclean:
        sentences.append(f"These files could not be cleaned, do it by hand: {', '.join(unclean)}.")
    return " ".join(sentences)

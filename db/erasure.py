"""Taking one person out of every table: their rows, what is counted of them, and the texts that name them.

Each function is about one kind of row. What has to happen together is in tools/erasure.py, in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Json, Jsonb

from db import packed
from db.packed import Change
from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True)
class Mention:
    """Another contact whose note or attributes may name the person."""

    contact_id: UUID
    description: str | None
    attributes: dict[str, Any]


async def addresses(db: Connection, tenant: UUID, contact_id: UUID) -> list[str]:
    """Where mail for this contact went, also before the address was changed; none that is another contact's now."""
    cursor = await db.execute(sql("erasure", "addresses"), {"tenant": tenant, "id": contact_id})
    return [row[0] for row in await cursor.fetchall()]


async def is_anybodys(db: Connection, tenant: UUID, address: str) -> bool:
    """Whether a contact has this address."""
    cursor = await db.execute(sql("erasure", "is_anybodys"), {"tenant": tenant, "email": address})
    return await cursor.fetchone() is not None


async def has_namesakes(db: Connection, tenant: UUID, contact_id: UUID) -> bool:
    """Whether another contact has the same full name."""
    cursor = await db.execute(sql("erasure", "namesakes"), {"tenant": tenant, "id": contact_id})
    return await cursor.fetchone() is not None


async def forget_in_history(db: Connection, tenant: UUID, contact_id: UUID) -> None:
    """Ledger and events keep their numbers: in each campaign the contact becomes nobody in particular."""
    await db.execute(sql("erasure", "forget_in_history"), {"tenant": tenant, "id": contact_id})


async def forget_mails(db: Connection, tenant: UUID, contact_id: UUID, addresses: Sequence[str]) -> None:
    """Blank test mails to these addresses or as this contact sees them, and shorten counted links that name them."""
    parameters = {"tenant": tenant, "id": contact_id, "addresses": [address.lower() for address in addresses]}
    await db.execute(sql("erasure", "blank_tests"), parameters)
    await db.execute(sql("erasure", "shorten_links"), {"tenant": tenant, "patterns": _patterns(addresses)})


async def change_approvals(db: Connection, tenant: UUID, contact_id: UUID | None, change: Change, at: datetime) -> None:
    """Blank the requests about this contact, and change the texts of the others; open ones of these are withdrawn."""
    await db.execute(sql("erasure", "blank_approvals"), {"tenant": tenant, "id": contact_id, "at": at})
    async for id, card, arguments in _each(db, "all_approvals", tenant):
        new_card, new_arguments = _changed(card, change), _changed(arguments, change)
        if (new_card, new_arguments) != (card, arguments):
            changed = {"card": Json(new_card), "arguments": Jsonb(new_arguments), "at": at}
            await db.execute(sql("erasure", "change_approval"), {"tenant": tenant, "id": id} | changed)


async def change_conversations(db: Connection, tenant: UUID, change: Change) -> int:
    """Change the texts of all conversations: their names, messages and the graph's states. Returns in how many it did.

    A state that can't be looked into is deleted: the conversation goes on without its memory.
    """
    touched = await _change_names(db, tenant, change)
    touched |= await _change_messages(db, tenant, change)
    touched |= await _change_checkpoints(db, tenant, change)
    touched |= await _change_writes(db, tenant, change)
    return len(touched)


async def mentions(db: Connection, tenant: UUID, contact_id: UUID, words: Sequence[str]) -> list[Mention]:
    """Other contacts whose note or attributes hold one of `words`, in any case."""
    async with db.cursor(row_factory=class_row(Mention)) as cursor:
        parameters = {"tenant": tenant, "id": contact_id, "patterns": _patterns(words)}
        await cursor.execute(sql("erasure", "mentions"), parameters)
        return await cursor.fetchall()


async def change_mention(db: Connection, tenant: UUID, mention: Mention, at: datetime) -> None:
    """Store another contact's note and attributes. Its vector goes: it belongs to the old words."""
    await db.execute(
        sql("erasure", "change_mention"),
        {
            "tenant": tenant, "id": mention.contact_id, "description": mention.description,
            "attributes": Jsonb(mention.attributes), "at": at,
        },
    )  # fmt: skip


async def campaigns_naming(db: Connection, tenant: UUID, contact_id: UUID, words: Sequence[str]) -> list[str]:
    """Names of campaigns whose texts hold one of `words`, in any case; at most ten. The contact's own drafts aside."""
    parameters = {"tenant": tenant, "id": contact_id, "patterns": _patterns(words)}
    cursor = await db.execute(sql("erasure", "campaigns_naming"), parameters)
    return [row[0] for row in await cursor.fetchall()]


async def _change_names(db: Connection, tenant: UUID, change: Change) -> set[UUID]:
    touched: set[UUID] = set()
    async for id, name in _each(db, "all_names", tenant):
        if change.text(name) != name:
            touched.add(id)
            await db.execute(sql("erasure", "drop_name"), {"tenant": tenant, "id": id})
    return touched


async def _change_messages(db: Connection, tenant: UUID, change: Change) -> set[UUID]:
    touched: set[UUID] = set()
    async for id, turn, place, text in _each(db, "all_messages", tenant):
        new = change.text(text)
        if new != text:
            touched.add(id)
            which = {"tenant": tenant, "id": id, "turn": turn, "place": place}
            await db.execute(sql("erasure", "change_message"), which | {"text": new})
    return touched


async def _change_checkpoints(db: Connection, tenant: UUID, change: Change) -> set[UUID]:
    touched: set[UUID] = set()
    async for id, kind, checkpoint, metadata in _each(db, "all_checkpoints", tenant):
        which = {"tenant": tenant, "id": id}
        try:
            new = {name: packed.changed(kind, data, change)
                   for name, data in (("checkpoint", checkpoint), ("metadata", metadata))}  # fmt: skip
        except packed.Unreadable:
            touched.add(id)
            await db.execute(sql("erasure", "forget_writes"), which)
            await db.execute(sql("erasure", "forget_checkpoint"), which)
            continue
        if new != {"checkpoint": checkpoint, "metadata": metadata}:
            touched.add(id)
            await db.execute(sql("erasure", "change_checkpoint"), which | new)
    return touched


async def _change_writes(db: Connection, tenant: UUID, change: Change) -> set[UUID]:
    touched: set[UUID] = set()
    async for id, checkpoint_id, task_id, place, kind, value in _each(db, "all_writes", tenant):
        try:
            new = packed.changed(kind, value, change)
        except packed.Unreadable:
            touched.add(id)
            await db.execute(sql("erasure", "forget_writes"), {"tenant": tenant, "id": id})
            continue
        if new != value:
            touched.add(id)
            which = {"tenant": tenant, "id": id, "checkpoint_id": checkpoint_id, "task_id": task_id, "place": place}
            await db.execute(sql("erasure", "change_write"), which | {"value": new})
    return touched


def _changed(value: Any, change: Change) -> Any:
    """JSON with its texts changed."""
    match value:
        case str():
            return change.text(value)
        case list():
            return [_changed(each, change) for each in value]
        case dict():
            return {key: _changed(each, change) for key, each in change.mapping(value).items()}
    return value


def _patterns(words: Sequence[str]) -> list[str]:
    """For ILIKE: anywhere in the text, each word as it is and as JSON writes it."""
    forms = {
        form for word in words for form in (word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1])
    }
    return ["%" + form.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%" for form in sorted(forms)]


async def _each(db: Connection, name: str, tenant: UUID) -> AsyncGenerator[tuple[Any, ...]]:
    """The rows of a query through a cursor: states are large, and there may be many."""
    async with db.cursor(name=name) as cursor:
        cursor.itersize = 50
        await cursor.execute(sql("erasure", name), {"tenant": tenant})
        async for row in cursor:
            yield row

"""LangGraph's memory in our own tables: one row a conversation, under row-level security.

LangGraph's Postgres saver keeps every step of every thread in tables without a tenant. A conversation needs the state
after its last turn only, and no tenant may read another's; docs/decisions/0004 gives the figures. A thread's id is
`<tenant>/<conversation>`, made on the server (`thread_id`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)

from db import conversations
from db.conversations import CheckpointRow, WriteRow
from db.pool import Connection, Database

# Where a run's configuration keeps the lease of its turn; names with two underscores are not stored with the state.
LEASE = "__lease"


class LeaseLost(RuntimeError):
    """This turn no longer has its conversation, so it may not write what it remembers."""


def thread_id(tenant: UUID, conversation: UUID) -> str:
    """The id under which the graph knows a conversation."""
    return f"{tenant}/{conversation}"


class Checkpoints(BaseCheckpointSaver[int]):
    """The last state of each conversation. Made for `durability="exit"`: one write a turn."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        tenant, conversation = _ids(config)
        async with self._database.transaction(tenant, read_only=True) as db:
            found = await conversations.checkpoint(db, tenant, conversation)
        if found is None:
            return None
        row, writes = found
        return CheckpointTuple(
            config=_at(config, row.checkpoint_id),
            checkpoint=self.serde.loads_typed((row.kind, row.checkpoint)),
            metadata=self.serde.loads_typed((row.kind, row.metadata)),
            pending_writes=[
                (write.task_id, write.channel, self.serde.loads_typed((write.kind, write.value))) for write in writes
            ],
        )

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The last state, if it is asked for: there are no older ones."""
        found = await self.aget_tuple(config) if config and not before else None
        if found is not None:
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        tenant, conversation = _ids(config)
        kind, data = self.serde.dumps_typed(checkpoint)
        _, about = self.serde.dumps_typed(get_checkpoint_metadata(config, metadata))
        async with self._database.transaction(tenant) as db:
            await hold(db, tenant, conversation, _lease(config))
            row = CheckpointRow(checkpoint["id"], kind, data, about)
            await conversations.save_checkpoint(db, tenant, conversation, row)
        return _at(config, checkpoint["id"])

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        tenant, conversation = _ids(config)
        rows = []
        for place, (channel, value) in enumerate(writes):
            kind, data = self.serde.dumps_typed(value)
            rows.append((WRITES_IDX_MAP.get(channel, place), WriteRow(task_id, channel, kind, data)))
        async with self._database.transaction(tenant) as db:
            await hold(db, tenant, conversation, _lease(config))
            await conversations.save_writes(db, tenant, conversation, config["configurable"]["checkpoint_id"], rows)

    async def adelete_thread(self, thread_id: str) -> None:
        tenant, conversation = (UUID(part) for part in thread_id.split("/"))
        async with self._database.transaction(tenant) as db:
            await conversations.forget(db, tenant, conversation)


async def hold(db: Connection, tenant: UUID, conversation: UUID, owner: UUID) -> None:
    """Keep the turn's lease until the end of this transaction. Raises `LeaseLost`.

    A turn that was stopped for longer than its lease must not write over the next one's memory, and one that began
    before somebody was erased must not write them back.
    """
    if not await conversations.is_leased(db, tenant, conversation, owner=owner):
        raise LeaseLost


def _lease(config: RunnableConfig) -> UUID:
    """Raises `LeaseLost` for a run that has none."""
    if LEASE not in config["configurable"]:
        raise LeaseLost
    return UUID(config["configurable"][LEASE])


def _ids(config: RunnableConfig) -> tuple[UUID, UUID]:
    tenant, conversation = config["configurable"]["thread_id"].split("/")
    return UUID(tenant), UUID(conversation)


def _at(config: RunnableConfig, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": config["configurable"]["thread_id"],
            "checkpoint_ns": config["configurable"].get("checkpoint_ns", ""),
            "checkpoint_id": checkpoint_id,
            **({LEASE: config["configurable"][LEASE]} if LEASE in config["configurable"] else {}),
        }
    }

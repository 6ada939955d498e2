"""Rate limits that all programs share: slots, taken before a mail leaves and free again some time after its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from db.pool import Connection
from db.queries import sql


@dataclass(frozen=True)
class Limit:
    """At most `rate` mails a second for what `name` stands for: a server, or a tenant."""

    name: str
    rate: float

    @property
    def size(self) -> int:
        """How many slots it has."""
        return max(1, int(self.rate))

    @property
    def hold(self) -> timedelta:
        """How long a slot rests after its mail was answered: so many slots in so long a time are the rate."""
        return timedelta(seconds=self.size / self.rate)


async def take(db: Connection, limit: Limit, many: int, *, owner: str, lease: timedelta) -> list[int]:
    """Take up to `many` slots that are free, in `owner`'s name; one that is never given back is free after `lease`."""
    cursor = await db.execute(
        sql("rates", "take"),
        {"name": limit.name, "size": limit.size, "many": many, "owner": owner, "lease": lease},
    )
    row = await cursor.fetchone()
    return list(row[0]) if row else []


async def free(db: Connection, limit: Limit, slots: Sequence[int], *, owner: str, used: bool) -> None:
    """Give slots back: those that were `used` rest, the others are free at once."""
    hold = limit.hold if used else timedelta(0)
    await db.execute(sql("rates", "free"), {"name": limit.name, "slots": list(slots), "owner": owner, "hold": hold})

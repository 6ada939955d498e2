"""Who calls: the key of the request becomes a `Context`, and each caller has a rate of their own."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from interfaces.access import Access, is_from_here
from interfaces.api.problems import TooFast
from tools.base import Context
from tools.errors import ToolError

# Requests a minute of one key, where no setting says otherwise.
PER_MINUTE = 600

# Requests a minute of one address whose keys are wrong: enough for a mistake, too few to guess.
WRONG_PER_MINUTE = 30

# Callers that are remembered: the ones not seen for longest are forgotten, which only does them good.
MOST_REMEMBERED = 10_000


@dataclass
class _Bucket:
    """Tokens that come back steadily; each request takes one."""

    left: float
    at: float


class Limiter:
    """So many requests a minute for each caller, counted in this process. A burst may use a whole minute's at once."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[str, _Bucket] = {}

    def take(self, who: str) -> int:
        """Use one; return how many are left. Raises `TooFast`."""
        bucket = self._refilled(who)
        if bucket.left < 1:
            raise self._too_fast(bucket)
        bucket.left -= 1
        return int(bucket.left)

    def _too_fast(self, bucket: _Bucket) -> TooFast:
        wait = (1 - bucket.left) * 60 / self.per_minute
        return TooFast(limit=self.per_minute, window="a minute", seconds=max(1, math.ceil(wait)))

    def _refilled(self, who: str) -> _Bucket:
        now = time.monotonic()
        bucket = self._buckets.pop(who, None) or _Bucket(self.per_minute, now)
        bucket.left = min(self.per_minute, bucket.left + (now - bucket.at) * self.per_minute / 60)
        bucket.at = now
        self._buckets[who] = bucket  # last again: the order is that of the last use
        if len(self._buckets) > MOST_REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        return bucket


class Callers:
    """The callers of one app."""

    def __init__(self, access: Access, per_minute: int = PER_MINUTE, wrong_per_minute: int = WRONG_PER_MINUTE) -> None:
        self._access = access
        self._limit = Limiter(per_minute)
        self._wrong = Limiter(wrong_per_minute)

    async def context(self, request: Request) -> Context:
        """Raises `KeyNeeded`, `UnknownKey`, `KeyOver` or `TooFast`."""
        address = request.client.host if request.client else ""
        try:
            ctx = await self._access.by_request(request, "rest")
        except ToolError:
            # Only wrong ones are held up: behind a proxy everybody has one address, and a stranger's tries must not
            # lock out whoever has a good key.
            self._wrong.take(address)
            raise
        who = f"{ctx.tenant.id} {ctx.actor.name}"
        try:
            left = self._limit.take(who)
        except TooFast:
            self._tell(request, 0)
            raise
        self._tell(request, left)
        return ctx

    async def may_look(self, request: Request) -> bool:
        """Whether this request may see the program's own figures: from this machine itself, or with any key."""
        if is_from_here(request):
            return True
        await self.context(request)
        return True

    def _tell(self, request: Request, left: int) -> None:
        """For the middleware, which writes the headers (draft-ietf-httpapi-ratelimit-headers-10)."""
        per_minute = self._limit.per_minute
        request.scope["smartcampaign.rate"] = (
            f'"minute";q={per_minute};w=60',
            f'"minute";r={left};t={math.ceil((per_minute - left) * 60 / per_minute)}',
        )


async def _caller(request: Request) -> Context:
    callers: Callers = request.app.state.callers
    return await callers.context(request)


# `HTTPBearer` only for the OpenAPI description: what comes is read in interfaces/access.py.
_scheme = HTTPBearer(auto_error=False, description="An API key: smartcampaign keys create")

Caller = Annotated[Context, Depends(_caller)]
Described = Depends(_scheme)

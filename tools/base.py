"""What a tool is: one typed async function, an effect, and `Tool.call`, the only way in.

    @tool(effect="read")
    async def get_campaign(args: GetCampaign, ctx: Context) -> CampaignDetail:
        \"\"\"Show one campaign: status, dates, recipients, mails.\"\"\"

A tool opens at most one writing transaction (`ctx.transaction()`), which also holds its line in the audit log: both are
there or neither is.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, get_args, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, model_validator

from db import audit
from db.embeddings import Embedder
from db.pool import Connection, Database
from tools.errors import InvalidArguments, NotAllowed, ToolError

Effect = Literal["read", "write", "send", "erase"]
Role = Literal["viewer", "editor", "sender", "owner"]

# Who may do what; each role may do all that the ones before it may.
ROLES: dict[Role, frozenset[Effect]] = {
    "viewer": frozenset({"read"}),
    "editor": frozenset({"read", "write"}),
    "sender": frozenset({"read", "write", "send"}),
    "owner": frozenset({"read", "write", "send", "erase"}),
}

# Claude Code refuses tool results over 25,000 tokens; a token is at least two characters in every language we meet.
LONGEST_RESULT = 50_000


# The log says what was asked, not the whole text of it.
LONGEST_LOGGED = 200


# The context of a validation that takes what the schema says and nothing that only looks like it.
EXACTLY = "exactly"


class _Personal:
    """Marks an argument that may hold personal data: the audit log keeps that it was given, not what."""


PERSONAL = _Personal()


class Arguments(BaseModel):
    """The arguments of a tool. Unknown ones are refused: a misspelt argument must not be dropped quietly."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _lists_from_text(cls, given: Any, info: ValidationInfo) -> Any:
        """Some clients and small models write a list as its JSON text, or a single entry without the list."""
        if not isinstance(given, dict) or info.context is EXACTLY:
            return given
        return {name: _as_list(value) if cls._takes_list(name) else value for name, value in given.items()}

    @classmethod
    def _takes_list(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is not None and "list[" in str(field.annotation)


def _as_list(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return [value]
    return [value] if value.strip() else []


def _without_nul(value: object) -> object:
    # Postgres text can't hold NUL; other control characters are typing accidents as well, save tab and newline.
    if isinstance(value, str):
        return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]", "", value)
    return value


Text = Annotated[str, BeforeValidator(_without_nul)]


class Result(BaseModel):
    """What a tool answers: fields for programs, and `text()` for people."""

    def text(self) -> str:
        """The result in words (Markdown), complete enough to be the whole answer."""
        raise NotImplementedError


@dataclass(frozen=True)
class Tenant:
    """Whose data this is, and how its times and numbers are read."""

    id: UUID
    name: str
    time_zone: str = "UTC"
    country: str = "US"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True)
class Actor:
    """Who asks, with which role, through which door (`cli`, `mcp`, `rest` ..)."""

    name: str
    role: Role = "owner"
    door: str = "cli"


class Writer(Protocol):
    """A language model as the tools see it: words in, words out."""

    @property
    def name(self) -> str:
        """Which model; recorded on what it wrote."""

    async def write(self, system: str, request: str) -> str:
        """One answer. Raises `WriterUnavailable`."""


class WriterUnavailable(RuntimeError):
    """The language model did not answer; the written form is used instead."""


@dataclass(frozen=True)
class Context:
    """What a tool works with. Built in `interfaces/wiring.py`, one a request."""

    tenant: Tenant
    actor: Actor
    database: Database
    embedder: Embedder
    now: Callable[[], datetime]
    """The time, aware, in any zone. Tests set it."""
    writer: Writer | None = None
    conversation: UUID | None = None
    shared: str | None = None
    """Whose the conversation is when it is no single person's: a thread of a chat, in which several speak."""
    home: Path | None = None
    """The data folder, whose files may name people; None where there is none."""
    embed_later: Callable[[], None] | None = None
    """Asks the door to make missing vectors in the background; None where nothing runs in the background."""
    also: Callable[[Connection], Awaitable[None]] | None = field(default=None, repr=False)
    """What a door wants committed together with a write, in its transaction: that it was done for this request."""
    told: Callable[[str, int, int], None] | None = field(default=None, repr=False)
    """Hears how far a long call is: of what, how many, of how many. None where nobody listens."""
    call: _Call | None = field(default=None, repr=False)
    """The tool call under way; set by `Tool.call`."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction on this tenant's rows: read-only for a tool that reads, else with its line in the audit log."""
        read_only = self.call is not None and self.call.effect == "read"
        async with self.database.transaction(self.tenant.id, read_only=read_only) as db:
            yield db
            if self.call is not None and self.call.effect != "read":
                await self.call.record(db, "done", self)
                if self.also is not None:
                    await self.also(db)

    @property
    def keeper(self) -> str:
        """Whose the conversation is."""
        return self.shared or self.actor.name

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell whoever waits for the call under way how far it is; on the event loop's thread."""
        if self.told is not None:
            self.told(what, done, total)

    def about(self, *ids: UUID) -> None:
        """Note which contacts and campaigns the call under way is about, for its line in the audit log."""
        if self.call is not None:
            self.call.subjects += ids

    def local(self, moment: datetime) -> datetime:
        """`moment` in the tenant's time zone."""
        return moment.astimezone(self.tenant.zone)


@dataclass
class _Call:
    """One tool call: what the audit log will say of it."""

    tool: str
    effect: Effect
    arguments: dict[str, Any]
    subjects: list[UUID] = field(default_factory=list)
    recorded: bool = False

    async def record(self, db: Connection, outcome: str, ctx: Context) -> None:
        await audit.add(
            db, ctx.tenant.id, at=ctx.now(), actor=ctx.actor.name, role=ctx.actor.role, door=ctx.actor.door,
            tool=self.tool, effect=self.effect, outcome=outcome, arguments=self.arguments, subjects=self.subjects,
            conversation_id=ctx.conversation,
        )  # fmt: skip
        self.recorded = True


A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Tool(Generic[A, R]):
    """A function with its name, description (its docstring, written for the model), schemas and effect."""

    name: str
    description: str
    effect: Effect
    input: type[A]
    output: type[R]
    function: Callable[[A, Context], Awaitable[R]]
    preview: Callable[[A, Context], Awaitable[str]] | None = None

    def check(self, arguments: Mapping[str, Any], ctx: Context) -> None:
        """Raise the `ToolError` that `call` would raise before it looks at any row."""
        allowed(ctx.actor.role, self.effect, self.name)
        self._validated(arguments)

    def exactly(self, arguments: Any) -> None:
        """Raise `InvalidArguments` unless these are as the published schema says: no text for a number or a list.

        For programs. Models get more leave: `call` reads what they probably meant.
        """
        try:
            self.input.model_validate(arguments, strict=True, context=EXACTLY)
        except ValidationError as error:
            raise InvalidArguments(problems=_in_words(error, self.input)) from None

    async def foreseen(self, arguments: Mapping[str, Any], ctx: Context) -> str:
        """What a call would do that its arguments don't show ("14 people match"); empty when there is nothing to say.

        Looks only (its transactions are read-only). A refusal is what is foreseen, so it does not raise.
        """
        if self.preview is None:
            return ""
        try:
            return await self.preview(
                self._validated(arguments), dataclasses.replace(ctx, call=_Call(self.name, "read", {}))
            )
        except ToolError as error:
            return str(error)

    async def call(self, arguments: Mapping[str, Any], ctx: Context) -> R:
        """Validate, check permission, run, audit. Raises `ToolError`: nothing was changed then."""
        try:
            return await self._call(arguments, ctx)
        except ToolError as error:
            if self.effect != "read":
                refused = _Call(self.name, self.effect, {})
                async with ctx.database.transaction(ctx.tenant.id) as db:
                    await refused.record(db, f"refused: {error.code}", ctx)
            raise

    async def _call(self, arguments: Mapping[str, Any], ctx: Context) -> R:
        allowed(ctx.actor.role, self.effect, self.name)
        args = self._validated(arguments)
        call = _Call(self.name, self.effect, _for_the_log(args))
        result = await self.function(args, dataclasses.replace(ctx, call=call))
        if self.effect != "read" and not call.recorded:
            raise AssertionError(f"{self.name} changed nothing through ctx.transaction(), so nothing was audited")
        return result

    def _validated(self, arguments: Mapping[str, Any]) -> A:
        # A model fills what it does not know with null: for us that is "not said".
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            return self.input.model_validate(given)
        except ValidationError as error:
            raise InvalidArguments(problems=_in_words(error, self.input)) from None


def allowed(role: Role, effect: Effect, what: str) -> None:
    """Raise `NotAllowed` unless `role` may do things of this effect."""
    at_least(next(each for each, effects in ROLES.items() if effect in effects), role, what)


def at_least(needed: Role, role: Role, what: str) -> None:
    """Raise `NotAllowed` unless `role` is `needed` or a higher one."""
    order = list(ROLES)
    if order.index(role) < order.index(needed):
        *lower, highest = order[order.index(needed) :]
        raise NotAllowed(role=role, tool=what, needed=f"{', '.join(lower)} or {highest}" if lower else highest)


def recorded_as(name: str, effect: Effect, ctx: Context) -> Context:
    """A context whose transactions are recorded under `name`: for what a person does that is no tool."""
    return dataclasses.replace(ctx, call=_Call(name, effect, {}))


def tool(
    effect: Effect, preview: Callable[[A, Context], Awaitable[str]] | None = None
) -> Callable[[Callable[[A, Context], Awaitable[R]]], Tool[A, R]]:
    """Make a tool of a function `(args: Arguments, ctx: Context) -> Result`. `preview` tells ahead what it would do."""

    def made(function: Callable[[A, Context], Awaitable[R]]) -> Tool[A, R]:
        hints = get_type_hints(function)
        return Tool(
            name=function.__name__,
            description=inspect.cleandoc(function.__doc__ or ""),
            effect=effect,
            input=hints["args"],
            output=hints["return"],
            function=function,
            preview=preview,
        )

    return made


def _for_the_log(args: Arguments) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in args.model_dump(mode="json", exclude_unset=True).items():
        field = type(args).model_fields[name]
        personal = PERSONAL in field.metadata or _holds_personal(field.annotation)
        kept[name] = "…" if personal or len(str(value)) > LONGEST_LOGGED else value
    return kept


def _holds_personal(annotation: Any) -> bool:
    """Whether the mark is somewhere inside, as in `Name | None` or `list[Email]`."""
    return PERSONAL in getattr(annotation, "__metadata__", ()) or any(map(_holds_personal, get_args(annotation)))


def _in_words(error: ValidationError, model: type[Arguments]) -> str:
    """Pydantic's errors as sentences that name the argument, what is wrong and what would do."""
    sentences = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"]) or "the arguments"
        kind, context = problem["type"], problem.get("ctx", {})
        match kind:
            case "missing":
                sentences.append(f"{name} is missing.")
            case "extra_forbidden":
                sentences.append(f"There is no argument {name}; there are: {', '.join(model.model_fields)}.")
            case "string_too_long":
                sentences.append(f"{name} is too long: at most {context['max_length']:,} characters.")
            case "too_long":
                sentences.append(f"{name} has too many entries: at most {context['max_length']:,}.")
            case "string_too_short" | "too_short":
                sentences.append(f"{name} is empty.")
            case "value_error":
                sentences.append(str(context["error"]))
            case _:
                sentences.append(f"{name}: {problem['msg'][0].lower()}{problem['msg'][1:]}.")
    return " ".join(sentences)

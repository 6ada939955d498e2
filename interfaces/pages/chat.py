"""The chat: a conversation on a page, answered while one looks on, with its questions and cards.

Everything a person sends names the turn it answers. A form that was sent twice, or from a window that lags behind, is
recognised by that, also after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from agent.events import Event
from agent.transcript import PastTurn
from db import approvals as approval_rows
from db import conversations, threads
from db.approvals import ApprovalRow
from db.conversations import MessageRow, ThreadRow
from db.threads import BegunRow
from interfaces.pages import proposals
from interfaces.pages.approvals import as_it_stands
from interfaces.pages.proposals import Proposal
from interfaces.pages.prose import in_plain_words
from interfaces.pages.site import NotFound, Site, Visit, get, in_conversation, post, render
from interfaces.pages.turns import Live, Step, without
from tools import BY_NAME
from tools.base import Context

MOST_THREADS = 30
MOST_TURNS = 40

# Without our script a page can't follow an answer: the first look waits a little for it.
PATIENCE = 6.0

# How long the name of a new conversation's form may be; it becomes the conversation's name.
_LONGEST_NAME = 40


@dataclass
class Shown:
    """One turn as the page shows it."""

    number: int
    said: str | None = None
    choice: str | None = None
    """The person's answer to a question before: yes or no."""
    steps: list[Step] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    prose: str = ""
    proposals: list[str] = field(default_factory=list)
    """What was asked about, once it is answered."""
    question: list[Proposal] = field(default_factory=list)
    cards: list[ApprovalRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_running: bool = False


def routes(site: Site) -> list[Route]:
    return [
        get(site, "/", begin),
        post(site, "/threads", say_first),
        get(site, "/threads/{id}", show),
        post(site, "/threads/{id}", say),
        post(site, "/threads/{id}/answer", answer),
        post(site, "/threads/{id}/stop", stop),
        get(site, "/threads/{id}/events", follow),
    ]


async def begin(visit: Visit) -> Response:
    """An empty conversation, with what one could say."""
    return await visit.page("chat.html", **await _empty(visit))


async def say_first(visit: Visit) -> Response:
    """The first sentence of a conversation, which is made for it: once, however often the form is sent."""
    text, name = visit.said("say"), visit.said("name")[:_LONGEST_NAME]
    if not text:
        return visit.to("/")
    agent = await visit.site.access.agent()
    id = await agent.open_conversation(visit.ctx, f"page {name}" if name else None)
    state = await _state(visit, id)
    if state.turns == 0 and not visit.site.turns.is_running(_key(visit, id)):
        await _start(visit, state, text, agent.turn(text, in_conversation(visit.ctx, id)))
    return visit.to(f"/threads/{id}")


async def show(visit: Visit) -> Response:
    """The conversation as it stands."""
    return await _thread(visit, await _state(visit, visit.id()))


async def say(visit: Visit) -> Response:
    """A sentence. Nothing is done when the conversation went on since the form was made."""
    state, text = await _state(visit, visit.id()), visit.said("say")
    address = f"/threads/{state.conversation_id}"
    if not text:
        return visit.to(address)
    if await _is_behind(visit, state):
        if await _was_said(visit, state, text):
            return visit.to(address)
        is_running = visit.site.turns.is_running(_key(visit, state.conversation_id))
        why = "The answer before is still under way" if is_running else "This conversation went on in another window"
        behind = f"{why}. Your message was not sent; it is still below."
        return await _thread(visit, state, status=409, problem=behind, typed=text)
    agent = await visit.site.access.agent()
    await _start(visit, state, text, agent.turn(text, in_conversation(visit.ctx, state.conversation_id)))
    return visit.to(address)


async def answer(visit: Visit) -> Response:
    """Yes or no to what the agent would do, with the values as they were corrected."""
    state = await _state(visit, visit.id())
    address = f"/threads/{state.conversation_id}"
    if await _is_behind(visit, state):
        return visit.to(address)
    agent = await visit.site.access.agent()
    ctx = in_conversation(visit.ctx, state.conversation_id)
    _, question = await agent.remembered(ctx)
    is_yes = visit.said("answer") == "yes"
    edits = proposals.edits(question, visit.form) if question and is_yes else {}
    await _start(visit, state, "yes" if is_yes else "no", agent.answer(is_yes, ctx, edits=edits))
    return visit.to(address)


async def stop(visit: Visit) -> Response:
    """End the answer that is under way."""
    state = await _state(visit, visit.id())
    await visit.site.turns.stop(_key(visit, state.conversation_id))
    return visit.to(f"/threads/{state.conversation_id}")


async def follow(visit: Visit) -> Response:
    """The turn under way as server-sent events: parts as HTML that replace one another, then `end`."""
    state = await _state(visit, visit.id())
    live = visit.site.turns.of(_key(visit, state.conversation_id))
    boot = visit.site.turns.boot
    known, _, number = visit.request.headers.get("last-event-id", "").partition(".")
    since = int(number) if known == boot and number.isdecimal() else 0
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(live, boot, since), media_type="text/event-stream", headers=headers)


async def _stream(live: Live | None, boot: str, since: int) -> AsyncIterator[str]:
    # When the connection is lost the browser comes back by itself, after so many milliseconds.
    yield "retry: 1000\n\n"
    if live is not None and not live.is_over:
        async for number, parts in live.changed_since(since):
            for part in parts:
                html = render("parts/live.html", {"part": part, "turn": live})
                lines = "".join(f"data: {line}\n" for line in html.splitlines())
                yield f"id: {boot}.{number}\nevent: part\n{lines}\n"
            if not parts:
                yield ": still there\n\n"
    yield "event: end\ndata: \n\n"


def _key(visit: Visit, id: UUID) -> tuple[UUID, UUID]:
    return visit.ctx.tenant.id, id


async def _start(visit: Visit, state: ThreadRow, said: str, events: AsyncGenerator[Event]) -> None:
    key = _key(visit, state.conversation_id)
    live = visit.site.turns.start(key, Live(state.turns + 1, said), events)
    assert live.task is not None
    if not visit.has_script:
        await asyncio.wait([live.task], timeout=PATIENCE)


async def _state(visit: Visit, id: UUID) -> ThreadRow:
    """The person's own conversation. Raises `NotFound`, also for somebody else's."""
    ctx = visit.ctx
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        state = await conversations.one(db, ctx.tenant.id, id, actor=ctx.actor.name)
    if state is None:
        raise NotFound
    return state


async def _is_behind(visit: Visit, state: ThreadRow) -> bool:
    """Whether the form is older than the conversation, or an answer is under way."""
    return visit.said("turn") != str(state.turns) or visit.site.turns.is_running(_key(visit, state.conversation_id))


async def _was_said(visit: Visit, state: ThreadRow, text: str) -> bool:
    """Whether this very form was sent before."""
    live = visit.site.turns.of(_key(visit, state.conversation_id))
    if live is not None and str(live.number - 1) == visit.said("turn"):
        return live.said == text
    ctx = visit.ctx
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        rows = await threads.latest(db, ctx.tenant.id, state.conversation_id, turns=1)
    return visit.said("turn") == str(state.turns - 1) and any(row.role == "person" and row.text == text for row in rows)


async def _thread(
    visit: Visit, state: ThreadRow, *, status: int = 200, problem: str | None = None, typed: str = ""
) -> Response:
    """The page of a conversation."""
    ctx, id = in_conversation(visit.ctx, state.conversation_id), state.conversation_id
    live = visit.site.turns.of(_key(visit, id))
    running = live if live is not None and not live.is_over else None
    agent = await visit.site.access.agent()
    remembered, question = ([], None) if running else await agent.remembered(ctx)
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        rows = await threads.latest(db, ctx.tenant.id, id, turns=MOST_TURNS)
        stopped = await conversations.interrupted(db, ctx.tenant.id, id)
        cards = await _cards(ctx, db, remembered)
    shown = _turns(rows, remembered, cards)
    if running is not None:
        shown = [turn for turn in shown if turn.number != running.number]
        shown.append(_of_live(running))
    elif shown:
        if question is not None:
            shown[-1].question = proposals.of(question)
            shown[-1].prose, shown[-1].proposals = "", []
        if stopped is not None:
            shown[-1].notices.append(_about_stopped(state, stopped))
    if problem is None and live is not None and live.is_over:
        problem = live.problem
    return await visit.page(
        "chat.html", status, thread=id, turn=state.turns, turns=shown, threads=await _threads(visit), typed=typed,
        problem=problem, running=running is not None, name="", suggestions=[], contacts=None,
        elsewhere=running is None and bool(state.is_busy), announced=_announced(shown),
        model=_model(visit), mail_leaves=_mail_leaves(visit),
    )  # fmt: skip


def _announced(turns: list[Shown]) -> str:
    """What a screen reader says when the answer is there."""
    if not turns:
        return ""
    last = turns[-1]
    if last.question:
        return "A question: this would be done. " + in_plain_words("; ".join(call.text for call in last.question))
    cards = " ".join(f"Waiting for your decision: {card.card['title']}" for card in last.cards)
    return f"{in_plain_words(last.prose)} {cards}".strip()


async def _cards(ctx: Context, db: Any, remembered: list[PastTurn]) -> dict[str, ApprovalRow]:
    """The approval requests that these turns wrote, by their ids, as they stand."""
    found: dict[str, ApprovalRow] = {}
    for id in [call.approval for turn in remembered for call in turn.calls if call.approval]:
        for row in await approval_rows.find(db, ctx.tenant.id, id):
            found[id] = as_it_stands(row, ctx)
    return found


def _turns(rows: list[MessageRow], remembered: list[PastTurn], cards: dict[str, ApprovalRow]) -> list[Shown]:
    """The transcript, turn by turn, with the tool calls that the agent remembers."""
    shown: list[Shown] = []
    for row in rows:
        if not shown or shown[-1].number != row.turn:
            shown.append(Shown(row.turn))
        turn = shown[-1]
        match row.role:
            case "person":
                turn.said = row.text
            case "note":
                turn.notes.append(row.text)
            case _:
                turn.prose = f"{turn.prose}\n\n{row.text}".strip()
    _with_calls(shown, remembered, cards)
    for turn in shown[:-1]:
        if turn.said and not (turn.prose or turn.steps or turn.proposals):
            turn.notices.append("This answer was stopped before its end. What was done is kept.")
    return shown


def _with_calls(shown: list[Shown], remembered: list[PastTurn], cards: dict[str, ApprovalRow]) -> None:
    """Put the remembered calls to the last turn of each sentence: to its yes, where there was a question."""
    end = len(shown)
    for past in reversed(remembered):
        start = next(
            (place for place in range(end - 1, -1, -1) if past.said.startswith(shown[place].said or "\0")), None
        )  # fmt: skip
        if start is None:
            return
        last = shown[end - 1]
        for turn in shown[start + 1 : end]:
            turn.choice = turn.said if turn.said in ("yes", "no") else None
        if end - start > 1:
            shown[start].proposals = [line for line in shown[start].prose.split("\n") if line.strip()]
            shown[start].prose = ""
        last.steps = [Step.past(call) for call in past.calls]
        last.cards = [cards[call.approval] for call in past.calls if call.approval in cards]
        last.prose = without(last.prose, [call.text for call in past.calls if call.approval])
        end = start


def _of_live(live: Live) -> Shown:
    choice = live.said if live.said in ("yes", "no") else None
    return Shown(
        live.number, live.said, choice, list(live.steps.values()), live.notices, live.prose, is_running=True
    )  # fmt: skip


def _about_stopped(state: ThreadRow, stopped: conversations.Interrupted) -> str:
    done = ", ".join(tool.replace("_", " ") for tool in stopped.done) or "nothing"
    if state.is_busy:
        return "This is being answered in another window or program."
    return f"This answer was stopped before its end. Done so far: {done}. Say how to go on, or ask again."


async def _threads(visit: Visit) -> list[BegunRow]:
    ctx = visit.ctx
    async with ctx.database.transaction(ctx.tenant.id, read_only=True) as db:
        return await threads.newest(db, ctx.tenant.id, actor=ctx.actor.name, limit=MOST_THREADS)


async def _empty(visit: Visit) -> dict[str, Any]:
    """The values of the page before anything is said."""
    people = await BY_NAME["search_contacts"].call({"limit": 1}, visit.ctx)
    past = await BY_NAME["list_campaigns"].call({"limit": 1, "status": "completed"}, visit.ctx)
    name = past.campaigns[0].name if past.campaigns else None
    return {
        "thread": None, "turn": 0, "turns": [], "threads": await _threads(visit), "typed": visit.query("say"),
        "problem": None, "running": False, "elsewhere": False, "name": uuid4().hex, "contacts": people.total,
        "suggestions": _suggestions(name) if people.total else FIRST_SUGGESTIONS, "model": _model(visit),
        "mail_leaves": _mail_leaves(visit), "announced": "",
    }  # fmt: skip


PLAN = "create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail"

FIRST_SUGGESTIONS = [
    ("Add a contact", "add Ada Lovelace (ada@example.org), she collects punched cards"),
    ("See what I can do", "help"),
]


def _suggestions(campaign: str | None) -> list[tuple[str, str]]:
    """(what it shows, what one would say)."""
    return [
        ("Find people by meaning", "who cares about old clocks?"),
        ("Plan a campaign in one sentence", PLAN),
        ("See what worked", f"how did {campaign} do?" if campaign else "list my campaigns"),
        ("Ask for advice", "what should I send next?"),
    ]  # fmt: skip


def _model(visit: Visit) -> str | None:
    return visit.site.access.program.settings.model


def _mail_leaves(visit: Visit) -> str:
    return ", ".join(server.name for server in visit.site.access.program.settings.mail_servers())

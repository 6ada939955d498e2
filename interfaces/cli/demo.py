"""The sample, the demo in it, and the tour: a scripted conversation with the real program."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from interfaces.cli.readers import Readers, among
from interfaces.cli.render import Screen, stdout_screen
from interfaces.cli.running import DONE, FAILED, Stop, make_home, settings_for
from interfaces.cli.talk import APPROVE, Talk
from interfaces.cli.terminal import at_terminal

if TYPE_CHECKING:
    from interfaces.settings import Settings
    from interfaces.wiring import Program

SAMPLE_TENANT = "Harrow & Finch"

# What is said, and what to look at in the answer.
TOUR = (
    ("who cares about old clocks?", "Search by meaning: a note need not say “clock”."),
    ("Add Ada Lovelace (ada@example.org), she collects punched cards", "A write: shown first, done after a yes."),
    (
        "create Harvest Fair about 10% off oak furniture, add everyone who restores things and draft a cheerful e-mail "
        "with a link to https://harrow-finch.example/oak",
        "Three things in one sentence.",
    ),
    ("preview Harvest Fair", "The mail as one recipient would get it."),
    ("how did Lamp Week do?", "Figures counted in the database; what machines opened is left out."),
    ("compare Lamp Week and Friday Sale", "Side by side."),
    ("how could I improve Friday Sale?", "Advice from a year of figures."),
    ("what should I send next?", "Ideas from what is known about people and what worked."),
    ("send Harvest Fair", "Nothing leaves without a person: the card waits for a decision, and here it is no."),
    ("please send Harvest Fair", "And here it is yes. No mail server is set, so the mails go to the outbox."),
    ("how did Lmap Week do?", "A slip of the finger, while the mails are on their way."),
    ("what will the weather be tomorrow?", "What it can't do, it says."),
    ("how did Harvest Fair do?", "People counted, machines left out; and too few mails for a rate, so there is none."),
)


async def load_sample() -> int:
    """Load the sample into its tenant, unless it is there."""
    async with in_the_sample(settings_for()) as opened:
        sys.stdout.write(f'Talk to it with: smartcampaign chat --tenant "{opened.tenant.name}"\n')
    return DONE


async def demo() -> int:
    """The chat in the sample; without a terminal the tour."""
    if not at_terminal():
        sys.stdout.write("Standard input is no terminal, so here is the tour. To talk yourself: smartcampaign demo\n")
        return await tour()
    from interfaces.cli.chat import talk_in

    async with in_the_sample(settings_for()) as opened:
        await talk_in(opened, None, serves=True)
    return DONE


async def tour() -> int:
    """Play the tour with the built-in planner, in a database that is gone afterwards. Returns 1 if a turn failed."""
    settings = settings_for()
    with _throw_away(settings.home) as home:
        # Neither the user's data nor their model: it touches nothing, costs nothing, and says the same every time.
        # Nor a mail server, above all.
        alone = type(settings).model_construct(home=home)
        async with in_the_sample(alone) as opened, AsyncExitStack() as stack:
            screen = stdout_screen()
            ctx = opened.context()
            conversation = await opened.agent.open_conversation(ctx)
            script = _Script()
            talk = Talk(opened.agent, replace(ctx, conversation=conversation), screen, script)
            screen.say(f"The tour: {opened.tenant.name}, an invented shop. Answering: {opened.agent.name}.")
            failed = 0
            readers: Readers | None = None
            for text, remark in TOUR:
                if readers is not None and text == TOUR[-1][0]:
                    sys.stdout.write(f"({await readers.people()})\n")
                    await stack.aclose()
                failed += await _play(text, remark, talk, screen)
                if script.has_approved:
                    script.has_approved = False
                    await _send(opened)
                    readers = await stack.enter_async_context(
                        among(opened.database, opened.tenant, opened.link_settings)
                    )
                    sys.stdout.write(f"({await readers.machines()})\n")
    screen.say("That was the tour; its database is gone again. Now you: `smartcampaign demo`, or `smartcampaign chat`.")
    return FAILED if failed else DONE


async def _play(text: str, remark: str, talk: Talk, screen: Screen) -> bool:
    sys.stdout.write(f"\n# {remark}\n› {text}\n")
    began = time.monotonic()
    outcome = await talk.say(text)
    sys.stdout.write(f"({time.monotonic() - began:.1f} s)\n")
    sys.stdout.flush()
    return outcome.failed


async def _send(opened: Program) -> None:
    """What `smartcampaign worker` does with a campaign that was approved."""
    from interfaces.worker import make_sender

    sender = make_sender(opened.settings, opened.url, opened.database, opened.link_settings, only=opened.tenant.id)
    await sender.run_once()
    sys.stdout.write(f"({sender.sent} mails are in the outbox, sent to nobody.)\n")


class _Script:
    """Stands for the person of the tour: yes to writes, no to sending and then yes. Printed as if it were typed."""

    is_person = True

    def __init__(self) -> None:
        self.has_approved = False
        self._was_asked = False

    async def question(self, prompt: str) -> str:
        if prompt == APPROVE:
            self.has_approved, self._was_asked = self._was_asked, True
        answer = "y" if prompt != APPROVE or self.has_approved else "n"
        sys.stdout.write(f"{prompt}{answer}\n")
        return answer


@asynccontextmanager
async def in_the_sample(settings: Settings) -> AsyncIterator[Program]:
    """The program in the sample's tenant, both made when they are not there. Raises `Stop` when they can't be."""
    from pydantic import SecretStr

    from interfaces.wiring import open_database, open_program
    from samples.load import SampleInTheWay, load

    _progress("Starting the database")
    async with open_database(settings) as url:
        await asyncio.to_thread(_make_tenant, url)
        # The server is held here; inside it is a database like any other.
        inside = settings.model_copy(update={"database_url": SecretStr(url), "tenant": SAMPLE_TENANT})
        async with open_program(inside) as opened:
            try:
                loaded = await load(
                    opened.database, opened.tenant.id, opened.embedder, datetime.now(UTC), progress=_progress
                )
            except SampleInTheWay as error:
                raise Stop(str(error)) from None
            sys.stderr.write(f"{loaded.text()}\n")
            yield opened


def _make_tenant(url: str) -> None:
    from db import tenants
    from samples import history

    shop = history.load(datetime.now(UTC)).tenant
    id = tenants.add(url, name=SAMPLE_TENANT, time_zone=shop.time_zone, country=shop.country)
    if id is not None:
        tenants.update(url, id, sender_name=shop.sender_name, sender_email=shop.sender_email)


def _progress(what: str) -> None:
    sys.stderr.write(f"{what} ..\n")
    sys.stderr.flush()


@contextmanager
def _throw_away(home: Path) -> Iterator[Path]:
    """A folder in the data folder, removed afterwards; what a killed tour left is removed now."""
    make_home(home)
    for old in home.glob("tour-*"):
        if not _runs(old.name.removeprefix("tour-")):
            shutil.rmtree(old, ignore_errors=True)
    folder = home / f"tour-{os.getpid()}"
    make_home(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError, OverflowError):
        return True
    return True

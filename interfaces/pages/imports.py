"""Import: a file comes in, is shown as it was understood, and is stored when a person says so.

A list under way belongs to this program: after a restart it is sent again. Rows that were stored stay, and storing
them again changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal
from uuid import UUID

import psycopg
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from interfaces.pages.site import NotFound, Site, Visit, get, post
from tools.base import Context, allowed
from tools.errors import ToolError
from tools.fields import tidy_tags
from tools.imports.columns import FIELDS, IGNORE, KEEP
from tools.imports.reading import Options, Reading, Stopped, read_file
from tools.imports.report import Imported
from tools.imports.writing import Written, audited, record_stopped, write_in_batches, write_refused
from tools.reembedding import count_missing

log = logging.getLogger(__name__)

LARGEST_FILE = 1_000_000_000

# Lists under way, and how long one waits for a person, in seconds.
MOST_JOBS = 20
KEPT = 2 * 3600.0

# Most lists are read or stored within this time: then no page of progress comes between.
PATIENCE = 3.0

_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}

State = Literal["reading", "read", "storing", "done", "failed"]


@dataclass
class Job:
    """One list, from the upload to what came of it."""

    id: str
    of: tuple[UUID, str]
    """Tenant and actor: nobody else sees it."""
    name: str
    file: BinaryIO
    tags: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    separator: str = ""
    state: State = "reading"
    done: int = 0
    total: int = 0
    plan: Imported | None = None
    reading: Reading | None = None
    problem: str | None = None
    result: Imported | None = None
    errors: Path | None = None
    touched: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _open: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Let go of the file and of what was read."""
        self.stopped.set()
        self._open.close()
        with contextlib.suppress(OSError):
            self.file.close()
        if self.errors is not None:
            self.errors.unlink(missing_ok=True)

    def reopen(self) -> ExitStack:
        """A place for another reading; the one before is let go of."""
        self._open.close()
        self._open = ExitStack()
        return self._open


class Jobs:
    """The lists under way in this program."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def add(self, ctx: Context, name: str, file: BinaryIO) -> Job:
        self._forget_old()
        job = Job(secrets.token_urlsafe(9), (ctx.tenant.id, ctx.actor.name), name, file)
        self._jobs[job.id] = job
        return job

    def of(self, ctx: Context) -> list[Job]:
        return [job for job in self._jobs.values() if job.of == (ctx.tenant.id, ctx.actor.name)]

    def find(self, ctx: Context, id: str) -> Job:
        """Raises `NotFound`, also for somebody else's."""
        job = self._jobs.get(id)
        if job is None or job.of != (ctx.tenant.id, ctx.actor.name):
            raise NotFound
        job.touched = time.monotonic()
        return job

    def drop(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job.task is not None and not job.task.done():
            job.stopped.set()
            job.task.add_done_callback(lambda _: job.close())
        else:
            job.close()

    def close(self) -> None:
        for job in list(self._jobs.values()):
            self.drop(job)

    def _forget_old(self) -> None:
        idle = sorted((job for job in self._jobs.values() if job.state not in ("reading", "storing")),
                      key=lambda job: job.touched)  # fmt: skip
        over = [job for job in idle if job.touched < time.monotonic() - KEPT]
        for job in over or idle[: max(0, len(self._jobs) - MOST_JOBS + 1)]:
            self.drop(job)


def routes(site: Site) -> list[Route]:
    return [
        get(site, "/import", blank),
        post(site, "/import", upload, largest_file=LARGEST_FILE),
        get(site, "/import/{id}", show),
        post(site, "/import/{id}/read", read_again),
        post(site, "/import/{id}/store", store),
        post(site, "/import/{id}/drop", drop),
        get(site, "/import/{id}/errors", errors_file),
    ]


async def blank(visit: Visit) -> Response:
    return await visit.page("import.html", jobs=visit.site.jobs.of(visit.ctx), problem=None)


async def upload(visit: Visit) -> Response:
    """Take the file, and read it."""
    allowed(visit.ctx.actor.role, "write", "import_contacts")
    given = visit.form.get("file")
    if not isinstance(given, UploadFile) or not given.filename:
        return await visit.page(
            "import.html", 422, jobs=visit.site.jobs.of(visit.ctx), problem="Choose a file first: CSV, vCard or zip."
        )
    kept = await asyncio.to_thread(_kept, given.file)
    job = visit.site.jobs.add(visit.ctx, Path(given.filename.replace("\\", "/")).name[:100], kept)
    job.tags = tidy_tags(visit.said("tags").split(","))
    await _begin(visit, job, _read(job, visit.ctx), "reading")
    return visit.to(f"/import/{job.id}")


async def show(visit: Visit) -> Response:
    """How far it is: read, understood, stored."""
    job = visit.site.jobs.find(visit.ctx, visit.request.path_params["id"])
    header = job.reading.header if job.reading is not None else []
    return await visit.page(
        "import_job.html", job=job, plan=job.plan, result=job.result, header=header, roles=(*FIELDS, KEEP, IGNORE),
        chosen=_chosen(job), separators=list(_SEPARATORS),
    )  # fmt: skip


async def read_again(visit: Visit) -> Response:
    """Read it as the person says."""
    job = visit.site.jobs.find(visit.ctx, visit.request.path_params["id"])
    if job.state in ("read", "failed"):
        said = [(str(visit.form.get(f"column {place}", "")), str(visit.form.get(f"field {place}", "")))
                for place in range(300) if f"column {place}" in visit.form]  # fmt: skip
        before = _chosen(job)
        job.columns |= {name: role for name, role in said if name and role and before.get(name) != role}
        if visit.said("column") and visit.said("field"):
            job.columns[visit.said("column")] = visit.said("field")
        job.separator = _SEPARATORS.get(visit.said("separator"), job.separator)
        if "tags" in visit.form:
            job.tags = tidy_tags(visit.said("tags").split(","))
        await _begin(visit, job, _read(job, visit.ctx), "reading")
    return visit.to(f"/import/{job.id}")


async def store(visit: Visit) -> Response:
    """Store what was read, once."""
    job = visit.site.jobs.find(visit.ctx, visit.request.path_params["id"])
    if job.state == "read" and job.reading is not None:
        await _begin(visit, job, _store(job, job.reading, visit.ctx), "storing")
    return visit.to(f"/import/{job.id}")


async def drop(visit: Visit) -> Response:
    """Forget the list. What was stored stays."""
    visit.site.jobs.drop(visit.site.jobs.find(visit.ctx, visit.request.path_params["id"]))
    return visit.to("/import", "The list is forgotten here. What was stored stays.")


async def errors_file(visit: Visit) -> Response:
    """The rows that were left out, each with its line and why."""
    job = visit.site.jobs.find(visit.ctx, visit.request.path_params["id"])
    if job.reading is None or not job.reading.problem_count or job.state not in ("read", "done"):
        raise NotFound
    if job.errors is None:
        handle, path = tempfile.mkstemp(prefix="smartcampaign-", suffix=".csv")
        os.close(handle)
        job.errors = Path(path)
        await asyncio.to_thread(write_refused, job.reading, job.errors)
    return FileResponse(job.errors, media_type="text/csv; charset=utf-8", filename="import-errors.csv")


def _kept(file: BinaryIO) -> BinaryIO:
    """The upload in a file of our own without a name: the form's is gone after the request."""
    kept = tempfile.TemporaryFile(prefix="smartcampaign-")  # noqa: SIM115  # `Job.close` closes it
    shutil.copyfileobj(file, kept, 1 << 20)
    return kept


async def _begin(visit: Visit, job: Job, work: object, state: State) -> None:
    job.state, job.done, job.total, job.problem = state, 0, 0, None
    job.task = asyncio.create_task(_carried_out(job, work))  # type: ignore[arg-type]
    await asyncio.wait([job.task], timeout=PATIENCE)


async def _carried_out(job: Job, work: asyncio.Future[None]) -> None:
    try:
        await work
    except ToolError as error:
        job.state, job.problem = "failed", str(error)
    except Stopped:
        job.state, job.problem = "failed", "It was stopped."
    except psycopg.OperationalError:
        job.state, job.problem = "failed", "The database was lost. What was stored is kept; store it again."
    except Exception:
        log.exception("an import failed")
        job.state, job.problem = "failed", "This failed by an error of the program. What was stored is kept."


async def _read(job: Job, ctx: Context) -> None:
    def heard(done: int, total: int) -> None:
        job.done, job.total = done, total

    options = Options(country=ctx.tenant.country, tags=job.tags, columns=job.columns, separator=job.separator or None)
    stack = job.reopen()
    job.reading = job.plan = None
    async with audited(ctx):
        reading = read_file(job.file, options, heard, job.stopped.is_set)
        job.reading = await asyncio.to_thread(stack.enter_context, reading)
    job.plan = await asyncio.to_thread(lambda: Imported.of(job.reading, dry_run=True))  # type: ignore[arg-type]
    job.state = "read"


async def _store(job: Job, reading: Reading, ctx: Context) -> None:
    def heard(done: int) -> None:
        job.done = done

    job.total = reading.rows
    written = Written()
    async with audited(ctx) as recorded:
        try:
            await write_in_batches(recorded, reading, written, heard)
        except BaseException:
            with contextlib.suppress(Exception):  # the database may be what stopped it
                await record_stopped(recorded, reading, written)
            raise
    result = Imported.of(reading, dry_run=False)
    result.count(written)
    result.without_meaning = await count_missing(ctx, "contacts", only_new=True)
    if result.without_meaning and ctx.embed_later is not None:
        ctx.embed_later()
        result.in_background = True
    job.result, job.state = result, "done"


def _chosen(job: Job) -> dict[str, str]:
    """What each column is read as."""
    plan = job.plan
    if plan is None:
        return dict(job.columns)
    known = {*FIELDS, KEEP, IGNORE}
    found = {name: role if role in known else KEEP for name, role in plan.columns.items()}
    return found | dict.fromkeys(plan.kept, KEEP) | dict.fromkeys(plan.ignored, IGNORE)

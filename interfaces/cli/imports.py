"""`smartcampaign import`: a file of any size, shown first, then stored in batches, with what was refused in a file."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from interfaces.cli.jobs import show_json
from interfaces.cli.running import DONE, FAILED, USAGE, Stop, program
from interfaces.cli.terminal import Terminal, ctrl_c_raises, someone_is_there
from interfaces.cli.typeset import is_smart, show_markdown

if TYPE_CHECKING:
    from tools.base import Context
    from tools.imports.reading import Reading
    from tools.imports.report import Imported
    from tools.imports.writing import Written

AGAIN = "Running the same import again is safe: what is stored already stays as it is."


@dataclass(frozen=True)
class Request:
    """What was typed after `smartcampaign import`."""

    file: str
    dry_run: bool = False
    errors: str | None = None
    tags: Sequence[str] = ()
    columns: dict[str, str] = field(default_factory=dict)
    separator: str | None = None
    encoding: str | None = None
    yes: bool = False
    embed: bool = True
    as_json: bool = False

    def errors_file(self) -> Path | None:
        """Where refused rows go: beside the file, unless said otherwise; of a pipe nowhere."""
        if self.errors is not None:
            return Path(self.errors)
        path = Path(self.file)
        return None if self.file == "-" or self.dry_run else path.with_name(f"{path.stem}.errors.csv")


def column_map(pairs: Sequence[str]) -> dict[str, str]:
    """`Their Column=field` as typed. Raises `Stop`."""
    found = {}
    for pair in pairs:
        name, sign, role = pair.rpartition("=")
        if not sign or not name.strip():
            raise Stop(f"--map needs a column and a field, like --map 'Kontakt=email', not {pair[:60]!r}.", USAGE)
        found[name.strip()] = role.strip().lower()
    return found


def separator_of(text: str | None) -> str | None:
    """The character that is meant by what was typed after --delimiter. Raises `Stop`."""
    words = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|", "space": " "}
    found = None if text is None else words.get(text.lower(), text)
    if found is not None and (len(found) != 1 or found in '\r\n"'):
        raise Stop("--delimiter is one character, or one of: tab, comma, semicolon, bar.", USAGE)
    return found


async def import_file(request: Request, tenant: str | None) -> int:
    """Read, show, ask where a person is there, store, and make the notes found by meaning. Returns the exit code."""
    from tools.imports.writing import audited

    with ExitStack() as stack:
        source = _source(request.file, stack)
        async with program(tenant) as opened, audited(opened.context()) as ctx:
            reading = await _read(request, source, ctx, stack)
            return await _carry_out(request, reading, ctx)


def _source(file: str, stack: ExitStack) -> Path | BinaryIO:
    """The file, known to be there; or what comes through the pipe, kept. Raises `BadFile`."""
    from tools.imports.files import kept, opened

    if file == "-":
        with ctrl_c_raises():
            return stack.enter_context(kept(sys.stdin.buffer))
    with opened(Path(file)):
        return Path(file)


async def _carry_out(request: Request, reading: Reading, ctx: Context) -> int:
    from tools.imports.report import Imported

    plan = Imported.of(reading, dry_run=True)
    if request.dry_run:
        _show(request, plan, plan.text(), _write_errors(reading, request.errors_file()))
        return DONE
    is_asked = not request.yes and not request.as_json and someone_is_there()
    if is_asked:
        show_markdown(plan.plan())
        if not await _agreed(plan.rows):
            sys.stderr.write("Nothing was imported.\n")
            return DONE
    result = Imported.of(reading, dry_run=False)
    result.count(await _store(ctx, reading))
    errors = _write_errors(reading, request.errors_file())
    try:
        await _embed(request, ctx, result)
    finally:  # also after Ctrl-C: all rows are stored
        _show(request, result, result.summary() if is_asked else result.text(), errors)
    return DONE if result.rows else FAILED


def _show(request: Request, result: Imported, text: str, errors: Path | None) -> None:
    if request.as_json:
        show_json(result.model_dump(mode="json") | {"errors_file": str(errors) if errors else None})
        return
    where = f"\n\nWhat was left out, each row with its reason: {errors}" if errors else ""
    show_markdown(text + where)


async def _read(request: Request, source: Path | BinaryIO, ctx: Context, stack: ExitStack) -> Reading:
    from tools.imports.reading import Options, read_file

    options = Options(
        country=ctx.tenant.country, tags=request.tags, columns=request.columns, separator=request.separator,
        encoding=request.encoding,
    )  # fmt: skip
    stopped = threading.Event()
    with _bar("Reading", is_bytes=True) as heard:
        try:
            return await asyncio.to_thread(
                stack.enter_context, read_file(source, options, heard, stopped.is_set)
            )  # fmt: skip
        except asyncio.CancelledError:
            stopped.set()
            raise


async def _agreed(rows: int) -> bool:
    answer = await Terminal().question(f"Import {rows:,} {'row' if rows == 1 else 'rows'}? [y/N] ")
    return (answer or "").strip().lower() in ("y", "yes")


async def _store(ctx: Context, reading: Reading) -> Written:
    """Raises what stopped it, after saying how far it came."""
    from tools.imports.writing import Written, record_stopped, write_in_batches

    written = Written()
    try:
        with _bar("Storing") as heard:
            await write_in_batches(ctx, reading, written, lambda done: heard(done, reading.rows))
    except BaseException:
        done = f"{written.created:,} new, {written.changed:,} changed"
        sys.stderr.write(f"\nStopped after {written.rows:,} of {reading.rows:,} rows: {done}. {AGAIN}\n")
        with suppress(Exception):  # the database may be what stopped it
            await record_stopped(ctx, reading, written)
        raise
    return written


async def _embed(request: Request, ctx: Context, result: Imported) -> None:
    """Make the vectors of the new notes, which may be stopped at any time."""
    from tools.reembedding import count_missing, embed_missing, index_when_large

    missing = await count_missing(ctx, "contacts", only_new=True)
    result.without_meaning = missing
    if not request.embed or not missing:
        return

    def heard(done: int) -> None:
        result.without_meaning = max(0, missing - done)
        show(done, missing)

    with _bar("Notes") as show:
        embedded = await embed_missing(ctx, "contacts", only_new=True, progress=heard)
        await index_when_large(ctx)
    result.without_meaning = embedded.left


def _write_errors(reading: Reading, path: Path | None) -> Path | None:
    if path is None or not reading.problem_count:
        return None
    from tools.imports.writing import write_refused

    try:
        write_refused(reading, path)
    except OSError as error:
        sys.stderr.write(f"The rows that were left out can't be written to {path}: {error.strerror}. Use --errors.\n")
        return None
    return path


@contextmanager
def _bar(what: str, *, is_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, told (done, total); nothing where that is no terminal."""
    if not is_smart(sys.stderr):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    counted = DownloadColumn() if is_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{what:<8}", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)

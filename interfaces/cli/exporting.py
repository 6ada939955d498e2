"""Exports into a file or to stdout. A file is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from interfaces.cli.running import DONE, USAGE, Stop, program

if TYPE_CHECKING:
    from tools.exports import Format

FORMATS = ("csv", "json", "jsonl")

# How often a terminal hears how far it is, in rows.
HEARD_EVERY = 10_000


@dataclass(frozen=True)
class Target:
    """Where an export goes, and in which form. `path` None: stdout."""

    path: Path | None
    form: Format
    excel: bool
    force: bool

    @classmethod
    def of(cls, file: str, form: str | None, *, excel: bool, force: bool) -> Target:
        """Raises `Stop` for what can't be written."""
        path = None if file == "-" else Path(file).expanduser()
        ending = path.suffix.lower().lstrip(".") if path else ""
        chosen = (form or (ending if ending in FORMATS else "csv")).lower()
        if chosen not in FORMATS:
            raise Stop(f"There is no format {form}; there are: {', '.join(FORMATS)}.", USAGE)
        if excel and chosen != "csv":
            raise Stop("--excel is for CSV files.", USAGE)
        if path is not None:
            _check(path, force)
        return cls(path, chosen, excel, force)  # type: ignore[arg-type]  # it is one of FORMATS


def is_file(text: str) -> bool:
    """Whether this is meant as a file: it ends like one."""
    return text.lower().endswith(tuple(f".{form}" for form in FORMATS))


async def contacts(
    target: Target, tenant: str | None, *, query: str | None, status: str | None, tags: Sequence[str],
    campaign: str | None,
) -> int:  # fmt: skip
    """Export contacts."""
    async with program(tenant) as opened:
        from tools import exports

        heard = _Heard()
        pieces = exports.contacts(
            opened.context(), query=query, status=status, tags=tags, campaign=campaign, form=target.form,
            mark_for_excel=target.excel, progress=heard,
        )  # fmt: skip
        await _write(target, pieces)
    heard.sum_up(target, "contact")
    return DONE


async def results(target: Target, tenant: str | None, campaign: str | None) -> int:
    """Export the figures of all campaigns, or what the recipients of one did."""
    async with program(tenant) as opened:
        from tools import exports

        heard, ctx = _Heard(), opened.context()
        if campaign is None:
            pieces = exports.results(ctx, form=target.form, mark_for_excel=target.excel, progress=heard)
        else:
            pieces = exports.recipients(
                ctx, campaign, form=target.form, mark_for_excel=target.excel, progress=heard
            )  # fmt: skip
        await _write(target, pieces)
    heard.sum_up(target, "campaign" if campaign is None else "recipient")
    return DONE


async def person(target: Target, tenant: str | None, address: str) -> int:
    """Export everything known about one person."""
    async with program(tenant) as opened:
        from tools.personal_data import everything_about

        found = await everything_about(address, opened.context())

        async def pieces() -> AsyncGenerator[str]:
            yield found.as_json()

        await _write(target, pieces())
    if target.path is not None:
        sys.stdout.write(f"{found.text()} It is in {target.path}.\n")
    return DONE


async def _write(target: Target, pieces: AsyncGenerator[str]) -> None:
    async with aclosing(pieces):
        # The first piece first: a refusal must come before a file is touched.
        first = await anext(pieces)
        with _opened(target) as file:
            file.write(first.encode())
            async for piece in pieces:
                file.write(piece.encode())


@contextmanager
def _opened(target: Target) -> Iterator[BinaryIO]:
    if target.path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    # Beside the file, so that giving it its name is one step; for its owner alone, because it names people.
    unfinished = target.path.with_name(f".{target.path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _check(target.path, target.force)
        unfinished.replace(target.path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def _check(path: Path, force: bool) -> None:
    """Raise `Stop` when nothing can or may be written there."""
    if path.is_dir():
        raise Stop(f"{path} is a folder. Give the name of a file in it.")
    if not path.parent.is_dir():
        raise Stop(f"There is no folder {path.parent}. Make it first.")
    if path.exists() and not force:
        raise Stop(f"{path} is there already. Choose another name, or write over it with --force.")


class _Heard:
    """How far an export is, on stderr where a person sees it."""

    def __init__(self) -> None:
        self._done = 0
        self._shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int | None) -> None:
        if self._shown and done // HEARD_EVERY > self._done // HEARD_EVERY:
            sys.stderr.write(f"\r{done:,}{f' of {total:,}' if total is not None else ''}")
            sys.stderr.flush()
        self._done = done

    def sum_up(self, target: Target, what: str) -> None:
        if self._shown and self._done >= HEARD_EVERY:
            sys.stderr.write("\r")
        sentence = f"Exported {self._done:,} {what}{'' if self._done == 1 else 's'}"
        if target.path is None:
            sys.stderr.write(f"{sentence}.\n")
        else:
            sys.stdout.write(f"{sentence} to {target.path}.\n")

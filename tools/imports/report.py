"""What an import answers: counts for programs, sentences for people."""

from __future__ import annotations

from typing import Any

from tools.base import Result
from tools.imports.reading import Problem, Reading
from tools.imports.writing import Written
from tools.lists import cell

# How many problems and column names are said in words; the rest is counted.
_SAID = 10


class Imported(Result):
    dry_run: bool
    rows: int
    """Rows with a good address, each address once."""
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    merged: int = 0
    """Rows whose address came again in the file: they were merged with the rows before them."""
    suppressed: int = 0
    """Addresses that are never mailed from now on: unsubscribed, bounced or complained, as the file says."""
    kept_out: int = 0
    """Addresses that the file has as subscribers, but that left, bounced or complained before: they stay left out."""
    described: list[str] = []
    """What each file was read as: product or table, separator, encoding."""
    columns: dict[str, str]
    """Which column of the file became which field."""
    kept: list[str] = []
    """Columns that are kept with each contact as they are."""
    ignored: list[str]
    problems: list[Problem]
    problem_count: int
    notes: list[str] = []
    """What was not understood, but was no reason to leave anybody out."""
    without_meaning: int = 0
    """Notes that are found by their words only, until their vectors are made."""
    in_background: bool = False
    """Whether that is being done in the background."""
    preview: list[dict[str, Any]] = []

    @classmethod
    def of(cls, reading: Reading, *, dry_run: bool) -> Imported:
        """What was read, before anything is written."""
        return cls(
            dry_run=dry_run, rows=reading.rows, merged=reading.merged, described=reading.described,
            columns=reading.columns, kept=reading.kept, ignored=reading.ignored, problems=reading.problems,
            problem_count=reading.problem_count, notes=_notes(reading), preview=reading.preview if dry_run else [],
        )  # fmt: skip

    def count(self, written: Written) -> None:
        """Take in what was written."""
        self.created, self.changed, self.unchanged = written.created, written.changed, written.unchanged
        self.suppressed, self.kept_out = written.suppressed, written.kept_out

    def text(self) -> str:
        if self.dry_run:
            head = f"A dry run: {_counted(self.rows, 'row')} could be imported; nothing was changed."
            return f"{head}\n\n{self.plan()}"
        return "\n\n".join([self._head(), *self._mapping(), *self._remarks()])

    def plan(self) -> str:
        """Before it is written: how it was understood, and the first rows."""
        return "\n\n".join([*self._mapping(), *self._remarks(), table(self.preview)])

    def summary(self) -> str:
        """After it was written, for whoever has seen the plan."""
        return "\n\n".join([self._head(), *self._remarks()])

    def _head(self) -> str:
        suppressed = f" {self.suppressed:,} of them are never mailed from now on." if self.suppressed else ""
        if self.kept_out:
            were = (
                "had left, bounced or complained before and stays"
                if self.kept_out == 1
                else ("had left, bounced or complained before and stay")
            )
            suppressed += f" {self.kept_out:,} {were} left out, though the list has them as subscribers."
        return (
            f"Imported {_counted(self.rows, 'row')}: {self.created:,} new, {self.changed:,} changed, "
            f"{self.unchanged:,} as they were.{suppressed}"
        )

    def _mapping(self) -> list[str]:
        """How the file was understood."""
        mapped = ", ".join(f"{name} → {field}" for name, field in self.columns.items())
        lines = [f"Columns: {mapped}."]
        if self.kept:
            lines.append(f"Kept as attributes: {_listed(self.kept)}.")
        if self.ignored:
            lines.append(f"Ignored: {_listed(self.ignored)}.")
        return [f"Read as {'; '.join(self.described)}.", " ".join(lines)]

    def _remarks(self) -> list[str]:
        """What should be known about the rows."""
        parts = []
        if self.merged:
            parts.append(f"{_counted(self.merged, 'row')} had an address that came before; later values won.")
        parts += self.notes
        if self.problem_count:
            said = [f"- {f'{p.file}, ' if p.file else ''}line {p.line}: {p.reason}" for p in self.problems[:_SAID]]
            if self.problem_count > _SAID:
                said.append(f"- and {self.problem_count - _SAID:,} more")
            verb = "was" if self.problem_count == 1 else "were"
            parts.append(f"{_counted(self.problem_count, 'row')} {verb} left out:\n" + "\n".join(said))
        if self.without_meaning:
            how = "they are being prepared" if self.in_background else "`smartcampaign reembed` prepares them"
            parts.append(
                f"{_counted(self.without_meaning, 'note')} can be found by words only for now; {how} to be found by "
                "meaning."
            )
        return parts


def table(rows: list[dict[str, Any]]) -> str:
    """Some rows as a Markdown table, without the columns in which nothing is."""
    if not rows:
        return "There are no rows to show."
    columns = [name for name in ("email", "first_name", "last_name", "phone_number", "tags", "status", "description")
               if any(row.get(name) for row in rows)]  # fmt: skip
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        values = (row.get(name) for name in columns)
        lines.append(
            "| " + " | ".join(cell(", ".join(v) if isinstance(v, list) else v or "", 40) for v in values) + " |"
        )
    return "\n".join(lines)


def _notes(reading: Reading) -> list[str]:
    notes = []
    if reading.unread_phones:
        notes.append(
            f"{_counted(reading.unread_phones, 'phone number')} could not be read and stays with the contact as it is, "
            "as an attribute."
        )
    if reading.unknown_states:
        words = ", ".join(f"{cell(word, 40)} ({count:,})" for word, count in reading.unknown_states.most_common(5))
        notes.append(f"These say nothing about who may be mailed, and count as subscribed: {words}.")
    return notes


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SAID:,} more" if len(names) > _SAID else ""
    return ", ".join(names[:_SAID]) + more

"""Import contacts from the text of a CSV file: what is good is taken in at once, what is not is named with its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, Field

from db import contacts, deliveries
from tools.base import PERSONAL, Arguments, Context, Result, Text, tool
from tools.errors import BadCsv, InvalidArguments
from tools.fields import STATUSES, checked_email, checked_phone, tidy_tags
from tools.lists import cell
from tools.reembedding import embed_missing

# The text of a file in a tool call; larger files are for the command line.
LONGEST_CSV = 5_000_000
MOST_COLUMNS = 200
MOST_PROBLEMS = 50

# How many notes are embedded before the call returns: about two seconds. The rest is for `smartcampaign reembed`.
EMBEDDED_WITH_IT = 500

# How many rows a dry run shows.
SHOWN = 10

# What people call the columns, without case, spaces and punctuation.
HEADERS: dict[str, frozenset[str]] = {
    field: frozenset(names.split())
    for field, names in {
        "email": "email emailaddress mail emailadresse eaddress courriel correo correoelectronico adresseemail",
        "first_name": "firstname first vorname prenom nombre givenname forename",
        "last_name": "lastname last nachname nom apellido apellidos surname familyname",
        "name": "name fullname contactname",
        "phone_number": "phone phonenumber telephone mobile telefon telefonnummer telefono tel sms cell handy",
        "description": "description note notes notiz notizen about comment comments bemerkung remarque nota notas",
        "tags": "tags tag labels groups gruppen",
        "status": "status emailmarketingconsent subscriptionstatus",
    }.items()
}

# What other products call the states of a subscriber.
_STATUS_WORDS = {
    "active": "subscribed", "enabled": "subscribed", "confirmed": "subscribed", "true": "subscribed",
    "pending": "unconfirmed", "neversubscribed": "unconfirmed", "unsubscribe": "unsubscribed",
    "optedout": "unsubscribed", "false": "unsubscribed", "cleaned": "bounced", "bounce": "bounced",
    "blocklisted": "unsubscribed", "blacklisted": "unsubscribed", "spam": "complained",
}  # fmt: skip


class ImportContacts(Arguments):
    csv: Annotated[Text, PERSONAL, Field(min_length=1, max_length=LONGEST_CSV, description="The text of a CSV file.")]
    dry_run: bool = False


class Problem(BaseModel):
    """A row that was not taken in: its line in the file, and why."""

    line: int
    reason: str


class Imported(Result):
    dry_run: bool
    rows: int
    """Rows with a good address, each address once."""
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    merged: int = 0
    """Rows whose address came again in the file: later values won."""
    columns: dict[str, str]
    """Which column of the file became which field."""
    ignored: list[str]
    problems: list[Problem]
    problem_count: int
    without_meaning: int = 0
    """New notes that are found by their words only, until `smartcampaign reembed` has run."""
    preview: list[dict[str, Any]] = []

    def text(self) -> str:
        mapped = ", ".join(f"{name} → {field}" for name, field in self.columns.items())
        parts = [f"Columns: {mapped}." + (f" Ignored: {', '.join(self.ignored[:10])}." if self.ignored else "")]
        if self.dry_run:
            parts.insert(0, f"A dry run: {self.rows:,} rows could be imported; nothing was changed.")
            parts.append(_table(self.preview))
        else:
            parts.insert(
                0, f"Imported {self.rows:,} rows: {self.created:,} new, {self.changed:,} changed, "
                f"{self.unchanged:,} as they were."
            )  # fmt: skip
        if self.merged:
            parts.append(f"{self.merged:,} rows had an address that came before; later values won.")
        if self.problem_count:
            lines = "\n".join(f"- line {problem.line}: {problem.reason}" for problem in self.problems[:10])
            more = f"\n- and {self.problem_count - 10:,} more" if self.problem_count > 10 else ""
            parts.append(f"{self.problem_count:,} rows were left out:\n{lines}{more}")
        if self.without_meaning:
            parts.append(
                f"{self.without_meaning:,} notes are found by their words for now; "
                "`smartcampaign reembed` makes them found by meaning."
            )
        return "\n\n".join(parts)


@tool(effect="write")
async def import_contacts(args: ImportContacts, ctx: Context) -> Imported:
    """Import contacts from the text of a CSV file; with dry_run show what would happen and change nothing."""
    table = _Table(args.csv)
    rows: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    merged = 0
    for line, cells in table.rows():
        try:
            row = _read(cells, table.fields, ctx.tenant.country)
        except InvalidArguments as error:
            problems.append(Problem(line=line, reason=str(error)))
            continue
        known = rows.setdefault(row["email"].lower(), {})
        merged += bool(known)
        known |= {name: value for name, value in row.items() if value not in (None, [])}
    result = Imported(
        dry_run=args.dry_run, rows=len(rows), merged=merged, columns=table.mapped, ignored=table.ignored,
        problems=problems[:MOST_PROBLEMS], problem_count=len(problems),
    )  # fmt: skip
    async with ctx.transaction() as db:
        if args.dry_run:
            result.preview = list(rows.values())[:SHOWN]
            return result
        result.created, result.changed = await contacts.merge(db, ctx.tenant.id, list(rows.values()), ctx.now())
        result.unchanged = len(rows) - result.created - result.changed
        for row in rows.values():
            if row.get("status") in ("unsubscribed", "bounced", "complained"):
                await deliveries.suppress(
                    db, ctx.tenant.id, row["email"], reason=row["status"], source="import", at=ctx.now()
                )  # fmt: skip
    result.without_meaning = (await embed_missing(ctx, "contacts", at_most=EMBEDDED_WITH_IT)).left
    return result


class _Table:
    """The rows of a CSV text, and what its columns mean. Raises `BadCsv` when that can't be said."""

    def __init__(self, text: str) -> None:
        text = text.lstrip("\ufeff")
        try:
            dialect: Any = csv.Sniffer().sniff(text[:10_000].split("\n", 1)[0], delimiters=",;\t|")
        except csv.Error:
            dialect = csv.excel
        self._reader = csv.reader(io.StringIO(text, newline=""), dialect)
        try:
            header = next((row for row in self._reader if any(cell.strip() for cell in row)), [])
        except csv.Error as error:
            raise BadCsv(problem=f"This is no CSV table ({error}).") from None
        if len(header) > MOST_COLUMNS:
            raise BadCsv(problem=f"The table has {len(header):,} columns; at most {MOST_COLUMNS} can be read.")
        self.fields: dict[int, str] = {}
        for place, name in enumerate(header):
            field = _field(name)
            if field is not None and field not in self.fields.values():
                self.fields[place] = field
        if "email" not in self.fields.values():
            seen = ", ".join(name.strip()[:30] for name in header[:8]) or "nothing"
            raise BadCsv(problem=f"No column for the e-mail address was found among: {seen}.")
        self.mapped = {header[place].strip()[:60]: field for place, field in self.fields.items()}
        self.ignored = [name.strip()[:60] for place, name in enumerate(header) if place not in self.fields]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of each row that is not empty."""
        try:
            for row in self._reader:
                if any(cell.strip() for cell in row):
                    yield self._reader.line_num, row
        except csv.Error as error:
            raise BadCsv(problem=f"Line {self._reader.line_num} can't be read ({error}).") from None


def _field(header: str) -> str | None:
    name = re.sub(r"[\W_]", "", header.lower())
    return next((field for field, names in HEADERS.items() if name in names), None)


def _read(cells: list[str], fields: dict[int, str], country: str) -> dict[str, Any]:
    """One row as the fields of a contact. Raises `InvalidArguments`."""
    given = {field: cells[place].strip() for place, field in fields.items() if place < len(cells)}
    email, _ = checked_email(given.pop("email", ""))
    if "name" in given:
        first, _, last = given.pop("name").partition(" ")
        given = {"first_name": first, "last_name": last} | {k: v for k, v in given.items() if v}
    if len(given.get("description", "")) > 10_000:
        raise InvalidArguments(problems="The note is longer than 10,000 characters.")
    for name in ("first_name", "last_name"):
        if len(given.get(name, "")) > 100:
            raise InvalidArguments(problems=f"The {name.replace('_', ' ')} is longer than 100 characters.")
    row: dict[str, Any] = {name: value or None for name, value in given.items()}
    row["email"] = email
    row["phone_number"] = checked_phone(given.get("phone_number"), country)
    row["tags"] = tidy_tags(re.split(r"[;,|]", given.get("tags", "")))[:50]
    row["status"] = _status(given.get("status", ""))
    return row


def _status(text: str) -> str | None:
    word = re.sub(r"[\W_]", "", text.lower())
    status = _STATUS_WORDS.get(word, word)
    return status if status in STATUSES else None


def _table(rows: list[dict[str, Any]]) -> str:
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

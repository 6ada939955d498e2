"""The report of the evals: out/evals/report.md and report.html, with the difference to the run before.

Each eval writes its section as JSON; the report is made anew from all of them.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import prompts

OUT = Path("out") / "evals"


@dataclass(frozen=True)
class Section:
    """What one eval came to."""

    name: str
    figures: dict[str, float | int | str]
    tables: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """By kind, language, tool ..: how many of how many were right."""
    results: dict[str, bool] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)


def write(section: Section, folder: Path = OUT) -> str:
    """Store the section, make the report anew, and return the section as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{_slug(section.name)}.json"
    last = json.loads(file.read_text("utf-8")) if file.exists() else None
    said: dict[str, Any] = {
        **asdict(section), "at": datetime.now(UTC).isoformat(timespec="seconds"), "prompts": fingerprints(),
        "before": {k: last[k] for k in ("figures", "results", "at")} if last else None,
    }  # fmt: skip
    file.write_text(json.dumps(said, indent=1, ensure_ascii=False), "utf-8")
    sections = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    whole = "# Evals\n\n" + "\n\n".join(markdown(one) for one in sections) + "\n"
    (folder / "report.md").write_text(whole, "utf-8")
    (folder / "report.html").write_text(_page(sections), "utf-8")
    return markdown(said)


def shown(section: Section) -> str:
    """The section as Markdown, stored nowhere: for a part of an eval, which is not to be compared with a whole one."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return markdown({**asdict(section), "at": now, "prompts": fingerprints()})


def fingerprints() -> list[str]:
    """Every prompt with its fingerprint: figures of other prompts are not the same thing measured again."""
    return [prompts.load(name).id for name in prompts.names()]


def markdown(said: dict[str, Any]) -> str:
    lines = [f"## {said['name']}", "", f"{said['at']}; prompts: {', '.join(said['prompts'])}", ""]
    lines += ["| | now | before |", "|---|---:|---:|"]
    before = (said.get("before") or {}).get("figures", {})
    lines += [f"| {name} | {_shown(value)} | {_shown(before.get(name))} |" for name, value in said["figures"].items()]
    for by, table in said["tables"].items():
        lines += ["", f"| {by} | right |", "|---|---:|"]
        lines += [f"| {name} | {right} of {count} |" for name, (right, count) in table.items()]
    for title, ids in _changes(said):
        lines += ["", f"{title}: {', '.join(ids)}"]
    if said["failures"]:
        lines += ["", "Wrong:", ""]
        lines += [f"- `{id}`: {'; '.join(why)}" for id, why in said["failures"].items()]
    return "\n".join(lines)


def _changes(said: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """What is right or wrong since the run before."""
    before = (said.get("before") or {}).get("results", {})
    now = said["results"]
    return [
        (title, ids)
        for title, ids in (
            ("Right since the last run", [id for id in now if now[id] and before.get(id) is False]),
            ("Wrong since the last run", [id for id in now if not now[id] and before.get(id) is True]),
        )
        if ids
    ]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #ccc;"
    "text-align:left}td+td{text-align:right;font-variant-numeric:tabular-nums}.worse{color:#a40000}.better{color:#00600f}"
)


def _page(sections: list[dict[str, Any]]) -> str:
    body = "".join(_in_html(said) for said in sections)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Evals</title><style>{_STYLE}</style>"
        f"<h1>Evals</h1>{body}</html>\n"
    )


def _in_html(said: dict[str, Any]) -> str:
    before = (said.get("before") or {}).get("figures", {})
    rows = [(name, _shown(value), _shown(before.get(name))) for name, value in said["figures"].items()]
    head = f"{said['at']}; prompts: {', '.join(said['prompts'])}"
    parts = [f"<h2>{html.escape(said['name'])}</h2><p>{html.escape(head)}</p>"]
    parts.append(_table(("", "now", "before"), rows))
    for by, table in said["tables"].items():
        parts.append(_table((by, "right"), [(name, f"{right} of {count}") for name, (right, count) in table.items()]))
    for title, ids in _changes(said):
        mark = "worse" if title.startswith("Wrong") else "better"
        parts.append(f"<p class={mark}>{title}: {html.escape(', '.join(ids))}</p>")
    if said["failures"]:
        wrong = [(html.escape(id), html.escape("; ".join(why))) for id, why in said["failures"].items()]
        items = "".join(f"<li><code>{id}</code> {why}" for id, why in wrong)
        parts.append(f"<details><summary>{len(said['failures'])} wrong</summary><ul>{items}</ul></details>")
    return "".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def cells(tag: str, row: tuple[str, ...]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}" for cell in row)

    return f"<table>{cells('th', head)}{''.join(cells('td', row) for row in rows)}</table>"


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")

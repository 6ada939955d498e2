"""Files as people have them, and what is read from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tools.imports.reading import Options, Reading, read_file

Read = Callable[..., Reading]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Read bytes or a text (as UTF-8) as a file of this name."""
    with ExitStack() as stack:

        def given(content: bytes | str, name: str = "people.csv", **options: Any) -> Reading:
            file = tmp_path / name
            file.write_bytes(content.encode() if isinstance(content, str) else content)
            return stack.enter_context(read_file(file, Options(**{"country": "GB", **options})))

        yield given


def rows_of(reading: Reading) -> list[dict[str, Any]]:
    """Every good row, without the fields in which nothing is."""
    from tools.imports.rows import FIELDS

    return [
        {name: value for name, value in zip(FIELDS[1:], row[1:], strict=True) if value is not None}
        for batch in reading.spool.batches(1_000)
        for row in batch
    ]

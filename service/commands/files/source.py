"""A file's documents as a stream: what every reader of files returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

# Far below what a request may hold, however long the lines are.
_BATCH_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Entry:
    """One document of a file: its line or row number, from 1, and its JSON."""

    number: int
    content: bytes

    @property
    def document(self) -> dict[str, Any] | None:
        """What the JSON says, None where it is not an object."""
        try:
            document = orjson.loads(self.content)
        except orjson.JSONDecodeError:
            return None
        return document if isinstance(document, dict) else None

    @property
    def id(self) -> str | None:
        """The document's id, None where there is none to be read."""
        id_ = (self.document or {}).get("id")
        return id_ if isinstance(id_, str) else None


@dataclass(frozen=True)
class ColumnNames:
    """Which columns of a table are what; every other one is metadata under its own name.

    A table without the `required` one is refused; where that is None, without the ids' one. `text` keeps
    the cells of a CSV file's metadata as texts; else a cell that is a JSON number, `true` or `false` is
    that, so that filters can compare it.
    """

    id: str = "id"
    key: str = "key"
    value: str = "value"
    text: bool = False
    required: str | None = None


@dataclass(frozen=True)
class DocumentSource:
    """A file's documents: how many, where that is known, and the way to read them from the start."""

    total: int | None
    entries: Callable[[], Iterator[Entry]]


def write_document(document: dict[str, Any]) -> bytes:
    """A document → its line of NDJSON."""
    # Decimals, which orjson does not know, keep their digits as text.
    return orjson.dumps(document, default=str, option=orjson.OPT_SERIALIZE_NUMPY)


def batches(entries: Iterable[Entry], most: int) -> Iterator[list[Entry]]:
    """Entries in lists of at most `most`, shorter ones where they are long."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == most or size + len(entry.content) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += len(entry.content)
    if batch:
        yield batch

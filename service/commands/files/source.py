"""A file's documents as a stream: what every reader of files returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

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
        return self._read[0]

    @property
    def flaw(self) -> str:
        """Why it is no document; empty where it is one."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[dict[str, Any] | None, str]:
        try:
            read = _parsed(self.content)
        except (ValueError, RecursionError) as error:
            return None, f"it is not JSON: {error}"
        if isinstance(read, dict):
            return read, ""
        return None, f"wanted a document as a JSON object, got {self.content[:40].decode(errors='replace')}"

    @property
    def id(self) -> str | None:
        """The document's id, None where there is none to be read."""
        id_ = (self.document or {}).get("id")
        return id_ if isinstance(id_, str) else None


def _parsed(content: bytes) -> Any:
    """JSON as the service reads it: what orjson does not take, lone surrogates and huge numbers, it names itself."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; send null or leave the field out")


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
    """Documents of a file, or of another program, and the way to read them from the start.

    Attributes:
        total: how many, where that is known.
        settings: of the collection that they were of, as `create` takes them; empty where the file does not say.
        name: of that collection.
        unit: what an entry's number counts.
    """

    total: int | None
    entries: Callable[[], Iterator[Entry]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    unit: str = "line"


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

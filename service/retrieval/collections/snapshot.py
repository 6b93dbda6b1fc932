"""What one reader sees of a collection: settings, keys and rows of the same instant."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from attention.lookup import KeySummary, Mask, View
from service.retrieval.collections.columns import Source
from service.retrieval.collections.masks import Masks
from service.retrieval.collections.null import KeyBackground, KeySample
from service.retrieval.errors import InvalidContent
from service.storage import CollectionRecord, Column, Condition, Reader, condition_digest

MAX_COLUMN_BYTES = 2**30
"""What a field may take that is read for one question."""

T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    """A collection as of one version, for as long as the reader is open.

    Attributes:
        missing: of the keys that the view should have and has not; None where it has all.
    """

    record: CollectionRecord
    view: View
    reader: Reader
    version: int
    masks: Masks
    sample: KeySample
    missing: KeySummary | None = None
    _given: dict[bytes, Mask] = field(default_factory=dict, init=False, repr=False)
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def mask(self, condition: Condition) -> Mask:
        """Which rows pass; the same object for the same condition, so that its questions share a scan."""
        name = condition_digest(condition)
        if name not in self._given:
            self._given[name] = self.masks.of(self._source, condition, name)
        return self._given[name]

    def columns(self, field: str, pointer: str) -> list[Column]:
        """A field of the metadata of every document, in parts by row number; also of some that were removed.

        Raises:
            InvalidContent: it takes more than MAX_COLUMN_BYTES; it points at who asked.
        """
        held = self.masks.columns(field, self._source)
        return self._read_column(field, pointer) if held is None else held

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What is made of this snapshot under a name; the same object for all who ask for it."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def lasting(self, name: Hashable, make: Callable[[], T]) -> T:
        """The same of what follows from the view and from what its rows hold: later snapshots of the view share it."""
        return self.once(name, lambda: self.masks.once(self.view, name, make))

    def _read_column(self, field: str, pointer: str) -> list[Column]:
        column = self.reader.column(self.record.id, field, most_bytes=MAX_COLUMN_BYTES)
        if column is None:
            raise InvalidContent.at(
                pointer,
                f"the values of metadata.{field} take more than {MAX_COLUMN_BYTES:,} bytes: take a field with shorter ones",
            )
        return [column]

    @property
    def _source(self) -> Source:
        return Source(self.record.id, self.version, self.view, self.reader)

    def own(self) -> KeyBackground | None:
        """The collection's own background."""
        return self.sample.own(self.record, self.reader, self.version)

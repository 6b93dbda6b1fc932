"""What one reader sees of a collection: settings, keys and rows of the same instant."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from attention.lookup import KeySummary, Mask, View
from service.retrieval.collections.columns import Source
from service.retrieval.collections.masks import Masks
from service.retrieval.collections.null import Own, Sample
from service.storage import CollectionRecord, Column, Condition, Reader, canonical

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
    sample: Sample
    missing: KeySummary | None = None
    _given: dict[bytes, Mask] = field(default_factory=dict, init=False, repr=False)
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def mask(self, condition: Condition) -> Mask:
        """Which rows pass; the same object for the same condition, so that its questions share a scan."""
        name = canonical(condition)
        if name not in self._given:
            self._given[name] = self.masks.of(self._source, condition, name)
        return self._given[name]

    def column(self, field: str) -> list[Column] | None:
        """A field of the metadata of all documents, in parts; None where it is too large to hold."""
        return self.masks.column(self._source, field)

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What is made of this snapshot under a name; the same object for all who ask for it."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def lasting(self, name: Hashable, make: Callable[[], T]) -> T:
        """The same of what follows from the view and from what its rows hold: later snapshots of the view share it."""
        return self.once(name, lambda: self.masks.once(self.view, name, make))

    @property
    def _source(self) -> Source:
        return Source(self.record.id, self.version, self.view, self.reader)

    def own(self) -> Own | None:
        """The collection's own background."""
        return self.sample.own(self.record, self.reader, self.version)

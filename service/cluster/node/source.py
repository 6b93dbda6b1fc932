"""What a slot asks of the store that it follows: less than a store can do, so that a test can stand in for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from service.retrieval.collections import ChecksumReader
from service.storage import (
    CollectionRecord,
    Column,
    DocumentDamaged,
    Extent,
    KeyRows,
    NodeRegistry,
    RowNumbers,
    StorageError,
    VersionChange,
)


class VersionCleared(StorageError):
    """What is stored of a version may be less than it had."""

    def __init__(self, collection: int, version: int) -> None:
        super().__init__(f"version {version} of collection {collection} was followed by another too long ago")


class SourceReader(ChecksumReader, Protocol):
    """A reader of one state, or of one version of a collection; each method is as `SharedReader` has it."""

    def version(self, collection: int) -> int:
        """Of a collection, as this reader sees it; raises CollectionMissing."""

    def is_retained(self, collection: int) -> bool:
        """Whether all that was read of a version until now was there; raises CollectionMissing."""

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        among: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
        first: int = 0,
        last: int | None = None,
    ) -> Iterator[KeyRows]:
        """The keys of documents with row numbers from `first` to `last`."""

    def column(
        self, collection: int, field: str, *, after: int = 0, last: int | None = None, most_bytes: int | None = None
    ) -> Column | None:
        """A field of documents with row numbers above `after`, up to `last`; None where it takes too much memory."""


class SourceStore(Protocol):
    """A store that slots follow: a `service.storage.SharedStore` is one."""

    @property
    def nodes(self) -> NodeRegistry:
        """Who holds which ranges of row numbers in memory."""

    def extents(self) -> dict[int, Extent]:
        """How far every collection goes, by its number."""

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        """A collection and how far it goes at this moment; raises CollectionMissing."""

    def change_log(self, collection: int, after: int) -> list[VersionChange] | None:
        """What each version since one did, in order; None where that is too long ago."""

    def reading(self) -> AbstractContextManager[SourceReader]:
        """One consistent state for as long as the block runs."""

    def reading_at(self, version: int) -> AbstractContextManager[SourceReader]:
        """What one collection was at a version, or is; nothing is held meanwhile."""


def require_kept(reader: SourceReader, collection: int, version: int) -> None:
    """Raise VersionCleared where what was read of a version may not be all; CollectionMissing where it is gone."""
    if not reader.is_retained(collection):
        raise VersionCleared(collection, version)

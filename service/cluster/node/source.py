"""Protocols of the part of a store that a node needs, so that a test need not implement a whole store."""

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
    """The store may already have deleted some rows of the requested version."""

    def __init__(self, collection: int, version: int) -> None:
        super().__init__(f"version {version} of collection {collection} was followed by another too long ago")


class SourceReader(ChecksumReader, Protocol):
    """A reader of one state of the store, or of one version of a collection, with some methods of
    `service.storage.SharedReader`.
    """

    def version(self, collection: int) -> int:
        """Return a collection's version as this reader sees it; raise CollectionMissing."""

    def is_retained(self, collection: int) -> bool:
        """Return whether everything read of a version so far was complete, because none of its rows was deleted yet.

        Raise CollectionMissing if the collection is deleted.
        """

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
        """Yield the keys of documents with row numbers from `first` to `last`."""

    def column(
        self, collection: int, field: str, *, after: int = 0, last: int | None = None, most_bytes: int | None = None
    ) -> Column | None:
        """Return a field of documents with rows above `after`, up to `last`; None if it takes too much memory."""


class SourceStore(Protocol):
    """A store that nodes follow; `service.storage.SharedStore` is one."""

    @property
    def nodes(self) -> NodeRegistry:
        """The registry of nodes and of the shards that they hold."""

    def extents(self) -> dict[int, Extent]:
        """Return the extent (version and next row number) of every collection, by the collection's number."""

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        """Return a collection's record and its extent (version and next row number) at this moment.

        Raise CollectionMissing if it is deleted.
        """

    def change_log(self, collection: int, after: int) -> list[VersionChange] | None:
        """Return the changes of each version after `after`, in order.

        Return None if the log no longer reaches back to that version.
        """

    def reading(self) -> AbstractContextManager[SourceReader]:
        """Open a reader of one consistent state, valid inside the block."""

    def reading_at(self, version: int) -> AbstractContextManager[SourceReader]:
        """Open a reader of one collection's version; it holds no transaction."""


def require_kept(reader: SourceReader, collection: int, version: int) -> None:
    """Raise an error unless everything read of a version was complete.

    Raises: VersionCleared; CollectionMissing if the collection was deleted.
    """
    if not reader.is_retained(collection):
        raise VersionCleared(collection, version)

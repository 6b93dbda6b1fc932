"""Stores that several processes read and write at once: their protocols, and how to open one.

The distribution `softkv-postgres` has the store, by the entry point `postgres` of `softkv.modules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from typing import Any, Protocol

from softkv_service.storage.conditions import Column
from softkv_service.storage.errors import DocumentDamaged, StorageFailed
from softkv_service.storage.interface import Reader, Store
from softkv_service.storage.records import (
    ChangeSummary,
    ClusterPlan,
    CollectionRecord,
    DatabaseInfo,
    ExpiryRows,
    Extent,
    KeyRows,
    RowNumbers,
    VersionChange,
)


class SharedReader(Reader, Protocol):
    """A reader of a shared store, which knows versions of collections."""

    def version(self, collection: int) -> int:
        """Return the version of a collection that this reader sees; raises CollectionMissing."""

    def extent(self, collection: int) -> Extent:
        """Return the extent of a collection that this reader sees; raises CollectionMissing."""

    def expiring(
        self,
        collection: int,
        *,
        first: int = 0,
        last: int | None = None,
        after: int | None = None,
        until: int | None = None,
    ) -> ExpiryRows:
        """Return the documents with row numbers from `first` to `last` that expire, as `Reader.expiring` does.

        Args:
            after, until: only those that expire after an instant, and up to another; None for no limit.
        """

    def find_expiries(self, collection: int, now: int) -> tuple[int | None, int | None]:
        """Return the last instant until `now` at which a document expires, and the first one after it.

        Each is None if there is no such document.
        """

    def is_retained(self, collection: int) -> bool:
        """Return whether everything read of a version until now was complete.

        That holds until some time after the next version, when rows that it deleted are removed from disk.

        Raises CollectionMissing if the collection was deleted; then what was read may be incomplete as well.
        """

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        documents: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
        first: int = 0,
        last: int | None = None,
    ) -> Iterator[KeyRows]:
        """Yield the keys and values of documents with row numbers from `first` to `last`, in batches, as
        `Reader.vectors` does.
        """

    def column(
        self, collection: int, field: str, *, after: int = 0, last: int | None = None, most_bytes: int | None = None
    ) -> Column | None:
        """Return a field of all documents with row numbers above `after` and up to `last`.

        Return None if it takes over `most_bytes`.
        """


class SharedStore(Store, Protocol):
    """A store that several processes read and write at once; in-memory copies follow its change log."""

    def reading(self, gather: Callable[[], Any] | None = None) -> AbstractContextManager[SharedReader]:
        """Open a reader of one consistent state of the store, which is valid inside the block, as `Store.reading`."""

    def reading_at(self, version: int) -> AbstractContextManager[SharedReader]:
        """Open a reader of one collection at a version, which is valid inside the block.

        It holds no transaction open.
        """

    def check(self) -> Iterator[str]:
        """Yield a line of text for each defect in the store. Reads the whole store, while other processes may write."""

    def catalogue(self) -> int:
        """Return a counter of changes to collections, other than to their documents."""

    def versions(self) -> dict[int, int]:
        """Return the version of every collection, by its number."""

    def latest(self, collection: int) -> tuple[CollectionRecord, int]:
        """Return a collection and its version at this moment, with every write that was acknowledged before.

        Raises CollectionMissing.
        """

    def changes_since(self, collection: int, after: int) -> ChangeSummary | None:
        """Return the sum of all changes after a version, or None if nothing changed or the log starts later than the
        version.
        """

    def change_log(self, collection: int, after: int) -> list[VersionChange] | None:
        """Return the changes of each version after `after`, in order, or None if the log starts later than that
        version.
        """

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        """Return a collection, its version and its next row number at this moment; raises CollectionMissing."""

    def extents(self) -> dict[int, Extent]:
        """Return version and next row number of every collection, by its number."""

    def cluster_plan(self) -> ClusterPlan | None:
        """Return the plan of the servers that hold shards; None if none are deployed."""

    def set_cluster_plan(self, names: Sequence[str], copies: int) -> ClusterPlan | None:
        """Replace the plan, or delete it if no servers are named, and return the plan."""


def open_shared(address: str) -> SharedStore:
    """Open the store in the PostgreSQL at an address, postgresql://…, and create its tables if they are missing.

    Raises:
        StorageFailed: softkv-postgres or psycopg is not installed, or the address or the database is unsuitable.
        StoreRefused: the server refuses this user, password or database.
        StoreUnavailable: the server is unreachable now.
        DatabaseTooNew: a later softkv created the tables.
        DatabaseTooOld: a build before the first release created the tables.
    """
    store: SharedStore = _find_store().open(address)
    return store


def inspect_shared(address: str) -> DatabaseInfo:
    """Describe the PostgreSQL database at an address without changing it; raises as `open_shared` does."""
    info: DatabaseInfo = _find_store().inspect(address)
    return info


def _find_store() -> Any:
    """Return the class of the distribution `softkv-postgres`; raises StorageFailed."""
    try:
        for part in entry_points(group="softkv.modules", name="postgres"):
            return part.load()
        raise ImportError("softkv-postgres is not installed")
    except ImportError as error:
        raise StorageFailed(
            f"a store in PostgreSQL needs softkv-postgres and psycopg ({error}): install `softkv[postgres]`"
        ) from error

"""Stores that several processes read and write at once: their protocols, and how to open one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from service.storage.column import Column
from service.storage.errors import DocumentDamaged, StorageFailed
from service.storage.interface import Reader, Store
from service.storage.records import (
    ChangeSummary,
    CollectionRecord,
    DatabaseInfo,
    Extent,
    KeyRows,
    NodeRecord,
    RowNumbers,
    ShardReplica,
    VersionChange,
)


class SharedReader(Reader, Protocol):
    """A reader of a shared store, which knows versions of collections."""

    def version(self, collection: int) -> int:
        """Return the version of a collection that this reader sees; raises CollectionMissing."""

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
        among: RowNumbers | None = None,
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


class NodeRegistry(Protocol):
    """The nodes of a cluster, and the shards that each of them has ready.

    A node is live if it joined or sent a heartbeat in the last 30 seconds, by the clock of the store. A shard is a
    range of row numbers, identified by the first one.
    """

    def join(self, name: str, node: str) -> None:
        """Register a node without shards; an older entry of the same name is replaced."""

    def beat(self, name: str) -> bool:
        """Record a heartbeat of a node. Return whether the node is registered; if it is not, it has to join again."""

    def leave(self, name: str) -> None:
        """Mark a node as leaving; it stays until other nodes hold its shards."""

    def remove(self, name: str) -> None:
        """Remove a node and its shards from the registry."""

    def members(self) -> list[NodeRecord]:
        """Return the nodes on which shards are placed, by name: those that are live and not leaving."""

    def live(self) -> list[NodeRecord]:
        """Return the live nodes, by name."""

    def hold(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """Register shards of a collection as ready on a node; ignored if node or collection no longer exists."""

    def release(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """Unregister shards of a collection from a node, even if no other node has them."""

    def give_up(self, name: str, collection: int, first_row: int, owners: Sequence[str], copies: int) -> bool:
        """Unregister a shard from a node if `copies` other owners have it; return whether it did.

        If there are fewer members than `copies`, all of them must have it.
        """

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        """Return each shard of one collection, or of all, with each live node that has it ready."""


class SharedStore(Store, Protocol):
    """A store that several processes read and write at once; in-memory copies follow its change log."""

    @property
    def nodes(self) -> NodeRegistry:
        """The registry of nodes and of the shards that they have in memory."""

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


def open_shared(address: str) -> SharedStore:
    """Open the store in the PostgreSQL at an address, postgresql://…, and create its tables if they are missing.

    Raises:
        StorageFailed: psycopg is not installed, or the address or the database is unsuitable.
        StoreRefused: the server refuses this user, password or database.
        StoreUnavailable: the server is unreachable now.
        DatabaseTooNew: a later softkv wrote the tables.
    """
    with _require_psycopg():
        from service.storage.postgres.store import PostgresStore
    return PostgresStore.open(address)


def inspect_shared(address: str) -> DatabaseInfo:
    """Describe the PostgreSQL database at an address without changing it; raises as `open_shared` does."""
    with _require_psycopg():
        from service.storage.postgres.connections import inspect_database
    return inspect_database(address)


@contextmanager
def _require_psycopg() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise StorageFailed(
            f"a store in PostgreSQL needs psycopg, which cannot be imported ({error}): pip install 'softkv[postgres]'"
        ) from error

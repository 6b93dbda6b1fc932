"""A store that several processes read and write at once, opened where its library is installed."""

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
    """A reader of a store that memories follow."""

    def version(self, collection: int) -> int:
        """Of a collection, as this reader sees it; raises CollectionMissing."""

    def is_retained(self, collection: int) -> bool:
        """Whether all that was read of a version until now was there: it was not followed by another too long ago.

        Raises CollectionMissing where the collection was deleted: then what was found may be less than all, too.
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
        """See `Reader`; only of documents with row numbers from `first` to `last`."""

    def column(
        self, collection: int, field: str, *, after: int = 0, last: int | None = None, most_bytes: int | None = None
    ) -> Column | None:
        """See `Reader`; only of documents with row numbers up to `last`."""


class NodeRegistry(Protocol):
    """Which slots there are, and which ranges of row numbers each of them has ready.

    A slot was seen lately where it joined or beat in the last 30 seconds by the store's clock.
    """

    def join(self, name: str, node: str) -> None:
        """A slot is there, and holds nothing yet, whatever one of its name did before."""

    def beat(self, name: str) -> bool:
        """A slot is there still: whether it is known; one that is not has to join."""

    def leave(self, name: str) -> None:
        """A slot is to hold nothing any more; it goes on until others hold what it has."""

    def remove(self, name: str) -> None:
        """A slot is not there any more, and holds nothing."""

    def members(self) -> list[NodeRecord]:
        """Those that ranges are placed on, by name: that were seen lately, and are not leaving."""

    def live(self) -> list[NodeRecord]:
        """Those that were seen lately, by name."""

    def hold(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """A slot has these ranges of a collection ready; nothing where there is no such slot or collection any more."""

    def release(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """A slot has these ranges of a collection not any more, whoever else has them."""

    def give_up(self, name: str, collection: int, first_row: int, owners: Sequence[str], copies: int) -> bool:
        """A slot lets go of a range where `copies` others that are to hold it have it: whether it did.

        Of fewer members than that all have to.
        """

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        """Which slots that were seen lately have which ranges ready, of one collection or of all."""


class SharedStore(Store, Protocol):
    """A store that several processes read and write at once: what memory holds of it follows its log."""

    @property
    def nodes(self) -> NodeRegistry:
        """Who holds which ranges of row numbers in memory."""

    def reading(self, gather: Callable[[], Any] | None = None) -> AbstractContextManager[SharedReader]:
        """See `Store`."""

    def reading_at(self, version: int) -> AbstractContextManager[SharedReader]:
        """What one collection was at a version, or is; nothing is held meanwhile."""

    def check(self) -> Iterator[str]:
        """What is wrong with anything that is stored, a line each; reads all of it, while others write."""

    def catalogue(self) -> int:
        """Counts what happened to collections, but for their documents: while it is the same, so are they."""

    def versions(self) -> dict[int, int]:
        """The version of every collection, by its number."""

    def latest(self, collection: int) -> tuple[CollectionRecord, int]:
        """A collection and its version at this moment: no write that was acknowledged before is missing.

        Raises CollectionMissing.
        """

    def changes_since(self, collection: int, after: int) -> ChangeSummary | None:
        """What was done to a collection since a version; None where that is too long ago, or nothing was."""

    def change_log(self, collection: int, after: int) -> list[VersionChange] | None:
        """What each version since one did, in order; None where that is too long ago."""

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        """A collection and how far it goes at this moment, as `latest`; raises CollectionMissing."""

    def extents(self) -> dict[int, Extent]:
        """How far every collection goes, by its number."""


def open_shared(address: str) -> SharedStore:
    """The store in the PostgreSQL at an address, postgresql://…; its tables are made where they are not there.

    Raises: StorageFailed where psycopg is not installed, or the address is none or refuses; StoreUnavailable;
        DatabaseTooNew.
    """
    with _psycopg_wanted():
        from service.storage.postgres.store import PostgresStore
    return PostgresStore.open(address)


def inspect_shared(address: str) -> DatabaseInfo:
    """What is in the PostgreSQL at an address, where nothing is made or changed; raises as `open_shared` does."""
    with _psycopg_wanted():
        from service.storage.postgres.connections import inspect_database
    return inspect_database(address)


@contextmanager
def _psycopg_wanted() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise StorageFailed(
            f"a store in PostgreSQL needs psycopg, which cannot be imported ({error}): pip install 'softkv[postgres]'"
        ) from error

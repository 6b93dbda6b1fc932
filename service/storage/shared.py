"""A store that several processes read and write at once, opened where its library is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from service.storage.errors import DocumentDamaged, StorageFailed
from service.storage.interface import Reader, Store
from service.storage.records import CollectionRecord, Followed, KeyRows, RowNumbers, Standing


class SharedReader(Reader, Protocol):
    """A reader of a store that memories follow."""

    def version(self, collection: int) -> int:
        """Of a collection, as this reader sees it; raises CollectionMissing."""

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        among: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
        first: int = 0,
    ) -> Iterator[KeyRows]:
        """See `Reader`; only of documents with the row number `first` or a higher one."""


class SharedStore(Store, Protocol):
    """A store that several processes read and write at once: what memory holds of it follows its log."""

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

    def now(self, collection: int) -> tuple[CollectionRecord, int]:
        """A collection and its version at this moment: no write that was acknowledged before is missing.

        Raises CollectionMissing.
        """

    def followed(self, collection: int, after: int) -> Followed | None:
        """What was done to a collection since a version; None where that is too long ago, or nothing was."""


def open_shared(address: str) -> SharedStore:
    """The store in the PostgreSQL at an address, postgresql://…; its tables are made where they are not there.

    Raises: StorageFailed where psycopg is not installed, or the address is none or refuses; StoreUnavailable;
        DatabaseTooNew.
    """
    with _psycopg_wanted():
        from service.storage.postgres.store import PostgresStore
    return PostgresStore.open(address)


def shared_standing(address: str) -> Standing:
    """What is in the PostgreSQL at an address, where nothing is made or changed; raises as `open_shared` does."""
    with _psycopg_wanted():
        from service.storage.postgres.connections import standing
    return standing(address)


@contextmanager
def _psycopg_wanted() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise StorageFailed(
            f"a store in PostgreSQL needs psycopg, which cannot be imported ({error}): pip install 'softkv[postgres]'"
        ) from error

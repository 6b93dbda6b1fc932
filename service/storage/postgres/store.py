"""The store of one database: any number of processes read and write it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from psycopg import Connection

from service.request_trace import time_stage
from service.storage.errors import (
    CollectionMissing,
    DiskFull,
    StorageError,
    StorageFailed,
    StoreClosed,
    StoreUnavailable,
)
from service.storage.forms import collection_of
from service.storage.once import IdempotentWrite, WriteRequest
from service.storage.postgres import answered_writes, log
from service.storage.postgres.clearing import GarbageCollector
from service.storage.postgres.connections import Connections, parse_address, prepare, redact_address
from service.storage.postgres.failures import translate_errors
from service.storage.postgres.forms import COLLECTION_COLUMNS
from service.storage.postgres.reader import Reader
from service.storage.postgres.slots import NodeTable
from service.storage.postgres.soundness import findings
from service.storage.postgres.writer import Writer
from service.storage.records import ChangeSummary, CollectionRecord, Extent, VersionChange
from service.storage.writes import call_all

_CLEARED = 1000  # documents in one transaction


class PostgresStore:
    """Collections and documents in a PostgreSQL; every method may be called from any thread, and blocks.

    A write that has returned is committed, and whoever begins to read after that sees it, in any process.

    Attributes:
        slots: who holds which ranges of row numbers in memory.
    """

    unclean_shutdown = None

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self._connections = Connections(address, name)
        self._writing = threading.local()
        self._full = False
        self._clearing = GarbageCollector(self._clear)
        self.nodes = NodeTable(self._connection)

    @classmethod
    def open(cls, address: str) -> PostgresStore:
        """The store in the database at `address`, postgresql://…; its tables are made where they are not there.

        Raises: StorageFailed for an address that is none or refuses; StoreUnavailable; DatabaseTooNew.
        """
        address, name = parse_address(address), redact_address(address)
        with translate_errors(name):
            prepare(address, name)
            return cls(address, name)

    def sizes(self) -> dict[str, int]:
        """Bytes that the database takes; 0 while it cannot be asked."""
        size = 0
        with suppress(StorageError), self._connection() as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            size = 0 if row is None else int(row[0])
        return {"database": size, "log": 0, "other": 0}

    def disk(self) -> None:
        """It is another machine's."""
        return

    @property
    def full(self) -> bool:
        """Whether the last write was refused for want of room."""
        return self._full

    def close(self) -> None:
        """Let go of all connections; a second call does nothing."""
        self._connections.close()

    @contextmanager
    def writing(
        self, once: IdempotentWrite[Any] | None = None, *, deletes: bool = False, collection: int | None = None
    ) -> Iterator[Writer]:
        """The write transaction: commits when the block ends, rolls back when it raises.

        A callback that raises does not undo the commit; the others run, then it is raised.

        Args:
            once: raises as `refuse_answered` does, while nobody else does a write of that name; where it does not, the
                block has to `Writer.keep_answer`.
            deletes: it takes no room that others have not.
            collection: whose documents it writes; others that would wait until this one is done.
        """
        if getattr(self._writing, "now", False):
            raise StorageFailed("this thread is writing already: use the writer it has")
        self._writing.now = True
        try:
            with time_stage("storage"), self._connection() as connection:
                with connection.transaction():
                    if once is not None:
                        answered_writes.hold(connection, once.request)
                        answered_writes.refuse_answered(connection, once.request)
                    writer = Writer(connection)
                    if collection is not None:
                        writer.hold(collection)
                    yield writer
                self._full = False
        finally:
            self._writing.now = False
        call_all(writer.callbacks)
        self._clearing.begin()

    @contextmanager
    def reading(self, gather: Callable[[], Any] | None = None) -> Iterator[Reader]:
        """One consistent state of everything for as long as the block runs.

        What `gather` returns is `reader.gathered`; it is called before, so that the state has all that it tells of.
        """
        gathered = gather() if gather is not None else None
        with self._state() as connection:
            yield Reader(connection, gathered)

    @contextmanager
    def reading_at(self, version: int) -> Iterator[Reader]:
        """What one collection was at a version, or is: the rows of a version stay for ten minutes after the next one.

        Nothing is held meanwhile, so it may take as long as it likes.
        """
        with self._connection() as connection:
            yield Reader(connection, version=version)

    def latest(self, collection: int) -> tuple[CollectionRecord, int]:
        """A collection and its version at this moment: no write that was acknowledged before is missing.

        Raises CollectionMissing.
        """
        with self._connection() as connection:
            row = connection.execute(
                f"SELECT version, {COLLECTION_COLUMNS} FROM collections WHERE id = %s", (collection,)
            ).fetchone()
        if row is None:
            raise CollectionMissing(collection)
        return collection_of(row[1:]), row[0]

    def changes_since(self, collection: int, after: int) -> ChangeSummary | None:
        """What was done to a collection since a version; None where that is too long ago, or nothing was."""
        with self._connection() as connection:
            return log.after(connection, collection, after)

    def change_log(self, collection: int, after: int) -> list[VersionChange] | None:
        """What each version since one did, in order; None where that is too long ago."""
        with self._connection() as connection:
            return log.one_by_one(connection, collection, after)

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        """A collection and how far it goes at this moment; raises CollectionMissing."""
        with self._connection() as connection:
            row = connection.execute(
                f"SELECT version, next_row, {COLLECTION_COLUMNS} FROM collections WHERE id = %s", (collection,)
            ).fetchone()
        if row is None:
            raise CollectionMissing(collection)
        return collection_of(row[2:]), Extent(row[0], row[1])

    def extents(self) -> dict[int, Extent]:
        """How far every collection goes, by its number."""
        with self._connection() as connection:
            found = connection.execute("SELECT id, version, next_row FROM collections").fetchall()
        return {number: Extent(*extent) for number, *extent in found}

    def catalogue(self) -> int:
        """Counts what happened to collections, but for their documents: while it is the same, so are they."""
        with self._connection() as connection:
            row = connection.execute("SELECT catalogue FROM state").fetchone()
            return 0 if row is None else int(row[0])

    def versions(self) -> dict[int, int]:
        """The version of every collection, by its number."""
        with self._connection() as connection:
            return dict(connection.execute("SELECT id, version FROM collections").fetchall())

    def refuse_answered(self, request: WriteRequest) -> None:
        """For a write that may have been done before, ahead of all work on it.

        Raises: WriteAnswered where it was; KeyReused where its key stands for another.
        """
        with self._connection() as connection:
            answered_writes.refuse_answered(connection, request)

    def troubles(self) -> list[str]:
        """Why nothing can be read now; one line, or none."""
        try:
            self.catalogue()
        except StorageError as error:
            return [f"storage: {error}"]
        return []

    def check(self) -> Iterator[str]:
        """What is wrong with anything that is stored, a line each; reads all of it as it was at one moment."""
        with self._state() as connection:
            yield from findings(connection)

    def _clear(self) -> bool:
        try:
            with self._connection() as connection:
                return log.forget(connection, _CLEARED)
        except (StoreUnavailable, StoreClosed, StorageFailed):  # the next write begins again
            return False

    @contextmanager
    def _state(self) -> Iterator[Connection[Any]]:
        """A connection that sees one consistent state."""
        with self._connection() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield connection
            finally:
                if not connection.broken:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _connection(self) -> Iterator[Connection[Any]]:
        try:
            with translate_errors(self.name), self._connections.one() as connection:
                yield connection
        except DiskFull:
            self._full = True
            raise

    def __enter__(self) -> PostgresStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

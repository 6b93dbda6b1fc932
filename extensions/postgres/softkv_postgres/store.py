"""The store of one database: any number of processes read and write it at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from psycopg import Connection

from softkv_postgres import bigrams, change_log
from softkv_postgres.connections import (
    Connections,
    connect,
    parse_address,
    prepare,
    redact_address,
    translate_errors,
    work_memory,
)
from softkv_postgres.garbage_collection import INTERVAL_SECONDS, GarbageCollector, collect_garbage
from softkv_postgres.integrity import find_damage
from softkv_postgres.reader import Reader
from softkv_postgres.schema.version import read_version, refuse_unfit
from softkv_postgres.writer import Writer, lock_request
from softkv_service.request_trace import time_stage
from softkv_service.storage import IdempotentWrite, SharedStore
from softkv_service.storage.checksums import measurements_checksum
from softkv_service.storage.errors import (
    CollectionMissing,
    DiskFull,
    StorageError,
    StorageFailed,
    StoreClosed,
    StoreUnavailable,
    read_again,
)
from softkv_service.storage.records import (
    ChangeSummary,
    ClusterPlan,
    CollectionRecord,
    DatabaseInfo,
    EncoderMeasurements,
    Extent,
    VersionChange,
    WriteRequest,
)
from softkv_service.storage.serialisation import COLLECTION_COLUMNS, collection_of, measurements_of
from softkv_service.storage.writes import call_all

_DELETED_AT_ONCE = 1000  # documents in one transaction


class PostgresStore:
    """Collections and documents in PostgreSQL; every method may be called from any thread, and blocks.

    A write that has returned is committed, and every reader that begins after that sees it, in any process.
    """

    unclean_shutdown = None

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self._connections = Connections(address, name)
        self._writing = threading.local()
        self._full = False
        self._garbage_collector = GarbageCollector(self._collect_garbage)

    @classmethod
    def open(cls, address: str) -> SharedStore:
        """Open the store in the database at `address`, postgresql://…, and create its tables if they are missing.

        Raises: StorageFailed if the address is invalid; StoreRefused; StoreUnavailable; DatabaseTooNew;
        DatabaseTooOld.
        """
        address, name = parse_address(address), redact_address(address)
        with translate_errors(name):
            without_bigrams = prepare(address, name)
            store = cls(address, name)
            if without_bigrams:
                threading.Thread(target=store._write_bigrams, name="full text", daemon=True).start()
            return store

    @staticmethod
    def inspect(address: str) -> DatabaseInfo:
        """Describe the database at an address, without changing it; raises as `open` does."""
        address, name = parse_address(address), redact_address(address)
        with translate_errors(name), connect(address) as connection:
            refuse_unfit(connection, name)
            server = str(connection.info.parameter_status("server_version"))
            return DatabaseInfo(name, server, read_version(connection, name))

    def sizes(self) -> dict[str, int]:
        """Return the size of the database in bytes; 0 while it is unreachable."""
        size = 0
        with suppress(StorageError), self._connection() as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            size = 0 if row is None else int(row[0])
        return {"database": size, "log": 0, "other": 0}

    def disk(self) -> None:
        """Return None: the disk may be that of another machine."""
        return

    @property
    def full(self) -> bool:
        """Whether the last write failed because the disk was full."""
        return self._full

    def close(self) -> None:
        """Close all connections to the database; a second call does nothing."""
        self._connections.close()

    @contextmanager
    def writing(
        self, once: IdempotentWrite[Any] | None = None, *, deletes: bool = False, collection: int | None = None
    ) -> Iterator[Writer]:
        """Run a write transaction: commit at the end of the block, or roll back if it raises.

        An exception in a callback does not undo the commit; it is raised after the other callbacks ran.

        Args:
            once: the write with its idempotency key, which is locked and checked by `refuse_answered`. Then the block
                has to call `Writer.keep_answer`.
            deletes: has no effect here, since no disk space is reserved.
            collection: the collection whose documents are written; other writers of it wait.
        """
        if getattr(self._writing, "now", False):
            raise StorageFailed("this thread is writing already: use the writer it has")
        self._writing.now = True
        try:
            with time_stage("storage"), self._connection() as connection:
                with connection.transaction():
                    if once is not None:
                        lock_request(connection, once.request)
                        Writer(connection).refuse_answered(once.request)
                    writer = Writer(connection)
                    if collection is not None:
                        writer.lock_collection(collection)
                    yield writer
                self._full = False
        finally:
            self._writing.now = False
        call_all(writer.callbacks)
        self._garbage_collector.begin()

    @contextmanager
    def reading(self, gather: Callable[[], Any] | None = None) -> Iterator[Reader]:
        """Open a reader of one consistent state of all collections, which is valid inside the block.

        `gather` is called before the state is fixed, so that the state contains everything that `gather` reports. Its
        result is `reader.gathered`.
        """
        gathered = gather() if gather is not None else None
        with self._snapshot() as connection:
            yield Reader(connection, gathered)

    cached_texts = None  # other processes replace documents

    def memory_reader(self, _: Callable[[], Any]) -> None:
        """Return None: other processes write, so only the server knows the state."""

    @contextmanager
    def reading_at(self, version: int) -> Iterator[Reader]:
        """Open a reader of one collection at a version, valid inside the block.

        The version's rows stay for ten minutes after the next version.

        It holds no transaction open, so the block may take long.
        """
        with self._connection() as connection:
            yield Reader(connection, version=version)

    def latest(self, collection: int) -> tuple[CollectionRecord, int]:
        """Return a collection and its version at this moment, with every write that was acknowledged before.

        Raises CollectionMissing.
        """
        with self._connection() as connection:
            row = connection.execute(
                f"SELECT version, {COLLECTION_COLUMNS} FROM softkv.collections WHERE id = %s", (collection,)
            ).fetchone()
        if row is None:
            raise CollectionMissing(collection)
        return collection_of(row[1:]), row[0]

    def changes_since(self, collection: int, after: int) -> ChangeSummary | None:
        """Return the sum of all changes after a version, or None if nothing changed or the log starts later than the
        version.
        """
        with self._connection() as connection:
            return change_log.changes_since(connection, collection, after)

    def change_log(self, collection: int, after: int) -> list[VersionChange] | None:
        """Return the changes of each version after `after`, in order, or None if the log starts later than that
        version.
        """
        with self._connection() as connection:
            return change_log.version_changes(connection, collection, after)

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        """Return a collection, its version and its next row number at this moment; raises CollectionMissing."""
        with self._connection() as connection:
            row = connection.execute(
                f"SELECT version, next_row, {COLLECTION_COLUMNS} FROM softkv.collections WHERE id = %s", (collection,)
            ).fetchone()
        if row is None:
            raise CollectionMissing(collection)
        return collection_of(row[2:]), Extent(row[0], row[1])

    def extents(self) -> dict[int, Extent]:
        """Return version and next row number of every collection, by its number."""
        with self._connection() as connection:
            rows = connection.execute("SELECT id, version, next_row FROM softkv.collections").fetchall()
        return {number: Extent(*extent) for number, *extent in rows}

    def cluster_plan(self) -> ClusterPlan | None:
        """Return the plan of the servers that hold shards; None if none are deployed."""
        with self._connection() as connection:
            row = connection.execute("SELECT number, names, copies FROM softkv.cluster_plan").fetchone()
        return None if row is None else ClusterPlan(row[0], tuple(row[1]), row[2])

    def set_cluster_plan(self, names: Sequence[str], copies: int) -> ClusterPlan | None:
        """Replace the plan, or delete it if no servers are named, and return the plan."""
        with self._connection() as connection, connection.transaction():
            connection.execute("LOCK TABLE softkv.cluster_plan IN EXCLUSIVE MODE")
            connection.execute("DELETE FROM softkv.cluster_plan")
            if names:
                statement = "INSERT INTO softkv.cluster_plan (names, copies) VALUES (%s, %s)"
                connection.execute(statement, (list(names), copies))
        return self.cluster_plan()

    def encoder_measurements(self, encoder: str) -> EncoderMeasurements | None:
        """Return what was measured of an encoder; None if nothing was, or the row is damaged: measure it again."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT model, measurements, checksum FROM softkv.encoder_measurements WHERE encoder = %s", (encoder,)
            ).fetchone()
        return measurements_of(encoder, row)

    def keep_encoder_measurements(self, encoder: str, model: str, measurements: str) -> None:
        """Keep what was measured of an encoder, in place of older measurements; see `EncoderMeasurements`."""
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO softkv.encoder_measurements (encoder, model, measurements, checksum)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT (encoder) DO UPDATE SET (model, measurements, checksum)"
                " = (excluded.model, excluded.measurements, excluded.checksum)",
                (encoder, model, measurements, measurements_checksum(encoder, model, measurements)),
            )

    def measured_encoders(self) -> list[str]:
        """Return the names of the encoders of which measurements are kept, in order."""
        with self._connection() as connection:
            rows = connection.execute("SELECT encoder FROM softkv.encoder_measurements ORDER BY encoder").fetchall()
        return [name for (name,) in rows]

    def catalogue(self) -> int:
        """Return a counter of changes to collections, other than to their documents."""
        with self._connection() as connection:
            row = connection.execute("SELECT catalogue FROM softkv.state").fetchone()
            return 0 if row is None else int(row[0])

    def versions(self) -> dict[int, int]:
        """Return the version of every collection, by its number."""
        with self._connection() as connection:
            return dict(connection.execute("SELECT id, version FROM softkv.collections").fetchall())

    def refuse_answered(self, request: WriteRequest) -> None:
        """Check before all other work whether a write was done before.

        Raises:
            WriteAnswered: the write was done.
            KeyReused: another write was done under its key.
        """
        with self._connection() as connection:
            Reader(connection).refuse_answered(request)

    def troubles(self) -> list[str]:
        """Return a list with one line of text if the database is unreachable now; else an empty list."""
        try:
            read_again(self.catalogue)
        except StorageError as error:
            return [f"storage: {error}"]
        return []

    def check(self) -> Iterator[str]:
        """Yield a line of text for each defect in the store. Reads the whole store as it is at one moment."""
        with self._snapshot() as connection, work_memory(connection):
            yield from find_damage(connection)

    def _write_bigrams(self) -> None:
        row: tuple[int, int] | None = (0, 0)
        while row is not None:
            started = time.monotonic()
            try:
                with self._connection() as connection:
                    row = bigrams.write_missing(connection, row)
                time.sleep(time.monotonic() - started)  # for other writers
            except StoreClosed:
                return
            except StorageError:
                time.sleep(INTERVAL_SECONDS)

    def _collect_garbage(self) -> bool:
        try:
            with self._connection() as connection:
                return collect_garbage(connection, _DELETED_AT_ONCE)
        except (StoreUnavailable, StoreClosed, StorageFailed):  # the next write tries again
            return False

    @contextmanager
    def _snapshot(self) -> Iterator[Connection[Any]]:
        """Take a connection whose transaction sees one consistent state, for the duration of the block."""
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
            with translate_errors(self.name), self._connections.acquire() as connection:
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

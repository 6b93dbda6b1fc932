"""The store of one data directory: one writer at a time, any number of consistent readers."""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from sqlite3 import DatabaseError
from types import TracebackType
from typing import Any

from softkv_service.request_trace import time_stage
from softkv_service.storage.cached_texts import CachedReader, CachedTexts
from softkv_service.storage.checksums import measurements_checksum
from softkv_service.storage.directory import Ballast, Directory
from softkv_service.storage.errors import DatabaseDamaged, DiskFull, StorageError, StorageFailed, StoreClosed
from softkv_service.storage.idempotency import IdempotentWrite
from softkv_service.storage.interface import DiskUsage, UncleanShutdown
from softkv_service.storage.records import CollectionSettings, EncoderMeasurements, SearchRow, WriteRequest
from softkv_service.storage.serialisation import DocumentTexts, measurements_of, refuse_repeated
from softkv_service.storage.sqlite import document_rows, full_text
from softkv_service.storage.sqlite.connections import (
    Connection,
    OpenFiles,
    ReadConnections,
    connect,
    open_database,
    translate,
    translate_errors,
)
from softkv_service.storage.sqlite.integrity import BackgroundPageCheck, find_damage
from softkv_service.storage.sqlite.reader import Reader
from softkv_service.storage.sqlite.recovery import ShutdownProbe, log_path, mark_closed, mark_open
from softkv_service.storage.sqlite.schema.version import create
from softkv_service.storage.sqlite.search import Search
from softkv_service.storage.sqlite.vacuum import StepThread, checkpoint, is_worthwhile, log_bytes, shrink, vacuum
from softkv_service.storage.sqlite.writer import Writer
from softkv_service.storage.writes import call_all


class SQLiteStore:
    """Collections and documents on disk, in one file; every method may be called from any thread, and blocks.

    A write that has returned is on disk, and every reader that begins after that sees it.

    Attributes:
        unclean_shutdown: the report on the last process, if it did not close the store; else None.
    """

    def __init__(
        self, directory: Directory, connection: Connection, unclean: UncleanShutdown | None, ballast: Ballast
    ) -> None:
        self.unclean_shutdown = unclean
        self._directory = directory
        self._connection = connection
        self._files = OpenFiles(directory.database)
        self._readers = ReadConnections(directory.database, self._files)
        self.cached_texts = CachedTexts()
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        # Held while a state is published or taken by a reader, so that memory and disk are of the same instant.
        self._gate = threading.Lock()
        self._closed = self._full = False
        self._pages = BackgroundPageCheck(connection, directory.database, self._write_lock, mark_open)
        self._damaged: DatabaseDamaged | None = None
        self._ballast = ballast
        self._vacuum = StepThread("vacuum", partial(self._work, vacuum))
        # A program that ends without closing the store must not look like a killed one.
        atexit.register(self.close)

    @classmethod
    def open(cls, directory: Path, ballast_bytes: int = 0, *, soon: bool = False) -> SQLiteStore:
        """Open the store in `directory`, or create it.

        Args:
            ballast_bytes: disk space to reserve for deletions, if the disk has it.
            soon: let readers use a large file before all its pages are checked, since all rows have checksums. Writers
                wait for the check, and fail if the file is damaged; see `troubles`.

        Raises DirectoryLocked if another process has it open; DatabaseDamaged, DatabaseForeign, DatabaseAltered,
        DatabaseTooNew, DatabaseTooOld or LogMissing, with the file left as it is.
        """
        data = Directory(Path(directory))
        data.acquire()
        try:
            ballast = Ballast(data.ballast, ballast_bytes)
            if ballast.is_needed():  # opening takes a few kilobytes
                ballast.release()
            with translate_errors(data.database):
                probe = ShutdownProbe(data.database)
                connection, checked = open_database(data.database, soon=soon)
                unclean = probe.unclean_shutdown(connection)
                if checked:
                    mark_open(connection)
            ballast.reserve()
            store = cls(data, connection, unclean, ballast)
            if not checked:
                store._pages.begin()
            if full_text.find_older(connection):
                steps = full_text.replace_older(connection)
                # After the last step, the space of the older indexes goes back to the disk.
                StepThread("full text", partial(store._work, lambda c: next(steps, False) is None or vacuum(c))).begin()
            return store
        except BaseException:
            data.release()
            raise

    @property
    def path(self) -> Path:
        """The path of the database file."""
        return self._directory.database

    def sizes(self) -> dict[str, int]:
        """Return bytes on the disk: of the database, of its log, and of the other files in the directory."""
        kinds = {self.path.name: "database", log_path(self.path).name: "log"}
        sizes = {"database": 0, "log": 0, "other": 0}
        with os.scandir(self.path.parent) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    sizes[kinds.get(entry.name, "other")] += entry.stat().st_size
        return sizes

    def disk(self) -> DiskUsage:
        """Return the size and the free space of the data directory's file system."""
        usage = shutil.disk_usage(self.path.parent)
        return DiskUsage(usage.total, usage.free)

    def close(self) -> None:
        """Wait for the writer, then close the file and unlock the directory; idempotent."""
        while not self._write_lock.acquire(timeout=0.05):
            self._pages.stop()
        try:
            if self._closed:
                return
            self._closed = True
            self._readers.close()
            mark_closed(self._connection)
            self._connection.close()
            self._directory.release()
            atexit.unregister(self.close)
        finally:
            self._write_lock.release()

    @contextmanager
    def writing(
        self, once: IdempotentWrite[Any] | None = None, *, deletes: bool = False, collection: int | None = None
    ) -> Iterator[Writer]:
        """Run the write transaction: commit at the end of the block, or roll back if it raises.

        An exception in a callback does not undo the commit; it is raised after the other callbacks ran.

        Args:
            once: the write with its idempotency key, which is checked by `refuse_answered` under the writer's lock.
                Then the block has to call `Writer.keep_answer`.
            deletes: nothing but the answer is stored. On a full disk the transaction may use the ballast, and the freed
                space goes back to the disk.
            collection: the collection that is written; has no effect here, since writes run one at a time.
        """
        if self._writing_thread == threading.get_ident():
            raise StorageFailed("this thread is writing already: use the writer it has")
        self._pages.hurry()
        with time_stage("storage"), self._write_lock, self._translate_errors():
            self._refuse_unusable()
            self._writing_thread = threading.get_ident()
            use_ballast = deletes and (self._full or self._ballast.is_needed())
            if use_ballast:
                self._ballast.release()
                self._shorten_log()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                if once is not None:
                    Writer(self._connection).refuse_answered(once.request)
                writer = Writer(self._connection)
                yield writer
                with self._gate:
                    self._connection.execute("COMMIT")
                    call_all(writer.callbacks)
                self._full = False
                if not use_ballast:
                    self._ballast.reserve()
                if deletes and is_worthwhile(self._connection):
                    self._vacuum.begin()
            finally:
                # SQLite rolls back by itself if the disk is full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._writing_thread = None
                self._connection.folds.clear()
                if use_ballast:
                    self._free_space()

    @property
    def full(self) -> bool:
        """Whether the last write failed because the disk was full."""
        return self._full

    def _free_space(self) -> None:
        """Give the space that a deletion freed back to the disk, and reserve the ballast again for the next
        deletion.
        """
        with suppress(DatabaseError):
            while self._shorten_log() and shrink(self._connection):
                pass
        self._ballast.reserve()

    def _shorten_log(self) -> bool:
        """Write the log back into the file, so that the log shrinks. Return whether that was done.

        A log longer than the ballast is not written back: that would use up the ballast and gain nothing.
        """
        return log_bytes(self.path) <= self._ballast.size and checkpoint(self._connection)

    def _work(self, step: Callable[[Connection], bool]) -> bool:
        """Take a step of a background thread: the file is intact, and no other thread writes."""
        with self._write_lock, suppress(DatabaseError):  # such as a full disk: the next write reports it
            return not self._closed and self._pages.error is None and step(self._connection)
        return False

    def refuse_answered(self, request: WriteRequest) -> None:
        """Check before all other work whether a write was done before.

        Raises:
            WriteAnswered: the write was done, and every new reader sees it.
            KeyReused: another write was done under its key.
        """
        with self._translate_errors(), self._readers.acquire() as connection, self._gate:
            Reader(connection).refuse_answered(request)

    def encoder_measurements(self, encoder: str) -> EncoderMeasurements | None:
        """Return what was measured of an encoder; None if nothing was, or the row is damaged: measure it again."""
        with self._translate_errors(), self._readers.acquire() as connection:
            row = connection.execute(
                "SELECT model, measurements, checksum FROM encoder_measurements WHERE encoder = ?", (encoder,)
            ).fetchone()
        return measurements_of(encoder, row)

    def keep_encoder_measurements(self, encoder: str, model: str, measurements: str) -> None:
        """Keep what was measured of an encoder, in place of older measurements; see `EncoderMeasurements`."""
        checksum = measurements_checksum(encoder, model, measurements)
        with self.writing():
            self._connection.execute(
                "INSERT OR REPLACE INTO encoder_measurements (encoder, model, measurements, checksum)"
                " VALUES (?, ?, ?, ?)",
                (encoder, model, measurements, checksum),
            )

    def measured_encoders(self) -> list[str]:
        """Return the names of the encoders of which measurements are kept, in order."""
        with self._translate_errors(), self._readers.acquire() as connection:
            return [name for (name,) in connection.execute("SELECT encoder FROM encoder_measurements ORDER BY encoder")]

    @contextmanager
    def reading(self, gather: Callable[[], Any] | None = None) -> Iterator[Reader]:
        """Open a reader of one consistent state of the store, which is valid inside the block.

        `gather` is called at the instant the state is taken; its result is `reader.gathered`.
        """
        with self._translate_errors(), self._readers.acquire() as connection:
            try:
                with self._gate:
                    connection.execute("BEGIN")
                    # The snapshot is taken by the first read, not by BEGIN.
                    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
                    gathered = gather() if gather is not None else None
                yield Reader(connection, gathered, cached_texts=self.cached_texts)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def memory_reader(self, gather: Callable[[], Any]) -> CachedReader | None:
        """Return a reader of the documents in memory; None if the caller would have to wait. See the protocol."""
        if self._closed or not self._gate.acquire(blocking=False):
            return None
        try:
            return CachedReader(self.cached_texts, gather())
        finally:
            self._gate.release()

    def _refuse_unusable(self) -> None:
        if self._closed:
            raise StoreClosed(f"the store {self.path} was closed: open it again")
        if self._pages.error is not None:
            raise self._pages.error.with_traceback(None)  # the traceback would grow each time
        self._files.require_unmoved()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            translated = translate(error, self.path)
            self._note(translated)
            raise translated from error
        except StorageError as error:
            self._note(error)
            raise

    def _note(self, error: StorageError) -> None:
        if isinstance(error, DatabaseDamaged):
            self._damaged = error
        elif isinstance(error, DiskFull):
            self._full = True

    def troubles(self) -> list[str]:
        """Return a list with one line of text if reads are unreliable now, because the file is damaged or unreadable,
        or was deleted or replaced.

        Else an empty list.
        """
        try:
            self._files.require_unmoved()
            if self._damaged is None:
                with self.reading():
                    pass
        except StorageError as error:
            return [f"storage: {error}"]
        damage = self._damaged or self._pages.error
        return [] if damage is None else [f"storage: {damage}"]

    def check(self) -> Iterator[str]:
        """Yield a line of text for each defect in the store. Reads the whole store, and writers wait meanwhile."""
        with self._write_lock, translate_errors(self.path), closing(connect(None)) as empty:
            yield from find_damage(self._connection, empty)

    @contextmanager
    def copy(self) -> Iterator[Path]:
        """Copy one consistent state into a file, which is deleted after the block; readers and writers go on.

        The copy needs as much space in the data directory as the store.

        Raises:
            DiskFull: the disk does not have that space.
        """
        self._refuse_unusable()
        target = self._directory.new_copy()
        try:
            with self._translate_errors():
                with closing(connect(self.path)) as connection:
                    connection.execute("VACUUM INTO ?", (str(target),))
                with closing(connect(target)) as connection:
                    _leave_out_jobs(connection)
                    mark_closed(connection)
            yield target
        finally:
            target.unlink(missing_ok=True)

    def __enter__(self) -> SQLiteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _leave_out_jobs(connection: Connection) -> None:
    """Delete hidden collections from a copy of a store, and the jobs that fill them."""
    writer = Writer(connection)
    if hidden := writer.list_hidden():
        connection.execute("BEGIN")
        for record in hidden:
            writer.delete_collection(record.name)
        connection.execute("DELETE FROM re_encodings WHERE shadow IS NOT NULL")
        connection.execute("COMMIT")
        while shrink(connection):
            pass


@contextmanager
def temporary_search(rows: Sequence[SearchRow]) -> Iterator[Search]:
    """Search over rows in memory, with the same tables and indexes; nothing is stored.

    The result is the same as for a collection of these rows. Raises DocumentsRepeated or Unstorable.
    """
    refuse_repeated([row.id for row in rows])
    texts = [DocumentTexts.of(row.id, row.key, row.value, {}) for row in rows]
    with translate_errors(Path(":memory:")), closing(connect(None)) as connection:
        create(connection)
        # No vectors are stored, so these settings have no effect.
        record = Writer(connection).create_collection("rows", CollectionSettings("cosine", 1.0))
        connection.execute("BEGIN")
        document_rows.insert(connection, record.id, texts, [1] * len(texts))
        connection.execute("COMMIT")
        yield Search(connection, record.id)

"""The store of one data directory: one writer at a time, any number of consistent readers."""

from __future__ import annotations

import atexit
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection, DatabaseError
from types import TracebackType
from typing import Any

from service.request_trace import time_stage
from service.storage.ballast import Ballast
from service.storage.directory import Directory
from service.storage.errors import DatabaseDamaged, DiskFull, StorageError, StorageFailed, StoreClosed
from service.storage.interface import DiskUsage, UncleanShutdown
from service.storage.once import IdempotentWrite, WriteRequest
from service.storage.sqlite.answered_writes import refuse_answered
from service.storage.sqlite.connections import ReadConnections, connect, open_database
from service.storage.sqlite.failures import translate_errors
from service.storage.sqlite.reader import Reader
from service.storage.sqlite.room import VacuumThread, give_some, log_bytes, worth_giving, write_back
from service.storage.sqlite.schema.migrations import Report, log
from service.storage.sqlite.soundness import BackgroundPageCheck, findings
from service.storage.sqlite.unclean import Found, mark_closed, mark_open
from service.storage.sqlite.writer import Writer
from service.storage.writes import call_all


class SQLiteStore:
    """Collections and documents on disk, in one file; every method may be called from any thread, and blocks.

    A write that has returned is on disk, and whoever begins to read after that sees it.

    Attributes:
        unclean_shutdown: the process that had it last and did not close it; None where it was closed.
    """

    def __init__(
        self, directory: Directory, connection: Connection, unclean: UncleanShutdown | None, ballast: Ballast
    ) -> None:
        self.unclean_shutdown = unclean
        self._directory = directory
        self._connection = connection
        self._readers = ReadConnections(directory.database)
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        # Held where a state is published, or taken by a reader: its memory and its disk are of the same instant.
        self._gate = threading.Lock()
        self._closed = self._full = False
        self._pages = BackgroundPageCheck(connection, directory.database, self._write_lock, mark_open)
        self._damaged: DatabaseDamaged | None = None
        self._ballast = ballast
        self._giving = VacuumThread(self._give_some)
        # A program that ends without closing it is not to be taken for one that was killed.
        atexit.register(self.close)

    @classmethod
    def open(
        cls, directory: Path, report: Report = lambda done, of: None, ballast_bytes: int = 0, *, soon: bool = False
    ) -> SQLiteStore:
        """The store in `directory`, made if it is not there; one of an older schema is written anew.

        Args:
            report: is told how many documents are written anew, and how many there are.
            ballast_bytes: of room that is kept for deletions, where the disk has it.
            soon: a large file can be read before all its pages are checked: what is stored has checksums of its own.
                Writers wait for that, and are refused where it is damaged, see `troubles`.

        Raises DirectoryLocked where another process has it; DatabaseDamaged, DatabaseForeign, DatabaseAltered,
        DatabaseTooNew or LogMissing, with the file left as it is.
        """
        owned = Directory(Path(directory))
        owned.acquire()
        try:
            ballast = Ballast(owned.ballast, ballast_bytes)
            if ballast.short():  # opening takes some kilobytes
                ballast.give()
            with translate_errors(owned.database):
                found = Found(owned.database)
                connection, checked = open_database(owned.database, report, soon=soon)
                unclean = found.left_open(connection)
                if checked:
                    mark_open(connection)
            ballast.take()
            store = cls(owned, connection, unclean, ballast)
            if not checked:
                store._pages.begin()
            return store
        except BaseException:
            owned.release()
            raise

    @property
    def path(self) -> Path:
        """The database file."""
        return self._directory.database

    def sizes(self) -> dict[str, int]:
        """Bytes on the disk: of the database, of its log, and of what else lies in the directory."""
        parts, sizes = {self.path.name: "database", log(self.path).name: "log"}, {"database": 0, "log": 0, "other": 0}
        with os.scandir(self.path.parent) as found:
            for each in found:
                with suppress(FileNotFoundError):  # gone meanwhile
                    sizes[parts.get(each.name, "other")] += each.stat().st_size
        return sizes

    def disk(self) -> DiskUsage:
        """The file system of the data directory."""
        usage = shutil.disk_usage(self.path.parent)
        return DiskUsage(usage.total, usage.free)

    def close(self) -> None:
        """Wait for the writer, then give file and directory back; a second call does nothing."""
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
        """The write transaction: commits when the block ends, rolls back when it raises.

        A callback that raises does not undo the commit; the others run, then it is raised.

        Args:
            once: raises as `refuse_answered` does, under the writer's lock; where it does not, the block has to
                `Writer.keep_answer`.
            deletes: nothing is stored but what it was answered: on a full disk it may take the room that is kept for
                that, and what becomes free goes back to the disk.
            collection: whose documents it writes; one write goes on at a time in any case.
        """
        if self._writing_thread == threading.get_ident():
            raise StorageFailed("this thread is writing already: use the writer it has")
        self._pages.hurry()
        with time_stage("storage"), self._write_lock, self._translated_errors():
            self._refuse_unusable()
            self._writing_thread = threading.get_ident()
            in_need = deletes and (self._full or self._ballast.short())
            if in_need:
                self._ballast.give()
                self._shorten_log()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                if once is not None:
                    refuse_answered(self._connection, once.request)
                writer = Writer(self._connection)
                yield writer
                with self._gate:
                    self._connection.execute("COMMIT")
                    call_all(writer.callbacks)
                self._full = False
                if not in_need:
                    self._ballast.take()
                if deletes and worth_giving(self._connection):
                    self._giving.begin()
            finally:
                # SQLite has rolled back by itself where the disk was full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._writing_thread = None
                if in_need:
                    self._make_room()

    @property
    def full(self) -> bool:
        """Whether the last write was refused for want of room."""
        return self._full

    def _make_room(self) -> None:
        """Give back at once what a deletion has freed, and keep room for the next one."""
        with suppress(DatabaseError):
            while self._shorten_log() and give_some(self._connection):
                pass
        self._ballast.take()

    def _shorten_log(self) -> bool:
        """Write the log back, which makes the file longer before the log becomes shorter → whether that was done.

        Where it is longer than the room that is kept, that would be taken and nothing gained.
        """
        return log_bytes(self.path) <= self._ballast.size and write_back(self._connection)

    def _give_some(self) -> bool:
        with self._write_lock:
            if self._closed:
                return False
            try:
                going = give_some(self._connection)
                if not going:
                    write_back(self._connection)
            except DatabaseError:  # the next write says what it is
                return False
            return going

    def refuse_answered(self, request: WriteRequest) -> None:
        """For a write that may have been done before, ahead of all work on it.

        Raises: WriteAnswered where it was, and every new reader sees it; KeyReused where its key stands for another.
        """
        with self._translated_errors(), self._readers.one() as connection, self._gate:
            refuse_answered(connection, request)

    @contextmanager
    def reading(self, gather: Callable[[], Any] | None = None) -> Iterator[Reader]:
        """One consistent state for as long as the block runs.

        `gather` is called in the instant the state is taken; what it returns is `reader.gathered`.
        """
        with self._translated_errors(), self._readers.one() as connection:
            try:
                with self._gate:
                    connection.execute("BEGIN")
                    # The snapshot is taken by the first read, not by BEGIN.
                    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
                    gathered = gather() if gather is not None else None
                yield Reader(connection, gathered)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _refuse_unusable(self) -> None:
        if self._closed:
            raise StoreClosed(f"the store {self.path} was closed: open it again")
        if self._pages.wrong is not None:
            raise self._pages.wrong.with_traceback(None)  # which would grow with each time

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            with translate_errors(self.path):
                yield
        except DatabaseDamaged as error:
            self._damaged = error
            raise
        except DiskFull:
            self._full = True
            raise

    def troubles(self) -> list[str]:
        """Why what is read now cannot be relied on: the file proved damaged, or cannot be read. One line, or none."""
        try:
            if self._damaged is None:
                with self.reading():
                    pass
        except StorageError as error:
            return [f"storage: {error}"]
        wrong = self._damaged or self._pages.wrong
        return [] if wrong is None else [f"storage: {wrong}"]

    def check(self) -> Iterator[str]:
        """What is wrong with anything that is stored, a line each; reads all of it, and holds up writers meanwhile."""
        with self._write_lock, translate_errors(self.path), closing(connect(None)) as empty:
            yield from findings(self._connection, empty)

    @contextmanager
    def copied(self) -> Iterator[Path]:
        """One consistent state in a file of its own, which goes with the block; who reads or writes does not wait.

        It takes as much room in the data directory as what is stored.

        Raises:
            DiskFull: there is not so much.
        """
        self._refuse_unusable()
        target = self._directory.new_copy()
        try:
            with self._translated_errors():
                with closing(connect(self.path)) as connection:
                    connection.execute("VACUUM INTO ?", (str(target),))
                with closing(connect(target)) as copy:
                    mark_closed(copy)
            yield target
        finally:
            target.unlink(missing_ok=True)

    def __enter__(self) -> SQLiteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

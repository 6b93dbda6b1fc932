"""The store of one data directory: one writer at a time, any number of consistent readers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Any

from service.storage.connections import ReadConnections, open_database
from service.storage.directory import Directory
from service.storage.errors import StorageFailed, StoreClosed
from service.storage.failures import told
from service.storage.reader import Reader
from service.storage.writer import Writer


class Store:
    """Collections and documents on disk; every method may be called from any thread, and blocks.

    A write that has returned is on disk, and whoever begins to read after that sees it.
    """

    def __init__(self, directory: Directory, connection: Connection) -> None:
        self._directory = directory
        self._connection = connection
        self._readers = ReadConnections(directory.database)
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        # Held while a new state is published, and while a reader takes hold of one: so what it
        # gathers from memory and what it reads from disk are of the same instant.
        self._gate = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, directory: Path) -> Store:
        """The store in `directory`, made if it is not there.

        Raises DirectoryLocked where another process has it; DatabaseDamaged, DatabaseForeign or
        DatabaseTooNew, with the file left as it is.
        """
        owned = Directory(Path(directory))
        owned.acquire()
        try:
            with told(owned.database):
                return cls(owned, open_database(owned.database))
        except BaseException:
            owned.release()
            raise

    @property
    def path(self) -> Path:
        """The database file."""
        return self._directory.database

    def close(self) -> None:
        """Wait for the writer, then give file and directory back; a second call does nothing."""
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            self._readers.close()
            self._connection.close()
            self._directory.release()

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """The write transaction: commits when the block ends, rolls back when it raises.

        A callback that raises does not undo the commit; the others run, then it is raised.
        """
        if self._writing_thread == threading.get_ident():
            raise StorageFailed("this thread is writing already: use the writer it has")
        with self._write_lock, told(self.path):
            if self._closed:
                raise StoreClosed(f"the store {self.path} was closed: open it again")
            self._writing_thread = threading.get_ident()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                writer = Writer(self._connection)
                yield writer
                with self._gate:
                    self._connection.execute("COMMIT")
                    _call(writer.callbacks)
            finally:
                # SQLite has rolled back by itself where the disk was full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._writing_thread = None

    @contextmanager
    def reading(self, gather: Callable[[], Any] | None = None) -> Iterator[Reader]:
        """One consistent state for as long as the block runs.

        `gather` is called in the instant the state is taken; what it returns is `reader.gathered`.
        """
        with told(self.path), self._readers.one() as connection:
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

    def check(self) -> list[str]:
        """What SQLite's full integrity check finds wrong with the file; reads all of it."""
        with told(self.path), self._readers.one() as connection:
            found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
            found += [f"a row of {row[0]} points nowhere" for row in connection.execute("PRAGMA foreign_key_check")]
        return [line for line in found if line != "ok"]

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _call(callbacks: list[Callable[[], object]]) -> None:
    """Every callback, whatever the ones before it raised."""
    for position, callback in enumerate(callbacks):
        try:
            callback()
        except BaseException:
            _call(callbacks[position + 1 :])
            raise

"""Whether everything stored is what was written: rows by their checksums, indexes by what they are made of."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from sqlite3 import Connection, DatabaseError
from threading import Event, Lock, Thread
from typing import Any

from service.storage.checksums import id_hash
from service.storage.errors import (
    CollectionDamaged,
    DatabaseDamaged,
    DocumentDamaged,
    StorageError,
    StorageFailed,
    StoreClosed,
)
from service.storage.fields import field_rows
from service.storage.forms import collection_of, texts_of, vectors_of
from service.storage.sqlite import full_text
from service.storage.sqlite.failures import translate_errors
from service.storage.sqlite.forms import COLLECTION_COLUMNS, TEXT_COLUMNS, VECTOR_COLUMNS

HEAD_START = 10.0
"""Seconds in which keys are read, and the first questions answered, before every page is looked at."""

_BATCH = 1000

_UNVECTORED = """\
SELECT "row" FROM documents
WHERE max(keys, 1) <> (
    SELECT count(*) FROM vectors
    WHERE document = documents."row" AND vectors."row" BETWEEN documents."row" AND documents."row" + max(keys, 1) - 1
    AND (key_vector IS NULL) = (keys = 0)
)"""

# What an index holds: its words with their places, the lengths of its texts, their average, its own settings.
_WORDS = (
    "SELECT term, doc, col, offset FROM temp.instances",
    "SELECT id, sz FROM {0}_docsize ORDER BY id",
    "SELECT block FROM {0}_data WHERE id = 1",
    "SELECT k, v FROM {0}_config ORDER BY k",
)


def findings(connection: Connection, empty: Connection) -> Iterator[str]:
    """What is wrong, a line each; reads everything.

    Args:
        connection: one that may write, as the check of a full-text index is asked for by writing; nothing is written.
        empty: to a database in memory, for indexes to compare with.
    """
    yield from (str(line) for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok")
    yield from (f"a row of {row[0]} points nowhere" for row in connection.execute("PRAGMA foreign_key_check"))
    yield from _collections(connection)
    yield from _documents(connection)
    yield from _vectors(connection)
    for (number,) in connection.execute("SELECT id FROM collections ORDER BY id").fetchall():
        if not _same_words(connection, empty, number):
            yield f"the full-text index of collection {number} is not that of its keys: full text may miss documents"


def _collections(connection: Connection) -> Iterator[str]:
    for row in connection.execute(f"SELECT {COLLECTION_COLUMNS} FROM collections ORDER BY id").fetchall():
        try:
            record = collection_of(row)
        except CollectionDamaged as error:
            yield str(error)
            continue
        found, keyless = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE keys = 0) FROM documents WHERE collection = ?", (row[0],)
        ).fetchone()
        if found != record.documents:
            yield f"collection {record.name!r} holds {record.documents} documents, and {found} are found"
        if keyless != record.keyless:
            yield f"collection {record.name!r} holds {record.keyless} documents without a key, and {keyless} are found"


def _documents(connection: Connection) -> Iterator[str]:
    found = connection.execute(f'SELECT {TEXT_COLUMNS}, id_hash FROM documents ORDER BY "row"')
    while batch := found.fetchmany(_BATCH):
        fields = defaultdict(set)
        for row, *entry in connection.execute(
            'SELECT "row", collection, field, element, kind, value FROM fields WHERE "row" BETWEEN ? AND ?',
            (batch[0][0], batch[-1][0]),
        ):
            fields[row].add(tuple(entry))
        for *row, hashed in batch:
            try:
                texts = texts_of(tuple(row))
            except DocumentDamaged as error:
                yield str(error)
                continue
            document = f"document {texts.id!r} (row {texts.row})"
            if id_hash(texts.id) != hashed:
                yield f"{document} stands in another place among samples than its id says"
            if fields[texts.row] != {(row[1], *entry) for entry in field_rows(json.loads(texts.metadata))}:
                yield f"{document}: what filters compare is not its metadata, so they may miss it"


def _vectors(connection: Connection) -> Iterator[str]:
    for row in connection.execute(f'SELECT {VECTOR_COLUMNS} FROM vectors ORDER BY "row"'):
        try:
            vectors_of(row)
        except DocumentDamaged as error:
            yield str(error)
    yield from (str(DocumentDamaged(row, None, vectors=True)) for (row,) in connection.execute(_UNVECTORED))


def _same_words(connection: Connection, empty: Connection, collection: int) -> bool:
    """Whether a collection's full-text index is sound, and holds what a new one of the same keys does."""
    name = full_text.table(collection)
    full_text.create(empty, collection)
    try:
        connection.execute(f"INSERT INTO {name} ({name}) VALUES ('integrity-check')")
        keys = connection.execute('SELECT "row", key FROM documents WHERE collection = ? ORDER BY "row"', (collection,))
        full_text.add(empty, collection, keys)
        with closing(_words(connection, name)) as found, closing(_words(empty, name)) as wanted:
            return all(one == other for one, other in zip_longest(found, wanted))
    except (DatabaseError, UnicodeEncodeError):  # of a key that is no text any more
        return False
    finally:
        full_text.drop(empty, collection)


def _words(connection: Connection, name: str) -> Generator[tuple[Any, ...]]:
    connection.execute(f"CREATE VIRTUAL TABLE temp.instances USING fts5vocab(main, {name}, instance)")
    try:
        for statement in _WORDS:
            yield from connection.execute(statement.format(name))
    finally:
        connection.execute("DROP TABLE temp.instances")


def require_sound(connection: Connection, path: Path) -> None:
    """Raise DatabaseDamaged where a page of the file is not what SQLite's format wants; reads all of it."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DatabaseDamaged(path, verdict)


class BackgroundPageCheck:
    """A look at every page of a store that is read already, in a thread of its own; writers wait for it.

    It begins with the first writer, or after `HEAD_START`.

    Args:
        connection: the one that writes.
        writers: their lock.
        sound: is called where the file is what it should be, before the first writer.

    Attributes:
        wrong: why nothing may be written, where it is not.
    """

    def __init__(self, connection: Connection, path: Path, writers: Lock, sound: Callable[[Connection], None]) -> None:
        self.wrong: StorageError | None = None
        self._connection, self._path = connection, path
        self._writers, self._sound = writers, sound
        self._wanted = Event()
        self._waited_for, self._ended = False, False

    def begin(self) -> None:
        """Take the lock; from now on writers wait."""
        self._writers.acquire()
        self._waited_for = True
        try:
            Thread(target=self._look, name="check the store", daemon=True).start()
        except RuntimeError:  # no memory for a thread
            self._look()

    def hurry(self) -> None:
        """A writer is there."""
        self._wanted.set()

    def stop(self) -> None:
        """Look no further, and leave the lock to who asks for it next."""
        self._ended = True
        self._wanted.set()
        if self._waited_for:
            self._connection.interrupt()

    def _look(self) -> None:
        self._wanted.wait(HEAD_START)
        try:
            with translate_errors(self._path):
                if self._ended:
                    raise StoreClosed(f"the store {self._path} is being closed: open it again")
                require_sound(self._connection, self._path)
                self._sound(self._connection)
        except StorageError as error:
            self.wrong = error
        except BaseException as error:  # what was not looked at is not written
            self.wrong = StorageFailed(f"the pages of {self._path} could not be looked at ({type(error).__name__})")
        finally:
            self._waited_for = False
            self._writers.release()

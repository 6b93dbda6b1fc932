"""Integrity checks: rows against their checksums, indexes against the rows, and pages against SQLite's format."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from sqlite3 import Connection, DatabaseError
from threading import Event, Lock, Thread
from typing import Any

from softkv_service.storage.checksums import id_hash
from softkv_service.storage.errors import (
    AliasDamaged,
    CollectionDamaged,
    DocumentDamaged,
    StorageError,
    StorageFailed,
    StoreClosed,
)
from softkv_service.storage.fields import field_rows
from softkv_service.storage.re_encoding import HIDDEN, ReEncoding
from softkv_service.storage.serialisation import (
    ALIAS_COLUMNS,
    COLLECTION_COLUMNS,
    FEEDBACK_COLUMNS,
    TEXT_COLUMNS,
    alias_of,
    collection_of,
    feedback_of,
    measurements_of,
    texts_of,
    vectors_of,
    words_of,
)
from softkv_service.storage.sqlite import full_text
from softkv_service.storage.sqlite.connections import find_page_defects, require_sound, translate_errors
from softkv_service.storage.sqlite.statements import VECTOR_COLUMNS

PAGE_CHECK_DELAY = 10.0
"""Seconds before all pages are checked, in which keys are loaded and the first questions answered."""

_BATCH = 1000

_UNVECTORED = """\
SELECT "row" FROM documents
WHERE max(keys, 1) <> (
    SELECT count(*) FROM vectors
    WHERE document = documents."row" AND vectors."row" BETWEEN documents."row" AND documents."row" + max(keys, 1) - 1
    AND (key_vector IS NULL) = (keys = 0)
)"""

_UNCOPIED = """\
SELECT shadow, count(*) FROM copied_rows WHERE NOT EXISTS (
    SELECT 1 FROM documents WHERE documents."row" = copied_rows."row" AND documents.collection = copied_rows.shadow
) GROUP BY shadow ORDER BY shadow"""

_UNOWNED_WORDS = """\
SELECT DISTINCT "row" FROM words WHERE NOT EXISTS (SELECT 1 FROM vectors WHERE vectors."row" = words."row")"""

# The contents of an index: words with their positions, lengths of texts, their average, and its settings.
_INDEX_CONTENTS = (
    "SELECT term, doc, col, offset FROM temp.instances",
    "SELECT id, sz FROM {0}_docsize ORDER BY id",
    "SELECT block FROM {0}_data WHERE id = 1",
    "SELECT k, v FROM {0}_config ORDER BY k",
)


def find_damage(connection: Connection, empty: Connection) -> Iterator[str]:
    """Yield a line for each defect; reads everything.

    Args:
        connection: a connection that may write, since FTS5's check is an INSERT statement; nothing is written.
        empty: a connection to an empty database in memory, for indexes to compare with.
    """
    yield from find_page_defects(connection, "integrity_check")
    yield from (f"a row of {row[0]} points nowhere" for row in connection.execute("PRAGMA foreign_key_check"))
    yield from _encoder_measurements(connection)
    yield from _collections(connection)
    yield from _aliases(connection)
    yield from _feedback(connection)
    yield from _re_encodings(connection)
    yield from _documents(connection)
    yield from _vectors(connection)
    yield from _words(connection)
    for (number,) in connection.execute("SELECT id FROM collections ORDER BY id").fetchall():
        if not all(_index_matches_keys(connection, empty, number, i) for i in full_text.existing(connection, number)):
            yield f"the full-text index of collection {number} is not that of its keys: full text may miss documents"


def _encoder_measurements(connection: Connection) -> Iterator[str]:
    for encoder, model, measurements, checksum in connection.execute(
        "SELECT encoder, model, measurements, checksum FROM encoder_measurements ORDER BY encoder"
    ).fetchall():
        if measurements_of(encoder, (model, measurements, checksum)) is None:
            yield f"the measurements of encoder {encoder!r} are not what was written: the next start measures it again"


def _collections(connection: Connection) -> Iterator[str]:
    for row in connection.execute(f"SELECT {COLLECTION_COLUMNS} FROM collections ORDER BY id").fetchall():
        try:
            record = collection_of(row)
        except CollectionDamaged as error:
            yield str(error)
            continue
        documents, keyless = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE keys = 0) FROM documents WHERE collection = ?", (row[0],)
        ).fetchone()
        (expires,) = connection.execute("SELECT min(expires) FROM documents WHERE collection = ?", (row[0],)).fetchone()
        if expires is not None and (record.first_expiry is None or record.first_expiry > expires):
            yield f"collection {record.name!r} has documents that expire earlier than it says"
        if documents != record.documents:
            yield f"collection {record.name!r} holds {record.documents} documents, and {documents} are found"
        if keyless != record.keyless:
            yield f"collection {record.name!r} holds {record.keyless} documents without a key, and {keyless} are found"


def _aliases(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        f"SELECT {ALIAS_COLUMNS} FROM aliases JOIN collections ON collections.id = collection ORDER BY alias"
    )
    for row in rows.fetchall():
        try:
            alias_of(row)
        except AliasDamaged as error:
            yield str(error)
    for (name,) in connection.execute("SELECT name FROM aliases JOIN collections ON name = alias").fetchall():
        yield f"{name!r} is the name of a collection and of an alias"


def _feedback(connection: Connection) -> Iterator[str]:
    for row in connection.execute(f"SELECT {FEEDBACK_COLUMNS} FROM feedback ORDER BY id"):
        if feedback_of(row) is None:
            yield f"record {row[0]} of feedback is not what was written: calibrations leave it out"


def _re_encodings(connection: Connection) -> Iterator[str]:
    hidden = {
        number for (number,) in connection.execute("SELECT id FROM collections WHERE name GLOB ?", (f"{HIDDEN}*",))
    }
    for row in connection.execute("SELECT collection, shadow, job FROM re_encodings ORDER BY collection").fetchall():
        job = ReEncoding.read(*row)
        if job.damaged:
            yield f"the move of collection {job.collection} to another encoder is not what was written: it has failed"
        elif job.shadow is not None and job.shadow not in hidden:
            yield f"the move of collection {job.collection} to another encoder fills what is no copy"
    for shadow, count in connection.execute(_UNCOPIED).fetchall():
        yield f"{count} documents of the copy {shadow} for another encoder are recorded, and not found"
    copied = {shadow for (shadow,) in connection.execute("SELECT DISTINCT shadow FROM copied_rows")}
    for shadow in sorted(copied - hidden):
        yield f"documents were copied to collection {shadow} for another encoder, and there is no such copy"


def _documents(connection: Connection) -> Iterator[str]:
    cursor = connection.execute(f'SELECT {TEXT_COLUMNS}, id_hash FROM documents ORDER BY "row"')
    while batch := cursor.fetchmany(_BATCH):
        fields = defaultdict(set)
        for row, *entry in connection.execute(
            'SELECT "row", collection, field, element, kind, value FROM fields WHERE "row" BETWEEN ? AND ?',
            (batch[0][0], batch[-1][0]),
        ):
            fields[row].add(tuple(entry))
        for *row, stored_hash in batch:
            try:
                (texts,) = texts_of([tuple(row)])
            except DocumentDamaged as error:
                yield str(error)
                continue
            document = f"document {texts.id!r} (row {texts.row})"
            if id_hash(texts.id) != stored_hash:
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


def _words(connection: Connection) -> Iterator[str]:
    rows = connection.execute('SELECT "row", words, checksum FROM words ORDER BY id')
    for number, parts in groupby(rows, itemgetter(0)):
        if not words_of(parts):
            yield f"the words of key {number} are not what was written: questions encode them again"
    for (number,) in connection.execute(_UNOWNED_WORDS):
        yield f"the words of key {number} are kept, and there is no such key"


def _index_matches_keys(connection: Connection, empty: Connection, collection: int, name: str) -> bool:
    """Return whether a full-text index of a collection is sound, and equals a new index of the same keys.

    An index that is being built has the keys from some row on.
    """
    full_text.create(empty, name)
    being_built = name in full_text.existing(connection, collection)[1:]
    first = f"(SELECT min(id) FROM {name}_docsize)" if being_built else "0"
    try:
        connection.execute(f"INSERT INTO {name} ({name}) VALUES ('integrity-check')")
        statement = f'SELECT "row", key FROM documents WHERE collection = ? AND "row" >= {first} ORDER BY "row"'
        full_text.add(empty, name, connection.execute(statement, (collection,)))
        with closing(_read_index(connection, name)) as actual, closing(_read_index(empty, name)) as expected:
            return all(row == other for row, other in zip_longest(actual, expected))
    except (DatabaseError, UnicodeEncodeError):  # a damaged key may not be text
        return False
    finally:
        empty.execute(f"DROP TABLE {name}")


def _read_index(connection: Connection, name: str) -> Generator[tuple[Any, ...]]:
    connection.execute(f"CREATE VIRTUAL TABLE temp.instances USING fts5vocab(main, {name}, instance)")
    try:
        for statement in _INDEX_CONTENTS:
            yield from connection.execute(statement.format(name))
    finally:
        connection.execute("DROP TABLE temp.instances")


class BackgroundPageCheck:
    """A check of all pages of an open store, in a thread of its own; readers go on, writers wait for it.

    It begins with the first writer, or after `PAGE_CHECK_DELAY`.

    Args:
        connection: the writing connection.
        writers: the writers' lock.
        sound: is called if the file is intact, before the first writer.

    Attributes:
        error: the reason why no write is allowed, or None.
    """

    def __init__(self, connection: Connection, path: Path, writers: Lock, sound: Callable[[Connection], None]) -> None:
        self.error: StorageError | None = None
        self._connection, self._path = connection, path
        self._writers, self._sound = writers, sound
        self._hurry = Event()
        self._running, self._stopped = False, False

    def begin(self) -> None:
        """Take the writers' lock, which the check holds, and start its thread."""
        self._writers.acquire()
        self._running = True
        try:
            Thread(target=self._check, name="check the store", daemon=True).start()
        except RuntimeError:  # no memory for a thread
            self._check()

    def hurry(self) -> None:
        """Start the check now, because a writer waits."""
        self._hurry.set()

    def stop(self) -> None:
        """Interrupt the check and release the writers' lock."""
        self._stopped = True
        self._hurry.set()
        if self._running:
            self._connection.interrupt()

    def _check(self) -> None:
        self._hurry.wait(PAGE_CHECK_DELAY)
        try:
            with translate_errors(self._path):
                if self._stopped:
                    raise StoreClosed(f"the store {self._path} is being closed: open it again")
                require_sound(self._connection, self._path)
                self._sound(self._connection)
        except StorageError as error:
            self.error = error
        except BaseException as error:  # a file whose pages were not checked is not written to
            self.error = StorageFailed(f"the pages of {self._path} could not be checked ({type(error).__name__})")
        finally:
            self._running = False
            self._writers.release()

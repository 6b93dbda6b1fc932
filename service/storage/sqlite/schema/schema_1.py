"""Schema 1, as softkv 0.1.0 had it: no checksums, one vector a document, no sample order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

from service.storage.checksums import document_checksum, id_hash, settings_checksum, vectors_checksum
from service.storage.sqlite import full_text

_BATCH = 4096
_SETTINGS = "similarity, temperature, dimension, value_dimension, encoder, precision, value_from, null_key"
# As a checksum is of them: with what such a collection has of the columns that are new.
_CHECKED = _SETTINGS.replace("null_key", "'proven', null_key, NULL")

_DOCUMENTS = """\
INSERT INTO main.documents ("row", collection, id, key, value, metadata, keys, id_hash, checksum)
SELECT "row", collection, id, key, value, metadata, 1, id_hash(id),
       document_checksum("row", collection, id, key, value, metadata, 1)
FROM old.documents WHERE "row" > ? AND "row" <= ?"""

_VECTORS = """\
INSERT INTO main.vectors ("row", document, key_vector, value_vector, checksum)
SELECT "row", "row", key_vector, value_vector,
       vectors_checksum("row", "row", NULL, NULL, key_vector, value_vector)
FROM old.vectors WHERE "row" > ? AND "row" <= ?"""


def copy(connection: Connection, path: Path, report: Callable[[int, int], object]) -> None:
    """Fill an empty database of the last schema with what a file of schema 1 holds, row numbers included."""
    for function in (id_hash, document_checksum, vectors_checksum):
        connection.create_function(function.__name__, -1, function, deterministic=True)
    connection.create_function("settings_checksum", -1, lambda name, *stored: settings_checksum(name, stored))
    connection.execute("ATTACH ? AS old", (str(path),))
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(
        f"INSERT INTO main.collections (id, name, checksum, documents, {_SETTINGS})"
        f" SELECT id, name, settings_checksum(name, {_CHECKED}),"
        f" (SELECT count(*) FROM old.documents WHERE collection = collections.id), {_SETTINGS} FROM old.collections"
    )
    for (number,) in connection.execute("SELECT id FROM main.collections").fetchall():
        full_text.create(connection, number)
    (total,) = connection.execute("SELECT count(*) FROM old.documents").fetchone()
    done, last = 0, 0
    while done < total:
        (upto,) = connection.execute(
            'SELECT max("row") FROM (SELECT "row" FROM old.documents WHERE "row" > ? ORDER BY "row" LIMIT ?)',
            (last, _BATCH),
        ).fetchone()
        connection.execute("BEGIN")
        done += connection.execute(_DOCUMENTS, (last, upto)).rowcount
        connection.execute(_VECTORS, (last, upto))
        keys = defaultdict(list)
        for number, row, key in connection.execute(
            'SELECT collection, "row", key FROM old.documents WHERE "row" > ? AND "row" <= ?', (last, upto)
        ):
            keys[number].append((row, key))
        for number, indexed in keys.items():
            full_text.add(connection, number, indexed)
        connection.execute("COMMIT")
        last = upto
        report(done, total)
    connection.execute("BEGIN")
    connection.execute('INSERT INTO main.fields SELECT collection, field, element, kind, value, "row" FROM old.fields')
    connection.execute("DELETE FROM main.sqlite_sequence")
    connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM old.sqlite_sequence")
    connection.execute("COMMIT")
    connection.execute("DETACH old")

"""Integrity checks: rows against their checksums, and derived columns against the rows.

Pages and indexes are checked by PostgreSQL's own tools: data checksums and pg_amcheck.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from psycopg import Connection

from softkv_postgres.bigrams import find_wrong
from softkv_postgres.statements import LIVING, VECTOR_COLUMNS, field_entry, fold_case
from softkv_service.storage import HIDDEN, ReEncoding, id_hash
from softkv_service.storage.errors import AliasDamaged, CollectionDamaged, DocumentDamaged
from softkv_service.storage.fields import field_rows
from softkv_service.storage.records import StoredDocument
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

_BATCH = 1000

# For each table, SQL that is true if the owner of a row exists.
_OWNER_EXISTS = {
    "documents": "EXISTS (SELECT FROM softkv.collections WHERE id = documents.collection)",
    "vectors": """\
EXISTS (SELECT FROM softkv.documents WHERE collection = vectors.collection AND "row" = vectors.document)""",
    "fields": """\
EXISTS (SELECT FROM softkv.documents WHERE collection = fields.collection AND "row" = fields."row")""",
    "words": 'EXISTS (SELECT FROM softkv.vectors WHERE collection = words.collection AND "row" = words."row")',
    "changes": "EXISTS (SELECT FROM softkv.collections WHERE id = changes.collection)",
}

_COUNTED = f"""\
SELECT count(*) FILTER (WHERE {LIVING}), count(*) FILTER (WHERE {LIVING} AND keys = 0),
       coalesce(max("row" + greatest(keys, 1)), 1),
       count(*) FILTER (WHERE born > %(version)s OR died > %(version)s OR died <= born)
FROM softkv.documents WHERE collection = %(collection)s"""

_LOGGED = """\
SELECT coalesce(max(version), 0), count(*) = coalesce(max(version) - min(version) + 1, 0)
FROM softkv.changes WHERE collection = %s"""

_DOCUMENTS = f"""\
SELECT {TEXT_COLUMNS}, id_hash, folded_id, folded_key,
       words IS NOT DISTINCT FROM to_tsvector('simple', left(coalesce(key, ''), 200000))
FROM softkv.documents WHERE collection = %s AND "row" > %s ORDER BY "row" LIMIT {_BATCH}"""

_FIELDS = """\
SELECT collection, field, element, kind, number, whole, text, folded, "row"
FROM softkv.fields WHERE collection = %s AND "row" BETWEEN %s AND %s"""

_VECTORS = f"""\
SELECT {VECTOR_COLUMNS} FROM softkv.vectors WHERE collection = %s AND "row" > %s ORDER BY "row" LIMIT {_BATCH}"""

_UNVECTORED = """\
SELECT "row" FROM softkv.documents
WHERE collection = %s AND greatest(keys, 1) <> (
    SELECT count(*) FROM softkv.vectors
    WHERE vectors.collection = documents.collection AND document = documents."row"
    AND vectors."row" BETWEEN documents."row" AND documents."row" + greatest(keys, 1) - 1
    AND (key_vector IS NULL) = (keys = 0)
)"""


_WORDS = "{document}: the words that full text looks for are not those of its key"


def find_damage(connection: Connection[Any]) -> Iterator[str]:
    """Yield a line for each defect; reads everything, also deleted rows that are stored for older versions.

    Args:
        connection: a connection in a transaction that sees one state.
    """
    for table, has_owner in _OWNER_EXISTS.items():
        ((count,),) = connection.execute(f"SELECT count(*) FROM softkv.{table} WHERE NOT {has_owner}").fetchall()
        if count:
            yield f"{count} rows of {table} are of nothing that is there"
    yield from _encoder_measurements(connection)
    yield from _aliases(connection)
    yield from _feedback(connection)
    yield from _re_encodings(connection)
    for row in connection.execute(
        f"SELECT version, next_row, {COLLECTION_COLUMNS} FROM softkv.collections ORDER BY id"
    ).fetchall():
        version, next_row, *columns = row
        yield from _collection(connection, version, next_row, tuple(columns))
        yield from _documents(connection, columns[0])
        yield from _vectors(connection, columns[0])
        yield from _words_of_keys(connection, columns[0])


def _words_of_keys(connection: Connection[Any], collection: int) -> Iterator[str]:
    last = -1
    statement = (
        'SELECT "row", words, checksum FROM softkv.words WHERE collection = %s AND "row" > %s'
        f' ORDER BY "row" LIMIT {_BATCH}'
    )
    while rows := connection.execute(statement, (collection, last)).fetchall():
        for row in rows:
            if not words_of([row]):
                yield f"the words of key {row[0]} are not what was written: questions encode them again"
        last = rows[-1][0]


def _encoder_measurements(connection: Connection[Any]) -> Iterator[str]:
    for encoder, model, measurements, checksum in connection.execute(
        "SELECT encoder, model, measurements, checksum FROM softkv.encoder_measurements ORDER BY encoder"
    ).fetchall():
        if measurements_of(encoder, (model, measurements, checksum)) is None:
            yield f"the measurements of encoder {encoder!r} are not what was written: the next start measures it again"


def _feedback(connection: Connection[Any]) -> Iterator[str]:
    last = 0
    statement = f"SELECT {FEEDBACK_COLUMNS} FROM softkv.feedback WHERE id > %s ORDER BY id LIMIT {_BATCH}"
    while rows := connection.execute(statement, (last,)).fetchall():
        for row in rows:
            if feedback_of(row) is None:
                yield f"record {row[0]} of feedback is not what was written: calibrations leave it out"
        last = rows[-1][0]


def _re_encodings(connection: Connection[Any]) -> Iterator[str]:
    named = connection.execute("SELECT id FROM softkv.collections WHERE starts_with(name, %s)", (HIDDEN,)).fetchall()
    hidden = {number for (number,) in named}
    jobs = "SELECT collection, shadow, job FROM softkv.re_encodings ORDER BY collection"
    for row in connection.execute(jobs).fetchall():
        job = ReEncoding.read(*row)
        if job.damaged:
            yield f"the move of collection {job.collection} to another encoder is not what was written: it has failed"
        elif job.shadow is not None and job.shadow not in hidden:
            yield f"the move of collection {job.collection} to another encoder fills what is no copy"
    for (shadow,) in connection.execute("SELECT DISTINCT shadow FROM softkv.copied_rows ORDER BY shadow").fetchall():
        if shadow not in hidden:
            yield f"documents were copied to collection {shadow} for another encoder, and there is no such copy"


def _aliases(connection: Connection[Any]) -> Iterator[str]:
    aliases = "softkv.aliases JOIN softkv.collections"
    for row in connection.execute(
        f"SELECT {ALIAS_COLUMNS} FROM {aliases} ON collections.id = collection ORDER BY alias"
    ).fetchall():
        try:
            alias_of(row)
        except AliasDamaged as error:
            yield str(error)
    for (name,) in connection.execute(f"SELECT name FROM {aliases} ON name = alias").fetchall():
        yield f"{name!r} is the name of a collection and of an alias"


def _collection(connection: Connection[Any], version: int, next_row: int, row: tuple[Any, ...]) -> Iterator[str]:
    """Check the row of a collection: its settings, its counts and its change log."""
    try:
        record = collection_of(row)
    except CollectionDamaged as error:
        yield str(error)
        return
    name, parameters = f"collection {record.name!r}", {"collection": record.id, "version": version}
    ((documents, keyless, free, outside),) = connection.execute(_COUNTED, parameters).fetchall()
    ((expires,),) = connection.execute(
        f"SELECT min(expires) FROM softkv.documents WHERE collection = %s AND {LIVING}", (record.id,)
    ).fetchall()
    if expires is not None and (record.first_expiry is None or record.first_expiry > expires):
        yield f"{name} has documents that expire earlier than it says"
    if documents != record.documents:
        yield f"{name} holds {record.documents} documents, and {documents} are found"
    if keyless != record.keyless:
        yield f"{name} holds {record.keyless} documents without a key, and {keyless} are found"
    if next_row < free:
        yield f"{name} gives the row number {next_row} next, which is not above those that are taken"
    if outside:
        yield f"{name} has the version {version}, and {outside} rows are of versions that were not"
    ((last, gapless),) = connection.execute(_LOGGED, (record.id,)).fetchall()
    if last != version or not gapless:
        yield f"{name} has the version {version}, and its log, which ends at {last}, does not lead there step by step"


def _documents(connection: Connection[Any], collection: int) -> Iterator[str]:
    after = 0
    while batch := connection.execute(_DOCUMENTS, (collection, after)).fetchall():
        fields = defaultdict(set)
        for entry in connection.execute(_FIELDS, (collection, batch[0][0], batch[-1][0])):
            fields[entry[-1]].add(entry)
        intact: dict[int, StoredDocument] = {}
        for *row, stored_hash, folded_id, folded_key, indexed in batch:
            try:
                (texts,) = texts_of([tuple(row)])
                intact[texts.row] = texts
            except DocumentDamaged as error:
                yield str(error)
                continue
            document = f"document {texts.id!r} (row {texts.row})"
            if id_hash(texts.id) != stored_hash:
                yield f"{document} stands in another place among samples than its id says"
            expected = {field_entry(collection, texts.row, field) for field in field_rows(json.loads(texts.metadata))}
            if fields[texts.row] != expected or (folded_id, folded_key) != (fold_case(texts.id), fold_case(texts.key)):
                yield f"{document}: what filters compare is not its metadata, its id and its key, so they may miss it"
            if not indexed:
                yield _WORDS.format(document=document)
        for number in find_wrong(connection, collection, ((number, intact[number].key) for number in intact)):
            yield _WORDS.format(document=f"document {intact[number].id!r} (row {number})")
        after = batch[-1][0]


def _vectors(connection: Connection[Any], collection: int) -> Iterator[str]:
    after = 0
    while batch := connection.execute(_VECTORS, (collection, after)).fetchall():
        for row in batch:
            try:
                vectors_of(row)
            except DocumentDamaged as error:
                yield str(error)
        after = batch[-1][0]
    for (number,) in connection.execute(_UNVECTORED, (collection,)).fetchall():
        yield str(DocumentDamaged(number, None, vectors=True))

"""The words of keys in Han, kana, Thai and similar scripts, with bigrams, and of keys with letters such as ß, folded.

They are in the column `bigrams` of `documents`. Tables of schema version 8 have no such column, and in those of 9 and
10 no letter is folded. The first process adds it, or empties it where letters have to be folded, and `write_missing`
fills it in the background. Until then, a search finds the words of the other rows as before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from softkv_postgres.schema.version import SCHEMA
from softkv_service.storage.conditions import INDEXED_CHARACTERS, indexed_text

MATCH = "(bigrams @@ question OR (bigrams IS NULL AND words @@ question))"
"""SQL that is true for documents with the words of the tsquery `question`."""

_MAX_STEP = 500  # documents in one transaction

# The column `words` has as many characters of each key.
_TSVECTOR = "to_tsvector('simple', left(text, 200000))"

_WRITE = f"""\
UPDATE softkv.documents SET bigrams = {_TSVECTOR} FROM unnest(%s::bigint[], %s::text[]) AS keys (number, text)
WHERE collection = %s AND "row" = number"""

_MISSING = f"""\
SELECT collection, "row", key FROM softkv.documents
WHERE (collection, "row") > (%s, %s) AND bigrams IS NULL AND key ~ %s
ORDER BY collection, "row" LIMIT {_MAX_STEP} FOR UPDATE SKIP LOCKED"""

_COMPLETE = """\
UPDATE softkv.state SET schema_version = %s
WHERE NOT EXISTS (SELECT FROM softkv.documents WHERE bigrams IS NULL AND key ~ %s)"""

_WRONG = f"""\
SELECT number FROM unnest(%s::bigint[], %s::text[]) AS keys (number, text)
JOIN softkv.documents ON collection = %s AND "row" = number
WHERE bigrams IS DISTINCT FROM {_TSVECTOR}
AND (bigrams IS NOT NULL OR (SELECT schema_version FROM softkv.state) = %s)"""


def write(connection: Connection[Any], collection: int, keys: Iterable[tuple[int, str | None]]) -> None:
    """Write the words of the keys that have bigrams or folded letters, by row number."""
    texts = {row: text for row, text in _texts(keys).items() if text is not None}
    if texts:
        connection.execute(_WRITE, (list(texts), list(texts.values()), collection))


def write_missing(connection: Connection[Any], after: tuple[int, int]) -> tuple[int, int] | None:
    """Write the words of up to 500 rows of a database of an earlier version; several processes may do so at once.

    Return the collection and the row of the last one, after which the next call begins; None if all are written.

    Args:
        after: a collection and a row in it; (0, 0) begins.
    """
    with connection.transaction():
        rows = connection.execute(_MISSING, (*after, INDEXED_CHARACTERS)).fetchall()
        keys = defaultdict(list)
        for collection, row, key in rows:
            keys[collection].append((row, key))
        for collection, of_collection in keys.items():
            write(connection, collection, of_collection)
        if rows:
            return rows[-1][0], rows[-1][1]
        # Rows that another transaction had locked are left to the next round.
        return None if connection.execute(_COMPLETE, (SCHEMA, INDEXED_CHARACTERS)).rowcount else (0, 0)


def find_wrong(connection: Connection[Any], collection: int, keys: Iterable[tuple[int, str | None]]) -> list[int]:
    """Return the rows whose words in the database are not those of these keys; rows yet to be written are right."""
    texts = _texts(keys)
    parameters = (list(texts), list(texts.values()), collection, SCHEMA)
    return [row for (row,) in connection.execute(_WRONG, parameters).fetchall()]


def _texts(keys: Iterable[tuple[int, str | None]]) -> dict[int, str | None]:
    """Map row numbers to the keys as full text indexes them; None if the key stays as it is."""
    texts = ((row, key, None if key is None else indexed_text(key)) for row, key in keys)
    return {row: None if text == key else text for row, key, text in texts}

"""The full-text index of a collection's keys, updated in the transaction of each write.

A collection has its own FTS5 table, since bm25 weighs a word by its frequency in the whole table. The tables are
contentless: the texts are in `documents`.

A small collection has no table in the file. FTS5 needs five tables for each, and every connection reads the schema of
all of them. So a question builds the same table in memory, from at most MAX_UNINDEXED keys.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from sqlite3 import Connection

from service.storage.conditions import SearchTerm
from service.storage.fields import is_utf8
from service.storage.sqlite.statements import insert_rows

MAX_UNINDEXED = 256
"""A collection with more documents than this gets a table in the file, and keeps it until it is deleted."""

_TOKENIZER = "unicode61 remove_diacritics 2"
_PARTS = ("data", "idx", "docsize", "config")


def table(collection: int) -> str:
    """Return the name of the full-text table of a collection."""
    return f"words_{int(collection)}"


def tables(collection: int) -> dict[str, str | None]:
    """Map the names of the index's tables in the database schema to the statements that create them; None for a table
    that FTS5 creates itself.
    """
    name = table(collection)
    return {name: _statement(name)} | {f"{name}_{part}": None for part in _PARTS}


def create(connection: Connection, collection: int) -> None:
    """Create an empty full-text index for a collection."""
    connection.execute(_statement(table(collection)))


def drop(connection: Connection, collection: int) -> None:
    """Drop the full-text index of a collection, if it has one."""
    connection.execute(f"DROP TABLE IF EXISTS main.{table(collection)}")


def exists(connection: Connection, collection: int) -> bool:
    """Return whether a collection has a full-text index in the file."""
    # Looks the name up in the parsed schema, in contrast to a SELECT from the table `sqlite_schema`.
    return connection.execute(f"PRAGMA main.table_info({table(collection)})").fetchone() is not None


def keep_up(connection: Connection, collection: int, documents: int) -> None:
    """Create the index of a collection that is about to have this number of documents, if it needs one."""
    if documents > MAX_UNINDEXED and not exists(connection, collection):
        create(connection, collection)
        _add(connection, table(collection), _valid_keys(connection, collection))


def add(connection: Connection, collection: int, keys: Iterable[tuple[int, str | None]]) -> None:
    """Add key texts to the full-text index of a collection, if it has one, by row number."""
    if exists(connection, collection):
        _add(connection, table(collection), keys)


def remove(connection: Connection, collection: int, numbers: str) -> None:
    """Remove documents from the index, before they are deleted, since FTS5 needs their texts.

    Args:
        numbers: row numbers as a JSON list.
    """
    if not exists(connection, collection):
        return
    name = table(collection)
    connection.execute(
        f"INSERT INTO {name} ({name}, rowid, key) SELECT 'delete', \"row\", key FROM documents"
        ' WHERE "row" IN (SELECT value FROM json_each(?))',
        (numbers,),
    )


def rebuild(connection: Connection, collection: int) -> None:
    """Rebuild the index, if there is one, from the stored keys that are valid texts."""
    if exists(connection, collection):
        name = table(collection)
        connection.execute(f"INSERT INTO {name} ({name}) VALUES ('delete-all')")
        _add(connection, name, _valid_keys(connection, collection))


@contextmanager
def searchable(connection: Connection, collection: int) -> Iterator[None]:
    """Let statements use the index for the duration of the block; without one in the file, build it in memory."""
    if exists(connection, collection):
        yield
        return
    name = f"temp.{table(collection)}"
    (query_only,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = OFF")
    try:
        connection.execute(_statement(name))
        try:
            _add(connection, name, _valid_keys(connection, collection))
            yield
        finally:
            connection.execute(f"DROP TABLE {name}")
    finally:
        connection.execute(f"PRAGMA query_only = {query_only}")


def _add(connection: Connection, name: str, keys: Iterable[tuple[int, str | None]]) -> None:
    insert_rows(connection, name, ("rowid", "key"), keys)


def _valid_keys(connection: Connection, collection: int) -> list[tuple[int, str | None]]:
    """Return the row number and the key of each document whose key is a valid text or missing."""
    rows = connection.execute('SELECT "row", key FROM documents WHERE collection = ? ORDER BY "row"', (collection,))
    return [(row, key) for row, key in rows if key is None or is_utf8(key)]


def question(terms: Sequence[SearchTerm]) -> str:
    """Convert the terms of a search to a query of FTS5: each quoted, joined by OR.

    bm25 adds the weights of all terms, so each occurs once, in its first spelling. Terms that differ only in case,
    accents or signs are equal, as in the index.

    >>> from service.storage.conditions import terms_of
    >>> question(terms_of("what's a cat? A Cat!"))
    '"what\\'s" OR "a" OR "cat?"'
    >>> question([SearchTerm("a cat"), SearchTerm("purr", prefix=True)])
    '"a cat" OR "purr" *'
    """
    term_by_tokens: dict[tuple[bool, tuple[str, ...]], SearchTerm] = {}
    for term, tokens in zip(terms, _tokens([term.text for term in terms]), strict=True):
        term_by_tokens.setdefault((term.prefix, tokens), term)
    return " OR ".join(map(_quote, term_by_tokens.values())) or '""'


def _quote(term: SearchTerm) -> str:
    doubled = term.text.replace('"', '""')
    return f'"{doubled}" *' if term.prefix else f'"{doubled}"'


_local = threading.local()


def _tokens(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the tokens of each word, read from a scratch index of this thread."""
    if not hasattr(_local, "index"):
        _local.index = sqlite3.connect(":memory:", isolation_level=None)
        _local.index.execute(f"CREATE VIRTUAL TABLE word USING fts5 (text, content = '', tokenize = '{_TOKENIZER}')")
        _local.index.execute("CREATE VIRTUAL TABLE token USING fts5vocab (word, instance)")
    tokens: list[tuple[str, ...]] = [()] * len(words)
    _local.index.execute("INSERT INTO word (word) VALUES ('delete-all')")
    _local.index.executemany("INSERT INTO word (rowid, text) VALUES (?, ?)", enumerate(words))
    for number, token in _local.index.execute("SELECT doc, term FROM token ORDER BY doc, offset"):
        tokens[number] += (token,)
    return tokens


def _statement(name: str) -> str:
    return f"CREATE VIRTUAL TABLE {name} USING fts5 (key, content = '', tokenize = '{_TOKENIZER}')"

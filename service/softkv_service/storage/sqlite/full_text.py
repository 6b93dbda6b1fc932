"""The full-text index of a collection's keys, updated in the transaction of each write.

A collection has its own FTS5 table, since bm25 weighs a word by its frequency in the whole table. The tables are
contentless: the texts are in `documents`.

A small collection has no table in the file. FTS5 needs five tables for each, and every connection reads the schema of
all of them. So a question builds the same table in memory, from at most MAX_UNINDEXED keys.

Files of earlier schema versions have older indexes: without bigrams in version 9, without folded letters in 10. Such an
index answers, and is kept up to date, until `replace_older` has filled a new one.
"""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from sqlite3 import Connection
from typing import Any, NamedTuple

from softkv_service.storage.conditions import SIGNS, SearchTerm, bigram_terms, fold_terms, indexed_text, with_bigrams
from softkv_service.storage.fields import is_utf8
from softkv_service.storage.sqlite.statements import Expression, all_or_none, insert_rows

MAX_UNINDEXED = 256
"""A collection with more documents than this gets a table in the file, and keeps it until it is deleted."""

_OLDER_TOKENIZER = "'unicode61 remove_diacritics 2'"
_TOKENIZER = f""" "unicode61 remove_diacritics 2 tokenchars '{SIGNS}'" """.strip()
_PARTS = ("data", "idx", "docsize", "config")
_DOCUMENTS_IN_STEP = 256

_BELOW = (
    'SELECT "row" FROM documents WHERE collection = ? AND "row" < ifnull((SELECT min(id) FROM {}_docsize), 1 << 62)'
)
_MISSING = 'AND "row" BETWEEN ? AND ? AND "row" NOT IN (SELECT id FROM {}_docsize)'


def tables(index: str) -> dict[str, str | None]:
    """Map the names of an index's tables in the database schema to the statements that create them; None for a table
    that FTS5 creates itself.
    """
    return {index: _statement(index)} | {f"{index}_{part}": None for part in _PARTS}


class Phrase(NamedTuple):
    """Tokens of an index that follow each other.

    Attributes:
        tokens: the tokens; none match nothing.
        prefix: whether the last one may continue.
    """

    tokens: tuple[str, ...]
    prefix: bool


PREFIXES = _PLAIN, _WITH_BIGRAMS, _FOLDED = "words_", "terms_", "folds_"
"""The beginnings of the names of indexes: without bigrams, without folded letters, and new ones."""


def names(collection: int) -> list[str]:
    """Return the names that the index of a collection may have, the oldest form first, the new one last."""
    return [f"{prefix}{int(collection)}" for prefix in PREFIXES]


def create(connection: Connection, index: str) -> None:
    """Create an empty full-text index of this name."""
    connection.execute(_statement(index))


def drop(connection: Connection, collection: int) -> None:
    """Drop the full-text indexes of a collection, if it has any."""
    for index in names(collection):
        connection.execute(f"DROP TABLE IF EXISTS main.{index}")


def existing(connection: Connection, collection: int) -> list[str]:
    """Return the full-text indexes of a collection in the file: the one that answers, then one that is being built."""
    # Looks the name up in the parsed schema, in contrast to a SELECT from the table `sqlite_schema`.
    columns = [
        (index, connection.execute(f"PRAGMA main.table_info({index})").fetchone()) for index in names(collection)
    ]
    return [index for index, column in columns if column is not None]


def keep_up(connection: Connection, collection: int, documents: int) -> None:
    """Create the index of a collection that is about to have this number of documents, if it needs one."""
    if documents > MAX_UNINDEXED and not existing(connection, collection):
        index = names(collection)[-1]
        create(connection, index)
        add(connection, index, _valid_keys(connection, collection))


def add(connection: Connection, index: str, keys: Iterable[tuple[int, str | None]]) -> None:
    """Add key texts to a full-text index, by row number."""
    insert_rows(connection, index, ("rowid", "key"), ((row, _convert_key(index, key)) for row, key in keys))


def remove(connection: Connection, collection: int, numbers: str) -> None:
    """Remove documents from the indexes, before they are deleted, since FTS5 needs their texts.

    Args:
        numbers: row numbers as a JSON list.
    """
    for index in existing(connection, collection):
        keys = connection.execute(
            f'SELECT "row", key FROM documents JOIN {index}_docsize AS indexed ON indexed.id = "row"'
            ' WHERE "row" IN (SELECT value FROM json_each(?))',
            (numbers,),
        ).fetchall()
        deletions = (("delete", row, _convert_key(index, key)) for row, key in keys)
        insert_rows(connection, index, (index, "rowid", "key"), deletions)


def rebuild(connection: Connection, collection: int) -> None:
    """Rebuild the indexes, if there are any, from the stored keys that are valid texts."""
    for index in existing(connection, collection):
        connection.execute(f"INSERT INTO {index} ({index}) VALUES ('delete-all')")
        add(connection, index, _valid_keys(connection, collection))


def find_older(connection: Connection) -> list[int]:
    """Return the numbers of the collections whose index is an older one."""
    older = " OR ".join(f"'{prefix}' || id IN (SELECT name FROM sqlite_schema)" for prefix in PREFIXES[:-1])
    return [number for (number,) in connection.execute(f"SELECT id FROM collections WHERE {older} ORDER BY id")]


def replace_older(connection: Connection) -> Iterator[None]:
    """Replace older indexes by new ones in the background: each step up to a `yield` writes in one transaction.

    New documents have higher row numbers, and come into both indexes. So the new one is filled downwards, and after a
    restart goes on below the lowest row that it has.
    """
    while collections := find_older(connection):
        *older, new = names(collections[0])
        if new not in existing(connection, collections[0]):
            create(connection, new)
        rows = array("q", sorted(row for (row,) in connection.execute(_BELOW.format(new), collections[:1])))
        while rows and len(existing(connection, collections[0])) > 1:
            step = rows[-_DOCUMENTS_IN_STEP:]
            del rows[-_DOCUMENTS_IN_STEP:]
            with all_or_none(connection):
                add(connection, new, _valid_keys(connection, collections[0], _MISSING.format(new), step[0], step[-1]))
            yield
        with all_or_none(connection):
            for index in older:
                connection.execute(f"DROP TABLE IF EXISTS main.{index}")
        yield


@contextmanager
def searchable(connection: Connection, collection: int, visible: Expression | None = None) -> Iterator[str]:
    """Yield the name of the index that answers, for the duration of the block; without one in the file, build it in
    memory.

    Args:
        visible: which documents an index in memory has, and thus which ones its bm25 counts; None for all.
    """
    if indexes := existing(connection, collection):
        yield indexes[0]
        return
    index = names(collection)[-1]
    name = f"temp.{index}"
    (query_only,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = OFF")
    try:
        create(connection, name)
        try:
            if visible is None:
                add(connection, name, _valid_keys(connection, collection))
            else:
                keys = _valid_keys(connection, collection, f"AND {visible.sql}", *visible.parameters)
                add(connection, name, keys)
            yield index
        finally:
            connection.execute(f"DROP TABLE {name}")
    finally:
        connection.execute(f"PRAGMA query_only = {query_only}")


def question(index: str, terms: Sequence[SearchTerm]) -> str:
    """Convert the terms of a search to a query of an index by FTS5: each quoted, joined by OR.

    bm25 adds the weights of all terms, so each occurs once, in its first spelling. Terms that differ only in case,
    accents or signs are equal, as in the index.

    >>> from softkv_service.storage.conditions import terms_of
    >>> question("folds_1", terms_of("what's a cat? A Cat!"))
    '"what\\'s" OR "a" OR "cat?"'
    >>> question("folds_1", [SearchTerm("a cat"), SearchTerm("purr", prefix=True)])
    '"a cat" OR "purr" *'
    """
    return " OR ".join(map(_quote, phrases(index, terms).values())) or '""'


def phrases(index: str, terms: Sequence[SearchTerm]) -> dict[Phrase, SearchTerm]:
    """Map the phrases that a query of an index by FTS5 has, in its order, to their terms in their first spelling."""
    terms = terms if index.startswith((_PLAIN, _WITH_BIGRAMS)) else fold_terms(terms)
    terms = terms if index.startswith(_PLAIN) else bigram_terms(terms)
    term_by_phrase: dict[Phrase, SearchTerm] = {}
    for term, tokens in zip(terms, _tokens([term.text for term in terms], _tokenizer(index)), strict=True):
        term_by_phrase.setdefault(Phrase(tokens, term.prefix), term)
    return term_by_phrase


def _convert_key(index: str, key: str | None) -> str | None:
    if key is None or index.startswith(_PLAIN):
        return key
    return with_bigrams(key) if index.startswith(_WITH_BIGRAMS) else indexed_text(key)


def _statement(index: str) -> str:
    return f"CREATE VIRTUAL TABLE {index} USING fts5 (key, content = '', tokenize = {_tokenizer(index)})"


def _tokenizer(index: str) -> str:
    return _OLDER_TOKENIZER if index.startswith(_PLAIN) else _TOKENIZER


def _valid_keys(
    connection: Connection, collection: int, condition: str = "", *parameters: Any
) -> list[tuple[int, str | None]]:
    """Return the row number and the key of each document that matches and whose key is a valid text or missing."""
    statement = f'SELECT "row", key FROM documents WHERE collection = ? {condition} ORDER BY "row"'
    rows = connection.execute(statement, (collection, *parameters))
    return [(row, key) for row, key in rows if key is None or is_utf8(key)]


def _quote(term: SearchTerm) -> str:
    doubled = term.text.replace('"', '""')
    return f'"{doubled}" *' if term.prefix else f'"{doubled}"'


_local = threading.local()


def _tokens(words: Sequence[str], tokenizer: str) -> list[tuple[str, ...]]:
    """Return the tokens of each word, read from a scratch index of this thread."""
    scratch: dict[str, Connection] = _local.__dict__.setdefault("scratch", {})
    if (index := scratch.get(tokenizer)) is None:
        index = scratch[tokenizer] = sqlite3.connect(":memory:", isolation_level=None)
        index.execute(f"CREATE VIRTUAL TABLE word USING fts5 (text, content = '', tokenize = {tokenizer})")
        index.execute("CREATE VIRTUAL TABLE token USING fts5vocab (word, instance)")
    tokens: list[list[str]] = [[] for _ in words]
    index.execute("INSERT INTO word (word) VALUES ('delete-all')")
    index.executemany("INSERT INTO word (rowid, text) VALUES (?, ?)", enumerate(words))
    for number, token in index.execute("SELECT doc, term FROM token ORDER BY doc, offset"):
        tokens[number].append(token)
    return [tuple(tokens_of_word) for tokens_of_word in tokens]

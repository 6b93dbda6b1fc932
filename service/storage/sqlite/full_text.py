"""The full-text index of a collection's keys, updated in the transaction of each write.

Each collection has its own FTS5 table, since bm25 weighs a word by its frequency in the whole table. The tables are
contentless: the texts are in `documents`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from sqlite3 import Connection

from service.storage.fields import is_utf8

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
    """Drop the full-text index of a collection."""
    connection.execute(f"DROP TABLE {table(collection)}")


def add(connection: Connection, collection: int, keys: Iterable[tuple[int, str | None]]) -> None:
    """Add key texts to the full-text index of a collection, by row number."""
    connection.executemany(f"INSERT INTO {table(collection)} (rowid, key) VALUES (?, ?)", keys)


def remove(connection: Connection, collection: int, numbers: str) -> None:
    """Remove documents from the index, before they are deleted, since FTS5 needs their texts.

    Args:
        numbers: row numbers as a JSON list.
    """
    name = table(collection)
    connection.execute(
        f"INSERT INTO {name} ({name}, rowid, key) SELECT 'delete', \"row\", key FROM documents"
        ' WHERE "row" IN (SELECT value FROM json_each(?))',
        (numbers,),
    )


def rebuild(connection: Connection, collection: int) -> None:
    """Rebuild the index from the stored keys that are valid texts."""
    name = table(collection)
    connection.execute(f"INSERT INTO {name} ({name}) VALUES ('delete-all')")
    keys = connection.execute('SELECT "row", key FROM documents WHERE collection = ?', (collection,))
    add(connection, collection, ((row, key) for row, key in keys if key is None or is_utf8(key)))


def question(text: str) -> str:
    """Convert a text to a query of FTS5: its words, quoted and joined by OR.

    bm25 adds the weights of all words, so each word occurs once, in its first spelling. Words that differ only in
    case, accents or signs are equal, as in the index.

    >>> question("what's a cat? A Cat!")
    '"what\\'s" OR "a" OR "cat?"'
    """
    # FTS5 reads a query up to its first NUL; a word that consists of signs has no tokens.
    words = [word for word in text.replace("\0", " ").split() if any(map(str.isalnum, word))]
    word_by_tokens: dict[tuple[str, ...], str] = {}
    for word, tokens in zip(words, _tokens(words), strict=True):
        word_by_tokens.setdefault(tokens, word)
    return " OR ".join(f'"{word.replace(chr(34), chr(34) * 2)}"' for word in word_by_tokens.values()) or '""'


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

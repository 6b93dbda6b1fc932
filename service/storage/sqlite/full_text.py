"""The full-text index of one collection's keys, kept in the transaction of each write.

One FTS5 table a collection, since bm25 weighs a word by the whole table it stands in. The tables
are contentless: the texts stay in `documents`.
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
    """The index's name."""
    return f"words_{int(collection)}"


def tables(collection: int) -> dict[str, str | None]:
    """The index's tables as the file's schema has them, each with its statement; None: FTS5 made it for itself."""
    name = table(collection)
    return {name: _statement(name)} | {f"{name}_{part}": None for part in _PARTS}


def create(connection: Connection, collection: int) -> None:
    """An empty index."""
    connection.execute(_statement(table(collection)))


def drop(connection: Connection, collection: int) -> None:
    """Remove the index."""
    connection.execute(f"DROP TABLE {table(collection)}")


def add(connection: Connection, collection: int, keys: Iterable[tuple[int, str | None]]) -> None:
    """Index keys by their row numbers."""
    connection.executemany(f"INSERT INTO {table(collection)} (rowid, key) VALUES (?, ?)", keys)


def remove(connection: Connection, collection: int, numbers: str) -> None:
    """Take documents out, before they are deleted: FTS5 wants the texts again. `numbers`: JSON list."""
    name = table(collection)
    connection.execute(
        f"INSERT INTO {name} ({name}, rowid, key) SELECT 'delete', \"row\", key FROM documents"
        ' WHERE "row" IN (SELECT value FROM json_each(?))',
        (numbers,),
    )


def rebuild(connection: Connection, collection: int) -> None:
    """Make the index anew from the keys that are stored, as far as they are texts."""
    name = table(collection)
    connection.execute(f"INSERT INTO {name} ({name}) VALUES ('delete-all')")
    keys = connection.execute('SELECT "row", key FROM documents WHERE collection = ?', (collection,))
    add(connection, collection, ((row, key) for row, key in keys if key is None or is_utf8(key)))


def question(text: str) -> str:
    """What FTS5 is asked: the text's words, each quoted, joined by OR.

    bm25 adds what each of them weighs, so a word counts once, in the spelling that came first:
    case, accents and signs make no other word, as they make none in the index.

    >>> question("what's a cat? A Cat!")
    '"what\\'s" OR "a" OR "cat?"'
    """
    # FTS5 reads a question up to its first NUL; a word of signs only has nothing to look up.
    words = [word for word in text.replace("\0", " ").split() if any(map(str.isalnum, word))]
    once: dict[tuple[str, ...], str] = {}
    for word, tokens in zip(words, _tokens(words), strict=True):
        once.setdefault(tokens, word)
    return " OR ".join(f'"{word.replace(chr(34), chr(34) * 2)}"' for word in once.values()) or '""'


_local = threading.local()


def _tokens(words: Sequence[str]) -> list[tuple[str, ...]]:
    """What the index makes of each word, read from an index of this thread that holds nothing else."""
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

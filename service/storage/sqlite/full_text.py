"""The full-text index of one collection's keys, kept in the transaction of each write.

One FTS5 table a collection, since bm25 weighs a word by the whole table it stands in. The tables
are contentless: the texts stay in `documents`.
"""

from __future__ import annotations

from collections.abc import Iterable
from sqlite3 import Connection

from service.storage.fields import is_utf8


def table(collection: int) -> str:
    """The index's name."""
    return f"words_{int(collection)}"


def create(connection: Connection, collection: int) -> None:
    """An empty index."""
    connection.execute(
        f"CREATE VIRTUAL TABLE {table(collection)}"
        " USING fts5 (key, content = '', tokenize = 'unicode61 remove_diacritics 2')"
    )


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

    >>> question("what's a cat?")
    '"what\\'s" OR "a" OR "cat?"'
    """
    # FTS5 reads a question up to its first NUL; a word of signs only has nothing to look up.
    words = [word for word in text.replace("\0", " ").split() if any(map(str.isalnum, word))]
    return " OR ".join(f'"{word.replace(chr(34), chr(34) * 2)}"' for word in dict.fromkeys(words)) or '""'

"""Checks that a file has the tables of softkv and nothing else: a trigger or a view in it would run code of an unknown
author.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from softkv_service.storage.errors import DatabaseAltered
from softkv_service.storage.sqlite import full_text

# Comments and blanks, then a token: a text, a quoted name, a word or a sign.
_TOKEN = re.compile(
    r"""(?:--[^\n]*|/\*.*?(?:\*/|\Z)|\s)+|('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^]]*\]|\w+|.)""", re.DOTALL
)
_QUOTED = re.compile(r'"(\w+)"')
# Tables that ANALYZE creates.
_STATISTICS = {("table", "sqlite_stat1"), ("table", "sqlite_stat4")}

NO_WORDS, WHOLE_WORDS, PARTED_WORDS = 11, 12, 13
"""Versions: the last one without a table `words`, that in which a row has all words of a key, and that with parts."""

WITH_WAITING = 14
"""The version from which on the table `vectors` has the column `waiting`, and an index on it."""

WHOLE_WORDS_TABLE = """\
CREATE TABLE words (
    "row" INTEGER PRIMARY KEY REFERENCES vectors ("row") ON DELETE CASCADE,
    words BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
"""

Schema: TypeAlias = Mapping[tuple[str, str], str]
"""(type, name) → its CREATE statement; without the indexes of constraints, which have no statement."""


def read_script() -> str:
    """Read the statements that create the tables."""
    return (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")


def require_own_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseAltered if the schema of a file is not softkv's.

    Full-text tables must match the collections of the file, and are compared by their names. A small collection may
    have none.
    """
    actual = _read_schema(connection)
    differences = list(
        _differences(actual, _softkv_schema(find_version_of_words(connection), waiting=has_waiting(connection)))
    )
    if not differences:  # only then is `collections` certainly a table
        collections = connection.execute(f"SELECT id, documents <= {full_text.MAX_UNINDEXED} FROM collections")
        differences = list(_full_text_differences(actual, collections))
    if differences:
        raise DatabaseAltered(path, differences)


def _read_schema(connection: sqlite3.Connection) -> Schema:
    schema: dict[tuple[str, str], str] = {}
    # In an edited file these columns may hold values of any type.
    texts = ", ".join(f"coalesce(CAST({column} AS TEXT), '')" for column in ("type", "name", "sql"))
    for kind, name, sql in connection.execute(
        f"SELECT {texts} FROM sqlite_schema WHERE type <> 'index' OR sql IS NOT NULL"
    ):
        # A duplicate name gets an empty statement, which differs from every expected one.
        schema[kind, name] = sql if (kind, name) not in schema else ""
    return schema


def find_version_of_words(connection: sqlite3.Connection) -> int:
    """Return of which version the table `words` of a file is: NO_WORDS, WHOLE_WORDS or PARTED_WORDS."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('words')")}
    if not columns and version <= NO_WORDS:
        return NO_WORDS
    return WHOLE_WORDS if "row" in columns and version <= WHOLE_WORDS else PARTED_WORDS


def has_waiting(connection: sqlite3.Connection) -> bool:
    """Return whether the vectors of a file have the column `waiting`, which it may lack only in an older version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    named = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'vectors_waiting'").fetchone()
    return version >= WITH_WAITING or named is not None


def is_older(connection: sqlite3.Connection) -> bool:
    """Return whether a file lacks what `migrate` adds."""
    return find_version_of_words(connection) < PARTED_WORDS or not has_waiting(connection)


def _softkv_schema(version_of_words: int, *, waiting: bool) -> Schema:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(read_script())
        if version_of_words < PARTED_WORDS:
            connection.executescript("DROP TRIGGER delete_words; DROP TABLE words")
        if version_of_words == WHOLE_WORDS:
            connection.executescript(WHOLE_WORDS_TABLE)
        if version_of_words == NO_WORDS:
            connection.execute("ALTER TABLE collections DROP COLUMN late")
        if not waiting:
            connection.executescript("DROP INDEX vectors_waiting; ALTER TABLE vectors DROP COLUMN waiting")
        return _read_schema(connection)


def _differences(actual: Schema, expected: Schema) -> Iterator[str]:
    # Views and triggers first.
    for kind, name in sorted(actual.keys() - expected.keys() - _STATISTICS, reverse=True):
        if kind != "table" or not name.startswith(full_text.PREFIXES):
            yield _foreign(kind, name)
    for (kind, name), sql in expected.items():
        if (kind, name) not in actual:
            yield f"{kind} {name!r} is missing"
        elif form(actual[kind, name]) != form(sql):
            yield f"{kind} {name!r} is not as softkv makes it"


def _full_text_differences(actual: Schema, collections: Iterable[tuple[int, int]]) -> Iterator[str]:
    tables = {name: sql for (_, name), sql in actual.items() if name.startswith(full_text.PREFIXES)}
    for number, may_lack in collections:
        names = full_text.names(number)
        indexes = [index for index in names if index in tables] or ([] if may_lack else names[-1:])
        for name, sql in [table for index in indexes for table in full_text.tables(index).items()]:
            if name not in tables:
                yield f"table {name!r} is missing"
            elif tables.pop(name) != sql and sql is not None:
                yield f"table {name!r} is not as softkv makes it"
    yield from (_foreign("table", name) for name in tables)


def _foreign(kind: str, name: str) -> str:
    return f"{kind if kind.isalpha() else repr(kind)} {name!r} is not softkv's"


def form(sql: str) -> tuple[str, ...]:
    """Split a statement into tokens, without comments, blanks and the quotes of names.

    >>> form('CREATE TABLE "a" (b TEXT) -- of c') == form("CREATE TABLE a(b  TEXT)")
    True
    """
    return tuple(_QUOTED.sub(r"\1", match[1]) for match in _TOKEN.finditer(sql) if match[1] is not None)

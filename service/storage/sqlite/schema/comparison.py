"""Whether a file has softkv's tables and nothing beside them: a trigger or a view in it is code of its author's."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from service.storage.errors import DatabaseAltered
from service.storage.sqlite import full_text

# Comments and blanks, then what a statement is made of: texts, quoted names, words, signs.
_TOKEN = re.compile(
    r"""(?:--[^\n]*|/\*.*?(?:\*/|\Z)|\s)+|('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^]]*\]|\w+|.)""", re.DOTALL
)
_QUOTED = re.compile(r'"(\w+)"')
# An older file got these with ALTER TABLE, which puts them last.
_ADDED = ("basis", "thin_seed", "calibration")
# What ANALYZE leaves.
_STATISTICS = {("table", "sqlite_stat1"), ("table", "sqlite_stat4")}

Schema: TypeAlias = Mapping[tuple[str, str], str]
"""(type, name) → the statement that made it; without the indexes of constraints, which have none."""

Form: TypeAlias = tuple[tuple[str, ...], ...]
"""A statement as it is compared: the tokens before, of each definition within, and after."""


def script(version: int | None = None) -> str:
    """The statements that make the tables of an older version; None: those of the last."""
    name = "schema.sql" if version is None else f"schema_{version}.sql"
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def require_own(connection: sqlite3.Connection, path: Path, version: int | None = None) -> None:
    """Raise DatabaseAltered where a file has another schema than softkv gives it; None: the last version's.

    The full-text tables are those of the collections that there are, and are compared by their names.
    """
    found = _schema(connection)
    differences = list(_differences(found, _wanted(version)))
    if not differences:  # only now is it known that `collections` is a table
        numbers = [number for (number,) in connection.execute("SELECT id FROM collections")]
        differences = list(_full_text_differences(found, numbers))
    if differences:
        raise DatabaseAltered(path, differences)


def require_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseAltered where a file has a view, a trigger, or whatever else is neither a table nor an index."""
    if differences := [_strange(*name) for name in _schema(connection) if name[0] not in {"table", "index"}]:
        raise DatabaseAltered(path, differences)


def _schema(connection: sqlite3.Connection) -> Schema:
    schema: dict[tuple[str, str], str] = {}
    # An edited file may hold anything there.
    texts = ", ".join(f"coalesce(CAST({column} AS TEXT), '')" for column in ("type", "name", "sql"))
    for kind, name, sql in connection.execute(
        f"SELECT {texts} FROM sqlite_schema WHERE type <> 'index' OR sql IS NOT NULL"
    ):
        # A name that is there twice differs from whatever it should be.
        schema[kind, name] = sql if (kind, name) not in schema else ""
    return schema


def _wanted(version: int | None) -> Schema:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script(version))
        return _schema(connection)


def _differences(found: Schema, wanted: Schema) -> Iterator[str]:
    # Views and triggers first.
    for kind, name in sorted(found.keys() - wanted.keys() - _STATISTICS, reverse=True):
        if kind != "table" or not name.startswith("words_"):
            yield _strange(kind, name)
    for (kind, name), sql in wanted.items():
        if (kind, name) not in found:
            yield f"{kind} {name!r} is missing"
        elif form(found[kind, name]) != form(sql):
            yield f"{kind} {name!r} is not as softkv makes it"


def _full_text_differences(found: Schema, collections: list[int]) -> Iterator[str]:
    indexes = {name: sql for (_, name), sql in found.items() if name.startswith("words_")}
    for number in collections:
        for name, sql in full_text.tables(number).items():
            if name not in indexes:
                yield f"table {name!r} is missing"
            elif indexes.pop(name) != sql and sql is not None:
                yield f"table {name!r} is not as softkv makes it"
    yield from (_strange("table", name) for name in indexes)


def _strange(kind: str, name: str) -> str:
    return f"{kind if kind.isalpha() else repr(kind)} {name!r} is not softkv's"


def form(sql: str) -> Form:
    """A statement without its comments and blanks, its table's columns in the order of a new file.

    >>> form('CREATE TABLE "a" (b TEXT) -- of c') == form("CREATE TABLE a(b  TEXT)")
    True
    """
    tokens = [_QUOTED.sub(r"\1", found[1]) for found in _TOKEN.finditer(sql) if found[1] is not None]
    if tokens[:2] != ["CREATE", "TABLE"] or "(" not in tokens:
        return (tuple(tokens),)
    start = tokens.index("(")
    definitions: list[list[str]] = [[]]
    depth, end = 0, start
    for end, token in enumerate(tokens[start:], start):
        depth += (token == "(") - (token == ")")
        if depth == 0:
            break
        if depth == 1 and token == ",":
            definitions.append([])
        elif end > start:
            definitions[-1].append(token)
    definitions.sort(key=lambda tokens: _ADDED.index(tokens[0]) if tokens and tokens[0] in _ADDED else -1)
    return tuple(tokens[:start]), *map(tuple, definitions), tuple(tokens[end:])

"""A table of PostgreSQL with a column of pgvector. Each session reads only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from softkv.integrations import require_module
from softkv_referee.stores.store import (
    F64,
    SIMILARITIES,
    WIDEST,
    Page,
    Search,
    StoreError,
    StoreUnreachable,
    choose_name,
)

_OPERATORS = dict(zip(SIMILARITIES, ("<=>", "<#>", "<->"), strict=True))
_CLASSES = {"cosine": "cosine", "ip": "dot", "l2": "gaussian"}
_COMPONENTS = {"vector": ">f4", "halfvec": ">f2"}
_PAGE = 5000
_MOST_PROBES = 32_768

_TABLES = """
SELECT DISTINCT c.oid::regclass::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_type t ON t.oid = a.atttypid
WHERE t.typname IN ('vector', 'halfvec') AND c.relkind IN ('r', 'p', 'm') AND NOT a.attisdropped
"""
_COLUMNS = """
SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# The expression that an index orders by, such as the column or ((column)::halfvec(3072)), and its operator class.
_INDEXES = """
SELECT i.indexrelid::regclass::text, m.amname, pg_get_indexdef(i.indexrelid, 1, true), o.opcname, i.indisvalid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
JOIN pg_opclass o ON o.oid = i.indclass[0]
WHERE i.indrelid = %s::regclass AND m.amname IN ('hnsw', 'ivfflat') ORDER BY NOT i.indisvalid, i.indexrelid
"""


class PgvectorStore:
    """A `Store` of pgvector.

    Args:
        address: the address of the database, postgresql://….
        name: the table, with its schema if that is not on the search path.
        id_column: the column of ids, which must be unique.
        vector: the column of vectors; None if the table has only one.
        settings: settings of the session, such as `hnsw.ef_search` or `hnsw.iterative_scan`.
    """

    def __init__(
        self, address: str, name: str | None, *, id_column: str, vector: str | None, settings: Mapping[str, str]
    ) -> None:
        try:
            self._psycopg = require_module("psycopg", "psycopg")
        except ImportError as error:
            raise StoreError(str(error)) from None
        self._sql = require_module("psycopg.sql", "psycopg")
        try:
            self._connection = self._psycopg.connect(address, autocommit=True, connect_timeout=20)
        except self._psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[-1]
            raise StoreUnreachable(f"no PostgreSQL answers ({reason}): start it, or give another address") from None
        except self._psycopg.Error as error:
            raise StoreError(f"expected an address such as postgresql://user@host/database: {error}") from None
        try:
            self._open(name, id_column, vector, settings)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, name: str | None, id_column: str, vector: str | None, settings: Mapping[str, str]) -> None:
        with self._errors():
            self._connection.execute("SET default_transaction_read_only = on")
            kinds = self._connection.execute(
                "SELECT oid::regtype::text FROM pg_type WHERE typname = 'vector'"
            ).fetchall()
            if not kinds:
                raise StoreError("the database has no pgvector: give the address of one with CREATE EXTENSION vector")
            # pgvector checks its settings once it is loaded, which its first use does.
            self._connection.execute(self._sql.SQL("SELECT '[1]'::{}").format(self._sql.SQL(kinds[0][0])))
            for setting, value in settings.items():
                self._connection.execute("SELECT set_config(%s, %s, false)", [setting, value])
            if name is None:
                tables = [row[0] for row in self._connection.execute(_TABLES)]
                name = choose_name(tables, None, "table", "the database")
            columns = dict(self._connection.execute(_COLUMNS, [name]).fetchall())
            indexes = self._connection.execute(_INDEXES, [name]).fetchall()
        self._table = self._sql.SQL(".").join(map(self._sql.Identifier, name.split(".")))
        self._name = name
        if id_column not in columns:
            raise StoreError(
                f"{name} has no column {id_column!r}, its columns are {', '.join(columns)}: --id names one"
            )
        vectors = [column for column, kind in columns.items() if kind in _COMPONENTS]
        self._column = choose_name(vectors, vector, "column of vectors (--vector)", name)
        self._component = _COMPONENTS[columns[self._column]]
        self._id = self._sql.Identifier(id_column)
        self._use_index(indexes, columns[self._column])

    def _use_index(self, indexes: list[Any], kind: str) -> None:
        """Order by what the first index of the column orders by, or by the cosine if it has none."""
        self.similarity, self._expression, self._kind = "cosine", self._sql.Identifier(self._column), kind
        self._invalid: str | None = None
        for index, method, expression, operators, is_valid in indexes:
            family, _, distance = operators.removesuffix("_ops").rpartition("_")
            is_of_column = expression.partition("::")[0].strip('()"') == self._column
            if family not in _COMPONENTS or distance not in _CLASSES or not is_of_column:
                continue
            self.similarity = _CLASSES[distance]
            self._expression, self._kind = self._sql.SQL(expression), family
            self._method = method
            self._invalid = None if is_valid else index
            return

    def count(self) -> int:
        """Return the number of rows that the store counts."""
        return int(self._fetch(self._sql.SQL("SELECT count(*) FROM {}").format(self._table))[0][0])

    def pages(self) -> Iterator[Page]:
        """Yield every row."""
        statement = self._sql.SQL("SELECT {}::text, {} FROM {}").format(
            self._id, self._sql.Identifier(self._column), self._table
        )
        with (
            self._errors(),
            self._connection.transaction(),
            self._connection.cursor(name="rows", binary=True) as cursor,
        ):
            cursor.execute(statement)
            while rows := cursor.fetchmany(_PAGE):
                present = [row for row in rows if row[0] is not None and row[1] is not None]
                without_vector = [str(row[0]) for row in rows if row[1] is None]
                yield Page([row[0] for row in present], self._decode([row[1] for row in present]), without_vector)

    def _decode(self, cells: list[bytes]) -> Any:
        """Return vectors [n, d] from pgvector's binary form: the width and a zero, both int16, then the components."""
        widths = {len(cell) for cell in cells}
        if len(widths) > 1:
            raise StoreError(f"{self._name}.{self._column} has vectors of several widths, which no search compares")
        size = np.dtype(self._component).itemsize
        numbers = np.frombuffer(b"".join(cells), dtype=self._component).reshape(len(cells), -1)
        return numbers[:, 4 // size :].astype(np.float32)

    def read_filter(self, condition: Any) -> Any:
        """Return a condition of SQL, which PostgreSQL checks."""
        if not isinstance(condition, str) or not condition.strip():
            raise StoreError(f'expected a filter as a condition of SQL such as "year < 1960", got {condition!r}')
        filter_ = self._sql.SQL("({})").format(self._sql.SQL(condition.replace("%", "%%")))
        self._fetch(self._sql.SQL("EXPLAIN SELECT 1 FROM {} WHERE {}").format(self._table, filter_), [])
        return filter_

    def passing(self, condition: Any) -> list[str]:
        """Return the ids of all rows that pass a filter."""
        statement = self._sql.SQL("SELECT {}::text FROM {} WHERE {}").format(self._id, self._table, condition)
        return [row[0] for row in self._fetch(statement, [])]

    def search(self, queries: F64, k: int, condition: Any = None, *, widest: bool = False) -> list[list[str]]:
        """Return the ids that PostgreSQL returns for each query [q, d], by `ORDER BY … LIMIT k`."""
        statement = self._statement(k, condition)
        results = []
        with self._errors(), self._connection.transaction():
            if widest:
                for name, value in self._widest().items():
                    self._connection.execute("SELECT set_config(%s, %s, true)", [name, str(value)])
            with self._connection.cursor() as cursor:
                for query in queries:
                    rows = cursor.execute(statement, [_text(query)], prepare=True).fetchall()
                    results.append([row[0] for row in rows])
        return results

    def _statement(self, k: int, condition: Any) -> Any:
        where = self._sql.SQL("") if condition is None else self._sql.SQL("WHERE {}").format(condition)
        return self._sql.SQL("SELECT {}::text FROM {} {} ORDER BY {} {} %s::{} LIMIT {}").format(
            self._id,
            self._table,
            where,
            self._expression,
            self._sql.SQL(_OPERATORS[self.similarity]),
            self._sql.SQL(self._kind),
            self._sql.Literal(k),
        )

    def _widest(self) -> dict[str, int]:
        return {"hnsw.ef_search": WIDEST, "ivfflat.probes": _MOST_PROBES}

    def describe(self, query: F64, k: int, condition: Any = None) -> Search:
        """Return what answers a query, as EXPLAIN says."""
        explain = self._sql.SQL("EXPLAIN (FORMAT JSON) {}").format(self._statement(k, condition))
        plan = self._fetch(explain, [_text(query)])[0][0]
        node = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
        index = next((name for name in _indexes_of(node) if self._is_vector_index(name)), None)
        if index is None:
            rebuild = f"CREATE INDEX ON {self._name} USING hnsw ({self._column} …)"
            note = (
                f"the index {self._invalid} is not valid, so that PostgreSQL does not use it"
                if self._invalid
                else "PostgreSQL chose a plan without an index of vectors, which compares every row that passes"
            )
            return Search(None, None, rebuild, note)
        method, names = ("HNSW", ["hnsw.ef_search", "hnsw.iterative_scan"])
        if self._method == "ivfflat":
            method, names = "IVFFlat", ["ivfflat.probes", "ivfflat.iterative_scan"]
        values = {name: self._fetch("SELECT current_setting(%s, true)", [name])[0][0] for name in names}
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        widest = "hnsw.ef_search 1,000" if method == "HNSW" else "ivfflat.probes at their most"
        return Search(f"{method} {index} ({shown})", widest, f"REINDEX INDEX CONCURRENTLY {index}")

    def _is_vector_index(self, name: str) -> bool:
        statement = (
            "SELECT count(*) FROM pg_class c JOIN pg_am m ON m.oid = c.relam "
            "WHERE c.relname = %s AND m.amname IN ('hnsw', 'ivfflat')"
        )
        return bool(self._fetch(statement, [name])[0][0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _fetch(self, statement: Any, parameters: Any = None) -> list[Any]:
        with self._errors():
            return list(self._connection.execute(statement, parameters).fetchall())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Within the block, an error of PostgreSQL becomes a StoreError."""
        try:
            yield
        except self._psycopg.OperationalError as error:
            raise StoreUnreachable(f"PostgreSQL ended the connection ({str(error).strip()}): start it again") from None
        except self._psycopg.Error as error:
            raise StoreError(f"PostgreSQL refused: {str(error).strip().splitlines()[0]}") from None


def _indexes_of(node: Mapping[str, Any]) -> Iterator[str]:
    if "Index Name" in node:
        yield node["Index Name"]
    for child in node.get("Plans", ()):
        yield from _indexes_of(child)


def _text(query: F64) -> str:
    return "[" + ",".join(map(repr, query.astype(np.float32).tolist())) + "]"

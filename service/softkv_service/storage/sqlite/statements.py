"""Parts of SQL statements: column lists, parameters, and conditions as expressions over the table `documents`.

Each comparison of metadata is a range of one index: `row IN (SELECT row FROM fields …)`. Every
expression is true or false, never NULL, so a negation can be pushed down to the comparisons.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush
from sqlite3 import Connection
from typing import Any

import numpy as np

from softkv_service.storage.conditions import MEMBERSHIP, ORDERING, Combination, Comparison, Condition
from softkv_service.storage.fields import INSTANT, Kind, encode_value, kind_range
from softkv_service.storage.instants import Instant
from softkv_service.storage.records import RowNumbers

# SQLite allows at most 500 SELECTs in a UNION.
_MAX_UNION = 400


@dataclass(frozen=True)
class Expression:
    """A piece of SQL, and the values for its question marks.

    `stack` is the depth of SQLite's parser stack that the SQL needs.
    """

    sql: str
    parameters: tuple[Any, ...] = ()
    stack: int = 1


@dataclass(frozen=True)
class _Test:
    """An SQL test that a row of the table `fields` passes or fails."""

    name: str
    sql: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Membership:
    """The condition that a document has a row (or no row) in `fields` that passes one of the tests."""

    tests: tuple[_Test, ...]
    negated: bool

    def expression(self, collection: int) -> Expression:
        if not self.tests:
            return Expression("1" if self.negated else "0")
        select = 'SELECT "row" FROM fields WHERE collection = ? AND field = ? AND '
        union = " UNION ALL ".join(select + test.sql for test in self.tests)
        parameters = (value for test in self.tests for value in (collection, test.name, *test.parameters))
        return Expression(f'documents."row" {"NOT " if self.negated else ""}IN ({union})', tuple(parameters))


_Part = Expression | _Membership


def compile_condition(condition: Condition, collection: int) -> Expression:
    """Return the expression that is true for the documents of a collection that match the condition."""
    part = _compile(condition, collection, negated=False)
    return part.expression(collection) if isinstance(part, _Membership) else part


def _compile(condition: Condition, collection: int, *, negated: bool) -> _Part:
    if isinstance(condition, Combination):
        return _combine(condition, collection, negated)
    if condition.in_metadata:
        return _compare(condition, collection, negated)
    return _compare_text(condition, negated)


def _combine(combination: Combination, collection: int, negated: bool) -> _Part:
    if not combination.conditions:
        return Expression("1" if (combination.operator == "AND") != negated else "0")
    inverted = negated != (combination.operator == "NOT")
    parts = [_compile(condition, collection, negated=inverted) for condition in combination.conditions]
    return _join("OR" if (combination.operator == "OR") != inverted else "AND", parts, collection)


def _join(operator: str, parts: Sequence[_Part], collection: int) -> _Part:
    """Join parts to a balanced tree: a chain of 1,000 would exceed SQLite's expression depth. Deep parts come last."""
    merged = _merge(operator, parts)
    if len(merged) == 1:
        return merged[0]
    expressions = [part.expression(collection) if isinstance(part, _Membership) else part for part in merged]
    heap = [(expression.stack, index, expression) for index, expression in enumerate(expressions)]
    heapify(heap)
    while len(heap) > 1:
        (_, index, left), (_, _, right) = heappop(heap), heappop(heap)
        pair = _pair(operator, left, right)
        heappush(heap, (pair.stack, index, pair))
    return heap[0][2]


def _merge(operator: str, parts: Sequence[_Part]) -> list[_Part]:
    """Merge membership tests to fewer ones: "in A or in B" becomes "in A ∪ B", and "not in A and not in B" becomes "not
    in A ∪ B".
    """
    rest: list[_Part] = []
    tests: list[_Test] = []
    for part in parts:
        if isinstance(part, _Membership) and part.negated == (operator == "AND"):
            tests += part.tests
        else:
            rest.append(part)
    negated = operator == "AND"
    chunks = (tuple(tests[start : start + _MAX_UNION]) for start in range(0, len(tests), _MAX_UNION))
    rest.extend(_Membership(chunk, negated) for chunk in chunks)
    return rest or [_Membership((), negated)]


def _pair(operator: str, left: Expression, right: Expression) -> Expression:
    if left.stack < right.stack:
        # The right operand needs more of the parser's stack, because the left one stays on it.
        left, right = right, left
    return Expression(
        f"({left.sql} {operator} {right.sql})",
        left.parameters + right.parameters,
        max(left.stack + 1, right.stack + 3),
    )


def _compare_text(comparison: Comparison, negated: bool) -> Expression:
    column, operator, value = f"documents.{comparison.field}", comparison.operator, comparison.value
    operands = value if operator in MEMBERSHIP else [value.casefold() if comparison.ignore_case else value]
    texts = tuple(text for text in operands if text is not None)
    if operator in (*MEMBERSHIP, "==", "!="):
        sql = f"{column} IN ({marks(texts)})"
        negated = negated != (operator in ("!=", "not in"))
    elif operator == "contains":
        sql = _contains(column, operands[0], comparison.ignore_case)
    else:
        sql = f"{column} {operator} ?"
    if comparison.field == "key":  # may be null, unlike an id
        sql = f"{column} IS NULL OR {sql}" if None in operands else f"{column} IS NOT NULL AND {sql}"
    return Expression(f"NOT ({sql})" if negated else f"({sql})", texts)


def _compare(comparison: Comparison, collection: int, negated: bool) -> _Part:
    name, operator, value = comparison.name, comparison.operator, comparison.value
    if operator == "contains":
        return _Membership(_contains_tests(name, value, comparison.ignore_case), negated)
    if operator in ORDERING:
        test = _order_instants if isinstance(value, Instant) else _order_test
        return _Membership((test(name, operator, value),), negated)
    negated = negated != (operator in ("!=", "not in"))
    operands = list(value) if operator in MEMBERSHIP else [value]
    equal = _Membership(_equal(name, [operand for operand in operands if operand is not None]), negated)
    if None not in operands:
        return equal
    # A null has no row in `fields`.
    null = _Membership((_Test(name, "element = 0"),), not negated)
    return _join("AND" if negated else "OR", [null, equal], collection) if len(operands) > 1 else null


def _equal(name: str, operands: Sequence[Any]) -> tuple[_Test, ...]:
    by_kind: dict[Kind, list[Any]] = defaultdict(list)
    scalars = [operand for operand in operands if not isinstance(operand, Instant)]
    for kind, value in dict.fromkeys(encode_value(operand) for operand in scalars):
        by_kind[kind].append(value)
    tests = [
        _Test(name, f"element = 0 AND kind = {int(kind)} AND value IN ({marks(values)})", tuple(values))
        for kind, values in by_kind.items()
    ]
    if instants := {operand.absolute for operand in operands if isinstance(operand, Instant)}:
        tests.append(_Test(name, f"{_INSTANTS} AND value IN ({marks(list(instants))})", tuple(instants)))
    return tuple(tests)


_INSTANTS = f"element = {INSTANT} AND kind = {int(Kind.NUMBER)}"


def _order_instants(name: str, operator: str, operand: Instant) -> _Test:
    return _Test(name, f"{_INSTANTS} AND value {operator} ?", (operand.absolute,))


def _order_test(name: str, operator: str, value: Any) -> _Test:
    operand = encode_value(value)
    first, last = kind_range(operand.kind)
    end = f"kind >= {int(first)}" if operator in ("<", "<=") else f"kind <= {int(last)}"
    return _Test(name, f"element = 0 AND {end} AND (kind, value) {operator} (?, ?)", (int(operand.kind), operand.value))


def _contains_tests(name: str, value: Any, ignore_case: bool) -> tuple[_Test, ...]:
    kind, form = encode_value(value.casefold() if ignore_case else value)
    equal = f"{_CASEFOLD.format('value')} = CAST(? AS BLOB)" if ignore_case else "value = ?"
    element = _Test(name, f"element = 1 AND kind = {int(kind)} AND {equal}", (form,))
    if kind is not Kind.TEXT:
        return (element,)
    return element, _Test(
        name, f"element = 0 AND kind = {int(kind)} AND {_contains('value', value, ignore_case)}", (form,)
    )


_CASEFOLD = "casefold(CAST({} AS BLOB))"


_LONG_PART = 1000
"""Characters of a part, from which on `instr`, whose work grows with the product of both lengths, is not used."""


def _contains(text: str, part: str, ignore_case: bool) -> str:
    """Return SQL that is true if a text contains the parameter.

    Args:
        text: SQL of the text.
        part: the parameter; case-folded already if case is ignored.
    """
    if len(part) > _LONG_PART:
        text = _CASEFOLD.format(text) if ignore_case else f"CAST({text} AS BLOB)"
        return f"holds({text}, CAST(? AS BLOB))"
    return f"instr({_CASEFOLD.format(text)}, CAST(? AS BLOB)) > 0" if ignore_case else f"instr({text}, ?) > 0"


VECTOR_COLUMNS = (
    'vectors."row", vectors.document, vectors.first, vectors.last, vectors.key_vector, vectors.value_vector, '
    "vectors.waiting, vectors.checksum"
)


FEEDBACK_BYTES = " + ".join(
    f"ifnull(length(CAST({column} AS BLOB)), 0)" for column in ("query", "document", "observed")
)
"""The bytes of a record of feedback."""


def format_unexpired(now: int | None) -> str:
    """Return SQL that is true for documents that have not expired at `now`; None for all documents."""
    return "1" if now is None else f"(documents.expires IS NULL OR documents.expires > {int(now)})"


@contextmanager
def all_or_none(connection: Connection) -> Iterator[None]:
    """Run the block in a write transaction of its own; roll back if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def marks(values: Sequence[Any]) -> str:
    """Return a question mark for each value, joined by commas."""
    return ", ".join("?" * len(values))


MAX_PARAMETERS = 8192
"""The most parameters of a statement that inserts rows; SQLite takes 32,766."""


def insert_rows(connection: Connection, table: str, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows, many with each statement: Python's lock is free while one runs, so other threads work meanwhile.

    A column that is NULL in all rows is left out, since Python's module takes long to bind a None.
    """
    columns = {
        name: values
        for name, values in zip(names, zip(*rows, strict=True), strict=False)
        if values.count(None) < len(values)
    }
    start, total = 0, len(next(iter(columns.values()), ()))
    while start < total:
        # A power of two: there are few different statements, and the connection keeps them prepared.
        count = 1 << (min(total - start, MAX_PARAMETERS // len(columns)).bit_length() - 1)
        parts = (values[start : start + count] for values in columns.values())
        parameters = [value for row in zip(*parts, strict=True) for value in row]
        connection.execute(_format_insert(table, tuple(columns), count), parameters)
        start += count


@lru_cache
def _format_insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([f'({marks(columns)})'] * rows)}"


def parse_numbers(text: str | None) -> RowNumbers:
    """Parse row numbers int64[n] from the text of `group_concat`, much faster than row by row; None gives none."""
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def format_numbers(rows: Any) -> str:
    """Format row numbers as a JSON list for `json_each`: one parameter for any number of them."""
    return json.dumps(np.asarray(rows, dtype=np.int64).tolist())

"""Parts of SQL statements: column lists, values as the tables hold them, and conditions as expressions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softkv_service.storage.conditions import MEMBERSHIP, ORDERING, Combination, Comparison, Condition
from softkv_service.storage.fields import INSTANT, EncodedValue, FieldRow, Kind, encode_value, is_utf8
from softkv_service.storage.instants import Instant
from softkv_service.storage.serialisation import NUL

VECTOR_COLUMNS = '"row", document, first, last, key_vector, value_vector, waiting, checksum'

LAST = 2**63 - 1  # no row number is higher
LIVING = "documents.died IS NULL"
PREFIX = 200  # characters of a text in its index: an entry of a b-tree is at most a third of a page


FEEDBACK_BYTES = " + ".join(f"coalesce(octet_length({column}), 0)" for column in ("query", "document", "observed"))
"""The bytes of a record of feedback."""


def living_at(version: int) -> str:
    """Return SQL that is true for the documents that exist at a version."""
    return f"documents.born <= {int(version)} AND (documents.died IS NULL OR documents.died > {int(version)})"


def format_unexpired(living: str, now: int | None) -> str:
    """Return SQL that is true for living documents that have not expired at `now`; None for all living ones."""
    return living if now is None else f"{living} AND (documents.expires IS NULL OR documents.expires > {int(now)})"


def digest(name: str) -> bytes:
    """Return the digest by which the tables identify a field's name."""
    return blake2b(name.encode(), digest_size=16).digest()


def fold_case(text: str | None) -> str | None:
    """Fold the case of a text; return None if that changes nothing."""
    if text is None:
        return None
    result = text.casefold()
    return None if result == text else result


def numbers(rows: Any) -> list[int]:
    """Convert any number of row numbers to one parameter of a statement."""
    return np.asarray(rows, dtype=np.int64).tolist()  # type: ignore[no-any-return]


def array(rows: list[int] | None) -> NDArray[np.int64]:
    """Convert the result of an aggregate to int64[n]; None gives an empty array."""
    return np.array(rows or [], dtype=np.int64)


def is_number(kind: int) -> bool:
    """Return whether values of this kind are stored in the column `number`."""
    return kind <= Kind.NUMBER_ABOVE


def kind_of(kind: int) -> int:
    """Return the kind as the table stores it: one for all numbers, since `numeric` has no limits."""
    return int(Kind.NUMBER) if kind in (Kind.NUMBER_BELOW, Kind.NUMBER_ABOVE) else int(kind)


def number_entry(kind: int, value: Any) -> tuple[Decimal, bool]:
    """Return a number or boolean as the columns `number` (exact) and `whole` store it."""
    if isinstance(value, bytes):
        scalar = _decode_integer(kind, value)
        return Decimal(scalar), 0 <= scalar < 2**64
    return Decimal(value), not isinstance(value, float)


def field_entry(collection: int, row: int, field: FieldRow) -> tuple[Any, ...]:
    """Return a row of the table `fields`."""
    name, element, kind, value = field
    begin = (collection, digest(name), element, kind_of(kind))
    if is_number(kind):
        return (*begin, *number_entry(kind, value), None, None, row)
    text = str(value)
    return (*begin, None, None, text, fold_case(text) if kind == Kind.TEXT else None, row)


def decode_value(kind: int, number: Decimal | None, is_integer: bool | None, text: str | None) -> EncodedValue:
    """Decode a value of the table to the form of `encode_value`."""
    if number is None:
        return EncodedValue(Kind(kind), text or "")
    if kind != Kind.NUMBER:
        return EncodedValue(Kind(kind), int(number))
    if -(2**63) <= number < 2**63:
        return EncodedValue(Kind.NUMBER, int(number) if is_integer else float(number))
    return encode_value(int(number))


def _decode_integer(kind: int, form: bytes) -> int:
    negative = kind == Kind.NUMBER_BELOW
    number = int.from_bytes(bytes(255 - byte for byte in form)[4:] if negative else form[4:], "big")
    return -number if negative else number


_MAX_JOINS = 8
"""Up to this number, comparisons of metadata are planned as joins: 1,000 joins would take the planner minutes."""


@dataclass(frozen=True)
class Expression:
    """A piece of SQL, and the values for its `%s` placeholders."""

    sql: str
    parameters: tuple[Any, ...] = ()


TRUE, FALSE = Expression("true"), Expression("false")


@dataclass(frozen=True)
class _Scope:
    """The collection that a condition is compiled for, and whether it has few enough comparisons to plan them
    as joins.
    """

    collection: int
    joined: bool


def compile_condition(condition: Condition, collection: int) -> Expression:
    """Return the expression that is true for the documents of a collection that match the condition."""
    return _compile(condition, _Scope(collection, _leaves(condition) <= _MAX_JOINS), negated=False)


def where_passes(condition: Condition | None, collection: int) -> Expression:
    """Return the expression for a condition, or TRUE without a condition."""
    return TRUE if condition is None else compile_condition(condition, collection)


def with_ids(ids: Sequence[str] | None) -> Expression:
    """Return the expression for documents with these ids; ids that cannot be stored are left out."""
    if ids is None:
        return TRUE
    storable = [identity for identity in ids if is_utf8(identity) and NUL not in identity]
    return Expression("documents.id = ANY(%s::text[])", (storable,))


def _leaves(condition: Condition) -> int:
    return sum(map(_leaves, condition.conditions)) if isinstance(condition, Combination) else 1


def both(*parts: Expression) -> Expression:
    """Return the conjunction (AND) of these expressions."""
    return _join("AND", parts)


def _compile(condition: Condition, scope: _Scope, *, negated: bool) -> Expression:
    if isinstance(condition, Combination):
        inverted = negated != (condition.operator == "NOT")
        if not condition.conditions:
            return TRUE if (condition.operator == "AND") != negated else FALSE
        parts = [_compile(child, scope, negated=inverted) for child in condition.conditions]
        return _join("OR" if (condition.operator == "OR") != inverted else "AND", parts)
    if condition.in_metadata:
        return _compare(condition, scope, negated)
    return _compare_text(condition, negated)


def _join(operator: str, parts: Sequence[Expression]) -> Expression:
    """Join expressions in one chain, which PostgreSQL parses without recursion."""
    if len(parts) == 1:
        return parts[0]
    parameters = tuple(parameter for part in parts for parameter in part.parameters)
    return Expression(f"({f' {operator} '.join(part.sql for part in parts)})", parameters)


def _compare_text(comparison: Comparison, negated: bool) -> Expression:
    column, operator, value = f"documents.{comparison.field}", comparison.operator, comparison.value
    operands = list(value) if operator in MEMBERSHIP else [value]
    if operator in (*MEMBERSHIP, "==", "!="):
        test = Expression(f"{column} = ANY(%s::text[])", (_storable(operands),))
        negated = negated != (operator in ("!=", "not in"))
    elif operator == "contains":
        test = _contains(column, f"documents.folded_{comparison.field}", value, comparison.ignore_case)
    else:
        test = _compare_texts(column, operator, value)
    sql = test.sql
    if comparison.field == "key":  # may be null, unlike an id
        sql = f"{column} IS NULL OR {sql}" if None in operands else f"{column} IS NOT NULL AND {sql}"
    return Expression(f"NOT ({sql})" if negated else f"({sql})", test.parameters)


def _compare(comparison: Comparison, scope: _Scope, negated: bool) -> Expression:
    name, operator, value = comparison.name, comparison.operator, comparison.value
    if operator == "contains":
        return _has_field(scope, name, _contains_tests(value, comparison.ignore_case), negated)
    if operator in ORDERING:
        return _has_field(scope, name, [_in_order(operator, value)], negated)
    negated = negated != (operator in ("!=", "not in"))
    operands = list(value) if operator in MEMBERSHIP else [value]
    parts = []
    if None in operands:  # a null has no row in `fields`
        parts.append(_has_field(scope, name, [Expression("element = 0")], not negated))
    if values := [operand for operand in operands if operand is not None]:
        parts.append(_has_field(scope, name, _equal(values), negated))
    return _join("AND" if negated else "OR", parts) if parts else (TRUE if negated else FALSE)


def _has_field(scope: _Scope, name: str, tests: Sequence[Expression], negated: bool) -> Expression:
    """Return the expression for documents with a row (or no row) in `fields` that passes one of the tests."""
    test = _join("OR", tests)
    parameters = (scope.collection, digest(name), *test.parameters)
    where = f"fields.collection = %s AND fields.field = %s AND {test.sql}"
    subquery = f'documents."row" IN (SELECT fields."row" FROM softkv.fields WHERE {where})'
    if not scope.joined:  # each comparison becomes a hashed subplan
        return Expression(f"({subquery}) IS {'FALSE' if negated else 'TRUE'}", parameters)
    if negated:
        subquery = f'NOT EXISTS (SELECT FROM softkv.fields WHERE fields."row" = documents."row" AND {where})'
    return Expression(subquery, parameters)


def _equal(operands: Sequence[Any]) -> list[Expression]:
    by_kind: dict[int, list[Any]] = defaultdict(list)
    instants = [operand.absolute for operand in operands if isinstance(operand, Instant)]
    for operand in operands:
        if isinstance(operand, Instant):
            continue
        kind, value = encode_value(operand)
        by_kind[kind_of(kind)].append(number_entry(kind, value)[0] if is_number(kind) else value)
    tests = [_equal_of(0, kind, values) for kind, values in by_kind.items()]
    return [*tests, _equal_of(INSTANT, Kind.NUMBER, instants)] if instants else tests


def _equal_of(element: int, kind: int, values: list[Any]) -> Expression:
    begin = f"element = {int(element)} AND kind = {int(kind)}"
    if is_number(kind):
        return Expression(f"({begin} AND number = ANY(%s::numeric[]))", (values,))
    texts = _storable(values)
    prefixes = [text[:PREFIX] for text in texts]
    return Expression(
        f"({begin} AND left(text, {PREFIX}) = ANY(%s::text[]) AND text = ANY(%s::text[]))", (prefixes, texts)
    )


def _in_order(operator: str, value: Any) -> Expression:
    if isinstance(value, Instant):
        begin = f"element = {INSTANT} AND kind = {int(Kind.NUMBER)}"
        return Expression(f"({begin} AND number {operator} %s)", (Decimal(value.absolute),))
    kind, form = encode_value(value)
    begin = f"element = 0 AND kind = {kind_of(kind)}"
    if is_number(kind):
        return Expression(f"({begin} AND number {operator} %s)", (number_entry(kind, form)[0],))
    ordered = _compare_texts("text", operator, value)
    end = ">=" if operator in (">", ">=") else "<="
    prefix = f"left(text, {PREFIX}) {end} %s"
    return Expression(
        f"({begin} AND {prefix} AND {ordered.sql})", (ordered.parameters[0][:PREFIX], *ordered.parameters)
    )


def _contains_tests(value: Any, ignore_case: bool) -> list[Expression]:
    kind, form = encode_value(value)
    if is_number(kind):
        return [_equal_of(1, kind_of(kind), [number_entry(kind, form)[0]])]
    part = _contains("text", "folded", value, ignore_case)
    element = _equal_of(1, kind, [value])
    if ignore_case:
        equal, texts = "coalesce(folded, text) = ANY(%s::text[])", _storable([value.casefold()])
        element = Expression(f"(element = 1 AND kind = {int(kind)} AND {equal})", (texts,))
    return [element, Expression(f"(element = 0 AND kind = {int(kind)} AND {part.sql})", part.parameters)]


def _contains(column: str, folded: str, value: str, ignore_case: bool) -> Expression:
    """Return the expression that is true if a text contains the value."""
    if NUL in value:
        return FALSE
    if ignore_case:
        return Expression(f"strpos(coalesce({folded}, {column}), %s) > 0", (value.casefold(),))
    return Expression(f"strpos({column}, %s) > 0", (value,))


def _compare_texts(column: str, operator: str, value: str) -> Expression:
    """Compare texts in order. Stored texts have no NUL, so an operand with one follows its part before the NUL."""
    before, nul, _ = value.partition(NUL)
    if nul:
        operator = "<=" if operator in ("<", "<=") else ">"
    return Expression(f"{column} {operator} %s", (before,))


def _storable(texts: Sequence[str | None]) -> list[str]:
    """Return the texts that can be equal to a stored text."""
    return [text for text in texts if text is not None and NUL not in text]

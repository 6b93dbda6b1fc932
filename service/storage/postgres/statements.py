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

from service.storage.conditions import MEMBERSHIP, ORDERING, Combination, Comparison, Condition
from service.storage.fields import EncodedValue, FieldRow, Kind, encode_value, is_utf8
from service.storage.serialisation import NUL, SETTINGS_COLUMNS

COLLECTION_COLUMNS = f"id, name, documents, keyless, checksum, {SETTINGS_COLUMNS}"
TEXT_COLUMNS = (
    'documents."row", documents.collection, documents.id, documents.key, documents.value, documents.metadata, '
    "documents.keys, documents.checksum"
)
VECTOR_COLUMNS = '"row", document, first, last, key_vector, value_vector, checksum'

LAST = 2**63 - 1  # no row number is higher
LIVING = "documents.died IS NULL"
PREFIX = 200  # characters of a text that its index holds: a row of a b-tree is a third of a page at most


def living_at(version: int) -> str:
    """Which rows are facts of a version."""
    return f"documents.born <= {int(version)} AND (documents.died IS NULL OR documents.died > {int(version)})"


def digest(name: str) -> bytes:
    """Under which a field's name stands; two names have two."""
    return blake2b(name.encode(), digest_size=16).digest()


def folded(text: str | None) -> str | None:
    """A text with its case folded; None where that is the text itself."""
    if text is None:
        return None
    other = text.casefold()
    return None if other == text else other


def numbers(rows: Any) -> list[int]:
    """Row numbers as one parameter, for any number of them."""
    return np.asarray(rows, dtype=np.int64).tolist()  # type: ignore[no-any-return]


def array(rows: list[int] | None) -> NDArray[np.int64]:
    """int64[n] of what an aggregate gave; None for none."""
    return np.array(rows or [], dtype=np.int64)


def is_number(kind: int) -> bool:
    """Whether values of this kind stand in the column `number`."""
    return kind <= Kind.NUMBER_ABOVE


def kind_of(kind: int) -> int:
    """The kind as it stands in the table: numbers of all sizes have one, since `numeric` holds them all."""
    return int(Kind.NUMBER) if kind in (Kind.NUMBER_BELOW, Kind.NUMBER_ABOVE) else int(kind)


def number_entry(kind: int, value: Any) -> tuple[Decimal, bool]:
    """A number or a boolean as it stands in the columns `number`, exactly, and `whole`."""
    if isinstance(value, bytes):
        scalar = _integer(kind, value)
        return Decimal(scalar), 0 <= scalar < 2**64
    return Decimal(value), not isinstance(value, float)


def field_entry(collection: int, row: int, field: FieldRow) -> tuple[Any, ...]:
    """A row of the table `fields`."""
    begin = (collection, digest(field.field), field.element, kind_of(field.kind))
    if is_number(field.kind):
        return (*begin, *number_entry(field.kind, field.value), None, None, row)
    text = str(field.value)
    return (*begin, None, None, text, folded(text) if field.kind == Kind.TEXT else None, row)


def stored_of(kind: int, number: Decimal | None, whole: bool | None, text: str | None) -> EncodedValue:
    """A value of the table as `stored` gives it."""
    if number is None:
        return EncodedValue(Kind(kind), text or "")
    if kind != Kind.NUMBER:
        return EncodedValue(Kind(kind), int(number))
    if -(2**63) <= number < 2**63:
        return EncodedValue(Kind.NUMBER, int(number) if whole else float(number))
    return encode_value(int(number))


def _integer(kind: int, form: bytes) -> int:
    negative = kind == Kind.NUMBER_BELOW
    number = int.from_bytes(bytes(255 - byte for byte in form)[4:] if negative else form[4:], "big")
    return -number if negative else number


_JOINED = 8
"""Comparisons of metadata that are planned as joins: a thousand of them would take the planner minutes."""


@dataclass(frozen=True)
class Expression:
    """SQL and the values of its `%s`."""

    sql: str
    parameters: tuple[Any, ...] = ()


TRUE, FALSE = Expression("true"), Expression("false")


@dataclass(frozen=True)
class _Scope:
    """Of which collection; and whether there are so few comparisons that the planner may join what they find."""

    collection: int
    joined: bool


def compile_condition(condition: Condition, collection: int) -> Expression:
    """The expression that is true of the documents of a collection that pass."""
    return _compile(condition, _Scope(collection, _leaves(condition) <= _JOINED), negated=False)


def where_passes(condition: Condition | None, collection: int) -> Expression:
    """The same, true of all where there is no condition."""
    return TRUE if condition is None else compile_condition(condition, collection)


def with_ids(ids: Sequence[str] | None) -> Expression:
    """Of these ids; what is not UTF-8, or holds a NUL, names no document."""
    if ids is None:
        return TRUE
    return Expression("documents.id = ANY(%s::text[])", ([each for each in ids if is_utf8(each) and NUL not in each],))


def _leaves(condition: Condition) -> int:
    return sum(map(_leaves, condition.conditions)) if isinstance(condition, Combination) else 1


def both(*parts: Expression) -> Expression:
    """Whether all of them are true."""
    return _join("AND", parts)


def _compile(condition: Condition, scope: _Scope, *, negated: bool) -> Expression:
    if isinstance(condition, Combination):
        inverted = negated != (condition.operator == "NOT")
        if not condition.conditions:
            return TRUE if (condition.operator == "AND") != negated else FALSE
        parts = [_compile(each, scope, negated=inverted) for each in condition.conditions]
        return _join("OR" if (condition.operator == "OR") != inverted else "AND", parts)
    if condition.in_metadata:
        return _compare(condition, scope, negated)
    return _compare_text(condition, negated)


def _join(operator: str, parts: Sequence[Expression]) -> Expression:
    """Side by side, which PostgreSQL reads without going deeper."""
    if len(parts) == 1:
        return parts[0]
    parameters = tuple(each for part in parts for each in part.parameters)
    return Expression(f"({f' {operator} '.join(part.sql for part in parts)})", parameters)


def _compare_text(comparison: Comparison, negated: bool) -> Expression:
    column, operator, value = f"documents.{comparison.field}", comparison.operator, comparison.value
    wanted = list(value) if operator in MEMBERSHIP else [value]
    if operator in (*MEMBERSHIP, "==", "!="):
        found = Expression(f"{column} = ANY(%s::text[])", (_storable(wanted),))
        negated = negated != (operator in ("!=", "not in"))
    elif operator == "contains":
        found = _part_of(column, f"documents.folded_{comparison.field}", value, comparison.ignore_case)
    else:
        found = _ordered(column, operator, value)
    sql = found.sql
    if comparison.field == "key":  # which may be null, as an id is not
        sql = f"{column} IS NULL OR {sql}" if None in wanted else f"{column} IS NOT NULL AND {sql}"
    return Expression(f"NOT ({sql})" if negated else f"({sql})", found.parameters)


def _compare(comparison: Comparison, scope: _Scope, negated: bool) -> Expression:
    name, operator, value = comparison.name, comparison.operator, comparison.value
    if operator == "contains":
        return _among(scope, name, _holds(value, comparison.ignore_case), negated)
    if operator in ORDERING:
        return _among(scope, name, [_in_order(operator, value)], negated)
    negated = negated != (operator in ("!=", "not in"))
    wanted = list(value) if operator in MEMBERSHIP else [value]
    parts = []
    if None in wanted:  # a null is what has no row
        parts.append(_among(scope, name, [Expression("element = 0")], not negated))
    if values := [each for each in wanted if each is not None]:
        parts.append(_among(scope, name, _equal(values), negated))
    return _join("AND" if negated else "OR", parts) if parts else (TRUE if negated else FALSE)


def _among(scope: _Scope, name: str, tests: Sequence[Expression], negated: bool) -> Expression:
    """Whether a document is (not) among those with a row in `fields` that passes any of the tests."""
    test = _join("OR", tests)
    parameters = (scope.collection, digest(name), *test.parameters)
    where = f"fields.collection = %s AND fields.field = %s AND {test.sql}"
    found = f'documents."row" IN (SELECT fields."row" FROM fields WHERE {where})'
    if not scope.joined:  # looked up in a hash of what each comparison finds
        return Expression(f"({found}) IS {'FALSE' if negated else 'TRUE'}", parameters)
    if negated:
        found = f'NOT EXISTS (SELECT FROM fields WHERE fields."row" = documents."row" AND {where})'
    return Expression(found, parameters)


def _equal(wanted: Sequence[Any]) -> list[Expression]:
    by_kind: dict[int, list[Any]] = defaultdict(list)
    for each in wanted:
        kind, value = encode_value(each)
        by_kind[kind_of(kind)].append(number_entry(kind, value)[0] if is_number(kind) else value)
    return [_equal_of(0, kind, values) for kind, values in by_kind.items()]


def _equal_of(element: int, kind: int, values: list[Any]) -> Expression:
    begin = f"element = {element} AND kind = {kind}"
    if is_number(kind):
        return Expression(f"({begin} AND number = ANY(%s::numeric[]))", (values,))
    texts = _storable(values)
    prefixes = [each[:PREFIX] for each in texts]
    return Expression(
        f"({begin} AND left(text, {PREFIX}) = ANY(%s::text[]) AND text = ANY(%s::text[]))", (prefixes, texts)
    )


def _in_order(operator: str, value: Any) -> Expression:
    kind, form = encode_value(value)
    begin = f"element = 0 AND kind = {kind_of(kind)}"
    if is_number(kind):
        return Expression(f"({begin} AND number {operator} %s)", (number_entry(kind, form)[0],))
    ordered = _ordered("text", operator, value)
    end = ">=" if operator in (">", ">=") else "<="
    prefix = f"left(text, {PREFIX}) {end} %s"
    return Expression(
        f"({begin} AND {prefix} AND {ordered.sql})", (ordered.parameters[0][:PREFIX], *ordered.parameters)
    )


def _holds(value: Any, ignore_case: bool) -> list[Expression]:
    kind, form = encode_value(value)
    if is_number(kind):
        return [_equal_of(1, kind_of(kind), [number_entry(kind, form)[0]])]
    part = _part_of("text", "folded", value, ignore_case)
    whole = _equal_of(1, kind, [value])
    if ignore_case:
        same, texts = "coalesce(folded, text) = ANY(%s::text[])", _storable([value.casefold()])
        whole = Expression(f"(element = 1 AND kind = {int(kind)} AND {same})", (texts,))
    return [whole, Expression(f"(element = 0 AND kind = {int(kind)} AND {part.sql})", part.parameters)]


def _part_of(column: str, folded: str, value: str, ignore_case: bool) -> Expression:
    """Whether a text holds the value as a part."""
    if NUL in value:
        return FALSE
    if ignore_case:
        return Expression(f"strpos(coalesce({folded}, {column}), %s) > 0", (value.casefold(),))
    return Expression(f"strpos({column}, %s) > 0", (value,))


def _ordered(column: str, operator: str, value: str) -> Expression:
    """No stored text holds a NUL, which PostgreSQL takes in none: one with it stands right behind what is before it."""
    before, nul, _ = value.partition(NUL)
    if nul:
        operator = "<=" if operator in ("<", "<=") else ">"
    return Expression(f"{column} {operator} %s", (before,))


def _storable(texts: Sequence[str | None]) -> list[str]:
    """Those that can be equal to a stored text."""
    return [each for each in texts if each is not None and NUL not in each]

"""Columns and statistics of metadata fields, read from the table `fields`."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any, get_args

import numpy as np
from psycopg import Connection

from softkv_postgres.connections import work_memory
from softkv_postgres.statements import (
    LAST,
    PREFIX,
    TRUE,
    Expression,
    array,
    decode_value,
    digest,
    is_number,
    kind_of,
    number_entry,
)
from softkv_service.storage.conditions import FIRST_KIND, LAST_KIND, Column, DistinctValues, Entries, Order, Position
from softkv_service.storage.fields import INSTANT, EncodedValue, Kind, Scalar, decode_scalar, encode_value
from softkv_service.storage.records import FieldFacts, FieldKinds, FieldType, FieldValue

_VALUES = f"element < {INSTANT}"  # without instants, which follow from the texts
_SELECTION = f"""\
FROM softkv.fields
WHERE collection = %(collection)s AND field = %(field)s AND {_VALUES}
  AND "row" > %(after)s AND "row" <= %(last)s"""
_SIZE = f"""\
SELECT sum(12 * times + coalesce(length(text), 8) + 8)
FROM (SELECT text, count(*) AS times {_SELECTION} GROUP BY element, kind, number, text) AS groups"""
# 1 and 1.0 are the same value.
_GROUPS = f"""\
SELECT element, kind, number, bool_or(whole), text, array_agg("row") {_SELECTION}
GROUP BY element, kind, number, text ORDER BY element, kind, number, text"""


def read_column(
    connection: Connection[Any], collection: int, field: str, *, after: int, last: int | None, most_bytes: int | None
) -> Column | None:
    """Read the column of the rows after `after`, up to `last`; return None if it takes more than `most_bytes`."""
    parameters = {
        "collection": collection,
        "field": digest(field),
        "after": after,
        "last": LAST if last is None else last,
    }
    groups = (_Groups(), _Groups())
    with work_memory(connection), connection.cursor() as cursor:
        if most_bytes is not None:
            size = connection.execute(_SIZE, parameters).fetchone()
            if size is not None and (size[0] or 0) > most_bytes:
                return None
        for element, kind, number, is_integer, text, rows in cursor.execute(_GROUPS, parameters):
            groups[element].add(*decode_value(kind, number, is_integer, text), rows)
    return Column(*(group.entries() for group in groups))


class _Groups:
    """The distinct values of a field, in their order, with the rows of each value."""

    def __init__(self) -> None:
        self.values: defaultdict[Kind, list[Any]] = defaultdict(list)
        self.rows: list[list[int]] = []

    def add(self, kind: Kind, value: int | float | str | bytes, rows: list[int]) -> None:
        self.values[kind].append(value)
        self.rows.append(rows)

    def entries(self) -> Entries:
        rows = np.concatenate([array(rows) for rows in self.rows]) if self.rows else array(None)
        codes = np.repeat(np.arange(len(self.rows), dtype=np.int32), [len(rows) for rows in self.rows])
        order = np.argsort(rows, kind="stable")
        return Entries(DistinctValues(self.values), rows[order], codes[order])


_LIST, _NUMBER, _TEXT = int(Kind.LIST), int(Kind.NUMBER), int(Kind.TEXT)
# Lists and objects are counted as one value each: their elements and paths have rows of their own.
_FACTS = f"""\
WITH seen AS MATERIALIZED (
    SELECT kind, number, whole, CASE WHEN kind < {_LIST} THEN text END AS held,
           count(*) AS times, count(*) FILTER (WHERE element = 0) AS documents
    FROM softkv.fields WHERE collection = %(collection)s AND field = %(field)s AND {_VALUES} AND {{among}}
    GROUP BY 1, 2, 3, 4
), shown AS (
    SELECT * FROM seen WHERE kind < {_LIST}
    AND (times < %(times)s OR times = %(times)s
         AND (kind, coalesce(number, 0), coalesce(held, ''), whole IS FALSE)
             > (%(kind)s, %(number)s, %(held)s, %(real)s))
    ORDER BY times DESC, kind, number, held, whole IS FALSE LIMIT %(most)s
)
(SELECT false, kind, whole, count(*), sum(documents)::bigint, min(number), max(number), min(held), max(held)
 FROM seen GROUP BY kind, whole ORDER BY kind, whole DESC)
UNION ALL
(SELECT true, kind, whole, times, 0, number, NULL, held, NULL FROM shown
 ORDER BY times DESC, kind, number, held, whole IS FALSE)"""
_AMONG = '"row" = ANY(%(rows)s)'
_LIVING = """\
EXISTS (SELECT FROM softkv.documents WHERE documents.collection = fields.collection
        AND documents."row" = fields."row" AND {living})"""
# A name stays in the table after the last document with it is deleted.
_NAMES = """\
SELECT name FROM softkv.names
WHERE collection = %(collection)s AND (%(after)s::text IS NULL OR name > %(after)s)
  AND EXISTS (SELECT FROM softkv.fields JOIN softkv.documents USING (collection, "row")
              WHERE fields.collection = names.collection AND fields.field = names.field AND {living})
ORDER BY name LIMIT %(limit)s"""
# One index lookup for each kind.
_KINDS = f"""\
SELECT element, kind
FROM unnest(%(kinds)s::smallint[]) AS kinds (kind), unnest('{{{{0,1,{INSTANT}}}}}'::smallint[]) AS elements (element)
WHERE EXISTS (SELECT FROM softkv.fields JOIN softkv.documents USING (collection, "row")
              WHERE fields.collection = %(collection)s AND fields.field = %(field)s
              AND fields.element = elements.element AND fields.kind = kinds.kind AND {{living}}
              AND (%(rows)s::bigint[] IS NULL OR fields."row" = ANY(%(rows)s)))"""
_TYPES: dict[int, FieldType] = {
    Kind.NULL: "null",
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: "text",
    Kind.LIST: "list",
    Kind.OBJECT: "object",
}


def read_names(connection: Connection[Any], collection: int, after: str | None, limit: int, living: str) -> list[str]:
    """Read at most `limit` field names after `after`, ordered by code point."""
    parameters = {"collection": collection, "after": after, "limit": limit}
    names = connection.execute(_NAMES.format(living=living), parameters)
    return [name for (name,) in names]


def read_kinds(
    connection: Connection[Any], collection: int, field: str, rows: list[int] | None, living: str
) -> FieldKinds:
    """Read which kinds of values the field has; numbers of all sizes have one kind.

    Args:
        rows: only in the documents with these row numbers; None for all documents.
        living: SQL that is true for existing documents.
    """
    kinds = [int(kind) for kind in Kind]
    parameters = {"collection": collection, "field": digest(field), "kinds": kinds, "rows": rows}
    stored_kinds = connection.execute(_KINDS.format(living=living), parameters).fetchall()
    field_kinds, element_kinds, instants = (
        frozenset(Kind(kind) for stored, kind in stored_kinds if stored == element) for element in (0, 1, INSTANT)
    )
    return FieldKinds(field_kinds, element_kinds, bool(instants))


def read_facts(
    connection: Connection[Any],
    collection: int,
    field: str,
    rows: list[int] | None,
    values: int,
    after: FieldValue | None,
    living: str,
) -> FieldFacts:
    """Read statistics of the field over the documents in `rows`.

    Args:
        rows: row numbers; None for all documents.
        values: how many distinct values to list.
        after: list the values after this one.
        living: SQL that is true for existing documents.
    """
    condition = _LIVING.format(living=living) if rows is None else _AMONG
    parameters = {
        "collection": collection,
        "field": digest(field),
        "rows": rows,
        "most": values,
        **_position(after),
    }
    groups: list[tuple[Any, ...]] = []
    listed: list[FieldValue] = []
    with work_memory(connection):
        rows_read = connection.execute(_FACTS.format(among=condition), parameters).fetchall()
    for is_value, *row in rows_read:
        if is_value:
            kind, is_integer, times, _, number, _, text, _ = row
            listed.append(FieldValue(decode_scalar(*decode_value(kind, number, is_integer, text)), times))
        else:
            groups.append(tuple(row))
    types = {_type(kind, is_integer) for kind, is_integer, *_ in groups}
    least, greatest = _extremes(groups)
    return FieldFacts(
        types=tuple(name for name in get_args(FieldType) if name in types),
        count=sum(row[3] for row in groups),
        distinct=sum(row[2] for row in groups if row[0] < _LIST),
        min=least,
        max=greatest,
        values=tuple(listed),
    )


def _type(kind: int, is_integer: bool | None) -> FieldType:
    return _TYPES.get(kind) or ("integer" if is_integer else "number")


def _extremes(groups: list[tuple[Any, ...]]) -> tuple[Scalar, Scalar]:
    """Return the smallest and the largest number.

    Without numbers the smallest and the largest text; without either (None, None).
    """
    numbers = [row for row in groups if row[0] == _NUMBER]
    if numbers:  # integers come first, and are preferred to an equal float
        least, greatest = min(numbers, key=lambda row: row[4]), max(numbers, key=lambda row: row[5])
        return _number(least[4], least[1]), _number(greatest[5], greatest[1])
    for row in groups:
        if row[0] == _TEXT:
            return row[6], row[7]
    return None, None


def _number(number: Decimal, is_integer: bool) -> Scalar:
    return decode_scalar(*decode_value(_NUMBER, number, is_integer, None))


def _position(after: FieldValue | None) -> dict[str, Any]:
    """Return the position of a value in the order of the listed values, as statement parameters."""
    position = {"times": 2**63 - 1, "kind": -1, "number": Decimal(0), "held": "", "real": False}
    if after is None:
        return position
    kind, encoded = encode_value(after.value)
    if is_number(kind):
        number, is_integer = number_entry(kind, encoded)
        return {**position, "times": after.count, "kind": kind_of(kind), "number": number, "real": not is_integer}
    return {**position, "times": after.count, "kind": int(kind), "held": encoded}


# One class of values at a time, since each has an index of its own. Only documents with equal values are sorted.
_ORDERED = """\
SELECT documents."row" FROM softkv.fields JOIN softkv.documents USING (collection, "row")
WHERE collection = %s AND fields.field = %s AND fields.element = 0 AND fields.kind = %s
  AND {living} AND {after} AND {where}
ORDER BY {columns}, documents.id LIMIT %s"""
_UNORDERED = f"""\
SELECT documents."row" FROM softkv.documents
WHERE collection = %s AND documents.id > %s AND {{living}} AND {{where}} AND NOT EXISTS (
    SELECT FROM softkv.fields WHERE fields.collection = documents.collection AND fields."row" = documents."row"
    AND fields.field = %s AND fields.element = 0 AND fields.kind BETWEEN {int(FIRST_KIND)} AND {int(LAST_KIND)}
) ORDER BY documents.id LIMIT %s"""
_ORDERED_KINDS = (Kind.BOOLEAN, Kind.NUMBER, Kind.TEXT)


def rows_in_order(
    connection: Connection[Any],
    collection: int,
    order: Order,
    after: Position | None,
    limit: int,
    where: Expression,
    living: str,
) -> list[int]:
    """Return the row numbers of at most `limit` documents after a position, in the order of a field.

    Args:
        after: None for the first documents.
        where: only documents that this expression is true for.
        living: SQL that is true for existing documents.
    """
    rows, encoded, name = list[int](), None if after is None else after.form, digest(order.field)
    kinds: tuple[Kind, ...] = _ORDERED_KINDS[::-1] if order.descending else _ORDERED_KINDS
    if after is not None:
        kinds = () if encoded is None else kinds[kinds.index(Kind(kind_of(encoded.kind))) :]
    with work_memory(connection):
        for position, kind in enumerate(kinds):
            if len(rows) == limit:
                return rows
            start = TRUE
            if after is not None and encoded is not None and position == 0:
                start = _beyond(order, after.id, encoded)
            columns = ("fields.number",) if is_number(kind) else (f"left(fields.text, {PREFIX})", "fields.text")
            statement = _ORDERED.format(
                living=living,
                after=start.sql,
                where=where.sql,
                columns=", ".join(f"{column} {'DESC' if order.descending else 'ASC'}" for column in columns),
            )
            parameters = (collection, name, int(kind), *start.parameters, *where.parameters, limit - len(rows))
            rows += [row for (row,) in connection.execute(statement, parameters)]
        if len(rows) < limit:
            last = after.id if after is not None and encoded is None else ""
            statement = _UNORDERED.format(living=living, where=where.sql)
            parameters = (collection, last, *where.parameters, name, limit - len(rows))
            rows += [row for (row,) in connection.execute(statement, parameters)]
    return rows


def _beyond(order: Order, identity: str, encoded: EncodedValue) -> Expression:
    """Return the expression for documents after a value and an id, among those with values of its kind."""
    sign = "<" if order.descending else ">"
    if is_number(encoded.kind):
        number, _ = number_entry(encoded.kind, encoded.value)
        sql = f"fields.number {sign}= %s AND (fields.number {sign} %s OR documents.id > %s)"
        return Expression(sql, (number, number, identity))
    text = str(encoded.value)
    sql = (
        f"left(fields.text, {PREFIX}) {sign}= %s AND fields.text {sign}= %s"
        f" AND (fields.text {sign} %s OR documents.id > %s)"
    )
    return Expression(sql, (text[:PREFIX], text, text, identity))

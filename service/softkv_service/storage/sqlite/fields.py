"""Columns and statistics of metadata fields, read from the table `fields`."""

from __future__ import annotations

from collections import defaultdict
from sqlite3 import Connection
from typing import Any, get_args

import numpy as np

from softkv_service.storage.conditions import FIRST_KIND, LAST_KIND, Column, DistinctValues, Entries, Order, Position
from softkv_service.storage.fields import INSTANT, Kind, Scalar, decode_scalar, encode_value, kind_range
from softkv_service.storage.records import FieldFacts, FieldKinds, FieldType, FieldValue
from softkv_service.storage.sqlite.statements import Expression, format_unexpired, parse_numbers

_GROUPED = 'SELECT element, kind, value, count(*), group_concat("row") FROM fields'
_VALUES = f"AND element < {INSTANT}"  # without instants, which follow from the texts
_IN_ORDER = "GROUP BY element, kind, value ORDER BY element, kind, value"


def read_column(
    connection: Connection, collection: int, field: str, *, after: int, most_bytes: int | None
) -> Column | None:
    """Read the column of the rows after `after`; return None if it would take more than `most_bytes`."""
    if after:
        # Few rows are new: the index by row number finds them without reading the rest.
        cursor = connection.execute(
            f'{_GROUPED} INDEXED BY fields_by_row WHERE "row" > ? AND collection = ? AND field = ? {_VALUES}'
            f" {_IN_ORDER}",
            (after, collection, field),
        )
    else:
        cursor = connection.execute(
            f"{_GROUPED} WHERE collection = ? AND field = ? {_VALUES} {_IN_ORDER}", (collection, field)
        )
    groups = (_Groups(), _Groups())
    size = 0
    for element, kind, value, count, rows in cursor:
        groups[element].add(Kind(kind), value, count, rows)
        size += 12 * count + (len(value) if isinstance(value, str | bytes) else 0) + 8
        if most_bytes is not None and size > most_bytes:
            cursor.close()
            return None
    return Column(*(group.entries() for group in groups))


class _Groups:
    """The distinct values of a field, in their order, with the row numbers of each value as a text."""

    def __init__(self) -> None:
        self.values: defaultdict[Kind, list[Any]] = defaultdict(list)
        self.counts: list[int] = []
        self.rows: list[str] = []

    def add(self, kind: Kind, value: int | float | str | bytes, count: int, rows: str) -> None:
        self.values[kind].append(value)
        self.counts.append(count)
        self.rows.append(rows)

    def entries(self) -> Entries:
        rows = parse_numbers(",".join(self.rows))
        codes = np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)
        order = np.argsort(rows, kind="stable")
        return Entries(DistinctValues(self.values), rows[order], codes[order])


# Numbers outside int64 are stored as bytes. They are integers if an unsigned 64-bit integer holds them.
_FORM = (
    f"CASE WHEN typeof(value) <> 'blob' THEN typeof(value)"
    f" WHEN kind = {int(Kind.NUMBER_ABOVE)} AND length(value) = 12 THEN 'integer' ELSE 'real' END"
)
# Lists and objects are counted as one value each: their elements and paths have rows of their own.
_FACTS = f"""\
WITH seen AS MATERIALIZED (
    SELECT kind, iif(kind >= {int(Kind.LIST)}, NULL, value) AS held, {_FORM} AS form,
           count(*) AS times, sum(element = 0) AS documents
    FROM fields WHERE collection = :collection AND field = :field {_VALUES} {{among}}
    GROUP BY 1, 2, 3
)
SELECT 0, kind, form, count(*), sum(documents), min(held), max(held) FROM seen GROUP BY kind, form
UNION ALL
SELECT 1, kind, form, times, 0, held, NULL FROM (
    SELECT * FROM seen WHERE kind < {int(Kind.LIST)}
    AND (times < :times OR times = :times AND (kind, held, form) > (:kind, :held, :form))
    ORDER BY times DESC, kind, held, form LIMIT :most
)"""
# The plus makes SQLite read the rows of the field in order, instead of looking up each row number.
_AMONG = 'AND +"row" IN (SELECT value FROM json_each(:rows))'
# Jumps in the index from one name to the next, past all the rows between them.
_NAMES = """\
WITH RECURSIVE names (name) AS (
    SELECT min(field) FROM fields WHERE collection = :collection AND field {behind} :after
    UNION ALL
    SELECT (SELECT min(field) FROM fields WHERE collection = :collection AND field > name)
    FROM names WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL{shown} LIMIT :limit"""
_SHOWN = " AND EXISTS (SELECT 1 FROM fields WHERE collection = :collection AND field = names.name{unexpired})"
# One index lookup for each kind.
_KINDS = f"""\
SELECT element, kind FROM (SELECT column1 AS kind FROM (VALUES {", ".join(f"({kind:d})" for kind in Kind)})) AS kinds,
                          (SELECT column1 AS element FROM (VALUES (0), (1), ({INSTANT}))) AS elements
WHERE EXISTS (SELECT 1 FROM fields WHERE collection = :collection AND field = :field
              AND fields.element = elements.element AND fields.kind = kinds.kind {{among}})"""
_TYPES: dict[tuple[Kind, str], FieldType] = {
    (Kind.NULL, "integer"): "null",
    (Kind.BOOLEAN, "integer"): "boolean",
    (Kind.TEXT, "text"): "text",
    (Kind.LIST, "text"): "list",
    (Kind.OBJECT, "text"): "object",
}
_NUMBERS: dict[str, FieldType] = {"integer": "integer", "real": "number"}


def read_names(
    connection: Connection, collection: int, after: str | None, limit: int, now: int | None = None
) -> list[str]:
    """Read at most `limit` field names after `after`, ordered by code point.

    Args:
        now: only names in documents that have not expired at this instant; None for all documents.
    """
    shown = "" if now is None else _SHOWN.format(unexpired=_format_unexpired(now))
    names = connection.execute(
        _NAMES.format(behind=">=" if after is None else ">", shown=shown),
        {"collection": collection, "after": after or "", "limit": limit},
    )
    return [name for (name,) in names]


def read_kinds(
    connection: Connection, collection: int, field: str, rows: str | None = None, now: int | None = None
) -> FieldKinds:
    """Read which kinds of values the field has.

    Args:
        rows: only in the documents with these row numbers, a JSON list; None for all documents.
        now: only in documents that have not expired at this instant; None for all documents.
    """
    clause = _format_unexpired(now) if rows is None else _AMONG
    stored_kinds = connection.execute(
        _KINDS.format(among=clause), {"collection": collection, "field": field, "rows": rows}
    ).fetchall()
    field_kinds, element_kinds, instants = (
        frozenset(Kind(kind) for stored, kind in stored_kinds if stored == element) for element in (0, 1, INSTANT)
    )
    return FieldKinds(field_kinds, element_kinds, bool(instants))


def _format_unexpired(now: int | None) -> str:
    """Return ` AND …` that is true for rows of `fields` whose documents have not expired; empty for all rows."""
    if now is None:
        return ""
    return f' AND EXISTS (SELECT 1 FROM documents WHERE documents."row" = fields."row" AND {format_unexpired(now)})'


def read_facts(
    connection: Connection, collection: int, field: str, rows: str | None, values: int, after: FieldValue | None
) -> FieldFacts:
    """Read statistics of the field over the documents in `rows`.

    Args:
        rows: row numbers as a JSON list; None for all documents.
        values: how many distinct values to list.
        after: list the values after this one.
    """
    position = {"times": 2**63 - 1, "kind": -1, "held": 0, "form": ""} if after is None else _position(after)
    cursor = connection.execute(
        _FACTS.format(among="" if rows is None else _AMONG),
        {"collection": collection, "field": field, "rows": rows, "most": values, **position},
    )
    groups: list[tuple[Any, ...]] = []
    listed: list[FieldValue] = []
    for is_value, *row in cursor:
        if is_value:
            kind, _, times, _, value, _ = row
            listed.append(FieldValue(decode_scalar(kind, value), times))
        else:
            groups.append(tuple(row))
    types = {_type(kind, form) for kind, form, *_ in groups}
    least, greatest = _extremes(groups)
    return FieldFacts(
        types=tuple(name for name in get_args(FieldType) if name in types),
        count=sum(documents for *_, documents, _, _ in groups),
        distinct=sum(distinct for kind, _, distinct, *_ in groups if kind < Kind.LIST),
        min=least,
        max=greatest,
        values=tuple(listed),
    )


def _type(kind: int, form: str) -> FieldType:
    return _TYPES.get((Kind(kind), form)) or _NUMBERS[form]


def _extremes(groups: list[tuple[Any, ...]]) -> tuple[Scalar, Scalar]:
    """Return the smallest and the largest number.

    Without numbers the smallest and the largest text; without either (None, None).
    """
    for kind_group in (Kind.NUMBER, Kind.TEXT):
        first, last = kind_range(kind_group)
        ordered = [(kind, least, greatest) for kind, *_, least, greatest in groups if first <= kind <= last]
        if ordered:
            least = min((kind, least) for kind, least, _ in ordered)
            greatest = max((kind, greatest) for kind, _, greatest in ordered)
            return decode_scalar(*least), decode_scalar(*greatest)
    return None, None


def _position(after: FieldValue) -> dict[str, Any]:
    """Return the position of a value in the order of the listed values, as statement parameters."""
    kind, encoded = encode_value(after.value)
    if isinstance(encoded, bytes):
        form = "integer" if kind is Kind.NUMBER_ABOVE and len(encoded) == 12 else "real"
    else:
        form = {float: "real", str: "text"}.get(type(encoded), "integer")
    return {"times": after.count, "kind": int(kind), "held": encoded, "form": form}


# The join has the order of the fields, and stops at the limit: only documents with equal values are sorted.
_ORDERED = f"""\
SELECT documents."row" FROM fields CROSS JOIN documents ON documents."row" = fields."row"
WHERE fields.collection = ? AND fields.field = ? AND fields.element = 0
  AND fields.kind BETWEEN {int(FIRST_KIND)} AND {int(LAST_KIND)} AND {{after}} AND {{where}}
ORDER BY fields.kind {{direction}}, fields.value {{direction}}, documents.id LIMIT ?"""
_UNORDERED = f"""\
SELECT documents."row" FROM documents WHERE documents.collection = ? AND documents.id > ? AND NOT EXISTS (
    SELECT 1 FROM fields INDEXED BY fields_by_row WHERE fields."row" = documents."row" AND fields.collection = ?
    AND fields.field = ? AND fields.element = 0 AND fields.kind BETWEEN {int(FIRST_KIND)} AND {int(LAST_KIND)}
) AND {{where}} ORDER BY documents.id LIMIT ?"""


def rows_in_order(
    connection: Connection, collection: int, order: Order, after: Position | None, limit: int, where: Expression
) -> list[int]:
    """Return the row numbers of at most `limit` documents after a position, in the order of a field.

    Args:
        after: None for the first documents.
        where: only documents that this expression is true for.
    """
    rows, encoded = list[int](), None if after is None else after.form
    if after is None or encoded is not None:
        beyond, position = "1", tuple[Any, ...]()
        if after is not None and encoded is not None:
            sign = "<" if order.descending else ">"
            beyond = (
                f"(fields.kind, fields.value) {sign}= (?, ?)"
                f" AND ((fields.kind, fields.value) {sign} (?, ?) OR documents.id > ?)"
            )
            position = (int(encoded.kind), encoded.value) * 2 + (after.id,)
        statement = _ORDERED.format(after=beyond, where=where.sql, direction="DESC" if order.descending else "ASC")
        rows += [
            row
            for (row,) in connection.execute(statement, (collection, order.field, *position, *where.parameters, limit))
        ]
    if len(rows) < limit:
        last = after.id if after is not None and encoded is None else ""
        parameters = (collection, last, collection, order.field, *where.parameters, limit - len(rows))
        rows += [row for (row,) in connection.execute(_UNORDERED.format(where=where.sql), parameters)]
    return rows

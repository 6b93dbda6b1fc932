"""Facts on the metadata, from the table `fields`: each distinct value is counted, and the counts are summed up."""

from __future__ import annotations

from sqlite3 import Connection
from typing import Any, get_args

from service.storage.fields import Kind, Scalar, decode_scalar, encode_value, ordered_kinds
from service.storage.records import FieldFacts, FieldKinds, FieldType, FieldValue

# Numbers past the range of int64 stand as bytes, whole: they are integers where 64 bits without a sign hold them.
_FORM = (
    f"CASE WHEN typeof(value) <> 'blob' THEN typeof(value)"
    f" WHEN kind = {int(Kind.NUMBER_ABOVE)} AND length(value) = 12 THEN 'integer' ELSE 'real' END"
)
# A list or an object is counted as one thing, whatever it holds: its elements or paths have rows of their own.
_FACTS = f"""\
WITH seen AS MATERIALIZED (
    SELECT kind, iif(kind >= {int(Kind.LIST)}, NULL, value) AS held, {_FORM} AS form,
           count(*) AS times, sum(element = 0) AS documents
    FROM fields WHERE collection = :collection AND field = :field {{among}}
    GROUP BY 1, 2, 3
)
SELECT 0, kind, form, count(*), sum(documents), min(held), max(held) FROM seen GROUP BY kind, form
UNION ALL
SELECT 1, kind, form, times, 0, held, NULL FROM (
    SELECT * FROM seen WHERE kind < {int(Kind.LIST)}
    AND (times < :times OR times = :times AND (kind, held, form) > (:kind, :held, :form))
    ORDER BY times DESC, kind, held, form LIMIT :most
)"""
# The plus: the field's own rows are read one after another, whatever SQLite thinks of so many row numbers.
_AMONG = 'AND +"row" IN (SELECT value FROM json_each(:rows))'
# From one name to the next, past all the rows between them.
_NAMES = """\
WITH RECURSIVE names (name) AS (
    SELECT min(field) FROM fields WHERE collection = :collection AND field {behind} :after
    UNION ALL
    SELECT (SELECT min(field) FROM fields WHERE collection = :collection AND field > name)
    FROM names WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT :limit"""
# One step into the index for each kind.
_KINDS = f"""\
SELECT element, kind FROM (SELECT column1 AS kind FROM (VALUES {", ".join(f"({kind:d})" for kind in Kind)})) AS kinds,
                          (SELECT column1 AS element FROM (VALUES (0), (1))) AS elements
WHERE EXISTS (SELECT 1 FROM fields WHERE collection = :collection AND field = :field
              AND fields.element = elements.element AND fields.kind = kinds.kind)"""
_TYPES: dict[tuple[Kind, str], FieldType] = {
    (Kind.NULL, "integer"): "null",
    (Kind.BOOLEAN, "integer"): "boolean",
    (Kind.TEXT, "text"): "text",
    (Kind.LIST, "text"): "list",
    (Kind.OBJECT, "text"): "object",
}
_NUMBERS: dict[str, FieldType] = {"integer": "integer", "real": "number"}


def read_names(connection: Connection, collection: int, after: str | None, limit: int) -> list[str]:
    """The names of the fields, by code point: at most `limit`, those after `after`."""
    names = connection.execute(
        _NAMES.format(behind=">=" if after is None else ">"),
        {"collection": collection, "after": after or "", "limit": limit},
    )
    return [name for (name,) in names]


def read_kinds(connection: Connection, collection: int, field: str) -> FieldKinds:
    """Which kinds of values the field has."""
    found = connection.execute(_KINDS, {"collection": collection, "field": field}).fetchall()
    own, elements = (frozenset(Kind(kind) for of, kind in found if of == element) for element in (0, 1))
    return FieldKinds(own, elements)


def read_facts(
    connection: Connection, collection: int, field: str, rows: str | None, values: int, after: FieldValue | None
) -> FieldFacts:
    """What the field holds in the documents whose numbers are in the JSON list `rows`, None for all of them."""
    place = {"times": 2**63 - 1, "kind": -1, "held": 0, "form": ""} if after is None else _place(after)
    found = connection.execute(
        _FACTS.format(among="" if rows is None else _AMONG),
        {"collection": collection, "field": field, "rows": rows, "most": values, **place},
    )
    groups: list[tuple[Any, ...]] = []
    shown: list[FieldValue] = []
    for is_value, *row in found:
        if is_value:
            kind, _, times, _, held, _ = row
            shown.append(FieldValue(decode_scalar(kind, held), times))
        else:
            groups.append(tuple(row))
    types = {_type(kind, form) for kind, form, *_ in groups}
    least, greatest = _extremes(groups)
    return FieldFacts(
        types=tuple(each for each in get_args(FieldType) if each in types),
        count=sum(documents for *_, documents, _, _ in groups),
        distinct=sum(distinct for kind, _, distinct, *_ in groups if kind < Kind.LIST),
        min=least,
        max=greatest,
        values=tuple(shown),
    )


def _type(kind: int, form: str) -> FieldType:
    return _TYPES.get((Kind(kind), form)) or _NUMBERS[form]


def _extremes(groups: list[tuple[Any, ...]]) -> tuple[Scalar, Scalar]:
    """The least and the greatest of the numbers, else of the texts."""
    for of in (Kind.NUMBER, Kind.TEXT):
        first, last = ordered_kinds(of)
        ordered = [(kind, least, greatest) for kind, *_, least, greatest in groups if first <= kind <= last]
        if ordered:
            least = min((kind, least) for kind, least, _ in ordered)
            greatest = max((kind, greatest) for kind, _, greatest in ordered)
            return decode_scalar(*least), decode_scalar(*greatest)
    return None, None


def _place(after: FieldValue) -> dict[str, Any]:
    """Where a value stands in the order of the values."""
    kind, held = encode_value(after.value)
    if isinstance(held, bytes):
        form = "integer" if kind is Kind.NUMBER_ABOVE and len(held) == 12 else "real"
    else:
        form = {float: "real", str: "text"}.get(type(held), "integer")
    return {"times": after.count, "kind": int(kind), "held": held, "form": form}

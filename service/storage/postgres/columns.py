"""Columns from the table `fields`: grouped and ordered by the database, which is faster than row by row."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from psycopg import Connection

from service.storage.column import Column, DistinctValues, Entries
from service.storage.fields import Kind
from service.storage.postgres.forms import LAST, array, digest, stored_of

_FOUND = (
    'FROM fields WHERE collection = %(collection)s AND field = %(field)s AND "row" > %(after)s AND "row" <= %(last)s'
)
_SIZE = f"""\
SELECT sum(12 * times + coalesce(length(text), 8) + 8)
FROM (SELECT text, count(*) AS times {_FOUND} GROUP BY element, kind, number, text) AS groups"""
# 1 and 1.0 are one value.
_GROUPS = f"""\
SELECT element, kind, number, bool_or(whole), text, array_agg("row") {_FOUND}
GROUP BY element, kind, number, text ORDER BY element, kind, number, text"""


def read_column(
    connection: Connection[Any], collection: int, field: str, *, after: int, last: int | None, most_bytes: int | None
) -> Column | None:
    """The column of the rows after `after`, up to `last`; None where it would take more than `most_bytes`."""
    asked = {"collection": collection, "field": digest(field), "after": after, "last": LAST if last is None else last}
    if most_bytes is not None:
        size = connection.execute(_SIZE, asked).fetchone()
        if size is not None and (size[0] or 0) > most_bytes:
            return None
    groups = (_Groups(), _Groups())
    with connection.cursor(binary=True) as cursor:
        for element, kind, number, whole, text, rows in cursor.execute(_GROUPS, asked):
            groups[element].add(*stored_of(kind, number, whole, text), rows)
    return Column(*(each.entries() for each in groups))


class _Groups:
    """Distinct values as they come, with the rows of each."""

    def __init__(self) -> None:
        self.values: defaultdict[Kind, list[Any]] = defaultdict(list)
        self.rows: list[list[int]] = []

    def add(self, kind: Kind, value: int | float | str | bytes, rows: list[int]) -> None:
        self.values[kind].append(value)
        self.rows.append(rows)

    def entries(self) -> Entries:
        rows = np.concatenate([array(each) for each in self.rows]) if self.rows else array(None)
        codes = np.repeat(np.arange(len(self.rows), dtype=np.int32), [len(each) for each in self.rows])
        order = np.argsort(rows, kind="stable")
        return Entries(DistinctValues(self.values), rows[order], codes[order])

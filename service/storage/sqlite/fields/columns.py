"""Columns from the table `fields`: grouped and ordered by the database, which is faster than row by row."""

from __future__ import annotations

from collections import defaultdict
from sqlite3 import Connection
from typing import Any

import numpy as np

from service.storage.column import Column, DistinctValues, Entries
from service.storage.fields import Kind
from service.storage.sqlite.forms import numbers_of

_GROUPED = 'SELECT element, kind, value, count(*), group_concat("row") FROM fields'
_IN_ORDER = "GROUP BY element, kind, value ORDER BY element, kind, value"


def read_column(
    connection: Connection, collection: int, field: str, *, after: int, most_bytes: int | None
) -> Column | None:
    """The column of the rows after `after`; None where it would take more than `most_bytes`."""
    if after:
        # Few rows are new: by row number they are found without reading the rest.
        found = connection.execute(
            f'{_GROUPED} INDEXED BY fields_by_row WHERE "row" > ? AND collection = ? AND field = ? {_IN_ORDER}',
            (after, collection, field),
        )
    else:
        found = connection.execute(f"{_GROUPED} WHERE collection = ? AND field = ? {_IN_ORDER}", (collection, field))
    groups = (_Groups(), _Groups())
    size = 0
    for element, kind, value, count, rows in found:
        groups[element].add(Kind(kind), value, count, rows)
        size += 12 * count + (len(value) if isinstance(value, str | bytes) else 0) + 8
        if most_bytes is not None and size > most_bytes:
            found.close()
            return None
    return Column(*(each.entries() for each in groups))


class _Groups:
    """Distinct values as they come, with the rows of each as a text."""

    def __init__(self) -> None:
        self.values: defaultdict[Kind, list[Any]] = defaultdict(list)
        self.counts: list[int] = []
        self.rows: list[str] = []

    def add(self, kind: Kind, value: int | float | str | bytes, count: int, rows: str) -> None:
        self.values[kind].append(value)
        self.counts.append(count)
        self.rows.append(rows)

    def entries(self) -> Entries:
        rows = numbers_of(",".join(self.rows))
        codes = np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)
        order = np.argsort(rows, kind="stable")
        return Entries(DistinctValues(self.values), rows[order], codes[order])

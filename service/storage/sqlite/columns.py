"""One field of a collection in memory, so that a filter is evaluated without reading the disk.

The values are kept once each, in order, and every row has the code of its value: a comparison is
decided for each distinct value, and what that says is then taken for all rows at once. A row number
always stands for the same values, so what was read of a row holds for good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.storage.conditions import MEMBERSHIP, ORDERING, Comparison
from service.storage.distinct import Distinct
from service.storage.fields import Kind, stored
from service.storage.records import RowNumbers
from service.storage.sqlite.forms import numbers_of

_FEW_BYTES = 8192  # what an empty column takes, about
_GROUPED = 'SELECT element, kind, value, count(*), group_concat("row") FROM fields'
_IN_ORDER = "GROUP BY element, kind, value ORDER BY element, kind, value"


@dataclass(frozen=True, eq=False)
class Entries:
    """The values of some rows.

    Attributes:
        distinct: the values, each once.
        rows: int64[n] row numbers, ascending; a list's elements give its row more than once.
        codes: int32[n], the code of each row's value.
    """

    distinct: Distinct
    rows: RowNumbers
    codes: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """The memory that they take, in bytes, about."""
        return self.distinct.nbytes + self.rows.nbytes + self.codes.nbytes

    def among(self, *codes: slice | Sequence[int]) -> RowNumbers:
        """The rows int64[r] whose value has one of the codes, ascending."""
        passes = np.zeros(len(self.distinct), dtype=np.bool_)
        for some in codes:
            passes[some] = True
        return self.rows[passes[self.codes]] if passes.any() else self.rows[:0]


@dataclass(frozen=True, eq=False)
class Column:
    """What a field of the metadata holds: the field itself, and the elements where it is a list."""

    field: Entries
    elements: Entries

    @property
    def nbytes(self) -> int:
        """The memory that it takes, in bytes, about."""
        return _FEW_BYTES + self.field.nbytes + self.elements.nbytes

    @property
    def present(self) -> RowNumbers:
        """The rows int64[r] where the field is not null, ascending."""
        return self.field.rows

    def rows(self, comparison: Comparison) -> RowNumbers:
        """The rows int64[r] whose value passes: what is null, and so has no value, is never among them.

        `!=` and `not in` are for the caller to turn around.
        """
        operator, value = comparison.operator, comparison.value
        if operator in ORDERING:
            return self.field.among(self.field.distinct.ordered(operator, stored(value)))
        if operator == "contains":
            elements = self.elements.among(self.elements.distinct.equal(stored(value)))
            if not isinstance(value, str):
                return elements
            return np.concatenate([self.field.among(list(self.field.distinct.holding(value))), elements])
        if operator not in ("==", "in"):
            raise ValueError(f"a column answers ==, in, contains and comparisons of order, not {operator}")
        wanted = value if operator in MEMBERSHIP else [value]
        return self.field.among(*(self.field.distinct.equal(stored(each)) for each in wanted))


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
        return Entries(Distinct(self.values), rows[order], codes[order])

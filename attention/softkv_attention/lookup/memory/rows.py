"""Rows to add to a memory, checked once, and the assignment of rows to the documents that they are keys of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from softkv_attention.arrays import F32, I64, Bools, Index, Numbers, integers, reals
from softkv_attention.errors import ParameterError, ShapeError


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to add to a memory: keys, their values, and the documents that they belong to.

    Args:
        numbers: int64[n], the rows' numbers, which were never used in the same memory.
        keys: float32[n, d].
        values: float32[n, d_v], or None if the values are the keys.
        owners: int64[n], the document that each row is a key of, identified by the number of its first row. The rows of
            a document are consecutive in order of number. None if every row is a document.

    Raises:
        ShapeError: the arrays do not fit together.
        ParameterError: a number occurs twice, a component is not finite in float32, or the rows of an owner do not
            follow it.
    """

    numbers: I64
    keys: F32
    values: F32 | None = None
    owners: I64 | None = None

    def __post_init__(self) -> None:
        numbers = integers("numbers", self.numbers)
        keys = _vectors("keys", self.keys, len(numbers))
        values = None if self.values is None else _vectors("values", self.values, len(numbers))
        owners = None if self.owners is None else integers("owners", self.owners)
        if owners is not None and len(owners) != len(numbers):
            raise ShapeError(f"owners must be one for each of the {len(numbers)} numbers, got {len(owners)}")
        self._keep(numbers, keys, values, owners)
        twice = self.numbers[1:][self.numbers[1:] == self.numbers[:-1]]
        if len(twice):
            raise ParameterError(f"row number {int(twice[0])} comes twice: give every row a number of its own")
        if self.owners is not None:
            _check_owners(self.numbers, self.owners)

    @classmethod
    def from_zero(cls, keys: Numbers, values: Numbers | None, owners: I64 | None) -> Self:
        """Return rows with the numbers 0 to n − 1.

        Args:
            keys: float[n, d], kept as float32.
            values: float[n, d_v], or None if the values are the keys.
            owners: int64[n], the document of each row, given by the number of its first row; None if every row is a
                document.
        """
        vectors = reals("keys", keys, np.float32)
        numbers = np.arange(len(vectors) if vectors.ndim else 0)
        return cls(numbers, vectors, None if values is None else reals("values", values, np.float32), owners)

    @classmethod
    def without_checks(cls, numbers: I64, keys: F32, values: F32 | None, owners: I64 | None) -> Self:
        """Return rows without checking them, for arrays that come from stored or checked rows.

        The rows may be in any order, and a document may have more rows elsewhere.

        Args:
            numbers: int64[n], the rows' numbers.
            keys: float32[n, d].
            values: float32[n, d_v], or None if the values are the keys.
            owners: int64[n], the document of each row, given by the number of its first row; None if every row is a
                document.
        """
        rows = object.__new__(cls)
        rows._keep(numbers, keys, values, owners)
        return rows

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, start: int, stop: int) -> Self:
        """Return rows `start` to `stop` in ascending order of their numbers.

        A document may also have rows outside of this part.
        """
        rows = slice(start, stop)
        values = None if self.values is None else self.values[rows]
        owners = None if self.owners is None else self.owners[rows]
        return self.without_checks(self.numbers[rows], self.keys[rows], values, owners)

    def _keep(self, numbers: I64, keys: F32, values: F32 | None, owners: I64 | None) -> None:
        # Ascending, so that a block can be searched by number.
        if np.any(numbers[1:] < numbers[:-1]):
            order = np.argsort(numbers, kind="stable")
            numbers, keys = numbers[order], keys[order]
            values = None if values is None else values[order]
            owners = None if owners is None else owners[order]
        if owners is not None and np.array_equal(owners, numbers):
            owners = None
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "owners", owners)


def _check_owners(numbers: I64, owners: I64) -> None:
    """Raise ParameterError unless each document's rows are consecutive, and begin with the row that names the document.

    Args:
        numbers: int64[n], the rows' numbers, ascending.
        owners: int64[n], the document of each row, which is the number of its first row.
    """
    astray = owners != numbers
    astray[1:] &= owners[1:] != owners[:-1]
    if astray.any():
        row, owner = (int(column[astray][0]) for column in (numbers, owners))
        if owner not in numbers:
            raise ParameterError(
                f"row {row} has the owner {owner}, which is not among these rows: "
                "give the number of the first row of its document, and write that row in the same step"
            )
        raise ParameterError(
            f"row {row} has the owner {owner} and does not follow it: in order of number, a document's rows must "
            "begin with its owner and have no other row between them"
        )


def _vectors(name: str, vectors: Numbers, n: int) -> F32:
    floats = reals(name, vectors, np.float32)
    if floats.ndim != 2 or len(floats) != n or floats.shape[1] == 0:
        raise ShapeError(
            f"{name} must have one row of at least one component for each of the {n} numbers, got shape {floats.shape}"
        )
    if not np.isfinite(floats).all():
        row = int(np.flatnonzero(~np.isfinite(floats).all(axis=1))[0])
        raise ParameterError(f"{name} must be finite in float32, row {row} is not: scale them down")
    return floats


LONGEST_DOCUMENTS = 32
"""The number of documents with the most rows whose numbers are recorded."""


def count_documents(numbers: I64, owners: I64, passes: Bools | None) -> int:
    """Return the number of documents whose first row is among these rows.

    Args:
        numbers, owners: int64[r], the number of each row and of its document. A document has the number of its first
            row.
        passes: bool[r], True for the rows to count; None for all.
    """
    begins = owners == numbers
    return int(np.count_nonzero(begins if passes is None else begins & passes))


def longest_documents(numbers: I64, owners: I64, live: Bools | None) -> I64:
    """Return int64[l], ascending: the documents with the most rows, and all that begin in another segment.

    The result has one document more than LONGEST_DOCUMENTS. No document that it leaves out has more rows.

    Args:
        numbers, owners: int64[r], the number of each row of a segment (block of rows) and of its document, both
            ascending.
        live: bool[r], False for removed rows, equal for all rows of a document; None if no row was removed.
    """
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    counts = np.diff(starts, append=len(owners))
    if live is not None:
        counts[~live[starts]] = 0
    order = np.argsort(-counts, kind="stable")[: LONGEST_DOCUMENTS + 1]
    elsewhere = np.flatnonzero(owners[starts] != numbers[starts])
    return np.unique(owners[starts[np.concatenate([order, elsewhere])]])


def document_ranges(owners: I64, documents: I64, passes: Bools | None) -> tuple[Index, Index]:
    """Return int64[m] twice: the first and the end position of each document's rows.

    The range is empty if the document has no rows or does not pass.

    Args:
        owners: int64[r], the document of each row, ascending; r ≥ 1.
        documents: int64[m], in any order.
        passes: bool[r], equal for all rows of a document; None if all rows pass.
    """
    first = np.searchsorted(owners, documents)
    last = np.searchsorted(owners, documents, side="right")
    if passes is not None:
        last = np.where(passes[np.minimum(first, len(owners) - 1)], last, first)
    return first, last


def expand_ranges(first: Index, last: Index) -> Index:
    """Return int64, all positions of m ranges, one range after another.

    Args:
        first, last: int64[m], the first position of each range, and its end, which is not part of it.
    """
    counts = last - first
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())

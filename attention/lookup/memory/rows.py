"""Rows to add to a memory, checked once, and which rows are keys of one document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from attention.dtypes import F32, I64, Bools, Index
from attention.errors import ParameterError, ShapeError


@dataclass(frozen=True, eq=False)
class Rows:
    """Keys and values to add.

    Args:
        numbers: int64[n], the rows' numbers; never used before in the same memory.
        keys: float32[n, d].
        values: float32[n, d_v], or None where the values are the keys.
        owners: int64[n], the document that each row is a key of, called by the number of its first row; the rows of
            one document follow one another in order of number. None where each row is a document by itself.

    Raises:
        ShapeError: the arrays do not belong together.
        ParameterError: a number twice, a component that is not finite in float32, or an owner whose rows do not
            follow it.
    """

    numbers: I64
    keys: F32
    values: F32 | None = None
    owners: I64 | None = None

    def __post_init__(self) -> None:
        numbers = _integers("numbers", self.numbers)
        keys = _vectors("keys", self.keys, len(numbers))
        values = None if self.values is None else _vectors("values", self.values, len(numbers))
        owners = None if self.owners is None else _integers("owners", self.owners)
        if owners is not None and len(owners) != len(numbers):
            raise ShapeError(f"owners must be one for each of the {len(numbers)} numbers, got {len(owners)}")
        self._keep(numbers, keys, values, owners)
        twice = self.numbers[1:][self.numbers[1:] == self.numbers[:-1]]
        if len(twice):
            raise ParameterError(f"row number {int(twice[0])} comes twice: give every row a number of its own")
        if self.owners is not None:
            _check_owners(self.numbers, self.owners)

    @classmethod
    def numbered(cls, keys: F32, values: F32 | None, owners: I64 | None) -> Self:
        """Rows with the numbers from 0 on."""
        keys = _floats("keys", keys)
        return cls(np.arange(len(keys) if keys.ndim else 0), keys, values, owners)

    @classmethod
    def stored(cls, numbers: I64, keys: F32, values: F32 | None, owners: I64 | None) -> Self:
        """Rows that were checked before, in any order; a document may have others elsewhere."""
        rows = object.__new__(cls)
        rows._keep(numbers, keys, values, owners)
        return rows

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, start: int, stop: int) -> Self:
        """Rows `start` to `stop`, in ascending order of their numbers; a document may go on outside."""
        some = slice(start, stop)
        values = None if self.values is None else self.values[some]
        owners = None if self.owners is None else self.owners[some]
        return self.stored(self.numbers[some], self.keys[some], values, owners)

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


def _integers(name: str, given: I64) -> I64:
    found = np.asarray(given)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ShapeError(f"{name} must be a list of integers, got {found.dtype} of shape {found.shape}")
    return found.astype(np.int64)


def _check_owners(numbers: I64, owners: I64) -> None:
    """Refuse owners int64[n] of rows with ascending numbers int64[n] that do not begin their documents."""
    astray = owners != numbers
    astray[1:] &= owners[1:] != owners[:-1]
    if astray.any():
        row, owner = (int(each[astray][0]) for each in (numbers, owners))
        if owner not in numbers:
            raise ParameterError(
                f"row {row} has the owner {owner}, which is none of these rows: "
                "give the number of the first row of its document, and write that row in the same step"
            )
        raise ParameterError(
            f"row {row} has the owner {owner} and does not follow it: in order of number, a document's rows must "
            "begin with its owner and have no other row between them"
        )


def _floats(name: str, given: F32) -> F32:
    if getattr(given, "requires_grad", False):
        raise ParameterError(f"{name} need a gradient, which a lookup does not give: send {name}.detach()")
    try:
        with np.errstate(over="ignore"):
            return np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError):
        raise ShapeError(f"{name} must be rows of numbers, all of one length, got {type(given).__name__}") from None


def _vectors(name: str, vectors: F32, n: int) -> F32:
    found = _floats(name, vectors)
    if found.ndim != 2 or len(found) != n or found.shape[1] == 0:
        raise ShapeError(
            f"{name} must have one row of at least one component for each of the {n} numbers, got shape {found.shape}"
        )
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ParameterError(f"{name} must be finite in float32: row {row} is not")
    return found


LONGEST_DOCUMENTS = 32
"""So many of the documents with most rows are known by name."""


def count_documents(numbers: I64, owners: I64, passes: Bools | None) -> int:
    """How many documents begin among these rows: rows that own themselves.

    Args:
        numbers, owners: int64[r].
        passes: bool[r], which of them count; None for all.
    """
    begins = owners == numbers
    return int(np.count_nonzero(begins if passes is None else begins & passes))


def longest_documents(numbers: I64, owners: I64, live: Bools | None) -> I64:
    """int64[l]: the documents with most rows here, one more than LONGEST, and all that begin elsewhere; ascending.

    Args:
        numbers, owners: int64[r], both ascending.
        live: bool[r], for all rows of a document alike; None where all do.
    """
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    counts = np.diff(starts, append=len(owners))
    if live is not None:
        counts[~live[starts]] = 0
    most = np.argsort(-counts, kind="stable")[: LONGEST_DOCUMENTS + 1]
    elsewhere = np.flatnonzero(owners[starts] != numbers[starts])
    return np.unique(owners[starts[np.concatenate([most, elsewhere])]])


def document_ranges(owners: I64, documents: I64, passes: Bools | None) -> tuple[Index, Index]:
    """Where the rows of each of the given documents int64[m] begin and end; nowhere where they do not pass.

    Args:
        owners: int64[r], ascending, at least one.
        documents: in any order.
        passes: bool[r], for all rows of a document alike; None where all do.
    """
    first = np.searchsorted(owners, documents)
    last = np.searchsorted(owners, documents, side="right")
    if passes is not None:
        last = np.where(passes[np.minimum(first, len(owners) - 1)], last, first)
    return first, last


def expand_ranges(first: Index, last: Index) -> Index:
    """int64[Σ (last − first)]: every position from each first on, up to its last, which is not included."""
    counts = last - first
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())

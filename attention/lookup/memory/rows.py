"""Rows on their way into a memory: numbers, keys and values, checked once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention.dtypes import F32, I64
from attention.errors import ParameterError, ShapeError


@dataclass(frozen=True, eq=False)
class Rows:
    """Keys and values to add.

    Args:
        numbers: int64[n], the rows' numbers; never used before in the same memory.
        keys: float32[n, d].
        values: float32[n, d_v], or None where the values are the keys.

    Raises:
        ShapeError: the arrays do not belong together.
        ParameterError: a number twice, or a component that is not finite in float32.
    """

    numbers: I64
    keys: F32
    values: F32 | None = None

    def __post_init__(self) -> None:
        numbers = np.asarray(self.numbers)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise ShapeError(f"numbers must be a list of integers, got {numbers.dtype} of shape {numbers.shape}")
        numbers = numbers.astype(np.int64)
        keys = _vectors("keys", self.keys, len(numbers))
        values = None if self.values is None else _vectors("values", self.values, len(numbers))
        # Ascending, so that a block can be searched by number.
        if np.any(numbers[1:] < numbers[:-1]):
            order = np.argsort(numbers, kind="stable")
            numbers, keys = numbers[order], keys[order]
            values = None if values is None else values[order]
        if np.any(numbers[1:] == numbers[:-1]):
            twice = int(numbers[1:][numbers[1:] == numbers[:-1]][0])
            raise ParameterError(f"row number {twice} comes twice: give every row a number of its own")
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, start: int, stop: int) -> Rows:
        """Rows `start` to `stop`, in ascending order of their numbers."""
        part = object.__new__(Rows)  # which has been checked
        object.__setattr__(part, "numbers", self.numbers[start:stop])
        object.__setattr__(part, "keys", self.keys[start:stop])
        object.__setattr__(part, "values", None if self.values is None else self.values[start:stop])
        return part


def _vectors(name: str, vectors: F32, n: int) -> F32:
    with np.errstate(over="ignore"):
        found = np.asarray(vectors, dtype=np.float32)
    if found.ndim != 2 or len(found) != n or found.shape[1] == 0:
        raise ShapeError(
            f"{name} must have one row of at least one component for each of the {n} numbers, got shape {found.shape}"
        )
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ParameterError(f"{name} must be finite in float32: row {row} is not")
    return found

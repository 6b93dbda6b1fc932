"""Gram matrices of a whole view: what blocks that did not change have together is added up once, not once a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import F32, F64


@dataclass(frozen=True, eq=False)
class Grams:
    """Of all keys of a view.

    Attributes:
        total: float64[2, d, d], at least Σ (k − k̂)(k − k̂)ᵀ and Σ k kᵀ; for cosine those of the keys' directions.
    """

    total: F64

    @cached_property
    def unit(self) -> F32:
        """float32[2, d, d], the same over their traces, to be multiplied in float32."""
        return np.asarray(self.total / np.maximum(self.traces, 1e-300)[:, None, None], dtype=np.float32)

    @cached_property
    def traces(self) -> list[float]:
        """Of each of the two."""
        return [float(np.trace(gram)) for gram in self.total]


class RunningGrams:
    """The sums of the views of one memory, each made from those of the view before it; for many threads.

    A block's matrices are never changed, others take their place: so where the same arrays are to be added up, the
    sum is the same. That of all blocks but the last, which is the one that most writes change, is kept beside it.
    """

    def __init__(self) -> None:
        self._full: tuple[tuple[F64, ...], F64 | None] = ((), None)
        self._last: tuple[tuple[F64, ...], Grams | None] = ((), None)

    def of(self, grams: Sequence[F64]) -> Grams | None:
        """The sum of the matrices of all blocks, at least one, in their order; None where it is not finite."""
        added, found = self._last
        if not _are_same(added, grams):
            total = grams[-1] if len(grams) == 1 else self._before_last(tuple(grams[:-1])) + grams[-1]
            found = Grams(total) if np.isfinite(total).all() else None
            self._last = tuple(grams), found
        return found

    def _before_last(self, grams: tuple[F64, ...]) -> F64:
        added, total = self._full
        if total is None or not _are_same(added, grams[: len(added)]):
            added, total = grams[:1], grams[0]
        # A block that is full by now is added to those before it.
        for gram in grams[len(added) :]:
            total = total + gram
        self._full = grams, total
        return total


def _are_same(some: Sequence[F64], others: Sequence[F64]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))

"""Rows of many cases in one array, so that each step of a softmax is taken for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64, I64


@dataclass(frozen=True, eq=False)
class RaggedRows:
    """Rows of c cases, one case after another: first those known in float64, then candidates.

    Attributes:
        values: float64[m], the similarity of each.
        starts: int64[c + 1]; case i has the rows from starts[i] to starts[i + 1].
        counts: int64[c], how many of these, the first ones, are known; at least 1, the best of the case among them.
    """

    values: F64
    starts: I64
    counts: I64

    def some(self, cases: Sequence[int]) -> RaggedRows:
        """Those of some of the cases."""
        if len(cases) == len(self.counts):
            return self
        lengths = np.diff(self.starts)[cases]
        values = [self.values[self.starts[case] : self.starts[case + 1]] for case in cases]
        return RaggedRows(np.concatenate(values), np.append(0, lengths.cumsum()), self.counts[cases])

    def of(self, values: F64, case: int) -> tuple[F64, F64]:
        """Of float64[m] what the known rows and the candidates of one case have."""
        first, last = int(self.starts[case]), int(self.starts[case + 1])
        middle = first + int(self.counts[case])
        return values[first:middle], values[middle:last]

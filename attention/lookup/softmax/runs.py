"""Rows of many cases in one array, so that each step of a softmax is taken for all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from attention.dtypes import F64, I64


@dataclass(frozen=True, eq=False)
class Runs:
    """Rows of c cases, one case after another: first those known in float64, then candidates.

    Attributes:
        values: float64[m], the similarity of each.
        starts: int64[c + 1]; case i has the rows from starts[i] to starts[i + 1].
        counts: int64[c], how many of these, the first ones, are known; at least 1, the best of the case among them.
    """

    values: F64
    starts: I64
    counts: I64

    def some(self, cases: Sequence[int]) -> Runs:
        """Those of some of the cases."""
        if len(cases) == len(self.counts):
            return self
        lengths = np.diff(self.starts)[cases]
        values = [self.values[self.starts[case] : self.starts[case + 1]] for case in cases]
        return Runs(np.concatenate(values), np.append(0, lengths.cumsum()), self.counts[cases])

    def behind(self, case: int) -> F64:
        """Of the candidates of one case."""
        return self.values[self.starts[case] + self.counts[case] : self.starts[case + 1]]

    def split(self, values: F64) -> Iterator[tuple[F64, F64]]:
        """For each case, of float64[m] what its known rows and its candidates have."""
        for (first, last), known in zip(pairwise(self.starts.tolist()), self.counts.tolist(), strict=True):
            yield values[first : first + known], values[first + known : last]

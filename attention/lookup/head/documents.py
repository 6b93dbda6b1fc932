"""Documents of several keys: what their rows come to together, and which key of each is the most similar."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from attention.dtypes import F64, I64, Index


class DocumentGrouping:
    """Which of some rows are keys of one document.

    Args:
        owners: int64[n], the document that each row is a key of; fastest where they ascend.

    Attributes:
        numbers: int64[m], the documents, ascending.
        counts: int64[m], how many of the rows each has.
    """

    def __init__(self, owners: I64) -> None:
        self._order = None if (owners[1:] >= owners[:-1]).all() else np.argsort(owners, kind="stable")
        together = owners if self._order is None else owners[self._order]
        begins = np.append(np.ones(min(len(owners), 1), dtype=np.bool_), together[1:] != together[:-1])
        self._starts = np.flatnonzero(begins)
        self.numbers: I64 = together[self._starts]
        self.counts: I64 = np.diff(self._starts, append=len(owners))

    @cached_property
    def index(self) -> Index:
        """int64[n], where each row's document stands among `numbers`."""
        index = np.repeat(np.arange(len(self.numbers)), self.counts)
        if self._order is None:
            return index
        scattered = np.empty_like(index)
        scattered[self._order] = index
        return scattered

    def sums(self, values: F64) -> F64:
        """float64[m]: float64[n] added up over each document's rows, in order; equal rows add up to equal sums."""
        return np.add.reduceat(self._together(values), self._starts)

    def best(self, values: F64) -> F64:
        """float64[m]: the largest of float64[n] among each document's rows."""
        return np.maximum.reduceat(self._together(values), self._starts)

    def best_rows(self, values: F64) -> Index:
        """int64[m]: the first row of each document that has the largest of float64[n]."""
        values = self._together(values)
        hits = np.flatnonzero(values == np.repeat(np.maximum.reduceat(values, self._starts), self.counts))
        found = hits[np.searchsorted(hits, self._starts)]
        return found if self._order is None else self._order[found]

    def break_ties(self, logits: F64, shown: Index, raw: Callable[[Index], F64]) -> F64:
        """float64[n]: the similarity of each row with the largest logit of a document at `shown`, −∞ for the others.

        All keys of a document have the same addend, so the most similar one has the largest logit; beside a large
        addend float64 gives several keys the same one.

        Args:
            raw: the similarities of some of the rows.
        """
        wanted = np.zeros(len(self.numbers), dtype=np.bool_)
        wanted[shown] = True
        ties = np.flatnonzero(wanted[self.index] & (logits == self.best(logits)[self.index]))
        similarities = np.full(len(logits), -np.inf)
        similarities[ties] = raw(ties)
        return similarities

    def log_sums(self, logits: F64) -> F64:
        """float64[m]: ln Σ exp(logit) over each document's rows, which neither overflows nor vanishes."""
        best = self.best(logits)
        return np.asarray(best + np.log(self.sums(np.exp(logits - best[self.index]))))

    def _together(self, values: F64) -> F64:
        return values if self._order is None else values[self._order]


def log_parts(grouping: DocumentGrouping, similarities: F64, temperature: float) -> F64:
    """float64[m]: how far the logarithm of each document's weight in a softmax lies above that of its best key.

    Args:
        similarities: float64[n] of the rows, the best of all among them.
        temperature: 0 or more; at 0 the logarithm of how many keys of a document tie for the best of all.
    """
    if temperature > 0:
        own = grouping.best(similarities)[grouping.index]
        return np.log(grouping.sums(np.exp((similarities - own) / temperature)))
    ties = grouping.sums((similarities == similarities.max(initial=-np.inf)).astype(np.float64))
    return np.log(np.maximum(ties, 1.0))

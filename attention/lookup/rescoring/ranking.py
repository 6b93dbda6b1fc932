"""The best rows or documents, their order and their ties, decided on similarities that are summed in one order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.rescoring.originals import compute_similarities


class DocumentGrouping:
    """The rows of each document among some rows.

    Args:
        owners: int64[n], the document that each row is a key of; fastest if they ascend.

    Attributes:
        numbers: int64[m], the documents, ascending.
        counts: int64[m], the number of rows of each document.
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
        first_hits = hits[np.searchsorted(hits, self._starts)]
        return first_hits if self._order is None else self._order[first_hits]

    def break_ties(self, logits: F64, shown: Index, raw: Callable[[Index], F64]) -> F64:
        """float64[n]: the similarity of each row with the largest logit of a document at `shown`, −∞ for the others.

        All keys of a document have the same addend, so the most similar one has the largest logit; beside a large
        addend float64 gives several keys the same one.

        Args:
            raw: the similarities of some of the rows.
        """
        is_shown = np.zeros(len(self.numbers), dtype=np.bool_)
        is_shown[shown] = True
        ties = np.flatnonzero(is_shown[self.index] & (logits == self.best(logits)[self.index]))
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
        document_best = grouping.best(similarities)[grouping.index]
        return np.log(grouping.sums(np.exp((similarities - document_best) / temperature)))
    ties = grouping.sums((similarities == similarities.max(initial=-np.inf)).astype(np.float64))
    return np.log(np.maximum(ties, 1.0))


def refine_similarities(
    passing: PassingRows,
    similarity: str,
    query: F64,
    similarities: F64,
    k: int,
    slack: float,
    logits: F64 | None = None,
) -> None:
    """Put similarities that are summed alike in the place of scanned ones, for every row that can be among the best k
    or tie there.

    Both lie within `slack` of the true one. The k best scanned rows are at least kth − 2·slack when summed alike, and
    a row that is that good was scanned at kth − 4·slack or better.

    Args:
        query: float64[d].
        similarities: float64[n] as scanned; changed in place.
        k: how many are wanted, at least 1.
        slack: how far a computed similarity can be from the true one.
        logits: float64[n], where it is by these that the best are the best, and the slack is theirs.
    """
    levels = similarities if logits is None else logits
    n = levels.size
    kth = levels.min() if k >= n else np.partition(levels, n - k)[n - k]
    places = np.flatnonzero(levels >= kth - 4 * slack)
    first = np.zeros(len(places), dtype=np.int64)
    similarities[places] = compute_similarities(similarity, passing.places, query[None, :], places, first)


@dataclass(frozen=True, eq=False)
class TopRows:
    """The best: `places` among those there are, best first, with all that tie with the last of them.

    Attributes:
        matches: how many are asked for.
        complete: False where the cap came before `top_p` was reached.
    """

    places: Index
    matches: int
    complete: bool


def select_top(similarities: F64, cap: int, order: I64 | None = None) -> TopRows:
    """The `cap` best rows and the ties of the last one; those that tie in the order that they stand, or in `order`."""
    n = similarities.size
    k = min(cap, n)
    if k == 0:
        return TopRows(np.empty(0, dtype=np.intp), 0, True)
    last = similarities.min() if k == n else np.partition(similarities, n - k)[n - k]
    places = np.flatnonzero(similarities >= last)
    if order is not None:
        places = places[np.argsort(order[places])]
    return TopRows(places[np.argsort(-similarities[places], kind="stable")], k, True)


def select_heaviest(weights: F64, similarities: F64, cap: int, order: I64 | None = None) -> TopRows:
    """The `cap` heaviest, by similarity where weights are level, and all that tie in both with the last one.

    What ties in both stands in the order that it stands, or in `order`.
    """
    if order is not None:
        there = np.argsort(order)
        found = select_heaviest(weights[there], similarities[there], cap)
        return TopRows(there[found.places], found.matches, found.complete)
    heaviest = select_top(weights, cap)
    if heaviest.matches == 0:
        return heaviest
    last = weights[heaviest.places[-1]]
    above = heaviest.places[weights[heaviest.places] > last]
    above = above[np.lexsort((-similarities[above], -weights[above]))]
    level = heaviest.places[len(above) :]
    rest = select_top(similarities[level], heaviest.matches - len(above))
    return TopRows(np.concatenate([above, level[rest.places]]), heaviest.matches, True)


def truncate_top_p(
    head: TopRows, similarities: F64, weights: F64, top_p: float, elsewhere: float = 0.0, *, by_weight: bool = False
) -> TopRows:
    """The smallest part of a head that holds a share of the documents' weight.

    Args:
        head: what `select_top` found within the cap.
        similarities: float64[n].
        weights: float64[n] of the documents, the null key left out.
        top_p: the share, above 0 and at most 1.
        elsewhere: the weight of documents that `weights` does not name.
        by_weight: whether `select_heaviest` found the head, so that only what weighs the same ties.
    """
    if head.matches == 0:
        return TopRows(head.places, 0, not (weights.any() or elsewhere))
    within = weights[head.places[: head.matches]]
    beyond = weights.copy()
    beyond[head.places[: head.matches]] = 0.0
    # What is left behind each match, summed from the small end, so that top_p = 1 means every weight above
    # zero.
    left = np.concatenate([np.cumsum(within[::-1])[::-1][1:], [0.0]]) + (beyond.sum() + elsewhere)
    # A share such as 0.9 of ten equal weights must not miss by its last bit.
    enough = np.flatnonzero(left <= (1 - top_p) * (1 + 1e-12) * (weights.sum() + elsewhere))
    if not len(enough):
        return TopRows(head.places, head.matches, False)
    matches = int(enough[0]) + 1
    last = head.places[matches - 1]
    kept = similarities[head.places] >= similarities[last]
    if by_weight:
        kept = (weights[head.places] > weights[last]) | (kept & (weights[head.places] == weights[last]))
    return TopRows(head.places[kept], matches, True)

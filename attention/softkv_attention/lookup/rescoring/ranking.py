"""The best rows or documents, their order and their ties.

The similarities are all summed in one order, so that copies tie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64, I64, Index
from softkv_attention.forked import cached_property
from softkv_attention.lookup.memory.tiles import PassingRows
from softkv_attention.lookup.rescoring.originals import compute_similarities


class DocumentGrouping:
    """The assignment of n rows (keys) to documents, with sums and maxima over each document's rows.

    Args:
        owners: int64[n], the document that each row is a key of; fastest if they ascend.

    Attributes:
        numbers: int64[m], the documents, ascending.
        counts: int64[m], how many of the rows each document has.
    """

    def __init__(self, owners: I64) -> None:
        # The sums need the rows of a document side by side. A stable sort keeps their order, and so that of additions.
        self._order = None if (owners[1:] >= owners[:-1]).all() else np.argsort(owners, kind="stable")
        grouped = owners if self._order is None else owners[self._order]
        begins = np.append(np.ones(min(len(owners), 1), dtype=np.bool_), grouped[1:] != grouped[:-1])
        self._starts = np.flatnonzero(begins)
        self.numbers: I64 = grouped[self._starts]
        self.counts: I64 = np.diff(self._starts, append=len(owners))

    @cached_property
    def index(self) -> Index:
        """int64[n], for each row the index of its document in `numbers`."""
        index = np.repeat(np.arange(len(self.numbers)), self.counts)
        if self._order is None:
            return index
        scattered = np.empty_like(index)
        scattered[self._order] = index
        return scattered

    def sums(self, values: F64) -> F64:
        """Return float64[m], for each document the sum over its rows of the numbers `values` float64[n].

        They are added in the order of the rows, so documents with equal numbers have equal sums.
        """
        return np.add.reduceat(self._group(values), self._starts)

    def best(self, values: F64) -> F64:
        """Return float64[m], for each document the largest of its rows' numbers `values` float64[n]."""
        return np.maximum.reduceat(self._group(values), self._starts)

    def best_rows(self, values: F64) -> Index:
        """Return int64[m], for each document the index of its first row with the largest of `values` float64[n]."""
        values = self._group(values)
        hits = np.flatnonzero(values == np.repeat(np.maximum.reduceat(values, self._starts), self.counts))
        # Every document has a hit, so the first one from its start on is its own.
        first_hits = hits[np.searchsorted(hits, self._starts)]
        return first_hits if self._order is None else self._order[first_hits]

    def break_ties(self, logits: F64, shown: Index, similarities_at: Callable[[Index], F64]) -> F64:
        """Return float64[n], the similarity of each row whose logit is the largest of its document; −∞ for other rows.

        A logit is similarity/T + bias. All keys of a document have the same bias, so the most similar key has the
        largest logit. But beside a large bias, rounding to float64 gives several keys the same logit, and the
        similarity decides.

        Args:
            logits: float64[n].
            shown: int64[s], indices into `numbers`; only these documents are considered.
            similarities_at: returns the similarities of the rows with the given indices.
        """
        is_shown = np.zeros(len(self.numbers), dtype=np.bool_)
        is_shown[shown] = True
        ties = np.flatnonzero(is_shown[self.index] & (logits == self.best(logits)[self.index]))
        similarities = np.full(len(logits), -np.inf)
        similarities[ties] = similarities_at(ties)
        return similarities

    def log_sums(self, logits: F64) -> F64:
        """Return float64[m], ln Σ exp(logit) over each document's rows, without overflow or underflow.

        Args:
            logits: float64[n], of the rows.
        """
        best = self.best(logits)
        return np.asarray(best + np.log(self.sums(np.exp(logits - best[self.index]))))

    def _group(self, values: F64) -> F64:
        """Return float64[n], the rows' numbers `values`, reordered so that each document's rows are consecutive."""
        return values if self._order is None else values[self._order]


def log_weight_of_other_parts(grouping: DocumentGrouping, similarities: F64, temperature: float) -> F64:
    """Return float64[m]: by how much the logarithm of each document's weight exceeds that of its best key alone.

    Args:
        grouping: the rows of the m documents.
        similarities: float64[n], of the rows; the most similar of all rows is among them.
        temperature: 0 or more. At 0, the result is the logarithm of how many of the document's keys tie for the best of
            all, at least 0.
    """
    if temperature > 0:
        # Relative to the best key of each document, whose term is 1, so that the sum does not vanish.
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
    """Compute the similarities of all rows that can be among the best k again, in one fixed order of summation.

    Rows that can tie with the k-th best are included. Copies of a vector then tie exactly. Old and new similarities are
    within `slack` of the true ones. Let b be the k-th best old one. After the replacement, the k rows that were best
    are at least b − 2·slack. A row that is at least that good was at least b − 4·slack before. So rows below that need
    no replacement.

    Args:
        passing: the rows.
        similarity: the similarity's name.
        query: float64[d].
        similarities: float64[n], summed in any order; changed in place.
        k: the number of best rows, at least 1.
        slack: a bound on the error of a computed similarity.
        logits: float64[n], which then decide what the best rows are, and which `slack` bounds. None without a bias.
    """
    levels = similarities if logits is None else logits
    n = levels.size
    kth = levels.min() if k >= n else np.partition(levels, n - k)[n - k]
    # 4·slack: see the docstring. The k best rows are among these before and after the replacement.
    rows = np.flatnonzero(levels >= kth - 4 * slack)
    queries = np.zeros(len(rows), dtype=np.int64)
    similarities[rows] = compute_similarities(similarity, passing.row_indices, query[None, :], rows, queries)


@dataclass(frozen=True, eq=False)
class TopRows:
    """The best rows or documents, best first, followed by all that tie with the last of the requested number.

    Attributes:
        indices: int64[h], their indices among all rows or documents.
        matches: how many were requested and exist; the rest of `indices` are further ties.
        complete: False if `top_p` is not reached because the number is limited.
    """

    indices: Index
    matches: int
    complete: bool


def select_top(similarities: F64, cap: int, order: I64 | None = None) -> TopRows:
    """Return the `cap` most similar rows, and all that tie with the last of them.

    Args:
        similarities: float64[n].
        cap: how many rows to return, apart from further ties.
        order: int64[n], by which tied rows are sorted; None for the order of the rows.
    """
    n = similarities.size
    k = min(cap, n)
    if k == 0:
        return TopRows(np.empty(0, dtype=np.intp), 0, True)
    last = similarities.min() if k == n else np.partition(similarities, n - k)[n - k]
    rows = np.flatnonzero(similarities >= last)
    if order is not None:
        rows = rows[np.argsort(order[rows])]
    # Stable, so that ties stay in the order of `order`, or of the rows.
    return TopRows(rows[np.argsort(-similarities[rows], kind="stable")], k, True)


def select_heaviest(weights: F64, similarities: F64, cap: int, order: I64 | None = None) -> TopRows:
    """Return the `cap` rows of largest weight, and all that tie with the last of them.

    Rows of equal weight are sorted by similarity.

    Args:
        weights, similarities: float64[n]; rows tie if they are equal in both.
        cap: how many rows to return, apart from further ties.
        order: int64[n], by which tied rows are sorted; None for the order of the rows.
    """
    if order is not None:
        ordered_rows = np.argsort(order)
        head = select_heaviest(weights[ordered_rows], similarities[ordered_rows], cap)
        return TopRows(ordered_rows[head.indices], head.matches, head.complete)
    heaviest = select_top(weights, cap)
    if heaviest.matches == 0:
        return heaviest
    last = weights[heaviest.indices[-1]]
    # Rows above the last weight are all in. Of those at the last weight, the most similar ones are.
    above = heaviest.indices[weights[heaviest.indices] > last]
    above = above[np.lexsort((-similarities[above], -weights[above]))]
    level = heaviest.indices[len(above) :]
    rest = select_top(similarities[level], heaviest.matches - len(above))
    return TopRows(np.concatenate([above, level[rest.indices]]), heaviest.matches, True)


def truncate_top_p(
    head: TopRows, similarities: F64, weights: F64, top_p: float, elsewhere: float = 0.0, *, by_weight: bool = False
) -> TopRows:
    """Return the shortest prefix of a ranking that holds at least the share `top_p` of the documents' weight.

    Documents that tie with the last one are included.

    Args:
        head: the ranking to cut, from `select_top` or `select_heaviest`.
        similarities: float64[n], of all documents.
        weights: float64[n], of all documents, without the null key.
        top_p: the share, above 0 and at most 1.
        elsewhere: the total weight of documents that are not in `weights`.
        by_weight: True if `select_heaviest` made the ranking, so that only documents of equal weight tie.
    """
    if head.matches == 0:
        return TopRows(head.indices, 0, not (weights.any() or elsewhere))
    within = weights[head.indices[: head.matches]]
    beyond = weights.copy()
    beyond[head.indices[: head.matches]] = 0.0
    # The weight after each match is summed from the small end, so that top_p = 1 covers every weight above zero.
    weight_after = np.concatenate([np.cumsum(within[::-1])[::-1][1:], [0.0]]) + (beyond.sum() + elsewhere)
    # A share such as 0.9 of ten equal weights must not fail by the last bit.
    enough = np.flatnonzero(weight_after <= (1 - top_p) * (1 + 1e-12) * (weights.sum() + elsewhere))
    if not len(enough):
        return TopRows(head.indices, head.matches, False)
    matches = int(enough[0]) + 1
    last = head.indices[matches - 1]
    # Documents that tie with the last one have the same claim to be listed.
    is_included = similarities[head.indices] >= similarities[last]
    if by_weight:
        is_tied = is_included & (weights[head.indices] == weights[last])
        is_included = (weights[head.indices] > weights[last]) | is_tied
    return TopRows(head.indices[is_included], matches, True)

"""The rows that an answer is built from after a scan.

If each row is a document, the answer is built from the rows that were looked up in float64. If documents have several
keys, it is built from all keys of the documents that can be in the head. A scan lists some keys of a document; the
scanned similarities of its other keys lie below the threshold. That bounds each document's weight from both sides. If
the bounds do not decide the head, the exact path has to answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.kernels import HEAVIEST
from softkv_attention.lookup.answer import HeavyRows
from softkv_attention.lookup.question import Question
from softkv_attention.lookup.rescoring.candidates import RescoredQuery
from softkv_attention.lookup.rescoring.ranking import DocumentGrouping, select_top
from softkv_attention.lookup.shards.shard import Shard
from softkv_attention.lookup.softmax.evidence import Evidence
from softkv_attention.lookup.softmax.mixture import Mixture, log_or_minus_inf
from softkv_attention.lookup.softmax.verdict import HALF

MIN_LOG_WEIGHT = -700.0
"""The logarithm of a weight below which it may be 0; documents of weight 0 are ordered by similarity."""

TINY = float(np.finfo(np.float64).tiny)

LOG_SUM_ERROR = 1e-9
"""A generous bound on the float64 error of a logarithm of a sum, relative to the larger of it and 1."""


@dataclass(frozen=True, eq=False)
class AnswerRows:
    """The rows that an answer is built from after a scan of 8-bit codes, with their similarities in float64.

    Attributes:
        indices, similarities: int64[r] and float64[r], the rows and their similarities; the rows ascend if there is a
            grouping.
        grouping: the documents of the rows, each with all of its rows. None if each row is a document.
    """

    indices: I64
    similarities: F64
    grouping: DocumentGrouping | None

    def weights(self, shard: Shard, question: Question, rescored: RescoredQuery, mixture: Mixture) -> tuple[F64, float]:
        """Return the weights float64[r] of these rows, and the total weight of documents without a row among them.

        The weights come from exact similarities, but the partition (the sum that they are divided by) is an estimate.
        If the partition is too small, the weights would sum to more than one. Then they are scaled down, see
        `bound_exact_documents`.

        Args:
            shard, question: the rows that were scanned as 8-bit codes, and the question.
            rescored: the candidate rows of the scan, the best of which were looked up in float64.
            mixture: the weights of all rows after the scan.
        """
        if self.grouping is None:
            return mixture.known, mixture.tail
        order = np.argsort(rescored.rows)
        positions = np.searchsorted(rescored.rows, self.indices, sorter=order)
        matches = order[np.minimum(positions, len(order) - 1)]
        is_known = rescored.rows[matches] == self.indices
        if not _all_have_weight(question, mixture):  # every row with weight is known
            return np.where(is_known, mixture.known[matches], 0.0), 0.0
        logits = (self.similarities - rescored.best) / mixture.evidence.temperature
        weights = np.exp(logits) * mixture.known.max()
        total, listed = float(mixture.known.sum()) + mixture.tail, float(weights.sum())
        if listed > total:
            weights *= total / listed
        rest = mixture.tail + float(np.delete(mixture.known, matches[is_known]).sum())
        if rest < TINY or len(self.indices) == shard.keys:
            return weights, 0.0
        return weights, max(total - listed, TINY)


def find_answer_rows(
    shard: Shard, question: Question, rescored: RescoredQuery, mixture: Mixture | None
) -> AnswerRows | None:
    """Return all rows of the documents that the answer may list, and of the document with the best key.

    Documents are ranked by a number, the level. If weights decide, it is the logarithm of the document's mass Σ
    exp(logit), relative to that of the best key. Otherwise it is the similarity of the document's best key. k documents
    reach the k-th largest of the lower bounds on levels. A document whose upper bound is below that is not among the k
    best, and does not tie with the last of them. A row that is not listed was scanned below the threshold.

    Args:
        shard, question: the rows that were scanned as 8-bit codes, and the question.
        rescored: the candidate rows of the scan, the best of which were looked up in float64.
        mixture: the weights of all rows, which decide; None if similarity decides.

    Returns:
        The rows; None if the scan leaves open which rows these are, or if there are too many.
    """
    if not shard.facts.several:
        return AnswerRows(rescored.rows, rescored.similarities, None)
    by_weight = mixture is not None and _all_have_weight(question, mixture)
    unit = mixture.evidence.temperature if mixture is not None and by_weight else 1.0
    grouping, lower, upper = _bound_levels(shard, rescored, unit, by_weight=by_weight)
    k = question.head_size(shard.documents)
    if len(lower) < k:
        return None
    level, margin = float(np.partition(lower, len(lower) - k)[len(lower) - k]), 0.0
    unlisted_level = -np.inf
    if rescored.threshold > -np.inf:
        unlisted_level = (rescored.threshold + rescored.error - rescored.best) / unit

    # The documents with the most rows are judged by their number of rows, listed or not. No other document has more
    # than `most_keys` rows.
    longest = np.setdiff1d(shard.facts.longest, grouping.numbers)
    documents = np.concatenate([grouping.numbers, longest])
    counts, most_keys = shard.key_counts(documents), shard.facts.most_keys
    unlisted = counts - np.append(grouping.counts, np.zeros(len(longest), dtype=np.int64))
    upper = np.append(upper, np.full(len(longest), -np.inf))
    if mixture is not None and by_weight:
        upper = np.logaddexp(upper, unlisted_level + log_or_minus_inf(unlisted.astype(np.float64)))
        if level + np.log(max(float(mixture.known.max()), 1e-320)) < MIN_LOG_WEIGHT:
            level -= float(np.log(max(most_keys, counts.max())))
        margin = LOG_SUM_ERROR * max(1.0, abs(level))
        unlisted_level += float(np.log(most_keys))
    else:
        upper = np.maximum(upper, np.where(unlisted > 0, unlisted_level, -np.inf))
        level = min(level, -rescored.support)
    if not unlisted_level < level - margin:
        return None
    is_chosen = upper >= level - margin
    is_chosen[grouping.index[int(rescored.similarities.argmax())]] = True
    if counts[is_chosen].sum() > shard.limits.max_document_lookups:
        return None
    return _look_up(shard, question, documents[is_chosen])


def heaviest_weights(shard: Shard, rescored: RescoredQuery, mixture: Mixture, error: float) -> tuple[float, float]:
    """Return a lower and an upper bound on the true weight of the heaviest document, for softmax.

    A document weighs at least as much as its listed rows. Its other rows add at most the weight of as many rows at the
    threshold. This holds for listed documents, for the documents with most rows, and for any other. The true partition
    may be smaller than its estimate. If a part m of it is off by a factor of exp(−b), the partition is off by the
    factor 1 − m·(1 − e⁻ᵇ).

    Args:
        shard: the rows that were scanned as 8-bit codes.
        rescored: the candidate rows of the scan, which were listed, and the threshold that all other rows are below.
        mixture: the weights of all rows.
        error: a bound on the error of the scanned similarity of an unlisted row.
    """
    grouping = DocumentGrouping(shard.owners(rescored.head_rows))
    listed = grouping.sums(mixture.head_weights)
    if not len(listed):
        return 0.0, 0.0
    least = float(listed.max())
    if rescored.threshold == -np.inf:
        return least, least
    temperature = mixture.evidence.temperature
    if temperature == 0:
        return least, least
    row_weight = float(np.exp((rescored.threshold + rescored.error - rescored.best) / temperature)) * float(
        mixture.known.max()
    )
    remainder = 1 + mixture.tail * float(np.expm1(-error / temperature))
    unlisted = shard.key_counts(grouping.numbers) - grouping.counts
    longest = shard.key_counts(shard.facts.longest)
    other_document = max(shard.facts.most_keys, int(longest.max(initial=0))) * row_weight
    largest = max(float((listed + unlisted * row_weight).max()), other_document)
    return least, min(1.0, largest / remainder) if remainder > 0 else 1.0


def select_heavy_rows(shard: Shard, rows: I64, weights: F64, evidence: Evidence) -> HeavyRows | None:
    """Return the heaviest of some rows; None if they cannot share more than half of all weight, see `Answer`.

    Args:
        shard: the shard of the rows.
        rows, weights: int64[n] and float64[n], all rows, or those that a scan listed, which include the heaviest.
        evidence: the weight of the null key ("none of these").
    """
    if evidence.null_weight >= HALF or weights.max(initial=0.0) > HALF:
        return None
    heaviest = select_top(weights, HEAVIEST).indices[:HEAVIEST]
    if weights[heaviest].sum() <= HALF:
        return None
    return HeavyRows(shard.numbers(rows[heaviest]), shard.owners(rows[heaviest]), weights[heaviest])


def _all_have_weight(question: Question, mixture: Mixture) -> bool:
    """Return whether every row has a weight above 0, as with softmax above temperature 0.

    If not, all rows with weight were looked up in float64, so these decide which documents the answer lists.
    """
    return question.normaliser == "softmax" and mixture.evidence.temperature > 0


def _bound_levels(
    shard: Shard, rescored: RescoredQuery, unit: float, *, by_weight: bool
) -> tuple[DocumentGrouping, F64, F64]:
    """Return the documents of all listed rows, and a lower and an upper bound on the level of each.

    The level is the number that documents are ranked by. By weight it is ln Σ exp((s − best)/unit) over the document's
    listed rows, otherwise the largest (s − best)/unit.

    Args:
        shard: the scanned rows.
        rescored: the candidate rows of the scan, which were listed, and the largest similarity `best`.
        unit: the temperature if documents are ranked by weight, otherwise 1.
        by_weight: whether weight decides, otherwise similarity.
    """
    grouping = DocumentGrouping(shard.owners(rescored.head_rows))
    join = grouping.log_sums if by_weight else grouping.best
    lower, upper = (
        join((np.append(rescored.similarities, rescored.candidates + error) - rescored.best) / unit)
        for error in (-rescored.error, rescored.error)
    )
    return grouping, lower, upper


def _look_up(shard: Shard, question: Question, documents: I64) -> AnswerRows:
    rows = shard.rows_of(np.sort(documents))
    similarities = shard.similarities_at(question.vector[None], rows, np.zeros(len(rows), dtype=np.int64))
    return AnswerRows(rows, similarities, DocumentGrouping(shard.owners(rows)))

"""Which rows an answer tells of: those known in float64, or all keys of the documents that can be among the best.

A scan lists rows. Of a document of several keys it so knows some, and of the others that they lie below its threshold.
That bounds each document from both sides, and where the best cannot be told by these bounds, it says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.question import Question
from attention.lookup.rescoring.candidates import RescoredQuery
from attention.lookup.rescoring.ranking import DocumentGrouping
from attention.lookup.shards.shard import Shard
from attention.lookup.softmax.mixture import Mixture, log_or_minus_inf

MAX_LOOKUPS = 2**17
"""So many rows are looked up to decide between documents; where it takes more, the exact path is as fast."""

MIN_LOG_WEIGHT = -700.0
"""The logarithm of a weight below which it may be 0; and among documents of weight 0 similarity decides."""

TINY = float(np.finfo(np.float64).tiny)

LOG_SUM_ERROR = 1e-9
"""What logarithms of sums can be off by in float64, relative to the larger of them and 1, and much more."""


@dataclass(frozen=True, eq=False)
class AnswerRows:
    """The rows that an answer tells of.

    Attributes:
        places, similarities: int64[r] and float64[r]; ascending where there is a grouping.
        grouping: of the rows, all of a document among them; None where each is a document by itself.
    """

    places: I64
    similarities: F64
    grouping: DocumentGrouping | None

    def weights(self, part: Shard, question: Question, rescored: RescoredQuery, found: Mixture) -> tuple[F64, float]:
        """(weights float64[r], the weight of all documents that none of these rows belongs to).

        Rows of the tail are counted at their exact similarity, which the partition is only an estimate beside. Where
        that is too small, the weights are scaled down to what all documents weigh in it, see `bound_exact_documents`.
        """
        if self.grouping is None:
            return found.known, found.tail
        order = np.argsort(rescored.places)
        at = order[np.minimum(np.searchsorted(rescored.places, self.places, sorter=order), len(order) - 1)]
        known = rescored.places[at] == self.places
        if not _by_weight(question, found):  # and all that weigh anything are known
            return np.where(known, found.known[at], 0.0), 0.0
        logits = (self.similarities - rescored.best) / found.evidence.temperature
        weights = np.exp(logits) * found.known.max()
        all_documents, these = float(found.known.sum()) + found.tail, float(weights.sum())
        if these > all_documents:
            weights *= all_documents / these
        others = found.tail + float(np.delete(found.known, at[known]).sum())
        if others < TINY or len(self.places) == part.keys:
            return weights, 0.0
        return weights, max(all_documents - these, TINY)


def find_answer_rows(
    part: Shard, question: Question, rescored: RescoredQuery, found: Mixture | None
) -> AnswerRows | None:
    """All rows of the documents that can be among the best, and of that of the best key; None where it is not told.

    Every document has a level. Where weights decide it is the logarithm of its mass, relative to that of the best key;
    elsewhere the similarity of its best key. k documents reach at least the k-th of the lowest levels that listed rows
    leave possible; one whose highest level is below that is neither among the k best nor ties with the last of them. A
    row that is not listed was scanned below the threshold.

    Args:
        found: the distribution whose weights decide; None where similarity does.
    """
    if not part.facts.several:
        return AnswerRows(rescored.places, rescored.similarities, None)
    by_weight = found is not None and _by_weight(question, found)
    unit = found.evidence.temperature if found is not None and by_weight else 1.0
    grouping, lowest, highest = _bound_levels(part, rescored, unit, by_weight=by_weight)
    k = question.head_size(part.documents)
    if len(lowest) < k:
        return None
    level, margin = float(np.partition(lowest, len(lowest) - k)[len(lowest) - k]), 0.0
    peak = -np.inf
    if rescored.threshold > -np.inf:
        peak = (rescored.threshold + rescored.error - rescored.best) / unit

    # The documents with most rows are judged by how many they have, wherever these stand; no other has more than most.
    longest = np.setdiff1d(part.facts.longest, grouping.numbers)
    documents = np.concatenate([grouping.numbers, longest])
    counts, most = part.key_counts(documents), part.facts.most_keys
    unlisted = counts - np.append(grouping.counts, np.zeros(len(longest), dtype=np.int64))
    highest = np.append(highest, np.full(len(longest), -np.inf))
    if found is not None and by_weight:
        highest = np.logaddexp(highest, peak + log_or_minus_inf(unlisted.astype(np.float64)))
        if level + np.log(max(float(found.known.max()), 1e-320)) < MIN_LOG_WEIGHT:
            level -= float(np.log(max(most, counts.max())))
        margin = LOG_SUM_ERROR * max(1.0, abs(level))
        peak += float(np.log(most))
    else:
        highest = np.maximum(highest, np.where(unlisted > 0, peak, -np.inf))
        level = min(level, -rescored.support)
    if not peak < level - margin:
        return None
    chosen = highest >= level - margin
    chosen[grouping.index[int(rescored.similarities.argmax())]] = True
    return _look_up(part, question, documents[chosen]) if counts[chosen].sum() <= MAX_LOOKUPS else None


def heaviest_weights(part: Shard, rescored: RescoredQuery, found: Mixture, error: float) -> tuple[float, float]:
    """Return the least and the largest weight of the heaviest document, within the total variation; softmax only.

    A document weighs at least what its listed rows do, and at most as much more as its other rows would at the
    threshold: those of listed documents, of the documents with most rows, and of any other. The partition may be
    smaller than the sum that stands for it: of a part m in it that is off by a factor of exp(−b), by 1 − m·(1 − e⁻ᵇ).

    Args:
        error: the largest error of the similarity of an unlisted row.
    """
    weights = np.concatenate([found.known, found.candidates])
    grouping = DocumentGrouping(part.owners(np.concatenate([rescored.places, rescored.candidate_places])))
    listed = grouping.sums(weights)
    if not len(listed):
        return 0.0, 0.0
    least = float(listed.max())
    if rescored.threshold == -np.inf:
        return least, least
    temperature = found.evidence.temperature
    if temperature == 0:
        return least, least
    row_weight = float(np.exp((rescored.threshold + rescored.error - rescored.best) / temperature)) * float(
        found.known.max()
    )
    left = 1 + found.tail * float(np.expm1(-error / temperature))
    unlisted = part.key_counts(grouping.numbers) - grouping.counts
    longest = part.key_counts(part.facts.longest)
    other_document = max(part.facts.most_keys, int(longest.max(initial=0))) * row_weight
    largest = max(float((listed + unlisted * row_weight).max()), other_document)
    return least, min(1.0, largest / left) if left > 0 else 1.0


def _by_weight(question: Question, found: Mixture) -> bool:
    """Whether every row has a weight, so that a tail may decide; elsewhere all that weigh anything are known."""
    return question.normaliser == "softmax" and found.evidence.temperature > 0


def _bound_levels(
    part: Shard, rescored: RescoredQuery, unit: float, *, by_weight: bool
) -> tuple[DocumentGrouping, F64, F64]:
    """The documents of all listed rows, those that are known first; what these rows make at least and at most."""
    places = np.concatenate([rescored.places, rescored.candidate_places])
    grouping = DocumentGrouping(part.owners(places))
    join = grouping.log_sums if by_weight else grouping.best
    lowest, highest = (
        join((np.append(rescored.similarities, rescored.candidates + error) - rescored.best) / unit)
        for error in (-rescored.error, rescored.error)
    )
    return grouping, lowest, highest


def _look_up(part: Shard, question: Question, documents: I64) -> AnswerRows:
    places = part.rows_of(np.sort(documents))
    similarities = part.similarities_at(question.vector[None], places, np.zeros(len(places), dtype=np.int64))
    return AnswerRows(places, similarities, DocumentGrouping(part.owners(places)))

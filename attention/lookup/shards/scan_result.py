"""What a scan is asked for, and what it brings home for q questions: one record of plain arrays a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.bounds.similarities import QuantisationError
from attention.lookup.question import Question
from attention.lookup.rescoring.candidates import SCANNED_SQUARES_SHARE, Candidates
from attention.lookup.scan.accumulator import ERROR_DEGREES, NO_THRESHOLD, Accumulator, shift_sums


@dataclass(frozen=True, eq=False)
class ScanRequest:
    """What a scan is to gather for q queries.

    Attributes:
        vectors: float64[q, d], the queries.
        ks: how many of the best each of them asks for, at least 1.
        listed: about how many rows to list for each query.
        most: how many of them to look up for their weight, fewer for a histogram; those near the k-th best are
            looked up as well.
        temperatures: float64[q], not below 0, to sum at; None for a histogram, from which any can be had.
        outputs: whether the weighted values are to be summed as well.
        fine: whether queries, and weights of values, are to have 16 bits however many they are.
        little: what the squared weights of rows that are only scanned may come to, see `candidates.heavy`.
    """

    vectors: F64
    ks: Sequence[int]
    listed: int
    most: int
    temperatures: F64 | None
    outputs: bool = False
    fine: bool = False
    little: float = SCANNED_SQUARES_SHARE


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Sums, candidates and error bounds of one part; its workers are added up to one.

    A row that passes is listed or summed. The best of those listed have been looked up in float64.

    Attributes:
        documents, keys: how many documents pass, and how many rows.
        thresholds: float64[q], the highest that a row may have been scanned at without being listed; −∞ where all are.
        levels: float64[q], the similarity that sums are relative to.
        sums: float64[q, 3]: Σe, Σe·x and Σe² over the rows that are summed, x = (s − level)/T and e = exp(x).
        starts: int64[q + 1]; the candidates of query i are those from starts[i] to starts[i + 1].
        places, similarities: int64[m] and float64[m], of the candidates, by their scanned similarity, best first.
        known_starts, known: int64[q + 1] and float64[h], the similarities of the first candidates of each query.
        errors: float64[q, 3], see `QuantisationError`.
        outputs: float64[q, d_v], Σe·v over the rows that are summed; None where no output is asked for.
        value_errors: float64[q, 5], what `outputs` can be off by, see `accumulator.VALUE_ERRORS`.
        bits: of the queries' codes, 8 or 16.
        histogram: float64[q, bins, 2], count and sum of similarities, in place of sums; None where one temperature is
            asked for.
        bin_widths: float64[q]; a row is at most so far from its bin's mean.
    """

    documents: int
    keys: int
    thresholds: F64
    levels: F64
    sums: F64
    starts: I64
    places: I64
    similarities: F64
    known_starts: I64
    known: F64
    errors: F64
    outputs: F64 | None
    value_errors: F64
    bits: int
    histogram: F64 | None
    bin_widths: F64

    @property
    def totals(self) -> Sums:
        """What was summed."""
        return Sums(self.thresholds, self.levels, self.sums, self.outputs, self.value_errors)

    def error(self, query: int) -> QuantisationError:
        """How far the scanned similarities of a query can be off."""
        return QuantisationError(*self.errors[query].tolist())

    def exact_similarities(self, query: int) -> F64:
        """float64[h], the similarities of a query's first candidates."""
        return self.known[self.known_starts[query] : self.known_starts[query + 1]]

    def candidates(self, questions: Sequence[Question]) -> Candidates:
        """The candidates of the questions that were scanned for, in that order."""
        # Where documents have several keys, rows do not make a head: it is enough to know which is the best.
        rows_are_documents = self.documents == self.keys
        return Candidates(
            np.array([each.head_size(self.keys) if rows_are_documents else 1 for each in questions]),
            np.array([each.support for each in questions]),
            self.starts,
            self.places,
            self.similarities,
            self.thresholds,
            self.errors[:, 0].copy(),
        )


@dataclass(frozen=True, eq=False)
class Sums:
    """What the workers of a scan have summed, added up; fields as in `ScanResult`."""

    thresholds: F64
    levels: F64
    sums: F64
    outputs: F64 | None
    value_errors: F64


@dataclass(frozen=True, eq=False)
class Scanned:
    """What a part's scan says before anything is looked up; fields as in `ScanResult`, and one more.

    Attributes:
        weighty: int64[q], how many candidates weigh much, see `candidates.heavy`.
    """

    totals: Sums
    errors: F64
    starts: I64
    places: I64
    similarities: F64
    weighty: I64
    histogram: F64 | None
    bin_widths: F64


def add_accumulators(accumulators: Sequence[Accumulator]) -> Sums:
    """The sums of all workers, relative to the highest threshold of those that have any."""
    if len(accumulators) == 1:
        (one,) = accumulators
        levels = one.lists.thresholds.astype(np.float64)
        return Sums(_listing_thresholds(levels), levels, one.sums, one.outputs, one.value_errors)
    thresholds = np.array([each.lists.thresholds for each in accumulators], dtype=np.float64)  # [workers, q]
    if (thresholds == thresholds[0]).all():  # most scans end with thresholds as they opened
        outputs = [each.outputs for each in accumulators if each.outputs is not None]
        return Sums(
            _listing_thresholds(thresholds[0]),
            thresholds[0],
            reduce(np.add, [each.sums for each in accumulators]),
            reduce(np.add, outputs) if outputs else None,
            reduce(np.add, [each.value_errors for each in accumulators]),
        )
    has_any = np.array([each.sums[:, 0] for each in accumulators]) > 0
    highest = thresholds.max(axis=0)
    levels = np.where(has_any, thresholds, -np.inf).max(axis=0)
    levels = np.where(levels > -np.inf, levels, highest)
    shifts = np.minimum(thresholds - levels, 0.0) * has_any
    summed = [_rebase(each, shift * each.inverse) for each, shift in zip(accumulators, shifts, strict=True)]
    outputs = [each for _, each, _ in summed if each is not None]
    return Sums(
        _listing_thresholds(highest),
        levels,
        reduce(np.add, [each for each, _, _ in summed]),
        reduce(np.add, outputs) if outputs else None,
        reduce(np.add, [each for _, _, each in summed]),
    )


def merge_sums(parts: Sequence[Sums], inverse: F64) -> Sums:
    """The sums of all parts, relative to the highest level of those that have any.

    Args:
        inverse: float64[q], 1/T as the scans had it.
    """
    has_any = np.array([each.sums[:, 0] for each in parts]) > 0
    own = np.array([each.levels for each in parts])
    levels = np.where(has_any, own, -np.inf).max(axis=0)
    levels = np.where(levels > -np.inf, levels, own.max(axis=0))
    shifts = np.minimum(own - levels, 0.0) * has_any
    summed = [_rebase(each, shift * inverse) for each, shift in zip(parts, shifts, strict=True)]
    outputs = [each for _, each, _ in summed if each is not None]
    return Sums(
        np.max([each.thresholds for each in parts], axis=0),
        levels,
        reduce(np.add, [each for each, _, _ in summed]),
        reduce(np.add, outputs) if outputs else None,
        reduce(np.add, [each for _, _, each in summed]),
    )


def _listing_thresholds(thresholds: F64) -> F64:
    """float64[q], from where on rows were listed; −∞ where there was no threshold."""
    return np.where(thresholds > NO_THRESHOLD, thresholds, -np.inf)


def _rebase(worker: Accumulator | Sums, shifts: F64) -> tuple[F64, F64 | None, F64]:
    """Sums, outputs and value errors of a worker or part, its logits larger by `shifts` float64[q]; or as they are."""
    sums, outputs, value_errors = worker.sums, worker.outputs, worker.value_errors
    if not shifts.any():
        return sums, outputs, value_errors
    sums, value_errors = sums.copy(), value_errors.copy()
    outputs = None if outputs is None else outputs.copy()
    for query in np.flatnonzero(shifts):
        sums[query] = shift_sums(sums[query], shifts[query])
        value_errors[query] *= np.exp(shifts[query] * ERROR_DEGREES)
        if outputs is not None:
            outputs[query] *= np.exp(shifts[query])
    return sums, outputs, value_errors

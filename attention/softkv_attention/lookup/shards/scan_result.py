"""The request for one scan of q questions, and its result: one record of plain arrays for each shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from softkv_attention.arrays import F32, F64, I64
from softkv_attention.lookup.bounds.similarities import QuantisationError
from softkv_attention.lookup.rescoring.candidates import SCANNED_SQUARES_SHARE, Candidates
from softkv_attention.lookup.scan import ERROR_DEGREES, NO_THRESHOLD, Accumulator, shift_sums


@dataclass(frozen=True, eq=False)
class ScanRequest:
    """A request to scan all rows of a shard for q queries, and what to compute for each.

    Attributes:
        vectors: float64[q, d], the queries.
        head_sizes: for each query, k: the number of best rows that its answer needs, at least 1.
        listed: about how many rows to list as candidates for each query; all others are only summed.
        max_lookups: the most rows to look up in float64 because of their weight; fewer for a histogram. Rows near the
            k-th best are looked up as well.
        temperatures: float64[q], not below 0, at which weights are summed; None to fill a histogram of similarities
            instead, which serves any temperature.
        outputs: whether to compute weighted sums of values as well.
        fine: whether integer codes of queries, and of the weights of values, have 16 bits even for a large batch of
            queries.
        scanned_share: the largest share of squared weights that candidates without a lookup in float64 may have,
            relative to the summed rows, see `candidates.count_heavy`.
    """

    vectors: F64
    head_sizes: Sequence[int]
    listed: int
    max_lookups: int
    temperatures: F64 | None
    outputs: bool = False
    fine: bool = False
    scanned_share: float = SCANNED_SQUARES_SHARE


@dataclass(frozen=True, eq=False)
class ScanResult:
    """The result of scanning one shard for q queries: sums, candidates and bounds on their errors.

    Each passing row is either listed as a candidate or summed. The best candidates have been looked up in float64.

    Attributes:
        documents, keys: how many documents and how many rows pass the mask.
        thresholds: float64[q], an upper bound on the scanned similarity of unlisted rows; −∞ if all rows are listed.
        levels: float64[q], the similarity that the sums are relative to.
        sums: float64[q, 3]: Σe, Σe·x and Σe² over the summed rows, x = (s − level)/T and e = exp(x).
        starts: int64[q + 1]; the candidates of query i are those from starts[i] to starts[i + 1].
        rows, similarities: int64[m] and float64[m], the candidates and their scanned similarities, each query's best
            first.
        known_starts, known: int64[q + 1] and float64[h], the exact similarities of the best candidates; those of query
            i are from known_starts[i] to known_starts[i + 1].
        errors: float64[q, 3], bounds on the errors of scanned similarities, see `QuantisationError`.
        outputs: float64[q, d_v], Σe·v over the summed rows; None if no output was requested.
        value_errors: float64[q, 5], bounds on the errors of `outputs`, see `scan.VALUE_ERRORS`.
        bits: the width of the queries' codes, 8 or 16.
        histogram: float64[q, bins, 2], count and sum of similarities, instead of sums; None if the request has
            temperatures.
        bin_widths: float64[q], the largest distance of a row from the mean of its bin.
    """

    documents: int
    keys: int
    thresholds: F64
    levels: F64
    sums: F64
    starts: I64
    rows: I64
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
        """The sums over all rows that the scan did not list as candidates, without the rest of the result."""
        return Sums(self.thresholds, self.levels, self.sums, self.outputs, self.value_errors)

    def error(self, query: int) -> QuantisationError:
        """Return bounds on the errors of a query's similarities that come from 8-bit codes."""
        return QuantisationError(*self.errors[query].tolist())

    def exact_similarities(self, query: int) -> F64:
        """Return float64[h], the exact similarities of a query's best candidates, which were looked up in float64."""
        return self.known[self.known_starts[query] : self.known_starts[query + 1]]

    def candidates(self, head_sizes: Sequence[int], supports: Sequence[float]) -> Candidates:
        """Return the candidates (listed rows) of all queries, with what each answer needs.

        Args:
            head_sizes: how many best rows each query's answer needs, if each row is a document.
            supports: how far below the best a row can still have weight, for a sparse normaliser; else 0.
        """
        # If documents have several keys, rows do not form a head: it is enough to know the best row.
        return Candidates(
            np.array(head_sizes if self.documents == self.keys else [1] * len(head_sizes)),
            np.array(supports),
            self.starts,
            self.rows,
            self.similarities,
            self.thresholds,
            self.errors[:, 0].copy(),
        )


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of a scan (one pass over the 8-bit codes) over the rows that it did not list, for q queries.

    Attributes:
        thresholds: float64[q], an upper bound on the similarity of these rows; −∞ if all rows are listed.
        levels: float64[q], the similarity that the sums are relative to.
        sums: float64[q, 3]: Σe, Σe·x and Σe² over these rows, with x = (s − level)/T and e = exp(x).
        outputs: float64[q, d_v], Σe·v over these rows; None if no output was requested.
        value_errors: float64[q, 5], bounds on the errors of `outputs`, see `scan.VALUE_ERRORS`.
    """

    thresholds: F64
    levels: F64
    sums: F64
    outputs: F64 | None
    value_errors: F64


@dataclass(frozen=True, eq=False)
class RawScan:
    """The result of scanning one shard for q queries, before any row is looked up in float64.

    Attributes:
        totals: sums over the rows that were not listed.
        errors: float64[q, 3], bounds on the errors of scanned similarities, see `QuantisationError`.
        starts: int64[q + 1]; the candidates of query i are those from starts[i] to starts[i + 1].
        rows, similarities: int64[m] and float64[m], the candidates, each query's best first.
        heavy_counts: int64[q], how many candidates to look up because of their weight, see `candidates.count_heavy`.
        histogram: float64[q, bins, 2], count and sum of similarities; None if the request has temperatures.
        bin_widths: float64[q], the largest distance of a row from the mean of its bin.
    """

    totals: Sums
    errors: F64
    starts: I64
    rows: I64
    similarities: F64
    heavy_counts: I64
    histogram: F64 | None
    bin_widths: F64


def add_accumulators(accumulators: Sequence[Accumulator]) -> Sums:
    """Return the sums of all worker threads of one scan together.

    They are relative to the highest threshold of a thread that summed rows.
    """
    if len(accumulators) == 1:
        (accumulator,) = accumulators
        levels = accumulator.lists.thresholds.astype(np.float64)
        thresholds = _listing_thresholds(levels)
        return Sums(thresholds, levels, accumulator.sums, accumulator.outputs, accumulator.value_errors)
    levels = np.array([accumulator.lists.thresholds for accumulator in accumulators], dtype=np.float64)  # [workers, q]
    if (levels == levels[0]).all():  # most scans end with the thresholds that they began with
        outputs = [accumulator.outputs for accumulator in accumulators if accumulator.outputs is not None]
        return Sums(
            _listing_thresholds(levels[0]),
            levels[0],
            reduce(np.add, [accumulator.sums for accumulator in accumulators]),
            reduce(np.add, outputs) if outputs else None,
            reduce(np.add, [accumulator.value_errors for accumulator in accumulators]),
        )
    highest = levels.max(axis=0)
    return _add_sums(accumulators, levels, highest, accumulators[0].inverse, _listing_thresholds(highest))


def merge_sums(shard_sums: Sequence[Sums], inverse: F64) -> Sums:
    """Return the sums of all shards together.

    A shard's sums are relative to a similarity, its level. The result is relative to the highest level of a shard that
    summed rows.

    Args:
        shard_sums: the sums of each shard.
        inverse: float64[q], 1/T as in the scans.
    """
    levels = np.array([sums.levels for sums in shard_sums])
    thresholds = np.max([sums.thresholds for sums in shard_sums], axis=0)
    return _add_sums(shard_sums, levels, levels.max(axis=0), inverse, thresholds)


def _add_sums(
    terms: Sequence[Accumulator | Sums], levels: F64, default_levels: F64, inverse: F64 | F32, thresholds: F64
) -> Sums:
    """Return the sum of all terms; a term is the `Sums` of one worker thread or shard over the rows it scanned.

    A term's sums are relative to a similarity, its level. The result is relative to the highest level of a term that
    has rows.

    Args:
        terms: the sums to add.
        levels: float64[terms, q], the level of each term for each query.
        default_levels: float64[q], the level of the result if all terms are empty.
        inverse: float[q], 1/T of each query.
        thresholds: float64[q], the thresholds of the result.
    """
    has_rows = np.array([term.sums[:, 0] for term in terms]) > 0
    common = np.where(has_rows, levels, -np.inf).max(axis=0)
    common = np.where(common > -np.inf, common, default_levels)
    shifts = np.minimum(levels - common, 0.0) * has_rows
    rebased = [_rebase(term, shift * inverse) for term, shift in zip(terms, shifts, strict=True)]
    outputs = [output for _, output, _ in rebased if output is not None]
    return Sums(
        thresholds,
        common,
        reduce(np.add, [sums for sums, _, _ in rebased]),
        reduce(np.add, outputs) if outputs else None,
        reduce(np.add, [value_errors for _, _, value_errors in rebased]),
    )


def _listing_thresholds(levels: F64) -> F64:
    """Return float64[q], the thresholds from which rows were listed; −∞ for a query whose rows were all listed.

    Args:
        levels: float64[q], the thresholds as a scan stores them, with `NO_THRESHOLD` for none.
    """
    return np.where(levels > NO_THRESHOLD, levels, -np.inf)


def _rebase(term: Accumulator | Sums, shifts: F64) -> tuple[F64, F64 | None, F64]:
    """Return sums, outputs and value errors of a worker thread or shard, relative to another similarity.

    Args:
        term: the sums, which are relative to some level.
        shifts: float64[q], for each query the number by which every logit grows; 0 to keep its level.
    """
    sums, outputs, value_errors = term.sums, term.outputs, term.value_errors
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

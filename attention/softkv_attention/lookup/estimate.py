"""Estimates of weights and outputs from one scan of the 8-bit codes, each with a bound on its error.

A scan knows some rows in float64, and the others by sums over their codes. `estimate_weights` returns a distribution
for each question, `estimate_outputs` a blended value. `predict_error_8_bits` and `predict_error_16_bits` are not
bounds: they say whether a more precise way is worth its time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.kernels import kernels
from softkv_attention.lookup.bounds.output import bound_quantised_output
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF, QuantisationError, Slack
from softkv_attention.lookup.bounds.weights import (
    TIGHT,
    bound_exact_documents,
    bound_quantisation,
    bound_rounding,
    tail_variation,
    total_variation,
)
from softkv_attention.lookup.codes.moments import Residuals, Spread
from softkv_attention.lookup.limits import ScanWidth
from softkv_attention.lookup.question import Auto, Question
from softkv_attention.lookup.rescoring.candidates import RescoredQueries, RescoredQuery
from softkv_attention.lookup.scan import ERROR_DEGREES, MASS, VALUE_ERRORS
from softkv_attention.lookup.shards import Shard
from softkv_attention.lookup.shards.local import TILE_ROWS
from softkv_attention.lookup.shards.scan_result import ScanRequest, ScanResult
from softkv_attention.lookup.softmax.distribution import SUPPORT, one_hot, sparse
from softkv_attention.lookup.softmax.mixture import Mixture, Mixtures, mix_cases, mixture_without_tail

MIN_RESIDUAL_SHIFT = 2e-4
"""Relative to the output's length: a mean residual that shifts the output by more is computed for its rows alone."""

MAX_EXPECTED_ERROR_8_BITS, MAX_EXPECTED_ERROR_16_BITS = 5e-4, 7e-4
"""Relative to the output's length. Above the first the output is computed again with queries and weights in 16 bits;
above the second, which is predicted more closely, from the originals."""

ROUNDING_SQUARE = VALUE_ERRORS.index("rounding_square")


@dataclass(frozen=True, eq=False)
class WeightEstimate:
    """The weights of all rows for one question from a scan of 8-bit codes, and a bound on their error.

    Attributes:
        rescored: the candidate rows, the best of which were looked up in float64.
        mixture: the weights of the looked-up rows, and those of the tail (all other rows).
        total_variation: a bound on the total variation of all weights.
        rounding_variation: the part of that bound that does not come from the tail.
    """

    rescored: RescoredQuery
    mixture: Mixture
    total_variation: float
    rounding_variation: float

    @property
    def document_variation(self) -> float:
        """A bound on the total variation of the documents' weights, if documents have several keys.

        It holds for an answer for which all keys of the listed documents are read in float64.
        """
        return min(1.0, self.rounding_variation + bound_exact_documents(self.total_variation - self.rounding_variation))


class WeightEstimates:
    """The weights for each question of one scan of 8-bit codes, built on access by question index.

    An item is None if the question must be answered in float64.

    Attributes:
        scan: the result of the scan.
        rescored: the candidate rows of all questions, after some were looked up in float64.
        cases: for the index of each question that gives every row a weight, its index in `mixtures`.
        mixtures: the softmax weights of all of these questions; None without such questions.
        variations: for each question of `cases`, the bound on total variation, and its part without the tail (rows that
            were not looked up).
    """

    def __init__(
        self, shard: Shard, questions: Sequence[Question], scan: ScanResult, rescored: RescoredQueries
    ) -> None:
        self.scan, self.rescored = scan, rescored
        self._shard, self._questions = shard, questions
        self._estimates: dict[int, WeightEstimate | None] = {}
        decided = [index for index, count in enumerate(rescored.counts.tolist()) if count >= 0]
        indices = [index for index in decided if questions[index].weighs_all]
        self.cases = {index: case for case, index in enumerate(indices)}
        self.mixtures = self._mix(indices) if indices else None
        self.variations: dict[int, tuple[float, float]] = {}
        if self.mixtures is not None:
            self._bound(self.mixtures)
        for index in decided:
            if index not in self.cases:
                self._estimates[index] = self._estimate_without_tail(index)

    def __iter__(self) -> Iterator[WeightEstimate | None]:
        return map(self.__getitem__, range(len(self._questions)))

    def __getitem__(self, index: int) -> WeightEstimate | None:
        if index not in self._estimates:
            rescored, case = self.rescored.of(index), self.cases.get(index)
            if rescored is None or case is None or self.mixtures is None:
                self._estimates[index] = None
            else:
                self._estimates[index] = WeightEstimate(rescored, self.mixtures[case], *self.variations[index])
        return self._estimates[index]

    def _mix(self, indices: Sequence[int]) -> Mixtures:
        temperatures = np.array([scan_temperature(self._questions[index]) for index in indices])
        nulls = [
            self._questions[index].null_key(temperature, self.scan.keys)
            for index, temperature in zip(indices, temperatures.tolist(), strict=True)
        ]
        sums, levels = self.scan.sums, self.scan.levels
        if len(indices) < len(levels):
            sums, levels = sums[indices], levels[indices]
        return mix_cases(self.rescored.runs(indices), levels[:, None], sums[:, None], nulls, temperatures)

    def _bound(self, mixtures: Mixtures) -> None:
        keys, errors, temperatures = self._shard.keys, self.scan.errors.tolist(), mixtures.temperatures.tolist()
        for (index, case), totals, temperature in zip(self.cases.items(), mixtures.totals, temperatures, strict=True):
            question, error = self._questions[index], QuantisationError(*errors[index])
            slack = self._shard.slack(question.vector)
            rounding = bound_rounding(slack, totals.best, temperature, totals.mean_gap, keys)
            tail = bound_quantisation(totals, temperature, error)
            if rounding > TIGHT:
                rescored = self.rescored.of(index)
                assert rescored is not None
                rounding = _rounding_variation(self._shard, question, rescored, mixtures[case], slack)
            elif self._shard.method == "exact":  # the rounding bound already covers all rows
                tail = 0.0
            self.variations[index] = min(1.0, rounding + tail), rounding

    def _estimate_without_tail(self, index: int) -> WeightEstimate:
        question, rescored = self._questions[index], self.rescored.of(index)
        assert rescored is not None
        mixture = mix_without_tail(question, rescored, self.scan.keys)
        return bound_weights(self._shard, question, rescored, mixture, self.scan.error(index))


def estimate_weights(
    shard: Shard, questions: Sequence[Question], width: ScanWidth, *, fine: bool = False
) -> WeightEstimates:
    """Return the weights of all questions, with bounds on their errors, from one scan of 8-bit codes.

    Args:
        shard: the rows to scan.
        questions: the questions, in the form that `scan_question` returns.
        width: how many rows to list and to look up.
        fine: whether codes of queries, and of the weights that values are multiplied by, have 16 bits instead of 8.
    """
    request = request_scan(shard, questions, width, fine=fine)
    return WeightEstimates(shard, questions, *scan_and_look_up(shard, questions, request))


def request_scan(
    shard: Shard, questions: Sequence[Question], width: ScanWidth, *, histogram: bool = False, fine: bool = False
) -> ScanRequest:
    """Return the request for one scan that serves all of these questions.

    Args:
        shard: the rows to scan.
        questions: the questions, in the form that `scan_question` returns.
        width: how many rows to list and to look up.
        histogram: whether to fill a histogram of similarities, which serves every temperature, instead of sums at each
            question's temperature.
        fine: whether codes of queries and weights have 16 bits instead of 8.
    """
    max_listed = shard.keys // shard.limits.min_rows_per_candidate
    max_cap = max(question.cap for question in questions)
    return ScanRequest(
        vectors=np.array([question.vector for question in questions]),
        head_sizes=[question.head_size(shard.keys) for question in questions],
        listed=max(min(width.listed, max_listed), 2 * max_cap),
        max_lookups=width.lookups,
        temperatures=None if histogram else np.array([scan_temperature(question) for question in questions]),
        outputs=not histogram and any(question.output for question in questions),
        fine=fine,
    )


def scan_and_look_up(
    shard: Shard, questions: Sequence[Question], request: ScanRequest
) -> tuple[ScanResult, RescoredQueries]:
    """Scan the 8-bit codes once, and look up in float64 all rows that can be among the best of a question.

    A scan may fail to decide which rows these are, see `RescoredQueries.counts`. The first rows that were looked up
    show which other candidates may be as good. A second round looks these up.

    Args:
        shard: the rows to scan.
        questions: the questions of the request.
        request: from `request_scan`.
    """
    scan = shard.gather(request)
    candidates = scan.candidates(request.head_sizes, [question.support for question in questions])
    counts, exact = np.diff(scan.known_starts), scan.known
    needed = candidates.decisive_counts(exact, counts, request.max_lookups)
    missing = needed - counts
    if (missing > 0).any():
        missing = np.maximum(missing, 0)
        _, positions, queries = kernels().first_rows(candidates.starts[:-1] + counts, missing)
        similarities = shard.similarities_at(request.vectors, candidates.rows[positions], queries)
        exact = np.insert(exact, np.repeat(scan.known_starts[1:], missing.astype(np.intp)), similarities)
        counts = counts + missing
    if (needed < 0).any():
        exact = exact[np.repeat(needed >= 0, counts.astype(np.intp))]
    return scan, candidates.rescore(exact, np.where(needed < 0, -1, counts))


def bound_weights(
    shard: Shard,
    question: Question,
    rescored: RescoredQuery,
    mixture: Mixture,
    error: QuantisationError,
    rounding: Slack | None = None,
) -> WeightEstimate:
    """Return the weights of one question with a bound on their error.

    The bound is the sum of two. One is for the rounding of rows that were looked up in float64. The other is for the
    8-bit codes of the tail, the rows that were only scanned.

    Args:
        rescored: the candidate rows, the best of which were looked up.
        mixture: the computed weights.
        error: bounds on the errors of similarities that were only scanned.
        rounding: a bound on the rounding of the question's similarities; None to compute it.
    """
    variation = _rounding_variation(shard, question, rescored, mixture, rounding or shard.slack(question.vector))
    return WeightEstimate(rescored, mixture, min(1.0, variation + tail_variation(mixture, error)), variation)


def _rounding_variation(
    shard: Shard, question: Question, rescored: RescoredQuery, mixture: Mixture, rounding: Slack
) -> float:
    return total_variation(
        mixture,
        question.normaliser,
        rescored.similarities,
        rescored.best,
        rounding,
        shard.keys,
        lambda: shard.alike(np.sort(rescored.rows[rescored.similarities == rescored.best])),
    )


def mix_coldest(question: Question, rescored: RescoredQuery, keys: int, temperature: float) -> Mixture:
    """Return the weights at temperature 0, or of one_hot: all weight on the best row, shared if rows tie.

    Args:
        question: the question.
        rescored: the candidate rows, the best of which were looked up in float64.
        keys: how many rows pass the mask.
        temperature: the temperature that the evidence shall state.
    """
    null = question.null_key(temperature, keys)
    distribution = one_hot(rescored.similarities, null, temperature, log_partition=question.normaliser == "softmax")
    return mixture_without_tail(distribution.weights, distribution.evidence, len(rescored.candidates))


def mix_without_tail(question: Question, rescored: RescoredQuery, keys: int) -> Mixture:
    """Return the weights of a question for which only rows that were looked up in float64 can have weight.

    That is so at temperature 0, and for every normaliser except softmax.

    Args:
        question: the question.
        rescored: the candidate rows, the best of which were looked up.
        keys: how many rows pass the mask.
    """
    assert not isinstance(question.temperature, Auto)
    if question.normaliser in SUPPORT and question.temperature > 0:
        null = question.null_key(question.temperature, keys)
        distribution = sparse(rescored.similarities, null, question.temperature, question.normaliser)
        return mixture_without_tail(distribution.weights, distribution.evidence, len(rescored.candidates))
    return mix_coldest(question, rescored, keys, question.temperature)


def scan_temperature(question: Question) -> float:
    """Return the temperature at which a scan (one pass over the 8-bit codes) sums weights for this question.

    Normalisers other than softmax get 0, at which only the best row has weight.
    """
    assert not isinstance(question.temperature, Auto)
    return question.temperature if question.normaliser == "softmax" else 0.0


@dataclass(frozen=True, eq=False)
class OutputEstimate:
    """The output of one question, which is the weighted sum of all values, and a bound on its error.

    Attributes:
        output: float64[d_v], Σ weight·value over all rows.
        error: a bound on ‖true output − output‖, summing in float64 included.
        coarse: whether the output is so short that errors of the 8-bit codes are expected to show in it, so that a more
            precise method must compute it.
    """

    output: F64
    error: float
    coarse: bool


def estimate_outputs(shard: Shard, estimates: WeightEstimates, questions: Sequence[int]) -> dict[int, OutputEstimate]:
    """Return the outputs Σ weight·value of some questions, by question index, with bounds on their errors.

    Questions without an estimate of their weights are left out.

    Args:
        shard: the rows that were scanned as 8-bit codes.
        estimates: the weights of all questions of the scan.
        questions: the indices of the questions.
    """
    scan = estimates.scan
    if scan.outputs is None:
        return {}
    weighted = {index: estimate for index in questions if (estimate := estimates[index]) is not None}
    if not weighted:
        return {}
    facts, spread, indices = shard.facts, shard.facts.value_spread, np.array(list(weighted))
    rescored = [estimate.rescored for estimate in weighted.values()]
    mixtures = [estimate.mixture for estimate in weighted.values()]
    rows = np.concatenate([part for query in rescored for part in (query.rows, query.candidate_rows)])
    weights = np.concatenate([part for mixture in mixtures for part in (mixture.known, mixture.candidates)])
    counts = [len(query.rows) + len(query.candidate_rows) for query in rescored]
    listed_sums = np.zeros((len(scan.outputs), facts.value_dimension or 0))
    shard.add_values(rows, np.repeat(indices, counts), weights, listed_sums)
    factors = np.array([[mixture.factors.sum()] for mixture in mixtures])  # of the only part
    tail_sums = factors * scan.outputs[indices]
    outputs = listed_sums[indices] + tail_sums
    shift_lengths = _shift_lengths(mixtures, tail_sums, outputs) if scan.bits == 8 else None
    value_errors = factors**ERROR_DEGREES * scan.value_errors[indices]
    residuals: list[Residuals | None] = [None] * len(indices)
    from_mean = np.zeros(len(indices))
    if spread is not None:
        residuals = _add_residuals(shard, scan, indices, value_errors[:, MASS], outputs, spread)
        from_mean = _lengths(outputs - spread.mean)
    output_estimates = {}
    for position, (length, distance, errors) in enumerate(
        zip(_lengths(outputs).tolist(), from_mean.tolist(), value_errors.tolist(), strict=True)
    ):
        index = int(indices[position])
        estimate, error, residual = weighted[index], scan.error(index), residuals[position]
        mixture = estimate.mixture
        bound = bound_quantised_output(
            spread if mixture.tail > 0 else None,
            residual,
            facts.value_norm,
            mixture,
            error,
            length,
            distance,
            errors,
            estimate.total_variation,
            estimate.rounding_variation,
        )
        if shard.method == "exact":  # a few tiles are summed one by one, then these sums in pairs
            terms = counts[position] / 2 + mixture.tail * min(facts.n, TILE_ROWS)
        else:
            terms = counts[position] + 64 * facts.blocks + mixture.tail * facts.n
        bound += 4 * terms * UNIT_ROUNDOFF * facts.value_norm
        coarse = False
        if spread is not None and residual is not None:
            arguments = (mixture, error, errors, spread, residual, distance)
            if shift_lengths is not None:
                expected = predict_error_8_bits(*arguments, shift_lengths[position], shard.keys)
                coarse = expected > MAX_EXPECTED_ERROR_8_BITS * length
            elif not shard.beyond_memory:
                coarse = predict_error_16_bits(*arguments) > MAX_EXPECTED_ERROR_16_BITS * length
        output_estimates[index] = OutputEstimate(outputs[position], bound, coarse)
    return output_estimates


def _add_residuals(
    shard: Shard, scan: ScanResult, indices: I64, masses: F64, outputs: F64, spread: Spread
) -> list[Residuals | None]:
    """Correct outputs by the mean residual v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

    Each unit of weight that was summed as codes adds the mean residual once.

    The mean over all rows is known. If few of them pass, or many are listed, the mean over the rows that were summed
    differs: then it is computed for the passing rows, once for each mask, and for all except the listed ones. The sum
    of n residuals is about √n times as long as one of them, so the size of this correction is known beforehand.

    Args:
        shard, scan: the scanned rows, and the result of the scan.
        indices: int64[w], the indices of w questions.
        masses: float64[w], the weight of all rows that were summed as codes.
        outputs: float64[w, d_v], corrected in place.
        spread: mean and spread of all values, with the sum of all residuals.

    Returns:
        For each question the residuals that were used, of rows that include all summed ones.
    """
    everything, rows = spread.residuals, max(spread.count, 1)
    outputs += masses[:, None] / rows * everything.total
    length = math.sqrt(spread.residual_square / rows)
    used: list[Residuals | None] = [everything] * len(indices)
    thresholds = (MIN_RESIDUAL_SHIFT * _lengths(outputs)).tolist()
    for position, (index, mass) in enumerate(zip(indices.tolist(), masses.tolist(), strict=True)):
        first, last = scan.starts[index : index + 2].tolist()
        residuals = everything
        if mass * length * _relative_distance(residuals.count, shard.keys) > thresholds[position]:
            residuals = shard.value_residuals
        if mass * length * _relative_distance(residuals.count, residuals.count - (last - first)) > thresholds[position]:
            residuals -= shard.residuals_at(scan.rows[first:last])
        if residuals is not everything:
            outputs[position] += mass * (residuals.total / residuals.count - everything.total / rows)
            used[position] = residuals
    return used


def _relative_distance(count: int, part: int) -> float:
    """Return the expected distance of the mean of some of n independent numbers from the mean of all n.

    The result is relative to the standard deviation of one number: √(1/m − 1/n).

    Args:
        count: n.
        part: m, how many of them the first mean is of.
    """
    return math.sqrt(max(1 / part - 1 / max(count, 1), 0.0)) if part > 0 else 0.0


def _shift_lengths(mixtures: Sequence[Mixture], tail_sums: F64, outputs: F64) -> list[float]:
    """Return for each of w questions ‖Σ ŵ·(v − ô)‖ over the rows that were summed as codes.

    ŵ are their weights, v their values and ô the output of the question.

    Args:
        mixtures: the weights of each question.
        tail_sums: float64[w, d_v], Σ ŵ·v over these rows.
        outputs: float64[w, d_v], ô.
    """
    masses = np.array([mixture.tail - mixture.candidates.sum() for mixture in mixtures])
    lengths: list[float] = _lengths(tail_sums - masses[:, None] * outputs).tolist()
    return lengths


def _lengths(vectors: F64) -> F64:
    """Return float64[w], upper bounds on the lengths ‖x‖ of vectors float64[w, d]."""
    return np.asarray(np.sqrt(np.einsum("wd,wd->w", vectors, vectors)) * (1 + 1e-9))


# The expected errors. Codes round each component by itself, so what they leave out of rows points in all directions and
# adds up as squares do. What a query's own code leaves out is one vector for all rows. A scan knows everything that is
# needed, except the values of single rows; the means over all values stand for these.


def predict_error_16_bits(
    mixture: Mixture,
    error: QuantisationError,
    value_errors: Sequence[float],
    spread: Spread,
    residuals: Residuals,
    from_mean: float,
) -> float:
    """Estimate ‖o − ô‖, the error to expect of an output (weighted sum of values) from queries and weights in 16 bits.

    o is the true output, ô the computed one. The similarities of the tail (rows that were only scanned as codes) are
    off by q·(k − k̂), independently, with root mean square σ. That leaves Σŵ·ε/T·(v − ô), about σ/T·√(Σŵ²) times how
    far values lie from ô. The codes of the values leave out Σ(a − ā)·r.

    Args:
        mixture: the computed weights.
        error: bounds on the errors of scanned similarities.
        value_errors: five bounds from the scan, in units of weight, see `scan.VALUE_ERRORS`.
        spread: the spread of the values.
        residuals: the sum Σ r of the residuals r = v − v̂ whose mean was added to the output.
        from_mean: the distance of ô from the mean of all values.
    """
    deviation = _logit_deviation(error, mixture, spread)
    return _finite(_row_error(mixture, deviation, value_errors, spread, residuals, from_mean))


def predict_error_8_bits(
    mixture: Mixture,
    error: QuantisationError,
    value_errors: Sequence[float],
    spread: Spread,
    residuals: Residuals,
    from_mean: float,
    shift_length: float,
    keys: int,
) -> float:
    """Estimate ‖o − ô‖, the error to expect of an output (weighted sum of values) from queries and weights in 8 bits.

    o is the true output, ô the computed one. The parts that `predict_error_16_bits` counts are included. A query's code
    leaves out about as much as all codes of the keys. That turns the output along what keys and values have in common,
    at most by the spread of each. If the keys share a direction, it multiplies all that was summed by one factor, which
    moves the output by `shift_length` times that. Weights are rounded to levels evenly, but those below half a level
    are lost, each with about the mean value.

    Args:
        mixture: the computed weights.
        error: bounds on the errors of scanned similarities.
        value_errors: five bounds from the scan, in units of weight, see `scan.VALUE_ERRORS`.
        spread: the spread of the values.
        residuals: the sum of the residuals v − v̂ whose mean was added to the output.
        from_mean: the distance of ô from the mean of all values.
        shift_length: ‖Σ ŵ·(v − ô)‖ over the rows that were summed as codes.
        keys: how many rows pass the mask.
    """
    deviation, rows = _logit_deviation(error, mixture, spread) / 2, max(spread.count, 1)
    half_level = value_errors[ROUNDING_SQUARE] / rows
    mass = mixture.tail - float(mixture.candidates.sum())
    return _finite(
        math.hypot(
            _row_error(mixture, deviation, value_errors, spread, residuals, from_mean),
            mixture.tail * deviation * math.sqrt(spread.typical_eigenvalue / rows),
            deviation * shift_length,
            math.sqrt(value_errors[ROUNDING_SQUARE] / 3 * spread.square / rows),
            _mass_below(math.sqrt(half_level), mass, mixture.summed_square, keys) * spread.mean_length,
        )
    )


def _logit_deviation(error: QuantisationError, mixture: Mixture, spread: Spread) -> float:
    """Estimate the root mean square of the errors of logits that come from 8-bit codes."""
    if not mixture.tail > 0:
        return 0.0
    return math.sqrt(error.squares / max(spread.count, 1)) / mixture.evidence.temperature


def _row_error(
    mixture: Mixture,
    deviation: float,
    value_errors: Sequence[float],
    spread: Spread,
    residuals: Residuals,
    from_mean: float,
) -> float:
    """Estimate the part of an output's error that is independent from row to row.

    It comes from the 8-bit codes of keys and of values.

    Args:
        mixture: the computed weights.
        deviation: the root mean square of the errors of logits.
        value_errors: five bounds from the scan, in units of weight, see `scan.VALUE_ERRORS`.
        spread: the spread of the values.
        residuals: the sum of what the codes leave out of the values.
        from_mean: the distance of the output from the mean of all values.
    """
    rows = max(spread.count, 1)
    around = max(spread.square / rows - spread.mean_length**2, 0.0) + from_mean**2
    uneven = max(mixture.summed_square - value_errors[MASS] ** 2 / max(residuals.count, 1), 0.0)
    return math.hypot(
        deviation * math.sqrt(mixture.tail_square * around), math.sqrt(uneven * spread.residual_square / rows)
    )


def _mass_below(level: float, mass: float, square: float, rows: int) -> float:
    """Estimate the sum of all weights below a level.

    Logits are roughly normal, so the weights are taken to be log-normal.

    Args:
        level: a weight.
        mass, square: the sums of the rows' weights, and of their squares.
        rows: the number of rows.
    """
    if not (level > 0 and mass > 0):
        return 0.0
    variance = math.log(max(rows * square / mass / mass, 1.0))
    if variance < 1e-6:
        return 0.0
    above = math.log(level * rows / mass) - variance / 2  # of the middle of the mass
    return mass * math.erfc(-above / math.sqrt(2 * variance)) / 2


def _finite(length: float) -> float:
    """Return the number, or 0 if it is infinite or NaN, which means that it is unknown."""
    return length if math.isfinite(length) else 0.0

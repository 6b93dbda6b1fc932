"""Answers at every temperature from one scan: a histogram of the rows gives their sums at any temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from softkv_attention.arrays import F64
from softkv_attention.lookup.answer import Answer, Certificate, Sweep, build_sweep
from softkv_attention.lookup.bounds.similarities import QuantisationError
from softkv_attention.lookup.estimate import bound_weights, mix_coldest, request_scan, scan_and_look_up
from softkv_attention.lookup.memory.view import AnyView
from softkv_attention.lookup.quantised import answer_alone, shard_of
from softkv_attention.lookup.question import Auto, Question, group_by_mask
from softkv_attention.lookup.rescoring.candidates import RescoredQuery
from softkv_attention.lookup.shards import Shard
from softkv_attention.lookup.shards.documents import find_answer_rows, heaviest_weights, select_heavy_rows
from softkv_attention.lookup.softmax.distribution import solve_temperature
from softkv_attention.lookup.softmax.mixture import Mixture, TailSums, mix

BATCH_SIZE = 64
"""The most temperatures that are computed at once, so that memory does not grow with their number."""


class Tail:
    """A histogram of the similarities of all rows that were not listed as candidates.

    Attributes:
        counts, means: float64[b], the number of rows and their mean similarity, for each bin that is not empty.
    """

    def __init__(self, histogram: F64) -> None:
        self.counts, sums = histogram[np.flatnonzero(histogram[:, 0])].T
        self.means = sums / self.counts

    def sums(self, temperatures: F64) -> TailSums:
        """Return sums of weights over the rows of the histogram, relative to a level, at each temperature.

        The level is the largest mean similarity of a bin. The sums are Σe, Σe·x and Σe², with x = (s − level)/T and e =
        exp(x).

        Args:
            temperatures: float64[t], T, above 0.
        """
        if not len(self.counts):
            return TailSums(np.zeros(0), np.zeros((len(temperatures), 0, 3)))
        level = float(self.means.max())
        logits = np.maximum((self.means - level) / temperatures[:, None], -700.0)
        terms = np.exp(logits)
        masses = self.counts * terms
        sums = [masses.sum(axis=1), *(np.einsum("tb,tb->t", masses, factors) for factors in (logits, terms))]
        return TailSums(np.array([level]), np.stack(sums, axis=1)[:, None])


@dataclass(frozen=True, eq=False)
class HistogramEstimate:
    """The similarities of one question's rows as a scan of 8-bit codes into a histogram gives them.

    Attributes:
        rescored: the candidates, the best of which have an exact similarity.
        tail: a histogram of the similarities of all other rows.
        error: bounds on the errors of similarities that are not exact, the width of a bin included.
    """

    rescored: RescoredQuery
    tail: Tail
    error: QuantisationError


@dataclass(frozen=True, eq=False)
class Solution:
    """The temperature that solves a question with `Auto`, which asks for a number of effective keys, and the answer.

    Attributes:
        temperature: the temperature at which exp(entropy) of the weights is that number.
        answer: the answer at that temperature; None if it needs another scan.
    """

    temperature: float
    answer: Answer | None


def sweep_by_scan(view: AnyView, question: Question, temperatures: Sequence[float]) -> Sweep | None:
    """Answer one question at many temperatures from one scan of 8-bit codes; None if it must be answered in float64."""
    shard = shard_of(view, question)
    (estimate,) = _estimate_from_histograms(shard, [question])
    if estimate is None:
        return None
    rescored = estimate.rescored
    rows = find_answer_rows(shard, question, rescored, None)
    if rows is None:
        return None
    mixtures = _mix(question, shard.keys, estimate, temperatures)
    rounding, several = shard.slack(question.vector), shard.facts.several
    bounded = [bound_weights(shard, question, rescored, mixture, estimate.error, rounding) for mixture in mixtures]
    bounds = [weights.document_variation if several else weights.total_variation for weights in bounded]
    weights = [rows.weights(shard, question, rescored, mixture)[0] for mixture in mixtures]
    certificates = [Certificate(shard.method, bound, None) for bound in bounds]
    heavy_rows = [
        select_heavy_rows(shard, rescored.head_rows, mixture.head_weights, mixture.evidence) for mixture in mixtures
    ]
    heaviest = None  # with one key per document it is the most similar one
    if several:
        largest_error = estimate.error.largest
        heaviest = np.array([heaviest_weights(shard, rescored, mixture, largest_error) for mixture in mixtures])
    return build_sweep(
        question,
        lambda positions: shard.numbers(rows.indices[positions]),
        rows.similarities,
        zip(weights, [mixture.evidence for mixture in mixtures], certificates, heavy_rows, strict=True),
        documents=shard.documents,
        heaviest=heaviest,
        keys=shard.keys,
        grouping=rows.grouping,
        order=shard.order(rows.indices),
    )


def solve_temperatures(view: AnyView, questions: Sequence[Question]) -> list[Solution | None]:
    """Solve for the temperature of each question with `Auto`, and answer it if possible, from one scan of 8-bit codes.

    A result is None if the temperature must be solved for in float64. An answer needs another scan if the question has
    an output, which takes every weight at that temperature, or a `max_error` for which the bins of the histogram are
    too wide.
    """
    solutions: list[Solution | None] = [None] * len(questions)
    for _, group in group_by_mask(questions):
        shard = shard_of(view, questions[group[0]])
        estimates = _estimate_from_histograms(shard, [questions[index] for index in group])
        for index, estimate in zip(group, estimates, strict=True):
            auto = questions[index].temperature
            if estimate is None or not isinstance(auto, Auto):
                continue
            rescored, tail = estimate.rescored, estimate.tail
            similarities = np.concatenate([rescored.similarities, rescored.candidates, tail.means])
            counts = np.concatenate([np.ones(len(similarities) - len(tail.means)), tail.counts])
            temperature = solve_temperature(similarities, auto.effective_documents, counts)
            question = replace(questions[index], temperature=temperature)
            answer = None
            if not question.output:
                (mixture,) = _mix(question, shard.keys, estimate, [temperature])
                weights = bound_weights(shard, question, rescored, mixture, estimate.error)
                answer = answer_alone(shard, question, weights, None)
            solutions[index] = Solution(temperature, answer)
    return solutions


def _estimate_from_histograms(shard: Shard, questions: Sequence[Question]) -> list[HistogramEstimate | None]:
    """Scan the 8-bit codes once to fill a histogram of similarities for each question; return one estimate each.

    A result is None if the scan does not decide which rows are the best.
    """
    fitting = [index for index, question in enumerate(questions) if shard.fits(question.vector)]
    estimates: list[HistogramEstimate | None] = [None] * len(questions)
    if not fitting:
        return estimates
    scanned = [questions[index] for index in fitting]
    request = request_scan(shard, scanned, shard.limits.scan_widths[0], histogram=True)
    scan, all_rescored = scan_and_look_up(shard, scanned, request)
    assert scan.histogram is not None
    for query, index in enumerate(fitting):
        rescored = all_rescored.of(query)
        if rescored is not None:
            error = scan.error(query).widen(float(scan.bin_widths[query]))
            estimates[index] = HistogramEstimate(rescored, Tail(scan.histogram[query]), error)
    return estimates


def _mix(question: Question, keys: int, estimate: HistogramEstimate, temperatures: Sequence[float]) -> list[Mixture]:
    """Return the question's weights at each temperature.

    Args:
        question: the question.
        keys: how many rows pass the mask.
        estimate: the similarities from the scan.
        temperatures: each 0 or more.
    """
    mixtures: list[Mixture] = []
    rescored = estimate.rescored
    for first in range(0, len(temperatures), BATCH_SIZE):
        batch = np.array(temperatures[first : first + BATCH_SIZE])
        warm = batch[batch > 0]
        nulls = [question.null_key(temperature, keys) for temperature in warm.tolist()]
        warm_mixtures = iter(mix(rescored.similarities, rescored.candidates, estimate.tail.sums(warm), nulls, warm))
        mixtures += [
            next(warm_mixtures) if temperature > 0 else mix_coldest(question, rescored, keys, 0.0)
            for temperature in batch
        ]
    return mixtures

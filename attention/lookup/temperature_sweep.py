"""Every temperature from one scan: a histogram of the tail, from which its sums at any temperature follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from attention.dtypes import F64
from attention.lookup.answer import Answer, Sweep, build_sweep
from attention.lookup.bounds.certificate import Certificate
from attention.lookup.bounds.similarities import QuantisationError
from attention.lookup.estimate import bound_weights, mix_coldest, request_scan, scan_and_look_up
from attention.lookup.memory.view import AnyView
from attention.lookup.quantised import SCAN_WIDTHS, answer_alone, shard_of
from attention.lookup.question import Auto, Question, group_by_mask
from attention.lookup.rescoring.candidates import RescoredQuery
from attention.lookup.shards import Shard
from attention.lookup.shards.documents import find_answer_rows, heaviest_weights
from attention.lookup.shards.scan_result import ScanResult
from attention.lookup.softmax.distribution import solve_temperature
from attention.lookup.softmax.mixture import Mixture, TailSums, mix

BATCH_SIZE = 64
"""Temperatures at a time, so that memory does not grow with how many there are."""


class Tail:
    """What a histogram knows of the rows below the threshold: how many there are at each mean similarity.

    Attributes:
        counts, means: float64[b], of the bins that hold any.
    """

    def __init__(self, histogram: F64) -> None:
        self.counts, sums = histogram[np.flatnonzero(histogram[:, 0])].T
        self.means = sums / self.counts

    def at(self, temperatures: F64) -> TailSums:
        """Its sums at temperatures float64[t] above 0."""
        if not len(self.counts):
            return TailSums(np.zeros(0), np.zeros((len(temperatures), 0, 3)))
        level = float(self.means.max())
        logits = np.maximum((self.means - level) / temperatures[:, None], -700.0)
        terms = np.exp(logits)
        masses = self.counts * terms
        sums = [masses.sum(axis=1), *(np.einsum("tb,tb->t", masses, by) for by in (logits, terms))]
        return TailSums(np.array([level]), np.stack(sums, axis=1)[:, None])


@dataclass(frozen=True, eq=False)
class HistogramEstimate:
    """What one scan into a histogram tells of one question: rows known in float64, a tail, and its error."""

    rescored: RescoredQuery
    tail: Tail
    error: QuantisationError


@dataclass(frozen=True, eq=False)
class Solution:
    """What `Auto` comes to: the temperature, and the answer as far as a histogram can give it."""

    temperature: float
    answer: Answer | None


def quantised_sweep(view: AnyView, question: Question, temperatures: Sequence[float]) -> Sweep | None:
    """One question at many temperatures; None where the exact path has to answer."""
    part = shard_of(view, question)
    (read,) = _estimate_from_histograms(part, [question])
    if read is None:
        return None
    rescored = read.rescored
    rows = find_answer_rows(part, question, rescored, None)
    if rows is None:
        return None
    mixtures = _mixtures(question, part.keys, read, temperatures)
    rounding = part.slack(question.vector)
    estimates = [bound_weights(part, question, rescored, mixture, read.error, rounding) for mixture in mixtures]
    several = part.facts.several
    bounds = [estimate.document_variation if several else estimate.total_variation for estimate in estimates]
    weights = [rows.weights(part, question, rescored, mixture)[0] for mixture in mixtures]
    certificates = [Certificate(part.method, bound, None) for bound in bounds]
    heaviest = None  # with one key per document it is the most similar one
    if part.facts.several:
        heaviest = np.array([heaviest_weights(part, rescored, mixture, read.error.largest) for mixture in mixtures])
    return build_sweep(
        question,
        lambda at: part.numbers(rows.places[at]),
        rows.similarities,
        zip(weights, [mixture.evidence for mixture in mixtures], certificates, strict=True),
        documents=part.documents,
        heaviest=heaviest,
        keys=part.keys,
        grouping=rows.grouping,
        order=part.order(rows.places),
    )


def solve_temperatures(view: AnyView, questions: Sequence[Question]) -> list[Solution | None]:
    """What each question's `Auto` comes to, from one scan; None where the exact path has to find it.

    The answer is None where it takes another scan: for a blended value, which needs every weight at that temperature,
    and for a `max_error` that the histogram's bins are too wide for.
    """
    found: list[Solution | None] = [None] * len(questions)
    for _, group in group_by_mask(questions):
        part = shard_of(view, questions[group[0]])
        for index, read in zip(group, _estimate_from_histograms(part, [questions[i] for i in group]), strict=True):
            wanted = questions[index].temperature
            if read is None or not isinstance(wanted, Auto):
                continue
            rescored, tail = read.rescored, read.tail
            similarities = np.concatenate([rescored.similarities, rescored.candidates, tail.means])
            alone = np.ones(len(similarities) - len(tail.means))
            temperature = solve_temperature(
                similarities, wanted.effective_documents, np.concatenate([alone, tail.counts])
            )
            question = replace(questions[index], temperature=temperature)
            answer = None
            if not question.output:
                (mixture,) = _mixtures(question, part.keys, read, [temperature])
                answer = answer_alone(
                    part, question, bound_weights(part, question, rescored, mixture, read.error), None
                )
            found[index] = Solution(temperature, answer)
    return found


def _estimate_from_histograms(part: Shard, questions: Sequence[Question]) -> list[HistogramEstimate | None]:
    """A scan into histograms, and what follows for each question; None for those that it cannot decide."""
    fit = [index for index, question in enumerate(questions) if part.fits(question.vector)]
    readings: list[HistogramEstimate | None] = [None] * len(questions)
    if not fit:
        return readings
    asked = [questions[index] for index in fit]
    gathered, found = scan_and_look_up(part, asked, request_scan(part, asked, SCAN_WIDTHS[0], histogram=True))
    for place, index in enumerate(fit):
        rescored = found.of(place)
        readings[index] = None if rescored is None else _estimate_from_histogram(gathered, place, rescored)
    return readings


def _estimate_from_histogram(gathered: ScanResult, index: int, rescored: RescoredQuery) -> HistogramEstimate:
    assert gathered.histogram is not None
    error = gathered.error(index).widen(float(gathered.bin_widths[index]))
    return HistogramEstimate(rescored, Tail(gathered.histogram[index]), error)


def _mixtures(question: Question, keys: int, read: HistogramEstimate, temperatures: Sequence[float]) -> list[Mixture]:
    """What the rows come to at each temperature."""
    mixtures: list[Mixture] = []
    known, candidates = read.rescored.similarities, read.rescored.candidates
    for first in range(0, len(temperatures), BATCH_SIZE):
        some = np.array(temperatures[first : first + BATCH_SIZE])
        above = some[some > 0]
        nulls = [question.null_key(temperature, keys) for temperature in above.tolist()]
        warm = iter(mix(known, candidates, read.tail.at(above), nulls, above))
        mixtures += [next(warm) if t > 0 else mix_coldest(question, read.rescored, keys, 0.0) for t in some]
    return mixtures

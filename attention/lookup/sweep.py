"""Every temperature from one scan: a histogram of the tail, from which its sums at any temperature follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attention.lookup.answer import Answer, Sweep
from attention.lookup.bounds.weights import Certificate
from attention.lookup.exact import by_mask
from attention.lookup.head.candidates import LookedUp, coldest, total_variation
from attention.lookup.head.top import choose
from attention.lookup.memory.view import Mask, View
from attention.lookup.quantised import METHOD, WIDTHS, Draft, answer_of, reading
from attention.lookup.question import Auto, Question
from attention.lookup.scan.accumulator import BINS
from attention.lookup.scan.error import CodingError, fits
from attention.lookup.scan.scan import Scanned
from attention.lookup.softmax.mixture import Bulks, Mixture, mix
from attention.lookup.softmax.temperature import solve

Array = NDArray[np.float64]

TOGETHER = 64
"""Temperatures at a time, so that memory does not grow with how many there are."""


class Tail:
    """What a histogram knows of the rows below the bars: how many there are at each mean similarity.

    Attributes:
        counts, means: float64[b], of the bins that hold any.
        width: of a bin; a row is at most so far from its bin's mean.
    """

    def __init__(self, scanned: Scanned, index: int) -> None:
        histogram = sum((h.histogram[index] for h in scanned.harvests if h.histogram is not None), np.zeros((BINS, 2)))
        filled = histogram[:, 0] > 0
        self.counts = histogram[filled, 0]
        self.means = histogram[filled, 1] / self.counts
        # The outermost bins also hold what rounding carries past their ends.
        self.width = 1.01 / float(scanned.harvests[0].finer[index])

    def at(self, temperatures: Array) -> Bulks:
        """Its sums at temperatures float64[t] above 0."""
        if not len(self.counts):
            return Bulks(np.zeros(0), np.zeros((len(temperatures), 0, 3)))
        bar = float(self.means.max())
        logits = np.maximum((self.means - bar) / temperatures[:, None], -700.0)
        terms = np.exp(logits)
        masses = self.counts * terms
        sums = [masses.sum(axis=1), (masses * logits).sum(axis=1), (masses * terms).sum(axis=1)]
        return Bulks(np.array([bar]), np.stack(sums, axis=1)[:, None])


def quantised_sweep(view: View, question: Question, temperatures: Sequence[float]) -> Sweep | None:
    """One question at many temperatures; None where the exact path has to answer."""
    documents = view.n if question.mask is None else question.mask.n
    found = _scanned(view, question.mask, [question])[0]
    if found is None:
        return None
    scanned, head, tail, error = found
    chosen = choose(head.similarities, question.cap)
    mixtures = _mixed(question, documents, head, tail, temperatures)
    bounds = [
        total_variation(view, question, head, scanned.rows, mixture, documents, error.wider(tail.width))
        for mixture in mixtures
    ]
    return Sweep(
        numbers=scanned.rows.numbers(head.places[chosen.places]),
        similarities=head.similarities[chosen.places],
        weights=np.array([m.head[chosen.places] for m in mixtures]).reshape(len(mixtures), len(chosen.places)),
        matches=chosen.matches,
        evidence=tuple(mixture.evidence for mixture in mixtures),
        certificates=tuple(Certificate(METHOD, bound, None) for bound in bounds),
        best_similarity=head.best,
        documents=documents,
    )


@dataclass(frozen=True, eq=False)
class Solved:
    """What `Auto` comes to: the temperature, and the answer as far as a histogram can give it."""

    temperature: float
    answer: Answer | None


def solved(view: View, questions: Sequence[Question]) -> list[Solved | None]:
    """What each question's `Auto` comes to, from one scan; None where the exact path has to find it.

    The answer is None where it takes another scan: for a blended value, which needs every weight at that temperature,
    and for a `max_error` that the histogram's bins are too wide for.
    """
    found: list[Solved | None] = [None] * len(questions)
    for mask, group in by_mask(questions):
        documents = view.n if mask is None else mask.n
        for index, one in zip(group, _scanned(view, mask, [questions[i] for i in group]), strict=True):
            wanted = questions[index].temperature
            if one is None or not isinstance(wanted, Auto):
                continue
            scanned, head, tail, error = one
            similarities = np.concatenate([head.similarities, head.listed, tail.means])
            counts = np.concatenate([np.ones(len(head.similarities) + len(head.listed)), tail.counts])
            temperature = solve(similarities, wanted.effective_documents, counts)
            question = replace(questions[index], temperature=temperature)
            if question.output:
                found[index] = Solved(temperature, None)
                continue
            (mixture,) = _mixed(question, documents, head, tail, [temperature])
            wide = error.wider(tail.width)
            bound = total_variation(view, question, head, scanned.rows, mixture, documents, wide)
            draft = Draft(head, mixture, bound, bound, wide)
            found[index] = Solved(temperature, answer_of(view, question, documents, scanned, draft, None))
    return found


def _scanned(
    view: View, mask: Mask | None, questions: Sequence[Question]
) -> list[tuple[Scanned, LookedUp, Tail, CodingError] | None]:
    """A scan into histograms, and what follows for each question; None for those that it cannot decide."""
    if not all(fits(view, question) for question in questions):
        return [None] * len(questions)
    scanned, errors, found = reading(view, mask, questions, WIDTHS[0], None)
    return [
        None if head is None else (scanned, head, Tail(scanned, index), errors[index])
        for index, head in enumerate(found)
    ]


def _mixed(
    question: Question, documents: int, head: LookedUp, tail: Tail, temperatures: Sequence[float]
) -> list[Mixture]:
    """What the rows come to at each temperature."""
    mixtures: list[Mixture] = []
    for first in range(0, len(temperatures), TOGETHER):
        some = np.array(temperatures[first : first + TOGETHER])
        above = some[some > 0]
        nulls = [question.null_key(temperature, documents) for temperature in above.tolist()]
        warm = iter(mix(head.similarities, head.listed, tail.at(above), nulls, above))
        mixtures += [next(warm) if temperature > 0 else coldest(question, head, documents, 0.0) for temperature in some]
    return mixtures

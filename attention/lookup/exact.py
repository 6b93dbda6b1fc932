"""The exact path: every similarity in float64 over the stored float32, then the distribution as a whole.

Where documents have several keys, evidence and blended value are made of the very numbers that they would be made of if
each key were a document by itself. The documents' weights come from similarities that are all summed alike, so that
equal documents have equal weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attention.dtypes import F64
from attention.lookup.answer import Answer, Sweep, answer_to, sweep_of
from attention.lookup.bounds.certificate import Certificate, total_variation
from attention.lookup.bounds.output import bound_summed
from attention.lookup.bounds.similarities import Slack, similarity_slack
from attention.lookup.bounds.weights import bound_bias_rounding, bound_ties
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question, by_mask
from attention.lookup.shards.every_row import EveryRow, Read
from attention.lookup.shards.remote.every_row import RemoteRows
from attention.lookup.shards.remote.view import RemoteView
from attention.lookup.softmax.distribution import (
    Distribution,
    one_hot,
    one_hot_with_bias,
    relative_logits,
    restore_evidence,
    softmax,
    solve_temperature,
    sparse,
)
from attention.lookup.softmax.evidence import Evidence

METHOD = "exact"
SCAN_CELLS = 2**23


def exact_answers(view: View, questions: Sequence[Question]) -> list[Answer]:
    """Answer each question over every row that passes. Questions of one mask share the reading of the keys."""
    answers: list[Answer | None] = [None] * len(questions)
    for mask, group in by_mask(questions):
        rows = every_row(view, mask)
        together = max(1, SCAN_CELLS // max(rows.n, 1))
        for first in range(0, len(group), together):
            some = group[first : first + together]
            found = _each(rows, [questions[i] for i in some])
            for index, answer in zip(some, found, strict=True):
                answers[index] = answer
    return [answer for answer in answers if answer is not None]


def exact_sweep(view: View, question: Question, temperatures: Sequence[float]) -> Sweep:
    """One question at many temperatures; its own temperature, normaliser and `top_p` do not matter here."""
    rows = every_row(view, question.mask)
    (biases,) = rows.biases([question])
    (similarities,) = rows.similarities([question], [None])
    known = similarities if rows.grouping is None else rows.summed_alike(question, similarities)

    def at(temperature: float) -> tuple[F64, Evidence, Certificate]:
        asked = replace(question, temperature=temperature, normaliser="softmax")
        found = Weighed.of(asked, similarities, biases)
        by = found if known is similarities else Weighed.of(asked, known, biases)
        return by.found.weights, found.evidence, Certificate(METHOD, variation_of(rows, found), None)

    return sweep_of(
        question,
        rows.numbers,
        known,
        map(at, temperatures),
        documents=_documents(rows),
        keys=rows.n,
        grouping=rows.grouping,
        order=rows.order,
    )


@dataclass(frozen=True, eq=False)
class Weighed:
    """One question's distribution over all rows that pass.

    Attributes:
        question: as it was asked.
        similarities: float64[n].
        biases: float64[n], or None.
        asked: what softmax is asked: the question, or where it has a bias above temperature 0, the same in logits.
        levels: float64[n], the similarities that are meant there, or the logits relative to the peak.
        peak: the largest similarity where these are logits; else 0.
        found: the distribution of the levels.
    """

    question: Question
    similarities: F64
    biases: F64 | None
    asked: Question
    levels: F64
    peak: float
    found: Distribution

    @classmethod
    def of(cls, question: Question, similarities: F64, biases: F64 | None) -> Weighed:
        """Weigh rows of these similarities and biases."""
        temperature, n = question.temperature, similarities.size
        if biases is None:
            return cls(question, similarities, None, question, similarities, 0.0, _distribution(question, similarities))
        assert not isinstance(temperature, Auto)
        if temperature == 0:
            null, softmax_asked = question.null_key(0.0, n), question.normaliser == "softmax"
            shared = one_hot_with_bias(similarities, biases, null, log_partition=softmax_asked)
            return cls(question, similarities, biases, question, similarities, 0.0, shared)
        levels, peak = relative_logits(similarities, biases, temperature)
        asked = question.in_logits(n, peak)
        return cls(question, similarities, biases, asked, levels, peak, _distribution(asked, levels))

    @property
    def in_logits(self) -> bool:
        """Whether the levels are logits."""
        return self.asked is not self.question

    @property
    def temperature(self) -> float:
        """The one used."""
        asked = self.question.temperature
        return self.found.evidence.temperature if isinstance(asked, Auto) else asked

    @property
    def evidence(self) -> Evidence:
        """At that temperature."""
        if not self.in_logits:
            return self.found.evidence
        null = self.question.null_key(self.temperature, self.levels.size)
        return restore_evidence(self.found.evidence, null, self.temperature, self.peak)


def every_row(view: View, mask: Mask | None) -> EveryRow:
    """The rows that pass, wherever they lie."""
    return RemoteRows(view, mask) if isinstance(view, RemoteView) else Read(view, mask)


def _documents(rows: EveryRow) -> int:
    return rows.n if rows.grouping is None else len(rows.grouping.numbers)


def _each(rows: EveryRow, questions: Sequence[Question]) -> Iterator[Answer]:
    biases = rows.biases(questions)
    similarities = rows.similarities(questions, biases)
    found = [Weighed.of(*each) for each in zip(questions, similarities, biases, strict=True)]
    blended = [index for index, question in enumerate(questions) if question.output]
    outputs: dict[int, F64] = {}
    if blended:
        weights = np.array([found[index].found.weights for index in blended])
        outputs = dict(zip(blended, rows.sums(weights), strict=True))
    for index, weighed in enumerate(found):
        yield _answer(rows, weighed, outputs.get(index))


def _distribution(question: Question, similarities: F64) -> Distribution:
    temperature = question.temperature
    if isinstance(temperature, Auto):
        temperature = solve_temperature(similarities, temperature.effective_documents)
    null = question.null_key(temperature, similarities.size)
    if question.normaliser == "softmax":
        return softmax(similarities, null, temperature)
    if question.normaliser == "one_hot":
        return one_hot(similarities, null, temperature)
    return sparse(similarities, null, temperature, question.normaliser)


def _answer(rows: EveryRow, weighed: Weighed, output: F64 | None) -> Answer:
    variation = variation_of(rows, weighed)
    error = None if output is None else bound_summed(variation, rows.facts.value_norm, rows.terms)
    question, counted = weighed.question, weighed
    if rows.grouping is not None:
        known = rows.summed_alike(question, weighed.similarities)
        counted = Weighed.of(replace(question, temperature=weighed.temperature), known, weighed.biases)
    found = answer_to(
        counted.asked,
        rows.numbers,
        counted.levels,
        counted.found.weights,
        weighed.found.evidence,
        Certificate(METHOD, variation, error),
        documents=_documents(rows),
        keys=rows.n,
        output=output,
        grouping=rows.grouping,
        order=rows.order,
        raw=counted.similarities.__getitem__ if weighed.in_logits else None,
        biased=weighed.biases is not None and not weighed.in_logits,
    )
    if not weighed.in_logits:
        return found
    return replace(found, evidence=weighed.evidence, logits=found.logits + counted.peak / weighed.temperature)


def variation_of(rows: EveryRow, weighed: Weighed) -> float:
    """What rounding moves of the weights of all rows, in total variation."""
    similarities, levels = weighed.similarities, weighed.levels
    if not levels.size:
        return 0.0
    rounding = similarity_slack(rows.facts.similarity, weighed.question.vector, rows.facts.key_norm)
    null_key = weighed.question.null_key(weighed.temperature, rows.n)
    null = None if null_key is None else null_key.similarity
    ties = levels == levels.max()

    def copies() -> bool:
        return rows.alike(np.flatnonzero(ties))

    if weighed.biases is None:
        return _rounded(weighed, rounding, rows.n, copies)
    told = bound_bias_rounding(weighed.biases[ties])
    if not weighed.in_logits:
        return min(1.0, bound_ties(similarities, null, rounding, alike=copies()) + told)
    largest = max(float(np.abs(similarities).max()), 0.0 if null is None else abs(null))
    biases = weighed.biases
    found = _rounded(
        weighed,
        rounding.in_logits(weighed.temperature, largest),
        rows.n,
        lambda: bool((biases[ties] == biases[ties][0]).all()) and copies(),
    )
    return min(1.0, found + told)


def _rounded(weighed: Weighed, rounding: Slack, n: int, alike: Callable[[], bool]) -> float:
    levels = weighed.levels
    return total_variation(weighed.found, weighed.asked.normaliser, levels, float(levels.max()), rounding, n, alike)

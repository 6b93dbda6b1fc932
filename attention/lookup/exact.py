"""The exact path: every similarity in float64 over the stored float32, then the distribution as a whole.

Where documents have several keys, evidence and blended value are made of the very numbers that they would be made of if
each key were a document by itself. The documents' weights come from similarities that are all summed alike, so that
equal documents have equal weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from attention.dtypes import F64, I64
from attention.kernels import pin_kernels
from attention.lookup.answer import Answer, Sweep, build_answer, build_sweep, select_head
from attention.lookup.bounds.certificate import Certificate, total_variation
from attention.lookup.bounds.output import bound_exact_output
from attention.lookup.bounds.similarities import Slack, similarity_slack
from attention.lookup.bounds.weights import bound_bias_rounding, bound_ties
from attention.lookup.memory.view import AnyMask, AnyView
from attention.lookup.question import Auto, Question, group_by_mask, mask_forbidden
from attention.lookup.shards import Shard, open_shard
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


def exact_answers(view: AnyView, questions: Sequence[Question]) -> list[Answer]:
    """Answer each question over every row that passes. Questions of one mask share the reading of the keys."""
    answers: list[Answer | None] = [None] * len(questions)
    for mask, group in group_by_mask(questions):
        shard = open_shard(view, mask)
        together = max(1, SCAN_CELLS // max(shard.keys, 1))
        for first in range(0, len(group), together):
            some = group[first : first + together]
            found = _each(shard, [questions[i] for i in some])
            for index, answer in zip(some, found, strict=True):
                answers[index] = answer
    return [answer for answer in answers if answer is not None]


def exact_sweep(view: AnyView, question: Question, temperatures: Sequence[float]) -> Sweep:
    """One question at many temperatures; its own temperature, normaliser and `top_p` do not matter here."""
    shard = open_shard(view, question.mask)
    (biases,) = shard.read_biases([question])
    (similarities,) = shard.read_similarities([question], [None])
    known = similarities if shard.grouping is None else shard.recompute(question, similarities)

    def at(temperature: float) -> tuple[F64, Evidence, Certificate]:
        asked = replace(question, temperature=temperature, normaliser="softmax")
        found = Weighed.of(asked, similarities, biases)
        by = found if known is similarities else Weighed.of(asked, known, biases)
        return by.found.weights, found.evidence, Certificate(METHOD, variation_of(shard, found), None)

    return build_sweep(
        question,
        lambda positions: shard.numbers(shard.rows[positions]),
        known,
        map(at, temperatures),
        documents=_documents(shard),
        keys=shard.keys,
        grouping=shard.grouping,
        order=shard.order(shard.rows),
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


def _documents(shard: Shard) -> int:
    return shard.keys if shard.grouping is None else len(shard.grouping.numbers)


def _each(shard: Shard, questions: Sequence[Question]) -> Iterator[Answer]:
    biases = shard.read_biases(questions)
    similarities = shard.read_similarities(questions, biases)
    found = [Weighed.of(*each) for each in zip(questions, similarities, biases, strict=True)]
    blended = [index for index, question in enumerate(questions) if question.output]
    outputs: dict[int, F64] = {}
    if blended:
        weights = np.array([found[index].found.weights for index in blended])
        outputs = dict(zip(blended, shard.weighted_sums(weights), strict=True))
    for index, weighed in enumerate(found):
        yield _answer(shard, weighed, outputs.get(index))


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


def _answer(shard: Shard, weighed: Weighed, output: F64 | None) -> Answer:
    variation = variation_of(shard, weighed)
    error = None if output is None else bound_exact_output(variation, shard.facts.value_norm, shard.term_count)
    question, counted = weighed.question, weighed
    if shard.grouping is not None:
        known = shard.recompute(question, weighed.similarities)
        counted = Weighed.of(replace(question, temperature=weighed.temperature), known, weighed.biases)
    head = select_head(
        counted.asked,
        lambda positions: shard.numbers(shard.rows[positions]),
        counted.levels,
        counted.found.weights,
        weighed.found.evidence,
        grouping=shard.grouping,
        order=shard.order(shard.rows),
        compute_similarities=counted.similarities.__getitem__ if weighed.in_logits else None,
        biased=weighed.biases is not None and not weighed.in_logits,
    )
    if weighed.in_logits:
        head = head._replace(logits=head.logits + counted.peak / weighed.temperature)
    return build_answer(
        head,
        weighed.evidence,
        Certificate(METHOD, variation, error),
        documents=_documents(shard),
        keys=shard.keys,
        output=output,
    )


def variation_of(shard: Shard, weighed: Weighed) -> float:
    """What rounding moves of the weights of all rows, in total variation."""
    similarities, levels = weighed.similarities, weighed.levels
    if not levels.size:
        return 0.0
    rounding = similarity_slack(shard.facts.similarity, weighed.question.vector, shard.facts.key_norm)
    null_key = weighed.question.null_key(weighed.temperature, shard.keys)
    null = None if null_key is None else null_key.similarity
    ties = levels == levels.max()

    def copies() -> bool:
        return shard.alike(shard.rows[np.flatnonzero(ties)])

    if weighed.biases is None:
        return _rounded(weighed, rounding, shard.keys, copies)
    told = bound_bias_rounding(weighed.biases[ties])
    if not weighed.in_logits:
        return min(1.0, bound_ties(similarities, null, rounding, alike=copies()) + told)
    largest = max(float(np.abs(similarities).max()), 0.0 if null is None else abs(null))
    biases = weighed.biases
    found = _rounded(
        weighed,
        rounding.in_logits(weighed.temperature, largest),
        shard.keys,
        lambda: bool((biases[ties] == biases[ties][0]).all()) and copies(),
    )
    return min(1.0, found + told)


def _rounded(weighed: Weighed, rounding: Slack, n: int, alike: Callable[[], bool]) -> float:
    levels = weighed.levels
    return total_variation(weighed.found, weighed.asked.normaliser, levels, float(levels.max()), rounding, n, alike)


class Similarities(NamedTuple):
    """Of all rows that pass, in one order that is the view's.

    Attributes:
        numbers: int64[n], the rows'.
        owners: int64[n], the number of the document that each is a key of.
        similarities: float64[q, n].
    """

    numbers: I64
    owners: I64
    similarities: F64


def similarities_of(view: AnyView, vectors: F64, mask: AnyMask | None = None) -> Similarities:
    """The similarity of each query with every row that passes; off by no more than `bounds.rounding` says.

    Args:
        vectors: float64[q, d], finite, at least one; so few that float64[q, n] fits.
        mask: of this view; None for all rows.

    Raises:
        ShapeError: a query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask of another view.
    """
    questions = [Question(vector, 0.0, mask=mask, top_k=0, output=False) for vector in vectors]
    for question in questions:
        question.check(view)
    with pin_kernels():
        shard = open_shard(view, mask)
        similarities = shard.read_similarities(questions, [None] * len(questions))
        return Similarities(shard.numbers(shard.rows), shard.owners(shard.rows), similarities)


@dataclass(frozen=True, eq=False)
class Weights:
    """What every document that passes weighs.

    Attributes:
        numbers: int64[m], the documents, ascending.
        weights: float64[m], of each with all of its keys; with the null key's they sum to one.
        total_variation: ½·Σ|w − ŵ| over all of them and the null key is at most this.
    """

    numbers: I64
    weights: F64
    total_variation: float


def weights_of(view: AnyView, question: Question) -> Weights:
    """The weight of every document that passes; how many are asked for does not matter.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    question.check(view)
    (asked,) = mask_forbidden([replace(question, top_k=0, top_p=None, output=False)])
    with pin_kernels():
        shard = open_shard(view, asked.mask)
        biases = shard.read_biases([asked])
        (similarities,) = shard.read_similarities([asked], biases)
        weighed = Weighed.of(asked, similarities, biases[0])
        variation, weights = variation_of(shard, weighed), weighed.found.weights
        if shard.grouping is not None:
            return Weights(shard.grouping.numbers, shard.grouping.sums(weights), variation)
        numbers = shard.numbers(shard.rows)
        if (numbers[1:] > numbers[:-1]).all():
            return Weights(numbers, weights, variation)
        order = np.argsort(numbers)
        return Weights(numbers[order], weights[order], variation)


def weights_without_null(view: AnyView, question: Question) -> Weights:
    """The same for whoever leaves the null key out, so that only how the weights stand to each other matters.

    With softmax above temperature 0 they are those without a null key: so they are as certain where that has nearly all
    of the weight.

    Raises:
        ShapeError, ParameterError: as `weights_of`.
    """
    return weights_of(view, replace(question, null=None) if question.weighs_all else question)

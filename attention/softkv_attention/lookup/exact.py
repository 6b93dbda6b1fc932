"""The exact path: every similarity in float64 over the stored float32, then the distribution as a whole.

If documents have several keys, evidence and blended value are the same as if each key were a document. The documents'
weights come from similarities that are all summed in one order, so that equal documents have equal weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.kernels import pin_kernels
from softkv_attention.lookup.answer import (
    Answer,
    Certificate,
    HeavyRows,
    Sweep,
    build_answer,
    build_sweep,
    select_head,
)
from softkv_attention.lookup.bounds.output import bound_exact_output
from softkv_attention.lookup.bounds.similarities import Slack, similarity_slack
from softkv_attention.lookup.bounds.weights import bound_bias_rounding, bound_ties, total_variation
from softkv_attention.lookup.few_rows import FewRows
from softkv_attention.lookup.memory.view import AnyMask, AnyView
from softkv_attention.lookup.question import Auto, Question, group_by_mask
from softkv_attention.lookup.shards import Shard, open_shard
from softkv_attention.lookup.shards.documents import select_heavy_rows
from softkv_attention.lookup.softmax.distribution import (
    Distribution,
    one_hot,
    one_hot_with_bias,
    relative_logits,
    restore_evidence,
    softmax,
    solve_temperature,
    sparse,
)
from softkv_attention.lookup.softmax.evidence import Evidence

METHOD = "exact"


def exact_answers(view: AnyView, questions: Sequence[Question]) -> list[Answer]:
    """Answer each question with every similarity computed in float64.

    Questions with the same mask share one reading of the keys.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for mask, group in group_by_mask(questions):
        alike = [questions[i] for i in group]
        rows = FewRows.of(view, mask)
        if rows is not None:
            for index, few_answer in zip(group, rows.answers(alike), strict=True):
                answers[index] = few_answer
            group = [index for index in group if answers[index] is None]
            if not group:
                continue
        shard = open_shard(view, mask)
        batch_size = max(1, view.limits.exact_batch_cells // max(shard.keys, 1))
        for first in range(0, len(group), batch_size):
            batch = group[first : first + batch_size]
            for index, answer in zip(batch, _answer_batch(shard, [questions[i] for i in batch]), strict=True):
                answers[index] = answer
    return [answer for answer in answers if answer is not None]


def exact_sweep(view: AnyView, question: Question, temperatures: Sequence[float]) -> Sweep:
    """Answer one question at many temperatures, all in float64.

    Each temperature uses softmax. The question's own temperature, normaliser and `top_p` are not used.
    """
    shard = open_shard(view, question.mask)
    (biases,) = shard.read_biases([question])
    (similarities,) = shard.read_similarities([question], [None])
    document_similarities = similarities if shard.grouping is None else shard.recompute(question, similarities)

    def weigh(temperature: float) -> tuple[F64, Evidence, Certificate, HeavyRows | None]:
        warm_question = replace(question, temperature=temperature, normaliser="softmax")
        weighting = document_weighting = Weighting.of(warm_question, similarities, biases)
        if document_similarities is not similarities:
            document_weighting = Weighting.of(warm_question, document_similarities, biases)
        certificate = Certificate(METHOD, bound_variation(shard, weighting), None)
        heavy_rows = select_heavy_rows(shard, shard.rows, weighting.distribution.weights, weighting.evidence)
        return document_weighting.distribution.weights, weighting.evidence, certificate, heavy_rows

    return build_sweep(
        question,
        lambda positions: shard.numbers(shard.rows[positions]),
        document_similarities,
        map(weigh, temperatures),
        documents=shard.keys if shard.grouping is None else len(shard.grouping.numbers),
        keys=shard.keys,
        grouping=shard.grouping,
        order=shard.row_order,
    )


@dataclass(frozen=True, eq=False)
class Weighting:
    """One question's similarities, logits and weights for all n rows that pass its mask.

    With a bias above temperature 0, weights are computed from logits (s − peak)/T + bias at temperature 1. Otherwise
    they are computed from the similarities s at temperature T. Both are called levels here.

    Attributes:
        question: the question.
        similarities: float64[n].
        biases: float64[n], or None.
        softmax_question: the question about the levels: the same question, or `Question.in_logits` if the levels are
            logits.
        levels: float64[n], the similarities or the logits.
        peak: the largest similarity if the levels are logits, else 0.
        distribution: the weights, and the evidence in terms of the levels.
    """

    question: Question
    similarities: F64
    biases: F64 | None
    softmax_question: Question
    levels: F64
    peak: float
    distribution: Distribution

    @classmethod
    def of(cls, question: Question, similarities: F64, biases: F64 | None) -> Weighting:
        """Compute the weights of n rows.

        Args:
            question: the question.
            similarities: float64[n].
            biases: float64[n], each row's bias; None for no bias.
        """
        levels, peak, softmax_question = similarities, 0.0, question
        if biases is None:
            distribution = _distribution(question, similarities)
        elif question.temperature == 0:
            null, has_partition = question.null_key(0.0, similarities.size), question.normaliser == "softmax"
            distribution = one_hot_with_bias(similarities, biases, null, log_partition=has_partition)
        else:
            assert not isinstance(question.temperature, Auto)
            levels, peak = relative_logits(similarities, biases, question.temperature)
            softmax_question = question.in_logits(similarities.size, peak)
            distribution = _distribution(softmax_question, levels)
        return cls(question, similarities, biases, softmax_question, levels, peak, distribution)

    @property
    def in_logits(self) -> bool:
        """Whether the weights are computed from logits, which include a bias, instead of similarities."""
        return self.softmax_question is not self.question

    @property
    def temperature(self) -> float:
        """The temperature of the answer; with `Auto`, the one that was solved for."""
        temperature = self.question.temperature
        return self.distribution.evidence.temperature if isinstance(temperature, Auto) else temperature

    @property
    def evidence(self) -> Evidence:
        """The evidence (null weight, log-partition and entropy), in terms of similarities instead of logits."""
        if not self.in_logits:
            return self.distribution.evidence
        null = self.question.null_key(self.temperature, self.levels.size)
        return restore_evidence(self.distribution.evidence, null, self.temperature, self.peak)


def _answer_batch(shard: Shard, questions: Sequence[Question]) -> Iterator[Answer]:
    biases = shard.read_biases(questions)
    similarities = shard.read_similarities(questions, biases)
    weightings = [Weighting.of(*arguments) for arguments in zip(questions, similarities, biases, strict=True)]
    with_output = [index for index, question in enumerate(questions) if question.output]
    outputs: dict[int, F64] = {}
    if with_output:
        weights = np.array([weightings[index].distribution.weights for index in with_output])
        outputs = dict(zip(with_output, shard.sum_values(weights), strict=True))
    for index, weighting in enumerate(weightings):
        yield _answer(shard, weighting, outputs.get(index))


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


def _answer(shard: Shard, weighting: Weighting, output: F64 | None) -> Answer:
    in_logits, documents = weighting.in_logits, shard.keys
    variation = bound_variation(shard, weighting)
    error = None if output is None else bound_exact_output(variation, shard.value_norm, shard.term_count)
    document_weighting = weighting
    if shard.grouping is not None:
        documents = len(shard.grouping.numbers)
        similarities = shard.recompute(weighting.question, weighting.similarities)
        if similarities is not weighting.similarities:
            question = replace(weighting.question, temperature=weighting.temperature)
            document_weighting = Weighting.of(question, similarities, weighting.biases)
    head = select_head(
        document_weighting.softmax_question,
        lambda positions: shard.numbers(shard.rows[positions]),
        document_weighting.levels,
        document_weighting.distribution.weights,
        weighting.distribution.evidence,
        grouping=shard.grouping,
        order=shard.row_order,
        compute_similarities=document_weighting.similarities.__getitem__ if in_logits else None,
        biased=weighting.biases is not None and not in_logits,
    )
    if in_logits:
        logits = head.logits + document_weighting.peak / weighting.temperature
        head = head._replace(logits=logits, evidence=weighting.evidence)
    return build_answer(
        head,
        Certificate(METHOD, variation, error),
        documents=documents,
        keys=shard.keys,
        output=output,
        heavy_rows=select_heavy_rows(shard, shard.rows, weighting.distribution.weights, head.evidence),
    )


def bound_variation(shard: Shard, weighting: Weighting) -> float:
    """Return a bound on the total variation of all rows' weights that rounding in float64 causes."""
    question, similarities, levels = weighting.question, weighting.similarities, weighting.levels
    if not levels.size:
        return 0.0
    rounding = similarity_slack(shard.facts.similarity, question.vector, shard.key_norm)
    ties = levels == levels.max()

    def are_copies() -> bool:
        return shard.alike(shard.rows[np.flatnonzero(ties)])

    if weighting.biases is None:
        return _bound_rounding(weighting, rounding, shard.keys, are_copies)
    biases = weighting.biases
    bias_rounding = bound_bias_rounding(biases[ties])
    null_key = question.null_key(weighting.temperature, shard.keys)
    null = None if null_key is None else null_key.similarity
    if not weighting.in_logits:
        return min(1.0, bound_ties(similarities, null, rounding, alike=are_copies()) + bias_rounding)
    largest = max(float(np.abs(similarities).max()), 0.0 if null is None else abs(null))
    variation = _bound_rounding(
        weighting,
        rounding.in_logits(weighting.temperature, largest),
        shard.keys,
        lambda: bool((biases[ties] == biases[ties][0]).all()) and are_copies(),
    )
    return min(1.0, variation + bias_rounding)


def _bound_rounding(weighting: Weighting, rounding: Slack, n: int, alike: Callable[[], bool]) -> float:
    normaliser, levels = weighting.softmax_question.normaliser, weighting.levels
    return total_variation(weighting.distribution, normaliser, levels, float(levels.max()), rounding, n, alike)


class Similarities(NamedTuple):
    """The similarities of q queries with all n rows that pass a mask, in the order of the view's rows.

    Attributes:
        numbers: int64[n], the rows' permanent numbers.
        owners: int64[n], the number of the document that each row is a key of.
        similarities: float64[q, n].
    """

    numbers: I64
    owners: I64
    similarities: F64


def similarities_of(view: AnyView, vectors: F64, mask: AnyMask | None = None) -> Similarities:
    """Return the similarity of each query with every row (key) that passes the mask, in float64.

    `bounds.similarities` bounds the rounding errors.

    Args:
        vectors: float64[q, d], finite, at least one, and few enough that float64[q, n] fits in memory.
        mask: a mask of this view; None for all rows.

    Raises:
        ShapeError: a query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask of another view.
    """
    questions = [Question(vector, 0.0, mask=mask, top_k=0, output=False).put_to(view) for vector in vectors]
    with pin_kernels():
        shard = open_shard(view, mask)
        similarities = shard.read_similarities(questions, [None] * len(questions))
        return Similarities(shard.numbers(shard.rows), shard.owners(shard.rows), similarities)

"""The quantised path: a scan of 8-bit keys, the best rows again in float64, and a bound on the error of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from softkv_attention.lookup.answer import Answer, Certificate, build_answer, select_head, select_heads
from softkv_attention.lookup.bounds.weights import least_variation
from softkv_attention.lookup.estimate import (
    OutputEstimate,
    WeightEstimate,
    WeightEstimates,
    estimate_outputs,
    estimate_weights,
)
from softkv_attention.lookup.limits import ScanWidth
from softkv_attention.lookup.memory.view import AnyView, View
from softkv_attention.lookup.one_scan import ScannableRows, is_plain
from softkv_attention.lookup.question import Auto, Question, group_by_logits
from softkv_attention.lookup.shards import Shard, open_shard
from softkv_attention.lookup.shards.documents import find_answer_rows, select_heavy_rows
from softkv_attention.lookup.softmax.distribution import restore_evidence

BATCH_SIZE = 64
"""The most queries of one scan."""

FEW_QUESTIONS = 1
"""At most this number of questions are answered faster one by one than in one scan."""


def quantised_answers(view: AnyView, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question from a scan of 8-bit codes; None for a question that must be answered in float64.

    That is the case if float32 cannot hold the products of query and keys, or if the codes do not decide which rows are
    the best. It is also the case if a scan cannot prove `max_error`, even if it looks many rows up. And it is the case
    if the output is so short that errors of the codes would show in it.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for group in group_by_logits(questions):
        if len(group) <= FEW_QUESTIONS:
            _answer_plain(view, questions, group, answers)
        shard = shard_of(view, questions[group[0]])
        pending = [index for index in group if answers[index] is None and fits_scan(shard, questions[index])]
        scanned = {index: scan_question(shard, questions[index]) for index in pending}
        # Each round answers what the one before left open: the same lists in 16 bits, then longer lists. A question
        # leaves at once if no scan can answer it.
        for width in view.limits.scan_widths:
            wider: list[int] = []
            for fine in (False, True):
                finer: list[int] = []
                for first in range(0, len(pending), BATCH_SIZE):
                    batch = pending[first : first + BATCH_SIZE]
                    results = _answer_batch(shard, [scanned[index] for index in batch], width, fine)
                    for index, result in zip(batch, results, strict=True):
                        if isinstance(result, Answer):
                            answers[index] = restore_similarities(shard, questions[index], result)
                        elif result is not NextStep.EXACT:
                            (finer if result is NextStep.FINER else wider).append(index)
                pending = finer
            pending = wider
    return answers


def _answer_plain(
    view: AnyView, questions: Sequence[Question], group: Sequence[int], answers: list[Answer | None]
) -> None:
    """Answer the plain questions of a group, one after another, as far as that is possible."""
    plain = [index for index in group if is_plain(questions[index])]
    rows = ScannableRows.of(view, questions[plain[0]].mask) if plain else None
    if rows is not None:
        assert isinstance(view, View)
        for index in plain:
            answers[index] = rows.answer(view, questions[index])


def shard_of(view: AnyView, question: Question) -> Shard:
    """Return the rows of a view that pass the question's mask, as the shard that a scan of 8-bit codes reads.

    If the question has a bias, the scan compares rows by logits (similarity/T + bias), otherwise by similarities.
    """
    if question.bias is None:
        return open_shard(view, question.mask)
    assert not isinstance(question.temperature, Auto)
    return open_shard(view, question.mask, question.bias, question.temperature)


def fits_scan(shard: Shard, question: Question) -> bool:
    """Return whether a scan of 8-bit codes at one temperature can answer a question.

    It cannot if float32 cannot hold the products of query and keys, if the temperature is yet to be solved for, or for
    one_hot at an infinite temperature, at which all rows tie.
    """
    all_tie = question.normaliser == "one_hot" and question.temperature == np.inf
    return shard.fits(question.vector) and not all_tie and not isinstance(question.temperature, Auto)


def scan_question(shard: Shard, question: Question) -> Question:
    """Return the question in the form in which a scan of 8-bit codes answers it.

    If the shard compares rows by logits, that is the question about its logits at temperature 1, see
    `Question.in_logits`.
    """
    return question.in_logits(shard.keys) if shard.in_logits else question


def restore_similarities(shard: Shard, question: Question, answer: Answer) -> Answer:
    """Return a scan's answer with its evidence converted from logits back to similarities.

    Args:
        shard: the scanned rows.
        question: the caller's question.
        answer: the answer to the form of the question that `scan_question` returns.
    """
    if not shard.in_logits:
        return answer
    temperature = question.temperature
    assert not isinstance(temperature, Auto)
    null = question.null_key(temperature, shard.keys)
    return replace(answer, evidence=restore_evidence(answer.evidence, null, temperature))


class NextStep(Enum):
    """The way to answer a question after a scan of 8-bit codes could not answer it.

    A wider scan looks more rows up. A finer scan has queries and weights in 16 bits. The exact path reads every row in
    float64.
    """

    WIDER = "a wider scan"
    FINER = "a scan in 16 bits"
    EXACT = "the exact path"


def _answer_batch(
    shard: Shard, questions: Sequence[Question], width: ScanWidth, fine: bool
) -> Iterator[Answer | NextStep]:
    estimates = estimate_weights(shard, questions, width, fine=fine)
    with_output = [index for index, question in enumerate(questions) if question.output]
    outputs = estimate_outputs(shard, estimates, with_output) if with_output else {}
    answers = answer_together(shard, questions, estimates, outputs)
    for index, question in enumerate(questions):
        answer, output = answers.get(index), outputs.get(index)
        if answer is not None:
            yield answer
            continue
        if output is not None and output.coarse:
            # Errors of weights in 8 bits show in a short output. If those in 16 bits show too, only float64 helps.
            yield NextStep.FINER if estimates.scan.bits == 8 else NextStep.EXACT
            continue
        estimate = estimates[index]
        answer = None if estimate is None else answer_alone(shard, question, estimate, output)
        if answer is not None:
            yield answer
        elif estimate is None or question.max_error is None:
            yield NextStep.WIDER
        else:
            # Do not scan again for a `max_error` that even the widest scan cannot prove.
            lookups = shard.limits.scan_widths[-1].lookups
            least = least_variation(estimate.mixture, estimates.scan.error(index), shard.keys, lookups)
            provable = estimate.rounding_variation + least <= question.max_error
            yield NextStep.WIDER if provable else NextStep.EXACT


def answer_alone(
    shard: Shard, question: Question, estimate: WeightEstimate, output: OutputEstimate | None
) -> Answer | None:
    """Return the answer to one question from a scan of 8-bit codes; None if the scan does not suffice.

    It does not suffice if the error bound exceeds `max_error`, or if it leaves open which documents with several keys
    are the best.

    Args:
        shard: the scanned rows.
        question: the question as the scan answers it.
        estimate: the weights from the scan.
        output: the output from the scan; None if not requested.
    """
    variation = estimate.document_variation if shard.facts.several else estimate.total_variation
    certificate = certificate_of(shard, variation, output)
    if not keeps_max_error(shard, question, certificate):
        return None
    rows = find_answer_rows(shard, question, estimate.rescored, estimate.mixture)
    if rows is None:
        return None
    weights, unlisted_weight = rows.weights(shard, question, estimate.rescored, estimate.mixture)
    head = select_head(
        question,
        lambda positions: shard.numbers(rows.indices[positions]),
        rows.similarities,
        weights,
        estimate.mixture.evidence,
        unlisted_weight=unlisted_weight,
        grouping=rows.grouping,
        order=shard.order(rows.indices),
        compute_similarities=shard.similarity_function(question.vector, rows.indices),
    )
    return build_answer(
        head,
        certificate,
        documents=shard.documents,
        keys=shard.keys,
        output=None if output is None else output.output,
        heavy_rows=select_heavy_rows(shard, estimate.rescored.head_rows, estimate.mixture.head_weights, head.evidence),
    )


def answer_together(
    shard: Shard,
    questions: Sequence[Question],
    estimates: WeightEstimates,
    outputs: Mapping[int, OutputEstimate],
) -> dict[int, Answer]:
    """Return, by question index, those answers from a scan of 8-bit codes that can be built together in arrays.

    These have softmax above temperature 0, and neither `top_p` nor a bias, and each row is a document. Questions whose
    error bound exceeds `max_error`, or whose output is not precise enough (`OutputEstimate.coarse`), are left out. The
    answers equal those of `answer_alone` to the last bit.

    Args:
        shard: the scanned rows.
        questions: all questions of the scan.
        estimates: their weights from the scan.
        outputs: the outputs of the questions that need one, by index.
    """
    mixtures = estimates.mixtures
    if mixtures is None or shard.facts.several or shard.in_logits:
        return {}
    certificates = {}
    for index in estimates.cases:
        output = outputs.get(index)
        if questions[index].top_p is not None or (output is not None and output.coarse):
            continue
        certificate = certificate_of(shard, estimates.variations[index][0], output)
        if keeps_max_error(shard, questions[index], certificate):
            certificates[index] = certificate
    caps = {index: questions[index].cap for index in certificates}
    order = shard.order(estimates.rescored.candidates.rows)
    heads = select_heads(caps, estimates.rescored, mixtures, estimates.cases, shard.numbers, order)
    return {
        index: build_answer(
            head,
            certificates[index],
            documents=shard.documents,
            keys=shard.keys,
            output=outputs[index].output if index in outputs else None,
            heavy_rows=select_heavy_rows(
                shard,
                estimates.rescored.candidates.rows_of(index),
                mixtures.weights_of(estimates.cases[index]),
                head.evidence,
            ),
        )
        for index, head in heads.items()
    }


def certificate_of(shard: Shard, variation: float, output: OutputEstimate | None) -> Certificate:
    """Return the certificate (error bounds) of an answer from a scan of 8-bit codes.

    Args:
        shard: the scanned rows.
        variation: a bound on the total variation of the weights.
        output: the output with its error bound; None if not requested.
    """
    return Certificate(shard.method, variation, None if output is None else output.error)


def keeps_max_error(shard: Shard, question: Question, certificate: Certificate) -> bool:
    """Return whether the error bounds of an answer are within the question's `max_error`; True if it has none."""
    return question.max_error is None or certificate.error(shard.facts.value_norm) <= question.max_error

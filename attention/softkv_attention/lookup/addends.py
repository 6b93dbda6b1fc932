"""Addends on the logits of some listed documents: the answer that follows from the answer without them.

Only the masses of these documents change, and the sum over all others is known. Let w be the weights of the answer, and
b the addends. Then the sum of all masses Z becomes

    Z' = Z·S,  S = 1 + Σ w·(e^b − 1),

so a second scan of the keys is not needed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.kernels import HEAVIEST
from softkv_attention.lookup.answer import Answer, Certificate, HeavyRows, build_answer, select_head
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF, similarity_slack
from softkv_attention.lookup.memory.statistics import BlockStatistics
from softkv_attention.lookup.question import Auto, Question
from softkv_attention.lookup.rescoring.ranking import select_top
from softkv_attention.lookup.softmax.verdict import HALF

MAX_ERROR, MAX_GROWTH = 1e-4, 2.0
"""A bound that is above the first, and this many times that of the answer, calls for a scan with the addends."""
MIN_SHARE = 1e-6
"""The least share of the documents, beside the null key, that is still known to ten digits."""
MIN_NORMAL = 1e-290
"""Weights below this may have lost digits; their logarithms follow from the logits."""


def before_addends(question: Question, facts: BlockStatistics, depth: int) -> Question | None:
    """Return the question whose answer `add_to_head` turns into that of this question; None if it cannot.

    Args:
        question: the question with the size of the final answer.
        facts: the statistics of the view.
        depth: how many of the best documents may get addends. All of them may fall behind the others.
    """
    if isinstance(question.temperature, Auto) or not (question.weighs_all and math.isfinite(question.temperature)):
        return None
    if question.output or question.weigh_all or question.max_error is not None or facts.several:
        return None
    if question.exact:  # the statistics are of all rows
        return None
    return replace(question, top_k=depth + max(question.cap, HEAVIEST), top_p=None)


def add_to_head(
    answer: Answer, question: Question, facts: BlockStatistics, documents: I64, addends: F64
) -> Answer | None:
    """Return the answer to a question with addends, from the answer without them.

    The bound τ on the total variation of the answer follows from one of two lemmas of `softkv_attention.lookup.bounds`.
    Lemma 1 bounds every error of a logit, which an addend does not change, so τ stays. Lemma 2 has Y, the factor by
    which the mass of a row is off, which is 1 for listed documents, and E|Y − 1| ≤ τ. The addends divide that mean by
    S, and leave E[Y] at least 1 − τ/S, so the new bound is τ/(S − τ). To both, the rounding of the listed logits is
    added.

    Args:
        answer: the answer to the question that `before_addends` returns.
        question: the question with the size of the final answer.
        facts: the statistics of the view.
        documents: int64[k], listed documents, ascending.
        addends: float64[k], the number to add to the logit of each; finite.

    Returns:
        The answer; None if its error bound, or the share of all documents beside the null key, would be too coarse.
    """
    partition, null = answer.evidence.log_partition, answer.evidence.null_weight
    assert partition is not None
    assert isinstance(question.temperature, float | int)
    if not (math.isfinite(partition) and len(answer.numbers)):
        return None
    added = np.zeros(len(answer.numbers))
    order = np.argsort(answer.numbers)
    added[order[np.searchsorted(answer.numbers, documents, sorter=order)]] = addends
    masses = _add_masses(answer, partition, null, added)
    if masses is None:
        return None
    variation = _bound_variation(answer, question, facts, masses.log_growth)
    if variation > max(MAX_ERROR, MAX_GROWTH * answer.certificate.total_variation):
        return None
    evidence = replace(
        answer.evidence,
        null_weight=masses.null,
        log_partition=masses.log_partition,
        entropy=masses.entropy,
        effective_documents=math.exp(masses.entropy),
    )
    weights = masses.listed
    head = select_head(
        question,
        answer.numbers.__getitem__,
        answer.logits + added,
        weights,
        replace(evidence, temperature=1.0),  # that of logits
        unlisted_weight=masses.unlisted,
        compute_similarities=answer.similarities.__getitem__,
    )
    heavy_rows = None
    if evidence.null_weight < HALF and head.heaviest <= HALF:
        heaviest = select_top(weights, HEAVIEST).indices[:HEAVIEST]
        if weights[heaviest].sum() > HALF:
            heavy_rows = HeavyRows(answer.numbers[heaviest], answer.numbers[heaviest], weights[heaviest])
    return build_answer(
        head._replace(evidence=evidence),
        Certificate(answer.certificate.method, variation, None),
        documents=answer.documents,
        keys=answer.keys,
        output=None,
        heavy_rows=heavy_rows,
    )


class _Masses(NamedTuple):
    """The masses with addends, divided by their sum Z'.

    Attributes:
        listed: float64[k], of the listed documents.
        null, unlisted: of the null key, and of all other documents together.
        log_growth: ln S.
        log_partition: ln Z'.
        entropy: that of the documents.
    """

    listed: F64
    null: float
    unlisted: float
    log_growth: float
    log_partition: float
    entropy: float


def _add_masses(answer: Answer, partition: float, null: float, added: F64) -> _Masses | None:
    """Return the masses of an answer with addends; None if the documents' share would be too coarse.

    Args:
        answer: the answer without addends.
        partition, null: its ln Z and the weight of its null key.
        added: float64[k], the addend of each listed document.
    """
    # In units of Z: the mass m of the documents that are not listed, and Σ m·ln m, which follows from the entropy.
    unlisted = unlisted_logs = 0.0
    logs = np.log(answer.weights, out=answer.logits - partition, where=answer.weights > MIN_NORMAL)
    if len(answer.numbers) < answer.documents:
        unlisted = max(0.0, 1.0 - null - float(answer.weights.sum()))
        mass = 1.0 - null
        unlisted_logs = mass * (math.log(mass) - answer.entropy) - float(answer.weights @ logs) if mass > 0 else 0.0
    # In units of Z·e^peak, so that the largest mass is near 1 and no other overflows.
    levels = logs + added
    peak = max(float(levels.max()), *(math.log(mass) for mass in (null, unlisted) if mass > 0), -700.0)
    masses, scale = np.exp(levels - peak), math.exp(-peak)
    documents_mass = float(masses.sum()) + unlisted * scale
    total = documents_mass + null * scale
    if documents_mass < MIN_SHARE * total:
        return None
    # With D the documents' mass, the entropy is ln D − Σ m·ln m / D.
    entropy = (
        math.log(documents_mass)
        - (float(masses @ (levels - peak)) + scale * (unlisted_logs - peak * unlisted)) / documents_mass
    )
    return _Masses(
        masses / total,
        null * scale / total,
        unlisted * scale / total,
        peak + math.log(total),
        partition + peak + math.log(total),
        max(entropy, 0.0),
    )


def _bound_variation(answer: Answer, question: Question, facts: BlockStatistics, log_growth: float) -> float:
    """Return the bound on the total variation that `add_to_head` proves, with the rounding of its sums.

    Args:
        log_growth: ln S.
    """
    variation, growth = answer.certificate.total_variation, math.exp(min(log_growth, 700.0))
    largest = float(np.abs(answer.similarities).max())
    rounding = similarity_slack(facts.similarity, question.vector, facts.key_norm).at(largest) / answer.temperature
    largest_logit = float(np.abs(answer.logits).max()) + abs(answer.log_partition or 0.0) + abs(log_growth)
    rounding += 8 * UNIT_ROUNDOFF * largest_logit
    if growth <= 2 * variation or rounding > 1:
        return 1.0
    sums = (16 + 2 * len(answer.numbers)) * UNIT_ROUNDOFF / growth
    return min(1.0, max(variation, variation / (growth - variation)) + math.expm1(rounding) + sums)

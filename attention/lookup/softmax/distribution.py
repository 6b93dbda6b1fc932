"""From similarities to a distribution over the documents and the null key."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from attention.dtypes import F64
from attention.lookup.softmax.evidence import Evidence
from attention.lookup.softmax.null import NullKey
from attention.normalisers import entmax15, sparsemax

SUPPORT = {"sparsemax": 1.0, "entmax15": 2.0}
"""How far below the largest logit a weight can still be above zero."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """Attention of one query over all documents that pass.

    Attributes:
        weights: float64[n], with the null's they sum to one.
        evidence: null weight, log-partition and entropy at this temperature.
        mean_gap: the weighted mean distance of a logit from the largest one, which rounding grows with.
    """

    weights: F64
    evidence: Evidence
    mean_gap: float


def softmax(similarities: F64, null: NullKey | None, temperature: float) -> Distribution:
    """Softmax of similarity / temperature, a null key included.

    Args:
        similarities: float64[n] of the documents that pass.
        null: the null key at that temperature, or None.
        temperature: 0 or more; at 0 what ties for the best shares.
    """
    if similarities.size == 0:
        return _no_documents(null, temperature)
    best = float(similarities.max())
    if temperature == 0:
        return one_hot(similarities, null, 0.0, log_partition=True)
    logits = (similarities - best) / temperature
    masses = np.exp(logits)
    mass = float(masses.sum())
    log_mass = float(np.log(mass))
    # Not through BLAS, whose threads would wait for a busy core.
    mean_gap = -float(np.einsum("i,i", masses, logits)) / mass
    null_logit = -np.inf if null is None else null.logit(best, temperature)
    null_weight = logistic(null_logit - log_mass)
    weights = np.multiply(masses, logistic(log_mass - null_logit) / mass, out=masses)
    log_partition = best / temperature + float(np.logaddexp(log_mass, null_logit))
    if null is not None and null_logit > log_mass:  # where it outweighs them by far, its own logit is the sum
        log_partition = null.logit(0.0, temperature) + math.log1p(math.exp(log_mass - null_logit))
    entropy = log_mass + mean_gap
    evidence = Evidence(
        temperature=temperature,
        null_weight=null_weight,
        null_similarity=None if null is None else null.level(temperature),
        log_partition=log_partition,
        entropy=entropy,
        effective_documents=float(np.exp(entropy)),
    )
    if null is not None:
        mean_gap = (1 - null_weight) * (mean_gap + max(null_logit, 0.0)) + null_weight * max(-null_logit, 0.0)
    return Distribution(weights, evidence, mean_gap)


def one_hot(
    similarities: F64, null: NullKey | None, temperature: float, *, log_partition: bool = False
) -> Distribution:
    """All weight on the best: what ties for it shares it evenly, a null key as one more document.

    Args:
        similarities: float64[n] of the documents that pass.
        null: the null key's similarity, or None.
        temperature: passed on to the evidence.
        log_partition: whether this is softmax at temperature 0, which has one: the logarithm of the number
            of ties.
    """
    if similarities.size == 0:
        none = _no_documents(null, temperature)
        return none if log_partition else Distribution(none.weights, replace(none.evidence, log_partition=None), 0.0)
    best, level = float(similarities.max()), None if null is None else null.similarity
    if temperature == np.inf:  # every logit is the same
        similarities, best, level = np.zeros_like(similarities), 0.0, None if level is None else 0.0
    ties = similarities == best
    count = int(np.count_nonzero(ties))
    null_above, null_ties = level is not None and level > best, level == best
    sharing = 1 if null_above else count + null_ties
    evidence = Evidence(
        temperature=temperature,
        null_weight=float(null_above or null_ties) / sharing,
        null_similarity=None if null is None else null.similarity,
        log_partition=float(np.log(sharing)) if log_partition else None,
        entropy=float(np.log(count)),
        effective_documents=float(count),
    )
    return Distribution(np.zeros(similarities.size) if null_above else ties / sharing, evidence, 0.0)


def sparse(similarities: F64, null: NullKey | None, temperature: float, normaliser: str) -> Distribution:
    """Sparsemax or entmax15 of similarity / temperature, a null key included; at temperature 0 they are one_hot.

    Only logits within the support of the largest matter, so only they are sorted.

    Args:
        similarities: float64[n] of the documents that pass.
        null: the null key of a normaliser that is not softmax, or None.
        temperature: 0 or more.
        normaliser: sparsemax or entmax15.
    """
    if similarities.size == 0 or temperature == 0:
        return one_hot(similarities, null, temperature)
    nearest = float(similarities.max())
    best = nearest if null is None else max(nearest, null.similarity)
    logits = (similarities - best) / temperature
    near = np.flatnonzero(logits >= -SUPPORT[normaliser])
    together = logits[near] if null is None else np.append(logits[near], null.logit(best, temperature))
    shares = (sparsemax if normaliser == "sparsemax" else entmax15)(together)
    weights = np.zeros(similarities.size)
    weights[near] = shares[: len(near)]
    held = weights[weights > 0] / max(weights.sum(), np.finfo(np.float64).tiny)
    entropy = float(-(held * np.log(held)).sum())
    evidence = Evidence(
        temperature=temperature,
        null_weight=0.0 if null is None else float(shares[-1]),
        null_similarity=None if null is None else null.similarity,
        log_partition=None,
        entropy=entropy,
        effective_documents=float(np.exp(entropy)) if len(held) else 0.0,
    )
    return Distribution(weights, evidence, 0.0)


def _no_documents(null: NullKey | None, temperature: float) -> Distribution:
    partition = -np.inf if null is None else null.logit(0.0, temperature) if temperature > 0 else 0.0
    evidence = Evidence(
        temperature=temperature,
        null_weight=0.0 if null is None else 1.0,
        null_similarity=None if null is None else null.level(temperature),
        log_partition=partition,
        entropy=0.0,
        effective_documents=0.0,
    )
    return Distribution(np.empty(0), evidence, 0.0)


def logistic(x: float) -> float:
    """1 / (1 + e⁻ˣ), without overflow on either side."""
    rising = math.exp(-abs(x))
    return 1 / (1 + rising) if x >= 0 else rising / (1 + rising)

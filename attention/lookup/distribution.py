"""From similarities to a distribution over the documents and the null key."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attention.lookup.results import Evidence
from attention.normalisers import entmax15, sparsemax

Array = NDArray[np.float64]

REACH = {"sparsemax": 1.0, "entmax15": 2.0}
"""How far below the largest logit a weight can still be above zero."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """Attention of one query over all documents that pass.

    Attributes:
        weights: float64[n], with the null's they sum to one.
        evidence: null weight, log-partition and entropy at this temperature.
        depth: the weighted mean distance of a logit from the largest one, which rounding grows with.
    """

    weights: Array
    evidence: Evidence
    depth: float


def softmax(similarities: Array, null: float | None, temperature: float) -> Distribution:
    """Softmax of similarity / temperature, a null key included.

    Args:
        similarities: float64[n] of the documents that pass.
        null: the null key's similarity, or None.
        temperature: 0 or more; at 0 what ties for the best shares.
    """
    if similarities.size == 0:
        return _without_documents(null, temperature)
    best = float(similarities.max())
    if temperature == 0:
        return one_hot(similarities, null, 0.0, log_partition=True)
    logits = (similarities - best) / temperature
    masses = np.exp(logits)
    mass = float(masses.sum())
    log_mass = float(np.log(mass))
    # Not through BLAS, whose threads would wait for a busy core.
    depth = -float(np.einsum("i,i", masses, logits)) / mass
    null_logit = -np.inf if null is None else (null - best) / temperature
    null_weight = logistic(null_logit - log_mass)
    weights = np.multiply(masses, logistic(log_mass - null_logit) / mass, out=masses)
    log_partition = best / temperature + float(np.logaddexp(log_mass, null_logit))
    entropy = log_mass + depth
    evidence = Evidence(temperature, null_weight, log_partition, entropy, float(np.exp(entropy)))
    if null is not None:
        depth = (1 - null_weight) * (depth + max(null_logit, 0.0)) + null_weight * max(-null_logit, 0.0)
    return Distribution(weights, evidence, depth)


def one_hot(
    similarities: Array, null: float | None, temperature: float, *, log_partition: bool = False
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
        none = _without_documents(null, temperature)
        return none if log_partition else Distribution(none.weights, _unpartitioned(none.evidence), 0.0)
    if temperature == np.inf:  # every logit is the same
        similarities, null = np.zeros_like(similarities), None if null is None else 0.0
    best = similarities.max()
    ties = similarities == best
    count = int(np.count_nonzero(ties))
    above, level = null is not None and null > best, null is not None and null == best
    sharing = 1 if above else count + level
    weights = np.zeros(similarities.size) if above else ties / sharing
    null_weight = float(above or level) / sharing
    partition = float(np.log(sharing)) if log_partition else None
    evidence = Evidence(temperature, null_weight, partition, float(np.log(count)), float(count))
    return Distribution(weights, evidence, 0.0)


def sparse(similarities: Array, null: float | None, temperature: float, normaliser: str) -> Distribution:
    """Sparsemax or entmax15 of similarity / temperature, a null key included; at temperature 0 they are one_hot.

    Only logits within reach of the largest matter, so only they are sorted.

    Args:
        similarities: float64[n] of the documents that pass.
        null: the null key's similarity, or None.
        temperature: 0 or more.
        normaliser: sparsemax or entmax15.
    """
    if similarities.size == 0 or temperature == 0:
        return one_hot(similarities, null, temperature)
    best = max(float(similarities.max()), -np.inf if null is None else null)
    logits = (similarities - best) / temperature
    near = np.flatnonzero(logits >= -REACH[normaliser])
    together = logits[near] if null is None else np.append(logits[near], (null - best) / temperature)
    shares = (sparsemax if normaliser == "sparsemax" else entmax15)(together)
    weights = np.zeros(similarities.size)
    weights[near] = shares[: len(near)]
    held = weights[weights > 0] / max(weights.sum(), np.finfo(np.float64).tiny)
    entropy = float(-(held * np.log(held)).sum())
    null_weight = 0.0 if null is None else float(shares[-1])
    evidence = Evidence(temperature, null_weight, None, entropy, float(np.exp(entropy)) if len(held) else 0.0)
    return Distribution(weights, evidence, 0.0)


def _without_documents(null: float | None, temperature: float) -> Distribution:
    if null is None:
        return Distribution(np.empty(0), Evidence(temperature, 0.0, -np.inf, 0.0, 0.0), 0.0)
    partition = null / temperature if temperature > 0 else 0.0
    return Distribution(np.empty(0), Evidence(temperature, 1.0, partition, 0.0, 0.0), 0.0)


def _unpartitioned(evidence: Evidence) -> Evidence:
    return Evidence(evidence.temperature, evidence.null_weight, None, evidence.entropy, evidence.effective_documents)


def logistic(x: float) -> float:
    """1 / (1 + e⁻ˣ), without overflow on either side."""
    rising = math.exp(-abs(x))
    return 1 / (1 + rising) if x >= 0 else rising / (1 + rising)

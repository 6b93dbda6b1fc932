"""Logits in the place of similarities: what a question with a bias asks is softmax of these at temperature 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attention.dtypes import F64
from attention.lookup.softmax.distribution import Distribution, one_hot
from attention.lookup.softmax.evidence import Evidence
from attention.lookup.softmax.null import NullKey

MAX_NULL_LOGIT = 1e300
"""No null key's logit is taken for more, on either side."""


def relative_logits(similarities: F64, biases: F64, temperature: float) -> tuple[F64, float]:
    """((s − peak)/T + bias, float64[n], and the peak, the largest similarity); finite where s/T would overflow.

    Args:
        similarities, biases: float64[n], finite.
        temperature: above 0.
    """
    peak = float(similarities.max()) if similarities.size else 0.0
    return (similarities - peak) / temperature + biases, peak


def null_logit(null: NullKey | None, temperature: float, peak: float = 0.0) -> float | None:
    """Of a null key, beside logits relative to a peak."""
    if null is None:
        return None
    return float(np.clip((null.similarity - peak) / temperature + null.log_count, -MAX_NULL_LOGIT, MAX_NULL_LOGIT))


def restore_evidence(evidence: Evidence, null: NullKey | None, temperature: float, peak: float = 0.0) -> Evidence:
    """The evidence of similarities at a temperature, of that of their logits.

    Args:
        evidence: of logits relative to the peak, at temperature 1.
        null: the null key at that temperature.
    """
    partition = evidence.log_partition
    return replace(
        evidence,
        temperature=temperature,
        null_similarity=None if null is None else null.level(temperature),
        log_partition=None if partition is None else partition + peak / temperature,
    )


def one_hot_with_bias(similarities: F64, biases: F64, null: NullKey | None, *, log_partition: bool) -> Distribution:
    """Temperature 0: what ties for the largest similarity shares as softmax(bias), a null key's being 0.

    Args:
        similarities, biases: float64[n], finite.
        null: the null key at temperature 0, or None.
        log_partition: whether there is one: ln Σ exp(bias) over the ties.
    """
    found = one_hot(similarities, null, 0.0, log_partition=log_partition)
    best = similarities.max(initial=-np.inf)
    if not similarities.size or (null is not None and null.similarity > best):
        return found
    ties = similarities == best
    logits = biases[ties]
    peak = max(float(logits.max()), 0.0 if null is not None and null.similarity == best else -np.inf)
    masses = np.exp(logits - peak)
    mass = float(masses.sum())
    null_mass = float(np.exp(-peak)) if null is not None and null.similarity == best else 0.0
    weights = np.zeros(similarities.size)
    weights[ties] = masses / (mass + null_mass)
    # Relative to the heaviest key, for all of them may vanish beside a null key.
    own = logits - logits.max()
    own_masses = np.exp(own)
    own_mass = float(own_masses.sum())
    entropy = float(np.log(own_mass) - (own_masses * own).sum() / own_mass)
    evidence = replace(
        found.evidence,
        null_weight=null_mass / (mass + null_mass),
        log_partition=peak + float(np.log(mass + null_mass)) if log_partition else None,
        entropy=entropy,
        effective_documents=float(np.exp(entropy)),
    )
    return Distribution(weights, evidence, 0.0)

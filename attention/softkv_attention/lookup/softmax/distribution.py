"""From similarities, or logits with a bias, to a distribution over the documents and the null key."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from softkv_attention.arrays import F64
from softkv_attention.kernels import kernels
from softkv_attention.logits import SMALLEST_TEMPERATURE
from softkv_attention.lookup.softmax.evidence import Evidence, NullKey
from softkv_attention.normalisers import entmax15, sparsemax

SUPPORT = {"sparsemax": 1.0, "entmax15": 2.0}
"""The distance below the largest logit within which a weight can be above zero."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """The weights of all rows (keys) that pass the mask, for one query.

    Attributes:
        weights: float64[n]; together with the null key's weight they sum to one.
        evidence: the null key's weight, log-partition and entropy at this temperature.
        mean_gap: the weighted mean distance of a logit from the largest one; rounding errors grow with it.
    """

    weights: F64
    evidence: Evidence
    mean_gap: float


def softmax(similarities: F64, null: NullKey | None, temperature: float) -> Distribution:
    """Return the softmax of similarity / temperature, including a null key ("none of these").

    Args:
        similarities: float64[n], of the rows that pass the mask.
        null: the null key at that temperature, or None.
        temperature: 0 or more; at 0, rows that tie for the best share the weight.
    """
    if similarities.size == 0:
        return _no_documents(null, temperature)
    if temperature == 0:
        return one_hot(similarities, null, 0.0, log_partition=True)
    masses, totals = kernels().softmax_masses(np.ascontiguousarray(similarities), temperature)
    return normalise(masses, totals, null, temperature)


def normalise(masses: F64, totals: F64, null: NullKey | None, temperature: float) -> Distribution:
    """Return the softmax whose masses are known, together with the null key ("none of these").

    Args:
        masses, totals: those of `kernels.RowMasses`; the masses become the weights, in place.
        null: the null key at that temperature, or None.
        temperature: T, above 0.
    """
    # Relative to the best, the largest mass is 1: nothing overflows, and the sum does not vanish.
    best, mass, gap = totals.tolist()
    log_mass, mean_gap = math.log(mass), -gap / mass
    null_logit = -math.inf if null is None else null.logit(best, temperature)
    null_level = None if null is None else null.level
    # A quotient of masses would be ∞/∞ if the null key is far above the documents.
    null_weight = logistic(null_logit - log_mass)
    weights = np.multiply(masses, logistic(log_mass - null_logit) / mass, out=masses)
    if null is not None and null_logit > log_mass:  # if it outweighs them by far, the sum is its own logit
        log_partition = null.logit(0.0, temperature) + math.log1p(math.exp(log_mass - null_logit))
    else:
        log_partition = best / temperature + (log_mass + math.log1p(math.exp(null_logit - log_mass)))
    entropy = log_mass + mean_gap
    evidence = Evidence(
        temperature=temperature,
        null_weight=null_weight,
        null_similarity=null_level,
        log_partition=log_partition,
        entropy=entropy,
        effective_documents=math.exp(entropy),
    )
    if null is not None:
        # Gaps are measured from the largest logit, which may be that of the null key.
        mean_gap = (1 - null_weight) * (mean_gap + max(null_logit, 0.0)) + null_weight * max(-null_logit, 0.0)
    return Distribution(weights, evidence, mean_gap)


def one_hot(
    similarities: F64, null: NullKey | None, temperature: float, *, log_partition: bool = False
) -> Distribution:
    """Return the distribution with all weight on the best row.

    Rows that tie for the best, and the null key ("none of these") if it ties, share the weight evenly.

    Args:
        similarities: float64[n], of the rows that pass the mask.
        null: the null key, or None.
        temperature: the temperature that the evidence shall state. If it is infinite, all rows tie.
        log_partition: whether this is softmax at temperature 0, whose log-partition is the logarithm of the number of
            ties.
    """
    if similarities.size == 0:
        empty = _no_documents(null, temperature)
        return empty if log_partition else Distribution(empty.weights, replace(empty.evidence, log_partition=None), 0.0)
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


@np.errstate(over="ignore")  # a null key may lie infinitely many temperatures from every row
def sparse(similarities: F64, null: NullKey | None, temperature: float, normaliser: str) -> Distribution:
    """Return the sparsemax or entmax15 of similarity / temperature, including a null key ("none of these").

    At temperature 0, return `one_hot`. Only logits near the largest can have weight, so only they are sorted.

    Args:
        similarities: float64[n], of the rows that pass the mask.
        null: the null key, or None; it must have a `log_count` of 0.
        temperature: 0 or more.
        normaliser: sparsemax or entmax15.
    """
    if similarities.size == 0 or temperature == 0:
        return one_hot(similarities, null, temperature)
    nearest = float(similarities.max())
    best = nearest if null is None else max(nearest, null.similarity)
    logits = (similarities - best) / temperature
    near = np.flatnonzero(logits >= -SUPPORT[normaliser])
    with_null = logits[near] if null is None else np.append(logits[near], null.logit(best, temperature))
    shares = (sparsemax if normaliser == "sparsemax" else entmax15)(with_null)
    weights = np.zeros(similarities.size)
    weights[near] = shares[: len(near)]
    # Evidence leaves the null key out. If it has all weight, there is nothing to renormalise.
    positive = weights[weights > 0] / max(weights.sum(), np.finfo(np.float64).tiny)
    entropy = float(-(positive * np.log(positive)).sum())
    evidence = Evidence(
        temperature=temperature,
        null_weight=0.0 if null is None else float(shares[-1]),
        null_similarity=None if null is None else null.similarity,
        log_partition=None,
        entropy=entropy,
        effective_documents=float(np.exp(entropy)) if len(positive) else 0.0,
    )
    return Distribution(weights, evidence, 0.0)


def _no_documents(null: NullKey | None, temperature: float) -> Distribution:
    partition = -np.inf if null is None else null.logit(0.0, temperature) if temperature > 0 else 0.0
    evidence = Evidence(
        temperature=temperature,
        null_weight=0.0 if null is None else 1.0,
        null_similarity=None if null is None else null.level,
        log_partition=partition,
        entropy=0.0,
        effective_documents=0.0,
    )
    return Distribution(np.empty(0), evidence, 0.0)


def logistic(x: float) -> float:
    """Return 1 / (1 + e⁻ˣ), without overflow for x of either sign."""
    small = math.exp(-abs(x))
    return 1 / (1 + small) if x >= 0 else small / (1 + small)


MAX_NULL_LOGIT = 1e300
"""The largest |logit| of a null key; larger ones are clipped."""


def relative_logits(similarities: F64, biases: F64, temperature: float) -> tuple[F64, float]:
    """Return the logits (s − peak)/T + bias as float64[n], and the peak, which is the largest similarity.

    These logits are finite even if s/T would overflow.

    Args:
        similarities, biases: float64[n], finite.
        temperature: T, above 0.
    """
    peak = float(similarities.max()) if similarities.size else 0.0
    return (similarities - peak) / temperature + biases, peak


def null_logit(null: NullKey | None, temperature: float, peak: float = 0.0) -> float | None:
    """Return the null key's logit relative to a peak, (s₀ − peak)/T + ln(count); None without a null key.

    It is clipped at ±1e300.

    Args:
        null: the null key ("none of these"), or None.
        temperature: T, above 0.
        peak: the similarity that all logits are relative to, see `relative_logits`.
    """
    if null is None:
        return None
    return float(np.clip((null.similarity - peak) / temperature + null.log_count, -MAX_NULL_LOGIT, MAX_NULL_LOGIT))


def restore_evidence(evidence: Evidence, null: NullKey | None, temperature: float, peak: float = 0.0) -> Evidence:
    """Convert evidence that was computed from logits with temperature 1 back to similarities at temperature T.

    With a bias, softmax is computed from the logits (s − peak)/T + bias. Temperature, null similarity and log-partition
    are converted; weights and entropy stay.

    Args:
        evidence: the evidence of the logits.
        null: the null key ("none of these") at temperature T, or None.
        temperature: T, above 0.
        peak: the similarity that the logits are relative to, see `relative_logits`.
    """
    partition = evidence.log_partition
    return replace(
        evidence,
        temperature=temperature,
        null_similarity=None if null is None else null.level,
        log_partition=None if partition is None else partition + peak / temperature,
    )


def one_hot_with_bias(similarities: F64, biases: F64, null: NullKey | None, *, log_partition: bool) -> Distribution:
    """Return the distribution at temperature 0 if rows have a bias.

    All weight lies on the rows with the largest similarity. They share it as softmax(bias).

    Args:
        similarities, biases: float64[n], finite, of the rows that pass the mask.
        null: the null key ("none of these") at temperature 0, whose bias is 0; or None.
        log_partition: whether the evidence has a log-partition: ln Σ exp(bias) over the ties.
    """
    unbiased = one_hot(similarities, null, 0.0, log_partition=log_partition)
    best = similarities.max(initial=-np.inf)
    if not similarities.size or (null is not None and null.similarity > best):
        return unbiased
    ties = similarities == best
    logits = biases[ties]
    peak = max(float(logits.max()), 0.0 if null is not None and null.similarity == best else -np.inf)
    masses = np.exp(logits - peak)
    mass = float(masses.sum())
    null_mass = float(np.exp(-peak)) if null is not None and null.similarity == best else 0.0
    weights = np.zeros(similarities.size)
    weights[ties] = masses / (mass + null_mass)
    # Relative to the heaviest key, because all of them may vanish beside a null key.
    relative = logits - logits.max()
    relative_masses = np.exp(relative)
    relative_mass = float(relative_masses.sum())
    entropy = float(np.log(relative_mass) - (relative_masses * relative).sum() / relative_mass)
    evidence = replace(
        unbiased.evidence,
        null_weight=null_mass / (mass + null_mass),
        log_partition=peak + float(np.log(mass + null_mass)) if log_partition else None,
        entropy=entropy,
        effective_documents=float(np.exp(entropy)),
    )
    return Distribution(weights, evidence, 0.0)


TOLERANCE = 1e-4
STEPS = 200
STRIDE = 3.0


def solve_temperature(similarities: F64, target: float, counts: F64 | None = None) -> float:
    """Return the temperature T at which softmax(s/T) has a given number of effective rows, exp(entropy).

    The entropy H grows with T, and dH/d(ln T) is the variance of the logits. So a bracketed Newton search over ln T
    finds the root.

    Args:
        similarities: float64[n], of all rows, without the null key.
        target: the number of effective rows, at least 1; more than half of all rows is taken as half.
        counts: float64[n], the number of rows at each similarity; None for one each.

    Returns:
        T, such that the number is within 1 % of the target; 0 if at least `target` rows tie for the best.
    """
    if similarities.size == 0:
        return 0.0
    counts = np.ones(similarities.size) if counts is None else counts
    # The entropy nears ln n only as T → ∞, so a larger target would have no upper end of the bracket.
    target = min(target, float(counts.sum()) / 2)
    gaps = similarities.max() - similarities
    if counts[gaps == 0].sum() >= target:
        return 0.0
    # If all logits lie within 1/2, the divergence from uniform is below 1/2: more than n/2 effective documents.
    low, high = np.log(SMALLEST_TEMPERATURE), np.log(max(2 * float(gaps.max()), 2 * SMALLEST_TEMPERATURE))
    # The start: at a T of the mean gap of the 2·target best rows, the weight is spread over a group of about that size.
    near = min(int(2 * target), gaps.size - 1)
    nearest = np.partition(gaps, near)[: near + 1]
    log_temperature = float(np.clip(np.log(max(float(nearest.mean()), SMALLEST_TEMPERATURE)), low, high))
    goal = np.log(target)
    for _ in range(STEPS):
        logits = gaps / -np.exp(log_temperature)
        masses = counts * np.exp(logits)
        mass = masses.sum()
        mean = (masses @ logits) / mass
        excess = np.log(mass) - mean - goal
        if abs(excess) < TOLERANCE or high - low < 1e-14 * abs(log_temperature):
            break
        # The entropy grows with T: if it is too small, T is too low.
        low, high = (log_temperature, high) if excess < 0 else (low, log_temperature)
        variance = (masses @ (logits * logits)) / mass - mean * mean
        with np.errstate(over="ignore"):  # an infinite step is outside the bracket, as it should be
            step = excess / variance if variance > 0 else np.inf
        # A step out of the bracket halves it, though by no more than STRIDE: the bracket spans 70 and more.
        middle = float(np.clip((low + high) / 2, log_temperature - STRIDE, log_temperature + STRIDE))
        log_temperature = log_temperature - step if low < log_temperature - step < high else middle
    return float(np.exp(log_temperature))

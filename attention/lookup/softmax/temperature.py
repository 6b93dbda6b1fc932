"""The temperature at which an answer rests on a given number of documents."""

from __future__ import annotations

import numpy as np

from attention.dtypes import F64
from attention.logits import SMALLEST_TEMPERATURE

TOLERANCE = 1e-4
STEPS = 200
STRIDE = 3.0


def solve_temperature(similarities: F64, target: float, counts: F64 | None = None) -> float:
    """The temperature T at which exp(entropy of softmax(s/T)) is `target`.

    The entropy H rises with T, dH/d(ln T) being the variance of the logits, so a bracketed Newton search in
    (ln T, ln documents) finds it.

    Args:
        similarities: float64[n] of all documents, the null key left out.
        target: documents, at least 1; more than half of them counts as half.
        counts: float64[n], how many documents stand at each similarity; None for one.

    Returns:
        T, to well under 1 % of the target; 0 where at least `target` documents tie for the best.
    """
    if similarities.size == 0:
        return 0.0
    counts = np.ones(similarities.size) if counts is None else counts
    target = min(target, float(counts.sum()) / 2)
    gaps = similarities.max() - similarities
    if counts[gaps == 0].sum() >= target:
        return 0.0
    # Where all logits lie within 1/2 the divergence from uniform is below 1/2: more than n/2 documents are held.
    low, high = np.log(SMALLEST_TEMPERATURE), np.log(max(2 * float(gaps.max()), 2 * SMALLEST_TEMPERATURE))
    near = min(int(2 * target), gaps.size - 1)
    nearest = np.partition(gaps, near)[: near + 1]
    at = float(np.clip(np.log(max(float(nearest.mean()), SMALLEST_TEMPERATURE)), low, high))
    goal = np.log(target)
    for _ in range(STEPS):
        logits = gaps / -np.exp(at)
        masses = counts * np.exp(logits)
        mass = masses.sum()
        mean = (masses @ logits) / mass
        excess = np.log(mass) - mean - goal
        if abs(excess) < TOLERANCE or high - low < 1e-14 * abs(at):
            break
        low, high = (at, high) if excess < 0 else (low, at)
        variance = (masses @ (logits * logits)) / mass - mean * mean
        with np.errstate(over="ignore"):  # infinite: out of the bracket, as it should be
            step = excess / variance if variance > 0 else np.inf
        # A step out of the bracket halves it, though by no more than STRIDE: the bracket spans 70 and more.
        middle = float(np.clip((low + high) / 2, at - STRIDE, at + STRIDE))
        at = at - step if low < at - step < high else middle
    return float(np.exp(at))

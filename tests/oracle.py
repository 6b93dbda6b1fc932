"""Attention written out in float64, one row after another: what answers are compared with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def similarities(name: str, query: Any, keys: Any) -> np.ndarray:
    """Return the similarities [n] of a query [d] to keys [n, d]."""
    query, keys = np.asarray(query, dtype=np.float64), np.asarray(keys, dtype=np.float64)
    if name == "gaussian":
        return np.array([-sum((q - k) ** 2 for q, k in zip(query, key, strict=True)) / 2 for key in keys])
    products = np.array([math.fsum(query * key) for key in keys])
    if name == "cosine":
        return products / (math.sqrt(math.fsum(query**2)) * np.array([math.sqrt(math.fsum(k**2)) for k in keys]))
    return products / math.sqrt(query.size) if name == "scaled_dot" else products


def weights(similarities: np.ndarray, temperature: float, null: float | None = None) -> tuple[np.ndarray, float]:
    """Return the weights [n] of softmax(s/T) at any temperature, and that of the null key."""
    everything = np.append(similarities, [] if null is None else [null])
    if not len(everything):
        return everything, 0.0
    if temperature == 0:
        best = max(similarities, default=-np.inf)
        if null is not None and null > best:
            return np.zeros(len(similarities)), 1.0
        ties = (similarities == best).astype(float)
        return ties / ties.sum(), 0.0
    masses = np.exp((everything - everything.max()) / temperature)
    weights = masses / masses.sum()
    return (weights, 0.0) if null is None else (weights[:-1], float(weights[-1]))

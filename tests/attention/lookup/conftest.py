"""A plain float64 definition of every answer, and collections to ask."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from attention.lookup import Memory, Rows, View


def similarity_of(name, query, keys):
    query, keys = np.asarray(query, dtype=np.float64), np.asarray(keys, dtype=np.float64)
    if name == "gaussian":
        return np.array([-sum((q - k) ** 2 for q, k in zip(query, key, strict=True)) / 2 for key in keys])
    products = np.array([math.fsum(query * key) for key in keys])
    if name == "cosine":
        return products / (math.sqrt(math.fsum(query**2)) * np.array([math.sqrt(math.fsum(k**2)) for k in keys]))
    return products / math.sqrt(query.size) if name == "scaled_dot" else products


def weights_of(similarities, temperature, null=None):
    """(document weights, null weight) of softmax(s/T), at any temperature."""
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


@pytest.fixture(scope="session")
def oracle() -> Callable[..., np.ndarray]:
    return similarity_of


@pytest.fixture(scope="session")
def oracle_weights() -> Callable[..., tuple[np.ndarray, float]]:
    return weights_of


@pytest.fixture(scope="session")
def filled() -> Callable[..., View]:
    """A view of the given keys and values, numbered from 100 on."""

    def fill(similarity, keys, values=None):
        keys = np.asarray(keys, dtype=np.float32)
        memory = Memory(similarity)
        values = None if values is None else np.asarray(values, dtype=np.float32)
        return memory.publish(add=Rows(np.arange(100, 100 + len(keys)), keys, values))

    return fill

"""logits → weights: each row [..., n] becomes n weights, none negative, that sum to one.

A logit of −∞ always gets the weight 0, and a row of nothing else gets all zeros: there is nothing to
attend to, and that is not an error. The temperature is already in the logits, and so is a null key: to a
normaliser it is a key like any other. So it serves all of them, and none has to know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from array_api_compat import array_namespace, device

from attention.arrays import Array, detach, finite_or_zero, largest

Normaliser: TypeAlias = Callable[[Array], Array]


def softmax(logits: Array) -> Array:
    """exp(logit) / Σ exp(logit): every key gets some weight.

    Args:
        logits: [..., n]

    Returns:
        weights [..., n]
    """
    terms, mass = exponentials(logits)
    return terms / mass


def one_hot(logits: Array) -> Array:
    """All weight on the largest logit; keys that tie share it evenly. Shapes are those of `softmax`."""
    xp = array_namespace(logits)
    best = (logits == largest(logits)) & (logits > -math.inf)  # [..., n]
    hits = xp.astype(best, logits.dtype)
    return hits / at_least_one(xp.sum(hits, axis=-1, keepdims=True))


def sparsemax(logits: Array) -> Array:
    """max(logit − τ, 0): the weights nearest to the logits, zero from one below the largest on.

    Exact, by sorting (Martins & Astudillo 2016, arXiv 1602.02068). Shapes are those of `softmax`.
    """
    return above_threshold(logits, lambda size, mean, spread: mean - 1 / size)


def entmax15(logits: Array) -> Array:
    """max(logit/2 − τ, 0)²: between softmax and sparsemax, zero from two below the largest on.

    Exact, by sorting (Peters et al. 2019, arXiv 1905.05702). Shapes are those of `softmax`.
    """

    def threshold(size: Array, mean: Array, spread: Array) -> Array:
        xp = array_namespace(mean)
        return mean - xp.sqrt(xp.clip(1 / size - spread, min=0))

    return above_threshold(logits / 2, threshold) ** 2


NORMALISERS: Mapping[str, Normaliser] = {
    "softmax": softmax,
    "sparsemax": sparsemax,
    "entmax15": entmax15,
    "one_hot": one_hot,
}


def exponentials(logits: Array) -> tuple[Array, Array]:
    """exp(logit − largest) [..., n], and the sum of each row [..., 1]; the sum is 1 where all are 0."""
    xp = array_namespace(logits)
    terms = xp.exp(logits - finite_or_zero(largest(logits)))
    return terms, at_least_one(xp.sum(terms, axis=-1, keepdims=True))


def log_sum_exp(logits: Array) -> Array:
    """ln Σ exp(logit): [..., n] → [..., 1]; −∞ for a row of nothing but −∞."""
    xp = array_namespace(logits)
    return xp.log(exponentials(logits)[1]) + largest(logits)


def above_threshold(logits: Array, threshold: Callable[[Array, Array, Array], Array]) -> Array:
    """How far each logit lies above its row's threshold τ, and 0 for those below: [..., n] → [..., n].

    Those above are the support, and τ = threshold(size, mean, spread) of the support itself. Sorted, the
    support is the longest prefix whose last logit still lies above the threshold of that prefix.
    """
    xp = array_namespace(logits)
    if logits.shape[-1] == 0:
        return logits
    # In float32 the sums over a million logits would put the threshold in the wrong place.
    z = xp.astype(logits - finite_or_zero(largest(logits)), xp.float64)

    # τ is never below −1, so what lies there cannot matter; raising it keeps −∞ out of the sums.
    descending = xp.sort(xp.clip(detach(z), min=-1.0), axis=-1, descending=True)
    size = xp.arange(1, z.shape[-1] + 1, dtype=xp.float64, device=device(z))
    mean = xp.cumulative_sum(descending, axis=-1) / size
    spread = xp.cumulative_sum(descending**2, axis=-1) / size - mean**2
    prefix = threshold(size, mean, spread)  # [..., n]
    last = xp.sum(xp.astype(prefix < descending, xp.int64), axis=-1, keepdims=True) - 1
    support = z > xp.take_along_axis(prefix, last, axis=-1)

    # Once more over the support alone: this is what the gradient goes through.
    kept = xp.where(support, z, xp.zeros_like(z))
    size = at_least_one(xp.sum(xp.astype(support, z.dtype), axis=-1, keepdims=True))
    mean = xp.sum(kept, axis=-1, keepdims=True) / size
    spread = xp.sum(xp.where(support, (kept - mean) ** 2, xp.zeros_like(z)), axis=-1, keepdims=True) / size
    above = xp.where(support, kept - threshold(size, mean, spread), xp.zeros_like(z))
    return xp.astype(xp.clip(above, min=0), logits.dtype)


def at_least_one(total: Array) -> Array:
    """A divisor: the total of a row, whose largest term is 1, or 1 where the row has no terms."""
    return array_namespace(total).clip(total, min=1.0)

"""From logits to weights: each row [..., n] becomes n weights, 0 or more, that sum to one.

A logit of −∞ always gets the weight 0. A row of −∞ alone gets all zeros: every key is masked, which is not an error.
The logits already include the temperature and the null key. A normaliser treats the null key like any other key, so
all normalisers support it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from array_api_compat import device

from softkv_attention.arrays import Array, array_namespace, detach, finite_or_zero, largest

Normaliser: TypeAlias = Callable[[Array], Array]


def softmax(logits: Array) -> Array:
    """Return exp(logit) / Σ exp(logit): every finite logit gets a weight above 0.

    Args:
        logits: [..., n]

    Returns:
        weights [..., n]
    """
    terms, mass = exponentials(logits)
    return terms / mass


def one_hot(logits: Array) -> Array:
    """Return weights with all weight on the largest logit. Keys that tie for it share the weight evenly.

    Shapes are those of `softmax`.
    """
    xp = array_namespace(logits)
    best = (logits == largest(logits)) & (logits > -math.inf)  # [..., n]
    hits = xp.astype(best, logits.dtype)
    return hits / at_least_one(xp.sum(hits, axis=-1, keepdims=True))


def sparsemax(logits: Array) -> Array:
    """Return max(logit − τ, 0), the weights that are nearest to the logits.

    A logit that is at least 1 below the largest logit gets the weight 0. τ is computed exactly, by sorting.

    Source: Martins & Astudillo 2016, arXiv 1602.02068. Shapes are those of `softmax`.
    """
    return above_threshold(logits, lambda size, mean, spread: mean - 1 / size)


def entmax15(logits: Array) -> Array:
    """Return max(logit/2 − τ, 0)², which lies between softmax and sparsemax.

    A logit that is at least 2 below the largest logit gets the weight 0. τ is computed exactly, by sorting.

    Source: Peters et al. 2019, arXiv 1905.05702. Shapes are those of `softmax`.
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
    """Return exp(logit − largest logit) [..., n], and the sum of each row [..., 1].

    If all terms of a row are 0, the sum is given as 1, so that it can be divided by.
    """
    xp = array_namespace(logits)
    terms = xp.exp(logits - finite_or_zero(largest(logits)))
    return terms, at_least_one(xp.sum(terms, axis=-1, keepdims=True))


def log_sum_exp(logits: Array) -> Array:
    """Return ln Σ exp(logit) of each row of [..., n], as [..., 1].

    It is −∞ if all logits of the row are −∞.
    """
    xp = array_namespace(logits)
    return xp.log(exponentials(logits)[1]) + largest(logits)


def above_threshold(logits: Array, threshold: Callable[[Array, Array, Array], Array]) -> Array:
    """Return max(logit − τ, 0) for logits [..., n], where each row has its own threshold τ.

    The logits above τ are called the support. `threshold` computes τ from the size, mean and spread of the support. In
    descending order, the support is the longest prefix whose last logit is above the threshold of that prefix.
    """
    xp = array_namespace(logits)
    if logits.shape[-1] == 0:
        return logits
    # In float32 the sums over a million logits would put the threshold in the wrong place.
    z = xp.astype(logits - finite_or_zero(largest(logits)), xp.float64)

    # τ is never below −1, so smaller logits do not matter; clipping them keeps −∞ out of the sums.
    descending = xp.sort(xp.clip(detach(z), min=-1.0), axis=-1, descending=True)
    size = xp.arange(1, z.shape[-1] + 1, dtype=xp.float64, device=device(z))
    mean = xp.cumulative_sum(descending, axis=-1) / size
    spread = xp.cumulative_sum(descending**2, axis=-1) / size - mean**2
    prefix = threshold(size, mean, spread)  # [..., n]
    last = xp.sum(xp.astype(prefix < descending, xp.int64), axis=-1, keepdims=True) - 1
    support = z > xp.take_along_axis(prefix, last, axis=-1)

    # Once more over the support alone, because the gradient flows through this computation.
    supported = xp.where(support, z, xp.zeros_like(z))
    size = at_least_one(xp.sum(xp.astype(support, z.dtype), axis=-1, keepdims=True))
    mean = xp.sum(supported, axis=-1, keepdims=True) / size
    spread = xp.sum(xp.where(support, (supported - mean) ** 2, xp.zeros_like(z)), axis=-1, keepdims=True) / size
    above = xp.where(support, supported - threshold(size, mean, spread), xp.zeros_like(z))
    return xp.astype(xp.clip(above, min=0), logits.dtype)


def at_least_one(total: Array) -> Array:
    """Return the sum of each row's terms as a number to divide by: 1 if all terms are 0.

    The largest term of any other row is 1, so its sum is at least 1.
    """
    return array_namespace(total).clip(total, min=1.0)

"""One vector for a whole sequence, from the vectors of its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from array_api_compat import array_namespace

from attention.arrays import Array, promote

Pooling: TypeAlias = Callable[[Array, Array], Array]
"""x [..., n, d_model] and mask [..., n], True for a token and False for padding → [..., d_model].

The work is done in float32 at least. A sequence without any token gets zeros.
"""


def mean(x: Array, mask: Array) -> Array:
    """The mean of the tokens' vectors."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    count = xp.sum(xp.astype(mask, x.dtype), axis=-1)[..., None]
    total = xp.sum(xp.where(mask[..., None], x, xp.zeros_like(x)), axis=-2)
    return total / xp.clip(count, min=1.0)


def cls(x: Array, mask: Array) -> Array:
    """The first token's vector: BERT puts [CLS] there. Padding must be on the right."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x[..., 0, :])
    return xp.where(mask[..., :1], x, xp.zeros_like(x))


def maximum(x: Array, mask: Array) -> Array:
    """The largest entry of each dimension over the tokens."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    largest = xp.max(xp.where(mask[..., None], x, xp.full_like(x, -math.inf)), axis=-2)
    return xp.where(xp.any(mask, axis=-1)[..., None], largest, xp.zeros_like(largest))


POOLINGS: Mapping[str, Pooling] = {"mean": mean, "cls": cls, "max": maximum}

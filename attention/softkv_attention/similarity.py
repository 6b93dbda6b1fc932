"""Similarities s of queries and keys, before the temperature.

Every similarity takes query [..., m, d] and key [..., n, d] and returns s [..., m, n]. The four without parameters are
chosen by name. Those with parameters are frozen dataclasses, which are called like functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from softkv_attention.arrays import Array, array_namespace, detach, promote
from softkv_attention.errors import ShapeError

Similarity: TypeAlias = Callable[[Array, Array], Array]


@np.errstate(invalid="ignore")  # OpenBLAS now and then raises this flag for finite numbers
def dot(query: Array, key: Array) -> Array:
    """Return q·k.

    Args:
        query: [..., m, d]
        key: [..., n, d]

    Returns:
        s [..., m, n]

    Raises:
        ShapeError: query and key differ in width.
    """
    same_width(query, key)
    return query @ array_namespace(key).matrix_transpose(key)


def scaled_dot(query: Array, key: Array) -> Array:
    """Return q·k/√d. The division keeps its spread independent of d (Vaswani et al. 2017, arXiv 1706.03762).

    Shapes and errors are those of `dot`.
    """
    same_width(query, key)
    return dot(query / math.sqrt(query.shape[-1]), key)


def cosine(query: Array, key: Array) -> Array:
    """Return q·k/(‖q‖·‖k‖), in [−1, 1].

    A zero vector has no direction; its similarity is 0.

    Shapes and errors are those of `dot`.
    """
    same_width(query, key)
    return dot(unit(query), unit(key))


def gaussian(query: Array, key: Array) -> Array:
    """Return −‖q − k‖²/2. Attention with it is kernel regression with bandwidth √T (Nadaraya 1964, Watson 1964).

    All differences are stored, m·n·d numbers, because the expanded square would lose digits by cancellation. Shapes and
    errors are those of `dot`.
    """
    same_width(query, key)
    xp = array_namespace(query, key)
    difference = query[..., :, None, :] - key[..., None, :, :]  # [..., m, n, d]
    return -xp.sum(difference * difference, axis=-1) / 2  # [..., m, n]


@dataclass(frozen=True, eq=False)
class Bilinear:
    """The similarity qᵀWk, called "general" by Luong et al. 2015 (arXiv 1508.04025).

    Attributes:
        W: [d_q, d_k]; query and key may differ in width.
    """

    W: Array

    def __call__(self, query: Array, key: Array) -> Array:
        """Return s [..., m, n] for query [..., m, d_q] and key [..., n, d_k]."""
        expect("W", self.W, (query.shape[-1], key.shape[-1]), "[d_q, d_k]")
        query, key, W = promote(array_namespace(query, key, self.W), query, key, self.W)
        return dot(query @ W, key)


@dataclass(frozen=True, eq=False)
class Additive:
    """The similarity vᵀtanh(W_q q + W_k k) of Bahdanau et al. 2015 (arXiv 1409.0473).

    Attributes:
        v: [h], h the hidden width.
        W_q: [h, d_q]
        W_k: [h, d_k]
    """

    v: Array
    W_q: Array
    W_k: Array

    def __call__(self, query: Array, key: Array) -> Array:
        """Return s [..., m, n] for query [..., m, d_q] and key [..., n, d_k]; needs memory for m·n·h numbers."""
        hidden = self.v.shape[-1]
        expect("W_q", self.W_q, (hidden, query.shape[-1]), "[h, d_q]")
        expect("W_k", self.W_k, (hidden, key.shape[-1]), "[h, d_k]")
        xp = array_namespace(query, key, self.v, self.W_q, self.W_k)
        query, key, v, W_q, W_k = promote(xp, query, key, self.v, self.W_q, self.W_k)
        queries, keys = query @ W_q.T, key @ W_k.T  # [..., m, h], [..., n, h]
        return xp.tanh(queries[..., :, None, :] + keys[..., None, :, :]) @ v  # [..., m, n]


SIMILARITIES: Mapping[str, Similarity] = {
    "cosine": cosine,
    "dot": dot,
    "scaled_dot": scaled_dot,
    "gaussian": gaussian,
}


def unit(vectors: Array) -> Array:
    """Return the vectors [..., d] scaled to length one; a zero vector stays zero, and its gradient is finite."""
    xp = array_namespace(vectors)
    # Squares of very large or very small numbers are beyond float32, so the largest entry is scaled to 1 first.
    scale = detach(xp.max(xp.abs(vectors), axis=-1, keepdims=True))
    vectors = vectors / xp.where(scale > 0, scale, xp.ones_like(scale))
    square = xp.sum(vectors * vectors, axis=-1, keepdims=True)
    return vectors / xp.sqrt(xp.where(square > 0, square, xp.ones_like(square)))


def same_width(query: Array, key: Array) -> None:
    """Raise ShapeError if the widths of query and key differ, or are zero."""
    if query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"query and key must have one width, got {query.shape[-1]} and {key.shape[-1]}: "
            f"encode both with the same model, or relate them by Bilinear or Additive"
        )
    if query.shape[-1] == 0:
        raise ShapeError("query and key must be at least one number wide, got width 0: leave no vector empty")


def expect(name: str, array: Array, shape: tuple[int, ...], axes: str) -> None:
    """Raise ShapeError if a parameter's array does not have the expected shape.

    Args:
        name, axes: the parameter's name and its axes, for the message.
    """
    if tuple(array.shape) != shape:
        raise ShapeError(f"{name} must have shape {axes} = {shape}, got {tuple(array.shape)}")

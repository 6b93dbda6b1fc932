"""Similarities of queries and stored keys in float64, and how far rounding can carry them.

`originals` evaluates them twice: `all_similarities` fast, whose last bit may depend on where a row stands, and
`similarities_at` in one fixed order, so that identical vectors tie.

Rounding (u = 2⁻⁵³, γ_m = m·u / (1 − m·u); Higham, Accuracy and Stability of Numerical Algorithms, §3.1):
a product of two vectors of width d is off by at most γ_d·‖q‖·‖k‖ in any order of summation. √d adds two
roundings; cosine divides by two norms, each off by γ_(d/2 + 1) relative, with three roundings more; gaussian
sums terms of one sign, so it is off by γ_(d + 4) relative to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIMILARITIES = ("cosine", "dot", "scaled_dot", "gaussian")
UNIT = 2.0**-53

Array = NDArray[np.float64]


def gaussian(query: Array, keys: Array) -> Array:
    """−½·‖q − k‖², every row summed alike.

    Args:
        query: float64[d], or float64[r, d], one for each key.
        keys: float64[r, d].

    Returns:
        float64[r].
    """
    apart = keys - query
    return np.asarray(-0.5 * np.multiply(apart, apart, out=apart).sum(axis=1))


def finished(similarity: str, products: Array, query_norm: Array, norms: Array, dimension: int) -> Array:
    """q·k made into cosine, dot or scaled_dot, in place."""
    if similarity == "cosine":
        products /= query_norm * norms
        return np.clip(products, -1.0, 1.0, out=products)
    if similarity == "scaled_dot":
        products /= np.sqrt(dimension)
    return products


@dataclass(frozen=True)
class Slack:
    """How far a computed similarity s can be from the true one: `absolute` + `relative`·|s|."""

    absolute: float
    relative: float

    def at(self, similarity: float) -> float:
        """The bound for one computed similarity."""
        return self.absolute + self.relative * abs(similarity)


def slack(similarity: str, query: Array, key_norm: float) -> Slack:
    """The rounding bound of either, derived at the top of this module.

    Args:
        query: float64[d].
        key_norm: the largest ‖k‖.
    """
    d = query.size
    if similarity == "gaussian":
        return Slack(0.0, _gamma(d + 4))
    if similarity == "cosine":
        return Slack(_gamma(2 * d + 8), 0.0)
    absolute = _gamma(d + 2) * float(np.sqrt((query * query).sum())) * key_norm * (1 + _gamma(2 * d))
    return Slack(absolute / np.sqrt(d) if similarity == "scaled_dot" else absolute, 0.0)


def _gamma(m: int) -> float:
    return m * UNIT / (1 - m * UNIT)

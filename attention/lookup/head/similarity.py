"""Similarities of queries and stored keys in float64; `bounds.rounding` bounds their rounding errors.

`originals` evaluates them in two ways. `compute_all_similarities` is fast, but the last bit may depend on a row's
position. `compute_similarities` sums in one fixed order, so that identical vectors tie.
"""

from __future__ import annotations

import numpy as np

from attention.dtypes import F64


def gaussian_similarities(query: F64, keys: F64) -> F64:
    """−½·‖q − k‖², every row summed alike.

    Args:
        query: float64[d], or float64[r, d], one for each key.
        keys: float64[r, d].

    Returns:
        float64[r].
    """
    apart = keys - query
    return np.asarray(-0.5 * np.multiply(apart, apart, out=apart).sum(axis=1))


def scale_products(similarity: str, products: F64, query_norm: F64, norms: F64, dimension: int) -> F64:
    """q·k made into cosine, dot or scaled_dot, in place."""
    if similarity == "cosine":
        products /= query_norm * norms
        return np.clip(products, -1.0, 1.0, out=products)
    if similarity == "scaled_dot":
        products /= np.sqrt(dimension)
    return products

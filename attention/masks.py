"""Bool masks, True where a query may attend; combine them with &.

Each broadcasts to [..., m, n] and is made in the library and on the device of `like`, NumPy without it.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from array_api_compat import array_namespace, device

from attention.arrays import Array
from attention.errors import ParameterError, ShapeError


def causal(m: int, n: int, *, offset: int = 0, like: Array | None = None) -> Array:
    """Each query attends to the keys up to its own position: key j ≤ query i + offset.

    Args:
        m: the number of queries.
        n: the number of keys.
        offset: the position of the first query among the keys; n − m where the queries are the last.
        like: an array whose library and device the mask takes.

    Returns:
        mask [m, n]
    """
    return positions(n, like) <= positions(m, like)[:, None] + offset


def padding(lengths: Array, n: int) -> Array:
    """Each sequence attends to its own first keys, and not to what fills it up to n.

    Args:
        lengths: integers [...], the number of true keys of each sequence.
        n: the number of keys with the filling.

    Returns:
        mask [..., 1, n]; for heads between batch and rows, mask[..., None, :, :].
    """
    xp = array_namespace(lengths)
    if not xp.isdtype(lengths.dtype, "integral"):
        raise ParameterError(f"lengths must be integers, got {lengths.dtype}: give the number of keys of each row")
    return positions(n, lengths) < lengths[..., None, None]


def filtered(rows: Array, n: int) -> Array:
    """Every query attends to the keys of these rows alone; for users of the library, softkv itself filters views.

    Args:
        rows: integers [r] from 0 to n − 1, in any order.
        n: the number of keys.

    Returns:
        mask [1, n]

    Raises:
        ParameterError: the rows are not integers.
        ShapeError: a row lies outside the keys.
    """
    xp = array_namespace(rows)
    if not xp.isdtype(rows.dtype, "integral"):
        raise ParameterError(f"rows must be integers, got {rows.dtype}: pass a bool array as the mask itself")
    if bool(xp.any((rows < 0) | (rows >= n))):
        raise ShapeError(f"rows must lie from 0 to {n - 1}, got {int(xp.min(rows))} to {int(xp.max(rows))}")
    mask = xp.zeros((1, n), dtype=xp.bool, device=device(rows))
    mask[0, rows] = True
    return mask


def positions(n: int, like: Array | None) -> Array:
    """0 … n − 1 in the library and on the device of `like`: [n]."""
    if like is None:
        return np.arange(n)
    xp: ModuleType = array_namespace(like)
    return xp.arange(n, device=device(like))

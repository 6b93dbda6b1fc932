"""Bool masks, True where a query may attend; combine them with &.

Each broadcasts to [..., m, n]. It is made in the library and on the device of `like`, or in NumPy if `like` is None.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from array_api_compat import device

from softkv_attention.arrays import Array, array_namespace
from softkv_attention.errors import ParameterError, ShapeError


def causal(m: int, n: int, *, offset: int = 0, like: Array | None = None) -> Array:
    """Return the mask that lets each query attend to keys up to its own position: key j ≤ query i + offset.

    Args:
        m: the number of queries.
        n: the number of keys.
        offset: the position of the first query among the keys; n − m if the queries are the last positions.
        like: an array whose library and device the mask shall have.

    Returns:
        mask [m, n]
    """
    return positions(n, like) <= positions(m, like)[:, None] + offset


def within(n: int, distance: int, *, like: Array | None = None) -> Array:
    """Return the mask [n, n] that lets each position attend to positions at most `distance` away: a sliding window.

    Args:
        n: the number of positions.
        distance: the largest distance, 0 for a position alone.
        like: an array whose library and device the mask shall have.
    """
    position = positions(n, like)
    gap = position - position[:, None]
    return (gap <= distance) & (gap >= -distance)


def padding(lengths: Array, n: int) -> Array:
    """Return the mask that lets each sequence attend to its true keys, and not to the padding after them.

    Args:
        lengths: integers [...], the number of true keys of each sequence.
        n: the number of keys including padding.

    Returns:
        mask [..., 1, n]; for heads between batch and rows, use mask[..., None, :, :].

    Raises:
        ParameterError: the lengths are not integers.
    """
    xp = array_namespace(lengths)
    if not xp.isdtype(lengths.dtype, "integral"):
        raise ParameterError(f"lengths must be integers, got {lengths.dtype}: give the number of keys of each row")
    return positions(n, lengths) < lengths[..., None, None]


def filtered(rows: Array, n: int) -> Array:
    """Return the mask that lets every query attend to the keys of these rows alone.

    The function is for users of the library. softkv itself filters views, see `softkv_attention.lookup`.

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
    """Return the integers 0 … n − 1 as [n], in the library and on the device of `like`."""
    if like is None:
        return np.arange(n)
    xp: ModuleType = array_namespace(like)
    return xp.arange(n, device=device(like))

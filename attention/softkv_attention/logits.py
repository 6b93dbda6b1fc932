"""From similarities s to logits: divide by the temperature, add the bias, apply the mask, add the null key."""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import numpy as np
from array_api_compat import device
from numpy.typing import NDArray

from softkv_attention.arrays import (
    Array,
    array_namespace,
    as_array,
    broadcast_onto,
    detach,
    finite_or_zero,
    largest,
    namespace,
)
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.names import resolve
from softkv_attention.similarity import SIMILARITIES, Similarity

SMALLEST_TEMPERATURE = 1e-30


class Logits(NamedTuple):
    """The logits of each query's keys, absolute and relative to the peak.

    Attributes:
        absolute: [..., m, n], s/T + bias; −∞ for a masked key; at T = 0, 0 on ties and −∞ elsewhere.
        relative: [..., m, n], (s − peak)/T + bias, finite even if s/T would overflow; weights are computed from these.
        peak: [..., m, 1], the largest similarity of a key that is not masked; 0 if all are masked.
    """

    absolute: Array
    relative: Array
    peak: Array


def compare(
    query: Array,
    key: Array,
    similarity: str | Similarity,
    temperature: float,
    mask: Array | None,
    bias: Array | None,
    null: float | Array | None,
) -> Logits:
    """Return the logits similarity(query, key) / temperature + bias, [..., m, n]; n + 1 columns with a null key.

    Arguments and errors are those of `attend`.
    """
    mask, bias, null = as_array("mask", mask), as_array("bias", bias), as_array("null", null)
    if isinstance(null, str):
        raise ParameterError(
            f"null must be a finite similarity, or an array of them, got {null!r}: leave it out for none"
        )
    namespace(query=query, key=key, mask=mask, bias=bias)
    temperature = check_temperature(temperature)
    compute = resolve("similarity", similarity, SIMILARITIES, "a function such as Bilinear(W) or Additive(v, W_q, W_k)")
    with np.errstate(over="ignore"):
        s = compute(query, key)  # [..., m, n]
    m, n = query.shape[-2], key.shape[-2]
    if tuple(s.shape[-2:]) != (m, n):
        raise ShapeError(f"similarity must give [..., m, n] = [..., {m}, {n}], got {tuple(s.shape)}")
    bias = masking_bias(s, mask, bias)
    if isinstance(similarity, str) and isinstance(s, np.ndarray) and not np.isfinite(s).all():
        _check_allowed(s, bias)
    if null is not None:
        s, bias = with_null(s, bias, null)
    return at_temperature(s, temperature, bias)


def _check_allowed(s: NDArray[np.floating], bias: Array | None) -> None:
    """Raise a ParameterError if a similarity [..., m, n] that the bias does not mask is infinite or NaN."""
    if not np.isfinite(s if bias is None else np.where(bias > -math.inf, s, 0.0)).all():
        raise ParameterError(
            f"query and key must be finite, and their similarities within {s.dtype}, got infinity or NaN: "
            "scale query and key down, or use cosine"
        )


@np.errstate(over="ignore")  # a key too far below the peak for its type gets the logit −∞, as it should
def at_temperature(s: Array, temperature: float, bias: Array | None = None) -> Logits:
    """Return the logits of similarities s [..., m, n] at a temperature from 0 to ∞.

    A bias [..., m, n] of −∞ masks its key. At T = 0 only the keys that tie for the largest similarity have a finite
    logit, and at T = ∞ s/T is equal for all keys. In both cases the bias decides among them.
    """
    xp = array_namespace(s)
    if bias is None:
        peak = finite_or_zero(largest(s))
    else:
        allowed = bias > -math.inf
        peak = finite_or_zero(largest(xp.where(allowed, s, -math.inf)))
        s = xp.where(allowed, s, peak)  # so no gap is above 0, and the bias alone masks

    gap = s - peak
    if temperature == 0:
        ties = xp.where(gap < 0, -math.inf, detach(gap))
        relative = ties if bias is None else ties + bias
        return Logits(xp.where(relative > -math.inf, 0.0, relative), relative, peak)
    absolute, relative = s / temperature, gap / temperature
    if bias is not None:
        absolute, relative = absolute + bias, relative + bias
    return Logits(absolute, relative, peak)


@np.errstate(over="ignore")
def peak_logit(peak: Array, temperature: float) -> Array:
    """Return what to add to relative logits to get absolute ones: peak/T, or 0 at T = 0."""
    return peak / temperature if temperature > 0 else array_namespace(peak).zeros_like(peak)


def check_temperature(temperature: float) -> float:
    """Return a temperature as a float, if it is 0, or from 1e-30 to ∞.

    Raises:
        ParameterError: it is not a number, or is negative, NaN, or between 0 and 1e-30.
    """
    if not isinstance(temperature, Real):
        raise ParameterError(
            f"temperature must be a number, got {type(temperature).__name__}: "
            f"to learn a temperature, divide the query by it"
        )
    if not (temperature == 0 or temperature >= SMALLEST_TEMPERATURE):
        raise ParameterError(
            f"temperature must be 0, or from {SMALLEST_TEMPERATURE} to infinity, got {temperature}: "
            f"0 is the limit, the best match alone"
        )
    return float(temperature)


def masking_bias(s: Array, mask: Array | None, bias: Array | None) -> Array | None:
    """Return mask and bias combined to one bias over s [..., m, n]: −∞ where the mask is False.

    Return None if both are None.

    Raises:
        ParameterError: the mask is not bool, or the bias is not real.
        ShapeError: one of them does not broadcast to [..., m, n].
    """
    if mask is None and bias is None:
        return None
    xp = array_namespace(s)
    shape = tuple(s.shape)
    if bias is None:
        bias = xp.zeros((), dtype=s.dtype, device=device(s))
    elif not xp.isdtype(bias.dtype, ("real floating", "integral")):
        raise ParameterError(f"bias must hold real numbers, got {bias.dtype}: pass a bool array as mask")
    shape = broadcast_onto("bias", bias, shape, ("m", "n"))
    bias = xp.astype(bias, s.dtype)
    if mask is not None:
        if not xp.isdtype(mask.dtype, "bool"):
            raise ParameterError(
                f"mask must be bool, True where a query may attend, got {mask.dtype}: pass an additive mask as bias"
            )
        shape = broadcast_onto("mask", mask, shape, ("m", "n"))
        bias = xp.where(mask, bias, -math.inf)
    return xp.broadcast_to(bias, shape)


def with_null(s: Array, bias: Array | None, null: float | Array) -> tuple[Array, Array | None]:
    """Return s and bias with one more column, [..., m, n + 1], for the null key.

    The null key means "none of these". Its similarity is `null`, its bias 0.

    Raises:
        ParameterError: `null` is neither a finite number nor an array.
        ShapeError: `null` is an array that does not broadcast to [..., m].
    """
    if isinstance(null, Real):
        if not math.isfinite(null):
            raise ParameterError(f"null must be a finite similarity, got {null}: leave it out for no null key")
        null = array_namespace(s).full((), float(null), dtype=s.dtype, device=device(s))
    levels: Array = null
    xp = namespace(similarity=s, null=levels)
    if not xp.isdtype(levels.dtype, ("real floating", "integral")):
        raise ParameterError(f"null must hold real numbers, got {levels.dtype}: send finite similarities")
    rows = tuple(s.shape if bias is None else bias.shape)[:-1]
    rows = broadcast_onto("null", levels, rows, ("m",))
    column = xp.broadcast_to(xp.astype(levels, s.dtype)[..., None], (*rows, 1))
    s = xp.concat([xp.broadcast_to(s, (*rows, s.shape[-1])), column], axis=-1)
    if bias is not None:
        bias = xp.broadcast_to(bias, (*rows, bias.shape[-1]))
        bias = xp.concat([bias, xp.zeros_like(column)], axis=-1)
    return s, bias

"""Activations, of 16 numbers at a time; `attention.transformer.feed_forward` defines them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attention.kernels.simd import Lanes
from attention.kernels.transformer.parameters import GELU, GELU_TANH, NONE, RELU, SILU

_ERF_OVER = (
    *(1.974912470783956e-06, 2.8802384875160637e-4, 4.00297820928197e-3, 5.3465419439338226e-2),
    *(0.19623369074321115, 1.1283789770854487),
)
_ERF_UNDER = (
    *(3.748080309693057e-05, 1.2161931133817076e-3, 1.5443091351662538e-2, 0.11647006961177771),
    *(0.5072387454076646, 1.0),
)
"""erf(z) = z · P(z²) / Q(z²) for |z| ≤ 4, to 2e-8 beside float32's own rounding: fitted by least squares, weighted anew
until the errors were alike. Beyond, it is ±1 to 2e-8."""
_FARTHEST = 4.0
_LEAST = -87.0
"""Below, exp is no ordinary float32."""


def relu(x: Lanes) -> Lanes:
    """max(x, 0)."""
    return x.at_least(0.0)


def gelu(x: Lanes) -> Lanes:
    """x·Φ(x), to 8e-7·max(1, x)."""
    x = x.at_least(-_FARTHEST * 1.4142135623730951)
    z = (x * 0.7071067811865476).at_most(_FARTHEST).at_least(-_FARTHEST)
    square = z * z
    erf = z * _polynomial(square, _ERF_OVER) / _polynomial(square, _ERF_UNDER)
    half = x * 0.5
    return half + half * erf


def gelu_tanh(x: Lanes) -> Lanes:
    """The same with Φ through tanh: x·σ(2u), u = √(2/π)·(x + 0.044715·x³)."""
    return x * _logistic((x + x * x * x * 0.044715) * 1.5957691216057308)


def silu(x: Lanes) -> Lanes:
    """x·σ(x)."""
    return x * _logistic(x)


BY_NUMBER: Sequence[tuple[int, Callable[[Lanes], Lanes]]] = (
    (NONE, lambda x: x),
    (RELU, relu),
    (GELU, gelu),
    (GELU_TANH, gelu_tanh),
    (SILU, silu),
)


def _polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """Of descending powers, by Horner's rule."""
    value = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value


def _logistic(x: Lanes) -> Lanes:
    """σ(x) = 1 / (1 + e⁻ˣ), by e to what is not positive, so that nothing overflows."""
    positive: Any = x > 0.0
    small = positive.choose(x * -1.0, x).at_least(_LEAST).exponential()
    return positive.choose(Lanes.everywhere(x.builder, 1.0), small) / (small + 1.0)

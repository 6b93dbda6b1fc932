"""The feed-forward network of a layer: it widens each position's vector, applies an activation and narrows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from softkv_attention.arrays import Array, array_namespace, is_torch_array
from softkv_attention.heads import project
from softkv_attention.names import resolve

Activation: TypeAlias = Callable[[Array], Array]


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return array_namespace(x).clip(x, min=0)


def gelu(x: Array) -> Array:
    """Return x·Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016, arXiv 1606.08415)."""
    return x * (1 + erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Array) -> Array:
    """Return x·Φ(x) with Φ approximated through tanh, within 5e-4; GPT-2 was trained with it."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return x * (1 + array_namespace(x).tanh(inner)) / 2


def silu(x: Array) -> Array:
    """Return x·σ(x), σ the logistic function."""
    return x * (1 + array_namespace(x).tanh(x / 2)) / 2  # σ through tanh does not overflow


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent of x."""
    return array_namespace(x).tanh(x)


ACTIVATIONS: Mapping[str, Activation] = {"relu": relu, "gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu, "tanh": tanh}


@dataclass(frozen=True, eq=False)
class Linear:
    """An affine map y = xW + b.

    Attributes:
        weight: [d_in, d_out], W. PyTorch and BERT checkpoints store it transposed, GPT-2's do not.
        bias: [d_out], b; None for a linear map.
    """

    weight: Array
    bias: Array | None = None

    def __call__(self, x: Array) -> Array:
        """Return y [..., d_out] for x [..., d_in]."""
        return project(x, self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class FeedForward:
    """A network outer(activation(inner(x))), which works on each position by itself.

    With a gate it is outer(activation(gate(x)) · inner(x)): GeGLU, SwiGLU (Shazeer 2020, arXiv 2002.05202).

    Attributes:
        inner: d_model → d_ff
        outer: d_ff → d_model
        activation: "relu", "gelu", "gelu_tanh", "silu", "tanh", or a function of an array.
        gate: d_model → d_ff; None for a network without one.
    """

    inner: Linear
    outer: Linear
    activation: str | Activation = "relu"
    gate: Linear | None = None

    def __call__(self, x: Array) -> Array:
        """Return the network's output [..., d_model] for x [..., d_model].

        Raises:
            ParameterError: the activation's name is unknown.
        """
        return self.outer(self.neurons(x))

    def neurons(self, x: Array) -> Array:
        """Return the activations of the neurons, [..., d_ff], for x [..., d_model].

        Column i of the inner matrix is the key of neuron i, and row i of the outer one its value: a lookup without a
        softmax (Geva et al. 2021, arXiv 2012.14913).

        Raises:
            ParameterError: the activation's name is unknown.
        """
        activate = resolve("activation", self.activation, ACTIVATIONS, "a function of an array")
        inner = self.inner(x)
        return activate(inner) if self.gate is None else activate(self.gate(x)) * inner


def erf(x: Array) -> Array:
    """Return the error function, exact to the last digits.

    NumPy lacks it. So float32 is computed from a table, and float64 entry by entry.
    """
    if is_torch_array(x):
        return array_namespace(x).erf(x)
    if x.dtype == np.float32:
        return erf_from_table(x)
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), dtype=x.dtype)


STEP = 1 / 128
NODES = np.arange(0, 4 + STEP, STEP)  # from 4 on, erf is 1 in float32
VALUES = np.array([math.erf(node) for node in NODES])
SLOPES = 2 / math.sqrt(math.pi) * np.exp(-NODES * NODES)


def erf_from_table(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return erf(x) from three terms of the Taylor series at the nearest node; the truncation error is 1e-10."""
    size = np.minimum(np.abs(x).astype(np.float64), NODES[-1])
    nearest = np.rint(np.nan_to_num(size) / STEP).astype(np.intp)
    a = NODES[nearest]
    d = size - a
    y = VALUES[nearest] + SLOPES[nearest] * d * (1 - d * (a - d * (2 * a * a - 1) / 3))
    signed: npt.NDArray[np.float32] = np.copysign(y, x).astype(np.float32)
    return signed

"""x ↦ activation(xW + b) as one operation, prepared once for many calls without gradients.

oneDNN keeps a matrix in the order in which it reads it, and applies the activation on the way out. For ten
tokens that takes a third of the time of torch's own product; elsewhere than on x86, that product serves.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import torch
from torch.nn import functional

from attention.names import resolve
from attention.transformer.feed_forward import ACTIVATIONS, Activation, Linear

Affine: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

# What oneDNN calls an activation, and its variant.
ONEDNN_ACTIVATIONS: Mapping[object, tuple[str, str]] = {
    None: ("none", ""),
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
}


def affine(linear: Linear, activation: str | Activation | None = None) -> Affine:
    """The map x [t, d_in] → [t, d_out] with the activation of a `FeedForward` after it, or none.

    It takes rows of the parameters' own type, float32 or bfloat16, on the CPU.
    """
    weight, bias = linear.weight.T.contiguous(), linear.bias
    if has_onednn(weight) and activation in ONEDNN_ACTIVATIONS:
        kind, variant = ONEDNN_ACTIVATIONS[activation]
        prepared = torch.ops.mkldnn._reorder_linear_weight(weight)

        def fused(x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, prepared, bias, kind, [], variant)
            return y

        return fused

    if activation is None:
        return partial(functional.linear, weight=weight, bias=bias)
    bend = resolve("activation", activation, ACTIVATIONS, "a function of an array")
    return lambda x: bend(functional.linear(x, weight, bias))


def has_onednn(weight: torch.Tensor) -> bool:
    """Whether oneDNN multiplies by this matrix on this machine."""
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not available or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if weight.device.type != "cpu":
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32

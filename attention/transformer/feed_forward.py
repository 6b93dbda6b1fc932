"""The feed-forward network of a layer: it widens each position, bends it and narrows it again."""

from __future__ import annotations

from dataclasses import dataclass

from attention.arrays import Array
from attention.names import named
from attention.transformer.activations import ACTIVATIONS, Activation
from attention.transformer.linear import Linear


@dataclass(frozen=True, eq=False)
class FeedForward:
    """outer(activation(inner(x))), at each position alone.

    Attributes:
        inner: d_model → d_ff
        outer: d_ff → d_model
        activation: "relu", "gelu", "gelu_tanh", "silu", or a function of an array.
    """

    inner: Linear
    outer: Linear
    activation: str | Activation = "relu"

    def __call__(self, x: Array) -> Array:
        """x [..., d_model] → [..., d_model].

        Raises:
            ParameterError: no activation has that name.
        """
        bend = named("activation", self.activation, ACTIVATIONS, "a function of an array")
        return self.outer(bend(self.inner(x)))

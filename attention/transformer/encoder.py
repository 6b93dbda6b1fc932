"""The encoder: layers in a row, in which every position attends to all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attention.arrays import Array
from attention.transformer.layer import EncoderLayer, EncoderSteps
from attention.transformer.norm import LayerNorm


@dataclass(frozen=True, eq=False)
class Encoder:
    """A stack of encoder layers.

    Attributes:
        layers: the first one first.
        norm: a last normalisation, which pre-norm layers need; None for none.
    """

    layers: tuple[EncoderLayer, ...]
    norm: LayerNorm | None = None

    def __call__(self, x: Array, mask: Array | None = None) -> Array:
        """The vectors of the positions after the last layer.

        Args:
            x: [..., n, d_model]
            mask: bool, broadcasts to [..., n, n]; True where a position may attend.

        Returns:
            [..., n, d_model]
        """
        for steps in self.steps(x, mask):
            x = steps.output
        return x if self.norm is None else self.norm(x)

    def steps(self, x: Array, mask: Array | None = None) -> Iterator[EncoderSteps]:
        """What each layer computes on the way, one layer at a time; arguments are those of a call."""
        for layer in self.layers:
            steps = layer.steps(x, mask)
            yield steps
            x = steps.output

"""The affine map that every other part is made of."""

from __future__ import annotations

from dataclasses import dataclass

from attention.arrays import Array
from attention.heads import project


@dataclass(frozen=True, eq=False)
class Linear:
    """y = xW + b.

    Attributes:
        weight: [d_in, d_out], W. PyTorch and BERT checkpoints store it transposed, GPT-2's do not.
        bias: [d_out], b, or None for none.
    """

    weight: Array
    bias: Array | None = None

    def __call__(self, x: Array) -> Array:
        """x [..., d_in] → y [..., d_out]."""
        return project(x, self.weight, self.bias)

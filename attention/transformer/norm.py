"""Layer normalisation, and the residual connection it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from array_api_compat import array_namespace

from attention.arrays import Array, promote

Norm: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """Each row brought to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016, arXiv 1607.06450).

    Attributes:
        scale: [d_model]
        shift: [d_model]
        epsilon: is added to the variance, so that a constant row does not divide by zero.
    """

    scale: Array
    shift: Array
    epsilon: float = 1e-5

    def __call__(self, x: Array) -> Array:
        """x [..., d_model] → [..., d_model], worked out in float32 at least."""
        xp = array_namespace(x, self.scale)
        given = x.dtype
        x, scale, shift = promote(xp, x, self.scale, self.shift)
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return xp.astype(centred / xp.sqrt(variance + self.epsilon) * scale + shift, given, copy=False)


@dataclass(frozen=True, eq=False)
class Residual:
    """Add & norm: what a branch computes is added to what it was given.

        post-norm   x ← norm(x + branch(x))     Vaswani et al. 2017; BERT
        pre-norm    x ← x + branch(norm(x))     Xiong et al. 2020, arXiv 2002.04745; GPT-2

    Attributes:
        norm: the normalisation, a `LayerNorm` or what computes the same.
        norm_first: pre-norm, and post-norm without.
    """

    norm: Norm
    norm_first: bool = False

    def read(self, x: Array) -> Array:
        """What the branch is given: [..., d_model] → [..., d_model]."""
        return self.norm(x) if self.norm_first else x

    def add(self, x: Array, update: Array) -> Array:
        """x and the branch's update of it, both [..., d_model] → [..., d_model]."""
        return x + update if self.norm_first else self.norm(x + update)

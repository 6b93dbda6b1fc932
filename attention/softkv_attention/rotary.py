"""Rotary positions: queries and keys are turned by angles that grow with their position, so that a logit depends on
the distance of the two tokens alone.

Source: Su et al. 2021, arXiv 2104.09864.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from array_api_compat import device

from softkv_attention.arrays import F32, Array, array_namespace
from softkv_attention.errors import ParameterError


@dataclass(frozen=True)
class Rotary:
    """A rotation of pairs of components, pair i at position p by the angle p · frequencies[i].

    Frequencies are numbers, not arrays: a conversion of the parameters to bfloat16 must not round them.

    Attributes:
        frequencies: the angle of each pair from one position to the next, in radians; d_rot / 2 numbers of float32.
        scale: a factor of the rotated components, as YaRN needs it.
        interleaved: True if a pair is components 2i and 2i + 1; False if it is components i and i + d_rot / 2.
    """

    frequencies: tuple[float, ...]
    scale: float = 1.0
    interleaved: bool = False

    @classmethod
    def of(cls, theta: float, width: int, *, interleaved: bool = False) -> Rotary:
        """Return the rotation of the first `width` components with the frequencies theta^(−2i / width).

        Raises:
            ParameterError: the width is not an even number from 2 on.
        """
        return cls(tuple(frequencies(theta, width).tolist()), interleaved=interleaved)

    @property
    def width(self) -> int:
        """The number d_rot of components that are rotated; the others stay."""
        return 2 * len(self.frequencies)

    def table(self, n: int, *, start: int = 0) -> tuple[F32, F32]:
        """Return the cosines and sines of the angles of n positions, times the scale; each [n, d_rot / 2]."""
        cosines, sines = _table(self, max(1 << (start + n - 1).bit_length(), 64))
        return cosines[start : start + n], sines[start : start + n]

    def __call__(self, x: Array, *, start: int = 0) -> Array:
        """Rotate x [..., n, d], whose rows are the positions from `start` on; the result has the type of x."""
        xp = array_namespace(x)
        cosines, sines = (
            xp.asarray(part, dtype=x.dtype, device=device(x)) for part in self.table(x.shape[-2], start=start)
        )
        half, rest = self.width // 2, x[..., self.width :]
        if self.interleaved:
            first, second = x[..., : self.width : 2], x[..., 1 : self.width : 2]
        else:
            first, second = x[..., :half], x[..., half : self.width]
        turned = [first * cosines - second * sines, second * cosines + first * sines]
        if self.interleaved:
            turned = [xp.reshape(xp.stack(turned, axis=-1), (*x.shape[:-1], self.width))]
        return xp.concat([*turned, rest] if rest.shape[-1] else turned, axis=-1)


def frequencies(theta: float, width: int) -> F32:
    """Return theta^(−2i / width) for i from 0 to width / 2 − 1, rounded as in transformers.

    Angles of far positions are large, and half a unit in the last place of a frequency is visible in them.

    Raises:
        ParameterError: the width is not an even number from 2 on.
    """
    if width < 2 or width % 2:
        raise ParameterError(f"the width of a rotation must be even and at least 2, got {width}")
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    powers = (theta ** exponents.astype(np.float64)).astype(np.float32)
    inverse: F32 = np.float32(1) / powers
    return inverse


@lru_cache(maxsize=16)
def _table(rotary: Rotary, n: int) -> tuple[F32, F32]:
    # The product is rounded to float32, as in the libraries that trained the models.
    angles = np.arange(n, dtype=np.float32)[:, None] * np.array(rotary.frequencies, np.float32)
    cosines, sines = (
        (curve(angles.astype(np.float64)) * rotary.scale).astype(np.float32) for curve in (np.cos, np.sin)
    )
    return cosines, sines

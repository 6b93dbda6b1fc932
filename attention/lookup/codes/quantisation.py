"""Vectors as 8-bit integers with a scale each, and how much of each vector that leaves out.

A vector x becomes x̂ = scale·code with code ∈ [−127, 127]ᵈ, scale = max|x_j| / 127. The residual x − x̂ has components
of at most scale/2; its norm is computed in float64 and rounded up, so it is a bound that can be built on. The dot
product of two codes is an integer, exact as long as d·127·255 stays below 2³¹.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attention.dtypes import F32, F64, I8, Bytes, Index
from attention.kernels.layout import CHUNK, LEVELS, columns_room, put_columns, put_rows, rows_at, rows_room
from attention.lookup.codes.moments import Moments
from attention.lookup.codes.rotation import Rotation
from attention.lookup.codes.thin import ThinCodes

WIDEST = (2**31 - 1) // (LEVELS * 255)
"""The widest vectors whose codes' dot products stay exact in 32 bits."""

WIDEST_GRAM = 1024


@dataclass(eq=False)
class Codes:
    """Codes of many vectors, with room at the end like the block that holds them.

    Attributes:
        codes: uint8[groups, depth, 16, 4], see `kernels.layout`.
        scales: float32[capacity]; relative to the vector's norm where directions are coded.
        residuals: float32[capacity], an upper bound on ‖x − x̂‖, relative likewise.
        grams: float64[2, d, d], Σ (x − x̂)(x − x̂)ᵀ and Σ x xᵀ over all vectors in use, relative likewise. New ones take
            their place with every write, so a reader may hold some that count more vectors than it sees: as what is
            added is never negative, they bound from above all the same. None where vectors are too wide for them.
        thin: the same vectors in 2 and 4 bits; None where they are not kept so.
    """

    codes: Bytes
    scales: F32
    residuals: F32
    grams: F64 | None
    thin: ThinCodes | None = None

    @classmethod
    def with_room(cls, rows: int, dimension: int, *, grams: bool = True, rotation: Rotation | None = None) -> Codes:
        """Room for so many vectors."""
        return cls(
            rows_room(rows, dimension),
            np.empty(rows, dtype=np.float32),
            np.empty(rows, dtype=np.float32),
            np.zeros((2, dimension, dimension)) if grams and dimension <= WIDEST_GRAM else None,
            ThinCodes.with_room(rows, dimension, rotation),
        )

    def copy_from(self, other: Codes, count: int) -> None:
        """Take over the first `count` vectors of another one."""
        self.codes[: len(other.codes)] = other.codes
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]
        self.grams = other.grams
        if self.thin is not None and other.thin is not None:
            self.thin.copy_from(other.thin, count)

    def at(self, places: Index, width: int) -> I8:
        """int8[n, width]: the codes of the vectors at `places`."""
        return rows_at(self.codes, places, width)

    def write(self, start: int, vectors: F32, norms: F64 | None) -> None:
        """Code `vectors` float32[n, d] from row `start` on; with `norms`, scales and residuals are divided by them."""
        for first in range(0, len(vectors), 1024):
            part = slice(first, min(first + 1024, len(vectors)))
            here = slice(start + part.start, start + part.stop)
            codes, scales, left = to_codes(vectors[part])
            put_rows(self.codes, here.start, codes.astype(np.int8))
            divisor = 1.0 if norms is None else norms[part]
            residuals = residual_lengths(left)
            if self.grams is not None:
                both = np.stack([left, vectors[part]]) / (1.0 if norms is None else norms[part, None])
                # Vectors near float32's end overflow: what is then not finite bounds nothing, and is not used.
                with np.errstate(over="ignore", invalid="ignore"):
                    relative = both.astype(np.float32)
                    self.grams = self.grams + relative.transpose(0, 2, 1) @ relative
            self.scales[here] = scales / divisor
            self.residuals[here] = _rounded_up(residuals / divisor, scales / divisor, vectors.shape[1])
        if self.thin is not None:
            self.thin.write(start, vectors, norms)


@dataclass(eq=False)
class ValueCodes:
    """Codes of values, turned: components lie side by side, so that a weighted sum of values is a product as well.

    Attributes:
        codes: uint8[chunks, groups, depth, 16, 4], see `kernels.layout`; a chunk has CHUNK values.
        scales: float32[capacity].
        residuals: float32[capacity], an upper bound on ‖v − v̂‖.
        width: d_v.
        moments: of all values in use, maybe of more than a reader sees; None where values are too wide for them.
    """

    codes: Bytes
    scales: F32
    residuals: F32
    width: int
    moments: Moments | None

    @classmethod
    def with_room(cls, rows: int, dimension: int) -> ValueCodes:
        """Room for so many values."""
        return cls(
            columns_room(-(-rows // CHUNK), CHUNK, dimension),
            np.empty(rows, dtype=np.float32),
            np.empty(rows, dtype=np.float32),
            dimension,
            Moments.of_nothing(dimension) if dimension <= WIDEST_GRAM else None,
        )

    def copy_from(self, other: ValueCodes, count: int) -> None:
        """Take over the first `count` values of another one."""
        self.codes[: len(other.codes)] = other.codes
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]
        self.moments = other.moments

    def write(self, start: int, values: F32) -> None:
        """Code `values` float32[n, d_v] from row `start` on."""
        for first, chunk, within in _by_chunk(start, start + len(values)):
            part = values[first - start : first - start + within.stop - within.start]
            codes, scales, left = to_codes(part)
            put_columns(self.codes[chunk], within.start, codes.astype(np.int8))
            here = slice(first, first + len(codes))
            self.scales[here] = scales
            self.residuals[here] = _rounded_up(residual_lengths(left), scales, self.width)
            if self.moments is not None:
                self.moments = self.moments.joined(part, left)


def _by_chunk(start: int, stop: int) -> Iterator[tuple[int, int, slice]]:
    """Values `start` to `stop` as runs within chunks: each one's first value, its chunk, its place in there."""
    while start < stop:
        within = start % CHUNK
        end = min(stop, start - within + CHUNK)
        yield start, start // CHUNK, slice(within, within + end - start)
        start = end


def to_codes(vectors: NDArray[np.floating], levels: int = LEVELS) -> tuple[F64, F64, F64]:
    """Codes [n, d] (whole numbers), scales float64[n] and residuals float64[n, d]; a zero vector has scale 0."""
    wide = vectors.astype(np.float64)
    scales = np.abs(wide).max(axis=1) / levels
    steps = np.where(scales > 0, scales, 1.0)
    codes = np.rint(wide / steps[:, None])
    wide -= codes * scales[:, None]
    return codes, scales, wide


def _rounded_up(residuals: F64, scales: F64, width: int) -> F32:
    """The residuals in float32, not below what they are with scales that are rounded to float32 as well."""
    rounding = (2.0**-24 * scales + 2.0**-149) * LEVELS * np.sqrt(width)
    return np.asarray(np.nextafter((residuals + rounding).astype(np.float32), np.float32(np.inf)), dtype=np.float32)


def residual_lengths(residuals: F64) -> F64:
    """Norms of residuals, with room for the rounding that they were made with."""
    return np.asarray(np.sqrt((residuals * residuals).sum(axis=1)) * (1 + 1e-9))

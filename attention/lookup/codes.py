"""Vectors as 8-bit integers with a scale each, and how much of each vector that leaves out.

A vector x becomes x̂ = scale·code with code ∈ [−127, 127]ᵈ, scale = max|x_j| / 127. The residual x − x̂ has components
of at most scale/2; its norm is computed in float64 and rounded up, so it is a bound that can be built on. The dot
product of two codes is an integer, exact as long as d·127² stays below 2³¹.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
WIDEST = (2**31 - 1) // LEVELS**2
"""The widest vectors whose codes' dot products stay exact in 32 bits."""

WIDEST_GRAM = 1024

CHUNK = 8192
"""Values whose codes lie together."""


@dataclass(eq=False)
class Codes:
    """Codes of many vectors, with room at the end like the block that holds them.

    Attributes:
        codes: int8[capacity, d].
        scales: float32[capacity]; relative to the vector's norm where directions are coded.
        residuals: float32[capacity], an upper bound on ‖x − x̂‖, relative likewise.
        grams: float64[2, d, d], Σ (x − x̂)(x − x̂)ᵀ and Σ x xᵀ over all vectors in use, relative likewise. New ones take
            their place with every write, so a reader may hold some that count more vectors than it sees: as what is
            added is never negative, they bound from above all the same. None where vectors are too wide for them.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    residuals: NDArray[np.float32]
    grams: NDArray[np.float64] | None

    @classmethod
    def with_room(cls, rows: int, dimension: int, *, grams: bool = True) -> "Codes":
        """Room for so many vectors."""
        return cls(
            np.empty((rows, dimension), dtype=np.int8),
            np.empty(rows, dtype=np.float32),
            np.empty(rows, dtype=np.float32),
            np.zeros((2, dimension, dimension)) if grams and dimension <= WIDEST_GRAM else None,
        )

    def copy_from(self, other: "Codes", count: int) -> None:
        """Take over the first `count` vectors of another one."""
        self.codes[:count] = other.codes[:count]
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]
        self.grams = other.grams

    def write(self, start: int, vectors: NDArray[np.float32], norms: NDArray[np.float64] | None) -> None:
        """Code `vectors` float32[n, d] from row `start` on; with `norms`, scales and residuals are divided by them."""
        for first in range(0, len(vectors), 1024):
            part = slice(first, min(first + 1024, len(vectors)))
            here = slice(start + part.start, start + part.stop)
            codes, scales, left = coded(vectors[part])
            self.codes[here] = codes
            divisor = 1.0 if norms is None else norms[part]
            residuals = _lengths(left)
            if self.grams is not None:
                both = np.stack([left, vectors[part]]) / (1.0 if norms is None else norms[part, None])
                # Vectors near float32's end overflow: what is then not finite bounds nothing, and is not used.
                with np.errstate(over="ignore", invalid="ignore"):
                    relative = both.astype(np.float32)
                    self.grams = self.grams + relative.transpose(0, 2, 1) @ relative
            self.scales[here] = scales / divisor
            # The stored scale is rounded to float32: what that moves belongs to the residual.
            rounding = (2.0**-24 * scales / divisor + 2.0**-149) * LEVELS * np.sqrt(vectors.shape[1])
            total = (residuals / divisor + rounding).astype(np.float32)
            self.residuals[here] = np.nextafter(total, np.float32(np.inf))


@dataclass(frozen=True, eq=False)
class ValueCodes:
    """Codes of values, turned: one row a component, so that a weighted sum of values is a row of dot products.

    Attributes:
        codes: int8[chunks, d_v, CHUNK]; value i is codes[i // CHUNK, :, i % CHUNK], one chunk
            being one piece of memory.
        scales: float32[capacity].
        residuals: float32[capacity], an upper bound on ‖v − v̂‖.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    residuals: NDArray[np.float32]

    @classmethod
    def with_room(cls, rows: int, dimension: int) -> "ValueCodes":
        """Room for so many values."""
        chunk = min(CHUNK, rows)
        return cls(
            np.empty((-(-rows // max(chunk, 1)), dimension, chunk), dtype=np.int8),
            np.empty(rows, dtype=np.float32),
            np.empty(rows, dtype=np.float32),
        )

    def parts(self, start: int, stop: int) -> Iterator[tuple[int, int, slice]]:
        """Values `start` to `stop` as runs within chunks: each one's first value, its chunk, its place in there."""
        chunk = self.codes.shape[2]
        while start < stop:
            end = min(stop, start - start % chunk + chunk)
            yield start, start // chunk, slice(start % chunk, start % chunk + end - start)
            start = end

    def copy_from(self, other: "ValueCodes", count: int) -> None:
        """Take over the first `count` values of another one."""
        for start, chunk, here in other.parts(0, count):
            self._put(start, other.codes[chunk, :, here])
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]

    def write(self, start: int, values: NDArray[np.float32]) -> None:
        """Code `values` float32[n, d_v] from row `start` on."""
        plain = Codes.with_room(len(values), values.shape[1], grams=False)
        plain.write(0, values, None)
        self._put(start, plain.codes.T)
        here = slice(start, start + len(values))
        self.scales[here] = plain.scales
        self.residuals[here] = plain.residuals

    def _put(self, start: int, turned: NDArray[np.int8]) -> None:
        """Store codes int8[d_v, n] from value `start` on."""
        for at, chunk, here in self.parts(start, start + turned.shape[1]):
            self.codes[chunk, :, here] = turned[:, at - start : at - start + here.stop - here.start]


def coded(
    vectors: NDArray[np.floating], levels: int = LEVELS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Codes [n, d] (whole numbers), scales float64[n] and residuals float64[n, d]; a zero vector has scale 0."""
    wide = vectors.astype(np.float64)
    scales = np.abs(wide).max(axis=1) / levels
    steps = np.where(scales > 0, scales, 1.0)
    codes = np.rint(wide / steps[:, None])
    wide -= codes * scales[:, None]
    return codes, scales, wide


def _lengths(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms of residuals, with room for the rounding that they were made with."""
    return np.asarray(np.sqrt((residuals * residuals).sum(axis=1)) * (1 + 1e-9))


@dataclass(frozen=True, eq=False)
class QueryCodes:
    """Queries in codes: q ≈ scale·code.

    A query's residual is common to all keys, so it does not average out as theirs do: few queries are coded in 16 bits.

    Attributes:
        codes: int8[q, d] or int16[q, d].
        scales: float64[q].
        norms: float64[q], ‖q‖ of the queries themselves.
        residuals: float64[q, d], q − q̂.
        residuals_norm: float64[q], at least ‖q − q̂‖.
    """

    codes: NDArray[np.int8] | NDArray[np.int16]
    scales: NDArray[np.float64]
    norms: NDArray[np.float64]
    residuals: NDArray[np.float64]
    residuals_norm: NDArray[np.float64]

    @property
    def count(self) -> int:
        """How many queries."""
        return len(self.scales)


def query_codes(queries: NDArray[np.float64], *, fine: bool) -> QueryCodes:
    """Code queries float64[q, d], in 16 bits where they are to be fine, as far as 32 bits hold the products."""
    norms = np.sqrt((queries * queries).sum(axis=1))
    levels = min(2**15 - 1, (2**31 - 1) // (LEVELS * queries.shape[1])) if fine else LEVELS
    codes, scales, left = coded(queries, levels)
    small = codes.astype(np.int16) if fine else codes.astype(np.int8)
    return QueryCodes(small, scales, norms, left, _lengths(left))

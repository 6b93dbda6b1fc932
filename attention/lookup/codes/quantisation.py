"""Vectors as 8-bit integers with a scale each, and how much of each vector that leaves out.

A vector x becomes x̂ = scale·code with code ∈ [−127, 127]ᵈ, scale = max|x_j| / 127. The residual x − x̂ has components
of at most scale/2; its norm is computed in float64 and rounded up, so it is a bound that can be built on. The dot
product of two codes is an integer, exact as long as d·127·255 stays below 2³¹.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attention.dtypes import F32, F64, I8, I16, Bytes, Index
from attention.kernels import kernels
from attention.kernels.layout import CHUNK, FINE_LEVELS, LEVELS, columns_room, put_columns, put_rows, rows_at, rows_room
from attention.lookup.codes.moments import Moments, gram_matrices
from attention.shared_memory import Room, private

MAX_WIDTH = (2**31 - 1) // (LEVELS * 255)
"""The widest vectors whose codes' dot products stay exact in 32 bits."""

MAX_GRAM_WIDTH = 1024

CODING_BATCH = 128
"""The number of vectors that are coded at a time: they fit into a core's own cache."""

UNIT_TOLERANCE = 2.0**-10
"""The largest difference of a vector's length from 1 for which the vector itself bounds its direction."""


@dataclass(eq=False)
class Codes:
    """Codes of many vectors, with free capacity at the end like the block that holds them.

    Attributes:
        codes: uint8[groups, depth, 16, 4], see `kernels.layout`.
        scales: float32[capacity]; relative to the vector's norm if directions are coded.
        residuals: float32[capacity], an upper bound on ‖x − x̂‖, relative likewise.
        grams: float64[2, d, d], Σ (x − x̂)(x − x̂)ᵀ and Σ x xᵀ over all vectors in use, relative likewise. Every write
            replaces them, so a reader may hold some that count more vectors than it sees. What is added is never
            negative, so they remain upper bounds. None if the vectors are too wide.
    """

    codes: Bytes
    scales: F32
    residuals: F32
    grams: F64 | None

    @classmethod
    def allocate(cls, rows: int, dimension: int, room: Room = private, *, grams: bool = True) -> Codes:
        """Allocate codes for `rows` vectors."""
        return cls(
            rows_room(rows, dimension, room),
            room((rows,), np.float32),
            room((rows,), np.float32),
            np.zeros((2, dimension, dimension)) if grams and dimension <= MAX_GRAM_WIDTH else None,
        )

    def copy_from(self, other: Codes, count: int) -> None:
        """Copy the first `count` vectors of other codes."""
        self.codes[: len(other.codes)] = other.codes
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]
        self.grams = other.grams

    def at(self, indices: Index, width: int) -> I8:
        """Return int8[n, width], the codes of the vectors at `indices`."""
        return rows_at(self.codes, indices, width)

    def write(self, start: int, coded: CodedVectors) -> F64 | F32 | None:
        """Store vectors from row `start` on, or their directions → what `add_sums` takes."""
        target = slice(start, start + len(coded.codes))
        put_rows(self.codes, start, coded.codes)
        divisor = 1.0 if coded.norms is None else coded.norms
        self.scales[target] = coded.scales / divisor
        self.residuals[target] = _round_up(coded.lengths / divisor, coded.scales / divisor, coded.codes.shape[1])
        return None if self.grams is None else coded.grams

    def add_sums(self, grams: F64 | F32 | None) -> None:
        """Add the Gram matrices of what was written; one thread at a time."""
        if self.grams is not None and grams is not None:
            with np.errstate(invalid="ignore"):  # of those that bound nothing
                self.grams = self.grams + grams


@dataclass(eq=False)
class ValueCodes:
    """Codes of values, transposed: components lie side by side, so that a weighted sum of values is a product as well.

    Attributes:
        codes: uint8[chunks, groups, depth, 16, 4], see `kernels.layout`; a chunk has CHUNK values.
        scales: float32[capacity].
        residuals: float32[capacity], an upper bound on ‖v − v̂‖.
        width: d_v.
        moments: of all values in use, perhaps of more than a reader sees; None if values are too wide for them.
    """

    codes: Bytes
    scales: F32
    residuals: F32
    width: int
    moments: Moments | None

    @classmethod
    def allocate(cls, rows: int, dimension: int, room: Room = private) -> ValueCodes:
        """Allocate codes for `rows` values."""
        return cls(
            columns_room(-(-rows // CHUNK), CHUNK, dimension, room),
            room((rows,), np.float32),
            room((rows,), np.float32),
            dimension,
            Moments.empty(dimension) if dimension <= MAX_GRAM_WIDTH else None,
        )

    def copy_from(self, other: ValueCodes, count: int) -> None:
        """Copy the first `count` values of other codes."""
        self.codes[: len(other.codes)] = other.codes
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]
        self.moments = other.moments

    def write(self, start: int, coded: CodedVectors) -> Moments | None:
        """Store values from row `start` on, all of them in one chunk → what `add_sums` takes."""
        target = slice(start, start + len(coded.codes))
        put_columns(self.codes[start // CHUNK], start % CHUNK, coded.codes)
        self.scales[target] = coded.scales
        self.residuals[target] = _round_up(coded.lengths, coded.scales, self.width)
        return None if self.moments is None else coded.moments

    def add_sums(self, moments: Moments | None) -> None:
        """Add the moments of what was written; one thread at a time."""
        if self.moments is not None and moments is not None:
            self.moments = self.moments.merge(moments)


@dataclass(frozen=True, eq=False)
class CodedVectors:
    """Up to one chunk of vectors with their codes, from which all stored arrays are computed.

    Attributes:
        vectors: float32[n, d].
        norms: float64[n], ‖x‖, if directions are needed as well; else None.
        codes: int8[n, d].
        scales: float64[n].
        lengths: float64[n], upper bounds on ‖x − x̂‖.
        left: float32[n, d], x − x̂.
        residual_total: float64[d], Σ (x − x̂).
        directions: float32[2, n, d], x − x̂ and x relative to ‖x‖; None if they are not needed, or if the vectors
            themselves bound them.
    """

    vectors: F32
    norms: F64 | None
    codes: I8
    scales: F64
    lengths: F64
    left: F32
    residual_total: F64
    directions: F32 | None

    @classmethod
    def of(cls, vectors: F32, norms: F64 | None = None) -> CodedVectors:
        """Code `vectors` float32[n, d], n ≤ CHUNK; with `norms`, code their directions too."""
        count, width = vectors.shape
        codes, left = np.empty((count, width), dtype=np.int8), np.empty((count, width), dtype=np.float32)
        scales, squares, total = np.empty(count), np.empty(count), np.zeros(width)
        kernels().code_rows(vectors, codes, left, scales, squares, total)
        directions = None
        if norms is not None and not _are_near_unit(norms):
            directions = _directions(vectors, norms, codes, scales)
        return cls(vectors, norms, codes, scales, _round_up_roots(squares), left, total, directions)

    @cached_property
    def moments(self) -> Moments:
        """The moments of the vectors."""
        return Moments.of(self.vectors, self.left, self.residual_total)

    @cached_property
    def grams(self) -> F64 | F32:
        """[2, d, d], upper bounds on Σ (x − x̂)(x − x̂)ᵀ and Σ x xᵀ, relative to ‖x‖² if directions are needed.

        If all norms are near one, the sums of the vectors themselves over the smallest norm's square bound those of
        the directions from above: each summand is at least as large.
        """
        if self.directions is not None:
            return gram_matrices(*self.directions)
        grams = self.moments.grams[::-1]
        if self.norms is None:
            return grams
        return np.asarray(grams * ((1 + 1e-9) / self.norms.min(initial=1.0) ** 2), dtype=np.float64)


def _are_near_unit(norms: F64) -> bool:
    """Return whether the vectors serve as their directions, so that one pair of Gram matrices is enough."""
    return bool(np.abs(norms - 1).max(initial=0.0) <= UNIT_TOLERANCE)


def _directions(vectors: F32, norms: F64, codes: I8, scales: F64) -> F32:
    """Compute float32[2, n, d], x − x̂ and x relative to ‖x‖. All steps are in float64: x − x̂ may be short."""
    directions = np.empty((2, *vectors.shape), dtype=np.float32)
    for first in range(0, len(vectors), CODING_BATCH):
        batch = slice(first, first + CODING_BATCH)
        by, wide = norms[batch, None], vectors[batch].astype(np.float64)
        directions[1, batch] = wide / by
        wide -= codes[batch] * scales[batch, None]
        directions[0, batch] = wide / by
    return directions


def quantise(vectors: NDArray[np.floating], levels: int = LEVELS) -> tuple[F64, F64, F64]:
    """Return codes [n, d] (whole numbers), scales float64[n] and residuals float64[n, d]; a zero vector has scale 0."""
    wide = vectors.astype(np.float64)
    scales = np.abs(wide).max(axis=1) / levels
    steps = np.where(scales > 0, scales, 1.0)
    codes = np.rint(wide / steps[:, None])
    wide -= codes * scales[:, None]
    return codes, scales, wide


def _round_up(residuals: F64, scales: F64, width: int) -> F32:
    """Return the residuals in float32, not below their values with scales that are rounded to float32 as well."""
    rounding = (2.0**-24 * scales + 2.0**-149) * LEVELS * np.sqrt(width)
    return np.asarray(np.nextafter((residuals + rounding).astype(np.float32), np.float32(np.inf)), dtype=np.float32)


def bound_norms(residuals: F64) -> F64:
    """Bound the norms of residuals from above, including the rounding of their computation."""
    return _round_up_roots((residuals * residuals).sum(axis=1))


def _round_up_roots(squares: F64) -> F64:
    return np.asarray(np.sqrt(squares) * (1 + 1e-9))


FINE_QUERIES, FINE_QUERIES_WITH_OUTPUT = 4, 8
"""The largest batches of queries that are coded in 16 bits: a scan of few queries waits for memory, so it costs
nothing. The second number is for queries with outputs: the weights of their values have 16 bits then too. If 16 bits
cost no more than 8, see `Kernels.WIDE`, all queries have them.
"""

HOT_TEMPERATURE = 1 / 16
"""Above this temperature, relative to the largest possible similarity, outputs need queries in 16 bits. They average so
many values that they are short, and the residual of a query's code, which all keys share, would be visible.
"""


@dataclass(frozen=True, eq=False)
class QueryCodes:
    """Queries as codes: q ≈ scale·code.

    A query's residual is common to all keys, so it does not average out as theirs do: few queries are coded in 16 bits.

    Attributes:
        codes: int16[q, d]; within −127 to 127 if they are coarse.
        scales: float64[q].
        norms: float64[q], ‖q‖ of the queries themselves.
        residuals: float64[q, d], q − q̂.
        residuals_norm: float64[q], upper bounds on ‖q − q̂‖.
        fine: whether the codes have 16 bits.
    """

    codes: I16
    scales: F64
    norms: F64
    residuals: F64
    residuals_norm: F64
    fine: bool

    @property
    def count(self) -> int:
        """The number of queries."""
        return len(self.scales)

    def over(self, temperature: float) -> QueryCodes:
        """Return the queries divided by a temperature above 0, with the same codes."""
        return replace(
            self,
            scales=self.scales / temperature,
            norms=self.norms / temperature,
            residuals=self.residuals / temperature,
            residuals_norm=self.residuals_norm / temperature * (1 + 1e-15),
        )


def code_queries(
    similarity: str,
    vectors: F64,
    *,
    outputs: bool,
    temperatures: F64 | None = None,
    key_norm: float = 1.0,
    fine: bool = False,
) -> QueryCodes:
    """Code queries so that code·code·scales, as a scan multiplies them, is the similarity.

    Args:
        similarity: cosine, dot or scaled_dot.
        vectors: float64[q, d].
        outputs: whether values are to be summed as well.
        temperatures: float64[q], of the softmax whose weights these are summed with; None for all.
        key_norm: the largest ‖k‖, if the similarity is not cosine.
        fine: whether to use 16 bits in any case.
    """
    if similarity == "cosine":
        vectors, key_norm = vectors / np.sqrt((vectors * vectors).sum(axis=1))[:, None], 1.0
    elif similarity == "scaled_dot":
        vectors = vectors / np.sqrt(vectors.shape[1])
    fine = fine or kernels().WIDE or len(vectors) <= (FINE_QUERIES_WITH_OUTPUT if outputs else FINE_QUERIES)
    if outputs and not fine and temperatures is not None:
        lengths = np.sqrt((vectors * vectors).sum(axis=1))
        fine = bool((temperatures > HOT_TEMPERATURE * key_norm * lengths).any())
    return quantise_queries(vectors, fine=fine)


def quantise_queries(queries: F64, *, fine: bool) -> QueryCodes:
    """Code queries float64[q, d]; in 16 bits if `fine`, as far as 32 bits hold the products."""
    norms = np.sqrt((queries * queries).sum(axis=1))
    levels = min(FINE_LEVELS, (2**31 - 1) // (LEVELS * queries.shape[1])) if fine else LEVELS
    codes, scales, residuals = quantise(queries, levels)
    return QueryCodes(codes.astype(np.int16), scales, norms, residuals, bound_norms(residuals), fine)

"""Vectors as 8-bit codes (integers) with one scale each, and bounds on what the codes leave out of each vector.

A vector x becomes x̂ = scale·code with code ∈ [−127, 127]ᵈ, scale = max|x_j| / 127. The residual x − x̂ has components
of at most scale/2; its norm is computed in float64 and rounded up, so it is a proven bound. The dot product of two
codes is an integer, exact as long as d·127·255 stays below 2³¹.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from softkv_attention.aligned import Room, private
from softkv_attention.arrays import F32, F64, I8, I16, Bytes, Index
from softkv_attention.forked import cached_property
from softkv_attention.kernels import kernels
from softkv_attention.kernels.layout import (
    CHUNK,
    LEVELS,
    columns_room,
    fine_levels,
    put_columns,
    put_rows,
    rows_at,
    rows_room,
)
from softkv_attention.lookup.codes.moments import Moments, gram_matrices

MAX_WIDTH = (2**31 - 1) // (LEVELS * 255)
"""The widest vectors whose codes' dot products stay exact in 32 bits."""

MAX_GRAM_WIDTH = 1024

CODING_BATCH = 128
"""The number of vectors that are coded at a time: they fit into a core's own cache."""

UNIT_TOLERANCE = 2.0**-10
"""The largest difference of a vector's length from 1 for which the vector itself bounds its direction."""


@dataclass(eq=False)
class Codes:
    """The 8-bit integer codes of many vectors x: each vector is about scale·code, which is called x̂.

    The arrays have free capacity at the end, like the block of rows that they belong to.

    Attributes:
        codes: uint8[groups, depth, 16, 4], see `kernels.layout`.
        scales: float32[capacity]. If directions x/‖x‖ are coded, each scale is divided by ‖x‖.
        residuals: float32[capacity], an upper bound on ‖x − x̂‖; also divided by ‖x‖ if directions are coded.
        grams: float64[2, d, d], Σ (x − x̂)(x − x̂)ᵀ and Σ x·xᵀ over all vectors in use; of directions if these are
            coded. Every write replaces them, so a reader may hold matrices that count more vectors than it sees. Added
            terms are never negative, so the matrices remain upper bounds. None if the vectors are too wide.
    """

    codes: Bytes
    scales: F32
    residuals: F32
    grams: F64 | None

    @classmethod
    def allocate(cls, rows: int, dimension: int, allocator: Room = private, *, grams: bool = True) -> Codes:
        """Allocate empty codes for up to `rows` vectors of width `dimension`.

        Args:
            allocator: allocates an array of a shape and a type.
            grams: whether to keep the Gram matrices, if the vectors are not too wide.
        """
        return cls(
            rows_room(rows, dimension, allocator),
            allocator((rows,), np.float32),
            allocator((rows,), np.float32),
            np.zeros((2, dimension, dimension)) if grams and dimension <= MAX_GRAM_WIDTH else None,
        )

    def copy_from(self, other: Codes, count: int) -> None:
        """Copy the codes of the first `count` vectors from `other`."""
        self.codes[: len(other.codes)] = other.codes
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]
        self.grams = other.grams

    def at(self, indices: Index, width: int) -> I8:
        """Return int8[n, width], the integer codes of the vectors at `indices`."""
        return rows_at(self.codes, indices, width)

    def write(self, start: int, coded: CodedVectors) -> F64 | F32 | None:
        """Store the codes of vectors, or of their directions if `coded` has norms, from row `start` on.

        Returns:
            The Gram matrices [2, d, d] of these vectors, for `add_sums`; None if they are not kept.
        """
        target = slice(start, start + len(coded.codes))
        put_rows(self.codes, start, coded.codes)
        divisor = 1.0 if coded.norms is None else coded.norms
        self.scales[target] = coded.scales / divisor
        self.residuals[target] = _round_up(coded.lengths / divisor, coded.scales / divisor, coded.codes.shape[1])
        return None if self.grams is None else coded.grams

    def add_sums(self, grams: F64 | F32 | None) -> None:
        """Add the Gram matrices of newly written vectors, which `write` returned, to those of all vectors in `grams`.

        Only one thread at a time may call this.
        """
        if self.grams is not None and grams is not None:
            with np.errstate(invalid="ignore"):  # of those that bound nothing
                self.grams = self.grams + grams


@dataclass(eq=False)
class ValueCodes:
    """The 8-bit integer codes of values v, stored by component: each value is about scale·code, which is called v̂.

    The codes of one component of many values lie side by side, so that a weighted sum of values is a product of bytes.

    Attributes:
        codes: uint8[chunks, groups, depth, 16, 4], see `kernels.layout`; a chunk has CHUNK values.
        scales: float32[capacity].
        residuals: float32[capacity], an upper bound on ‖v − v̂‖.
        width: d_v.
        moments: the sums over all values in use, perhaps over more values than a reader sees; None if the values are
            too wide for such sums.
    """

    codes: Bytes
    scales: F32
    residuals: F32
    width: int
    moments: Moments | None

    @classmethod
    def allocate(cls, rows: int, dimension: int, allocator: Room = private) -> ValueCodes:
        """Allocate empty codes for up to `rows` values of width `dimension`.

        Args:
            allocator: allocates an array of a shape and a type.
        """
        return cls(
            columns_room(-(-rows // CHUNK), CHUNK, dimension, allocator),
            allocator((rows,), np.float32),
            allocator((rows,), np.float32),
            dimension,
            Moments.empty(dimension) if dimension <= MAX_GRAM_WIDTH else None,
        )

    def copy_from(self, other: ValueCodes, count: int) -> None:
        """Copy the codes of the first `count` values from `other`."""
        self.codes[: len(other.codes)] = other.codes
        self.scales[:count] = other.scales[:count]
        self.residuals[:count] = other.residuals[:count]
        self.moments = other.moments

    def write(self, start: int, coded: CodedVectors) -> Moments | None:
        """Store the codes of values from row `start` on; all of these rows must lie in one chunk of CHUNK rows.

        Returns:
            The moments (sums) of these values, for `add_sums`; None if they are not kept.
        """
        target = slice(start, start + len(coded.codes))
        put_columns(self.codes[start // CHUNK], start % CHUNK, coded.codes)
        self.scales[target] = coded.scales
        self.residuals[target] = _round_up(coded.lengths, coded.scales, self.width)
        return None if self.moments is None else coded.moments

    def add_sums(self, moments: Moments | None) -> None:
        """Add the sums over newly written values, which `write` returned, to those of all values in `moments`.

        Only one thread at a time may call this.
        """
        if self.moments is not None and moments is not None:
            self.moments = self.moments.merge(moments)


@dataclass(frozen=True, eq=False)
class CodedVectors:
    """Up to one chunk (CHUNK rows) of vectors x with their 8-bit codes, and what the codes leave out.

    Attributes:
        vectors: float32[n, d].
        norms: float64[n], ‖x‖, if directions x/‖x‖ are needed as well; else None.
        codes: int8[n, d]; x̂ = scale·code is near x.
        scales: float64[n].
        lengths: float64[n], upper bounds on ‖x − x̂‖.
        left: float32[n, d], x − x̂.
        residual_total: float64[d], Σ (x − x̂).
        directions: float32[2, n, d], (x − x̂)/‖x‖ and x/‖x‖; None if they are not needed, or if all ‖x‖ are so near 1
            that the vectors themselves serve.
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
        """Compute the 8-bit codes of vectors float32[n, d], n ≤ CHUNK.

        Args:
            vectors: float32[n, d].
            norms: float64[n], ‖x‖ of each vector, if the directions x/‖x‖ are coded; otherwise None.
        """
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
        """The sums over these vectors x and over their residuals x − x̂."""
        return Moments.of(self.vectors, self.left, self.residual_total)

    @cached_property
    def grams(self) -> F64 | F32:
        """Upper bounds [2, d, d] on the Gram matrices Σ (x − x̂)(x − x̂)ᵀ and Σ x·xᵀ.

        If the vectors have norms, each term is divided by ‖x‖². If all norms are near 1, the sums without this division
        are used, divided once by the smallest ‖x‖². They are larger, because each term is.
        """
        if self.directions is not None:
            return gram_matrices(*self.directions)
        grams = self.moments.grams[::-1]
        if self.norms is None:
            return grams
        return np.asarray(grams * ((1 + 1e-9) / self.norms.min(initial=1.0) ** 2), dtype=np.float64)


def _are_near_unit(norms: F64) -> bool:
    """Return whether all norms are so near 1 that the vectors can stand for their directions x/‖x‖.

    One pair of Gram matrices is then enough for both.
    """
    return bool(np.abs(norms - 1).max(initial=0.0) <= UNIT_TOLERANCE)


def _directions(vectors: F32, norms: F64, codes: I8, scales: F64) -> F32:
    """Return float32[2, n, d]: the residuals x − x̂ and the vectors x, both divided by ‖x‖.

    All steps are in float64, because x − x̂ may be short.

    Args:
        vectors: float32[n, d], x.
        norms: float64[n], ‖x‖.
        codes, scales: int8[n, d] and float64[n], with x̂ = scale·code.
    """
    directions = np.empty((2, *vectors.shape), dtype=np.float32)
    for first in range(0, len(vectors), CODING_BATCH):
        batch = slice(first, first + CODING_BATCH)
        by, wide = norms[batch, None], vectors[batch].astype(np.float64)
        directions[1, batch] = wide / by
        wide -= codes[batch] * scales[batch, None]
        directions[0, batch] = wide / by
    return directions


def quantise(vectors: NDArray[np.floating], levels: int = LEVELS) -> tuple[F64, F64, F64]:
    """Round vectors x to integer codes with one scale each: x ≈ scale·code.

    Args:
        vectors: float[n, d].
        levels: the largest absolute value of a code's component.

    Returns:
        The codes float64[n, d] (whole numbers), the scales float64[n], and the residuals x − scale·code float64[n, d].
        A zero vector has scale 0.
    """
    wide = vectors.astype(np.float64)
    scales = np.abs(wide).max(axis=1) / levels
    steps = np.where(scales > 0, scales, 1.0)
    codes = np.rint(wide / steps[:, None])
    wide -= codes * scales[:, None]
    return codes, scales, wide


def _round_up(residuals: F64, scales: F64, width: int) -> F32:
    """Return float32[n], upper bounds on the norms of residuals, if scales are stored as float32.

    The bounds include what the rounding of a scale to float32 adds to the residual.

    Args:
        residuals: float64[n], upper bounds on the residuals' norms for the scales in float64.
        scales: float64[n].
        width: d.
    """
    rounding = (2.0**-24 * scales + 2.0**-149) * LEVELS * np.sqrt(width)
    return np.asarray(np.nextafter((residuals + rounding).astype(np.float32), np.float32(np.inf)), dtype=np.float32)


def bound_norms(residuals: F64) -> F64:
    """Return float64[n], upper bounds on the norms of vectors float64[n, d] that include the rounding errors."""
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
    """Queries q as integer codes of 8 or 16 bits: q is about scale·code, which is called q̂.

    What a query's code leaves out is the same for all keys, so it does not average out over them. So small batches of
    queries are coded in 16 bits.

    Attributes:
        codes: int16[q, d]; within −127 to 127 if they have 8 bits.
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
        """Return the codes of the queries divided by a temperature above 0: the integers stay, the scales change."""
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
    """Return queries as integer codes for which scale·code·(key's scale)·(key's code) is about the similarity.

    For cosine, the queries are first divided by their lengths, and for scaled_dot by √d. A small batch gets 16 bits, a
    large one 8 bits unless its temperatures are high.

    Args:
        similarity: cosine, dot or scaled_dot.
        vectors: float64[q, d].
        outputs: whether the scan also computes weighted sums of values.
        temperatures: float64[q], the temperatures at which the scan sums: high ones need 16 bits. None to ignore them.
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
    """Return queries float64[q, d] as integer codes of 16 bits if `fine`, otherwise of 8 bits.

    16-bit codes are made smaller if 32-bit integers would not hold their products with the codes of keys.
    """
    norms = np.sqrt((queries * queries).sum(axis=1))
    levels = fine_levels(queries.shape[1]) if fine else LEVELS
    codes, scales, residuals = quantise(queries, levels)
    return QueryCodes(codes.astype(np.int16), scales, norms, residuals, bound_norms(residuals), fine)

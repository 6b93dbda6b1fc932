"""Sums over vectors, and their spread in any direction. They bound weighted sums whose weights are unknown.

For weights δ and vectors x as the rows of X, ‖Σ δ_i·x_i‖ = ‖Xᵀδ‖ ≤ ‖δ‖·√λ, λ the largest eigenvalue of Σ x·xᵀ = XᵀX.
So the length of δ replaces the sum of its |δ_i|, for vectors that point in all directions. More vectors only make λ
larger, so a bound for many vectors holds for any subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from softkv_attention.arrays import F32, F64
from softkv_attention.forked import cached_property

MAX_SLACK = 1 / 64
"""The share by which later vectors' lengths may increase a sum of largest eigenvalues: 0.8 % of its root."""


def gram_matrices(one: F32, other: F32) -> F32:
    """Return float32[2, d, d], the Gram matrix XᵀX of each of two matrices X float32[r, d].

    r must be at most 1024, because the bounds on these matrices allow for no more additions.
    """
    grams = np.empty((2, one.shape[1], one.shape[1]), dtype=np.float32)
    # Vectors near the end of float32's range overflow: a matrix that is not finite is not used as a bound.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for rows, gram in zip((one, other), grams, strict=True):
            np.matmul(rows.T, rows, out=gram)
    return grams


@dataclass(frozen=True, eq=False)
class Residuals:
    """The sum of the residuals v − v̂ of some vectors v, where v̂ is the vector that the 8-bit code of v stands for.

    `+` adds the vectors of another sum, and `-` takes them away.

    Attributes:
        count: the number of vectors.
        total: float64[d], Σ (v − v̂).
    """

    count: int
    total: F64

    def __add__(self, more: Residuals) -> Residuals:
        return Residuals(self.count + more.count, self.total + more.total)

    def __sub__(self, fewer: Residuals) -> Residuals:
        return Residuals(self.count - fewer.count, self.total - fewer.total)

    @property
    def length(self) -> float:
        """An upper bound on the Euclidean length of `total`."""
        return float(np.sqrt(np.einsum("i,i", self.total, self.total))) * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class SpreadBound:
    """An upper bound on the spread of some vectors v around their mean, which stays valid as vectors are appended.

    The spread is the largest eigenvalue of Σ (v − c)·(v − c)ᵀ. A later vector v increases it by at most ‖v − c‖². It is
    smallest if c is the mean of all vectors, so c may stay the mean of the first ones.

    Attributes:
        mean: float64[d], the mean of the first vectors.
        spread: an upper bound on the spread of the first vectors around their mean.
        residual_spread: an upper bound on the largest eigenvalue of Σ (v − v̂)·(v − v̂)ᵀ over the first vectors.
        typical_eigenvalue: approximately the mean eigenvalue of Σ (v − mean)·(v − mean)ᵀ over the first vectors, each
            weighted by its size.
        added: an upper bound on Σ‖v − mean‖² over the later vectors.
        residual_added: an upper bound on Σ‖v − v̂‖² over the later vectors, where v̂ is what the 8-bit code of v stands
            for.
    """

    mean: F64
    spread: float
    residual_spread: float
    typical_eigenvalue: float
    added: float = 0.0
    residual_added: float = 0.0

    def append(self, more: Moments) -> SpreadBound:
        """Return the bound for these vectors together with more vectors, of which `more` has the sums."""
        squares, residual_squares = more.squares
        centre = float(np.einsum("i,i", self.mean, self.mean))
        around = squares - 2 * float(np.einsum("i,i", self.mean, more.total)) + more.count * centre
        # The error bound of `Moments._largest`, and the rounding of sums in float64 that cancel.
        error = 2.0**-13 * squares + 1e-9 * more.count * centre + more.count * len(self.mean) * 2.0**-125
        residual_error = 2.0**-13 * residual_squares + more.count * len(self.mean) * 2.0**-125
        return replace(
            self,
            added=self.added + max(around, 0.0) + error,
            residual_added=self.residual_added + residual_squares + residual_error,
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over some vectors v and over their residuals v − v̂; the 8-bit code of v stands for v̂.

    They are immutable: adding vectors makes new moments.

    Attributes:
        count: the number of vectors.
        total: float64[d], Σ v.
        residual_total: float64[d], Σ (v − v̂).
        grams: [2, d, d], Σ v·vᵀ and Σ (v − v̂)·(v − v̂)ᵀ; float32 of at most 1024 vectors, float64 after a merge.
        earlier: a bound on the spread around the mean that was computed for fewer vectors and extended since; None if
            it was not computed.
    """

    count: int
    total: F64
    residual_total: F64
    grams: F64 | F32
    earlier: SpreadBound | None = None

    @classmethod
    def empty(cls, width: int) -> Moments:
        """Return the moments of zero vectors of this width."""
        return cls(0, np.zeros(width), np.zeros(width), np.zeros((2, width, width)))

    @classmethod
    def of(cls, vectors: F32, residuals: F32, residual_total: F64) -> Moments:
        """Compute the sums (moments) over up to 1,024 vectors v and over their residuals v − v̂.

        v̂ is what the 8-bit code of v stands for.

        Args:
            vectors: float32[r, d], r ≤ 1024.
            residuals: float32[r, d], v − v̂.
            residual_total: float64[d], the sum of the residuals before they were rounded to float32.
        """
        total = vectors.sum(axis=0, dtype=np.float64)
        return cls(len(vectors), total, residual_total, gram_matrices(vectors, residuals))

    def merge(self, more: Moments) -> Moments:
        """Return the moments of these vectors and of the vectors of `more` together."""
        with np.errstate(invalid="ignore"):  # of spreads that are not finite
            grams = self.grams + more.grams
        total, residual_total = self.total + more.total, self.residual_total + more.residual_total
        earlier = None if self.available_bound is None else self.available_bound.append(more)
        return Moments(self.count + more.count, total, residual_total, grams, earlier)

    @property
    def available_bound(self) -> SpreadBound | None:
        """A bound on the spread around the mean, if one is known without computing eigenvalues; otherwise None.

        It comes from a cached spread, or from `earlier`.
        """
        cached = self.__dict__
        if "spread" in cached and "residual_spread" in cached and "typical_eigenvalue" in cached:
            return SpreadBound(self.mean, self.spread, self.residual_spread, self.typical_eigenvalue)
        return self.earlier

    @cached_property
    def squares(self) -> tuple[float, float]:
        """The sums Σ‖v‖² and Σ‖v − v̂‖² over the vectors v, both approximate.

        v̂ is what the 8-bit code of v stands for.
        """
        return float(np.trace(self.grams[0])), float(np.trace(self.grams[1]))

    def compute_bound(self) -> SpreadBound:
        """Return a bound on the spread around the mean from eigenvalues.

        The first call takes some tens of milliseconds; later calls use cached values.
        """
        return SpreadBound(self.mean, self.spread, self.residual_spread, self.typical_eigenvalue)

    @cached_property
    def mean(self) -> F64:
        """float64[d], the mean of the vectors."""
        return self.total / max(self.count, 1)

    @property
    def residuals(self) -> Residuals:
        """The sum of v − v̂, what the 8-bit codes leave out, over all vectors."""
        return Residuals(self.count, self.residual_total)

    @cached_property
    def spread(self) -> float:
        """An upper bound on the largest eigenvalue of Σ (v − mean)·(v − mean)ᵀ over the vectors v."""
        return self._largest(self.grams[0] - np.outer(self.total, self.mean), self.grams[0])

    @cached_property
    def typical_eigenvalue(self) -> float:
        """Approximately the mean eigenvalue of Σ (v − mean)·(v − mean)ᵀ, each weighted by its size: Σλ²/Σλ."""
        around = self.grams[0] - np.outer(self.total, self.mean)
        trace = float(np.trace(around))
        return float(np.einsum("ij,ij", around, around)) / trace if trace > 0 else 0.0

    @cached_property
    def residual_spread(self) -> float:
        """An upper bound on the largest eigenvalue of Σ (v − v̂)·(v − v̂)ᵀ over the vectors v.

        v̂ is what the 8-bit code of v stands for.
        """
        return self._largest(self.grams[1], self.grams[1])

    def _largest(self, matrix: F64, gram: F64) -> float:
        """Return an upper bound on the largest eigenvalue of a symmetric matrix [d, d]; infinite if it is not finite.

        The bound allows for the rounding of `gram`, the Gram matrix that the matrix was computed from. A Gram matrix
        XᵀX was summed in float32, up to 1,024 rows at a time. So each element is off by at most γ₁₀₂₄ of the same
        element of |X|ᵀ|X|, whose norm is at most the trace. It is also off by 2⁻¹²⁶ for each product that falls below
        float32. The error of an eigenvalue in float64 is far less.
        """
        if not np.isfinite(matrix).all():
            return np.inf
        error = 2.0**-13 * np.trace(gram) + self.count * len(gram) * 2.0**-125
        return max(0.0, float(np.linalg.eigvalsh(matrix)[-1])) + float(error)


@dataclass(frozen=True, eq=False)
class Spread:
    """The spread in space of some vectors v, and of the residuals v − v̂ of their 8-bit codes v̂.

    Attributes:
        count: the number of vectors.
        mean: float64[d], their mean.
        around_mean: an upper bound on the largest eigenvalue of Σ (v − mean)·(v − mean)ᵀ.
        typical_eigenvalue: approximately the mean eigenvalue of the same matrix, each weighted by its size: Σλ²/Σλ.
        square: approximately Σ‖v‖².
        residuals: Σ (v − v̂).
        residual_spread: an upper bound on the largest eigenvalue of Σ (v − v̂)·(v − v̂)ᵀ.
        residual_square: approximately Σ‖v − v̂‖².
    """

    count: int
    mean: F64
    around_mean: float
    typical_eigenvalue: float
    square: float
    residuals: Residuals
    residual_spread: float
    residual_square: float

    @classmethod
    def of(cls, moments: Sequence[Moments]) -> Spread | None:
        """Compute the spread of all vectors of several blocks from each block's moments; None if it is not finite.

        The n_b vectors of block b with mean μ_b contribute Σ (v − μ_b)·(v − μ_b)ᵀ + n_b·(μ_b − c)·(μ_b − c)ᵀ to the
        matrix around any point c. The largest eigenvalue of a sum is at most the sum of the largest ones.

        Args:
            moments: one for each block, at least one.
        """
        count = sum(item.count for item in moments)
        mean = np.sum([item.total for item in moments], axis=0) / max(count, 1)
        bounds = _spread_bounds(moments)
        squared_distances = np.sum((np.stack([item.mean for item in moments]) - mean) ** 2, axis=1)
        around = sum(
            bound.spread + bound.added + item.count * squared_distance
            for item, bound, squared_distance in zip(moments, bounds, squared_distances.tolist(), strict=True)
        )
        residuals = Residuals(count, np.sum([item.residual_total for item in moments], axis=0))
        residual_spread = sum(bound.residual_spread + bound.residual_added for bound in bounds)
        if not (np.isfinite(around + residual_spread) and np.isfinite(residuals.total).all()):
            return None
        square, residual_square = (sum(item.squares[part] for item in moments) for part in (0, 1))
        typical_eigenvalue = sum(bound.typical_eigenvalue for bound in bounds)
        return cls(count, mean, around, typical_eigenvalue, square, residuals, residual_spread, residual_square)

    @classmethod
    def merge(cls, spreads: Sequence[Spread]) -> Spread | None:
        """Compute the spread of all vectors of several shards from each shard's spread; None if it is not finite.

        Args:
            spreads: one for each shard, at least one.
        """
        count = sum(item.count for item in spreads)
        mean = np.sum([item.count * item.mean for item in spreads], axis=0) / max(count, 1)
        squared_distances = np.sum((np.stack([item.mean for item in spreads]) - mean) ** 2, axis=1)
        # A little more, because the means were rounded: an error in one adds to every distance from it.
        shifts = [
            (1 + 1e-9) * item.count * distance
            for item, distance in zip(spreads, squared_distances.tolist(), strict=True)
        ]
        around = sum(item.around_mean + distance for item, distance in zip(spreads, shifts, strict=True))
        residuals = reduce(add, [item.residuals for item in spreads])
        residual_spread = sum(item.residual_spread for item in spreads)
        if not (np.isfinite(around + residual_spread) and np.isfinite(residuals.total).all()):
            return None
        typical_eigenvalue, square, residual_square = (
            sum(getattr(item, name) for item in spreads) for name in ("typical_eigenvalue", "square", "residual_square")
        )
        return cls(count, mean, around, typical_eigenvalue, square, residuals, residual_spread, residual_square)

    def around(self, from_mean: float) -> float:
        """Return an upper bound on the largest eigenvalue of Σ (v − c)·(v − c)ᵀ around a point c.

        Args:
            from_mean: the distance of c from the mean of the vectors v.
        """
        return self.around_mean + self.count * from_mean**2

    @cached_property
    def around_zero(self) -> float:
        """An upper bound on the largest eigenvalue of Σ v·vᵀ over the vectors v."""
        return self.around(self.mean_length)

    @cached_property
    def mean_length(self) -> float:
        """An upper bound on the Euclidean length of the mean."""
        return float(np.sqrt(np.einsum("i,i", self.mean, self.mean))) * (1 + 1e-9)


def _spread_bounds(moments: Sequence[Moments]) -> list[SpreadBound]:
    """Return a bound on the spread around the mean for each of the moments.

    A known bound is used as it is. But if vectors that were added later make the sum of all bounds much looser, those
    bounds are computed again from eigenvalues.
    """
    bounds = [item.available_bound or item.compute_bound() for item in moments]
    tight = sum(bound.added for bound in bounds) <= MAX_SLACK * sum(bound.spread for bound in bounds)
    if tight and sum(bound.residual_added for bound in bounds) <= MAX_SLACK * sum(
        bound.residual_spread for bound in bounds
    ):
        return bounds
    return [
        item.compute_bound() if bound.added or bound.residual_added else bound
        for item, bound in zip(moments, bounds, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Grams:
    """Upper bounds on the Gram matrices of all keys k of a view, and of the residuals k − k̂ of their 8-bit codes k̂.

    Attributes:
        total: float64[2, d, d], upper bounds on Σ (k − k̂)(k − k̂)ᵀ and Σ k·kᵀ. For cosine, k is the direction of the
            key.
    """

    total: F64

    @cached_property
    def unit(self) -> F32:
        """float32[2, d, d], both matrices divided by their traces, so that float32 can hold their products."""
        return np.asarray(self.total / np.maximum(self.traces, 1e-300)[:, None, None], dtype=np.float32)

    @cached_property
    def traces(self) -> list[float]:
        """The traces of both matrices of `total`."""
        return [float(np.trace(gram)) for gram in self.total]


class RunningGrams:
    """A cache of the sum of all blocks' Gram matrices for the successive views of one memory.

    Many threads may use it. Each view's sum is computed from that of the view before. A block never changes its
    matrices, but replaces them, so equal array objects have an equal sum. The sum of all blocks but the last, which
    most writes change, is cached separately.
    """

    def __init__(self) -> None:
        self._full: tuple[tuple[F64, ...], F64 | None] = ((), None)
        self._last: tuple[tuple[F64, ...], Grams | None] = ((), None)

    def of(self, grams: Sequence[F64]) -> Grams | None:
        """Return the sum of the Gram matrices of all blocks; None if it is not finite.

        Args:
            grams: for each block float64[2, d, d], in order, at least one.
        """
        added, grams_sum = self._last
        if not _are_same(added, grams):
            total = grams[-1] if len(grams) == 1 else self._before_last(tuple(grams[:-1])) + grams[-1]
            grams_sum = Grams(total) if np.isfinite(total).all() else None
            self._last = tuple(grams), grams_sum
        return grams_sum

    def _before_last(self, grams: tuple[F64, ...]) -> F64:
        added, total = self._full
        if total is None or not _are_same(added, grams[: len(added)]):
            added, total = grams[:1], grams[0]
        # A block that is full by now is added to those before it.
        for gram in grams[len(added) :]:
            total = total + gram
        self._full = grams, total
        return total


def _are_same(arrays: Sequence[F64], cached: Sequence[F64]) -> bool:
    return len(arrays) == len(cached) and all(one is other for one, other in zip(arrays, cached, strict=True))

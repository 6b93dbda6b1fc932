"""What vectors add up to, and how far they spread in any one direction: what bounds sums of them with unknown weights.

For weights δ and vectors x as the rows of X, ‖Σ δ_i·x_i‖ = ‖Xᵀδ‖ ≤ ‖δ‖·√λ, λ the largest eigenvalue of Σ x·xᵀ = XᵀX:
the length of δ in place of the sum of its sizes, for vectors that point in all directions. More vectors only make λ
larger, so what is known of many holds for any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add

import numpy as np

from attention.dtypes import F32, F64

MAX_SLACK = 1 / 64
"""What vectors may add by their lengths alone to a sum of largest eigenvalues, relative to it: 0.8 % of its root."""


def gram_matrices(one: F32, other: F32) -> F32:
    """float32[2, d, d]: XᵀX of each of two X float32[r, d]; r ≤ 1024, which is what their bounds allow for."""
    grams = np.empty((2, one.shape[1], one.shape[1]), dtype=np.float32)
    # Vectors near float32's end overflow: what is then not finite bounds nothing, and is not used.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for rows, gram in zip((one, other), grams, strict=True):
            np.matmul(rows.T, rows, out=gram)
    return grams


@dataclass(frozen=True, eq=False)
class Residuals:
    """What the codes of some vectors leave out together.

    Attributes:
        count: how many vectors.
        total: float64[d], Σ (v − v̂).
    """

    count: int
    total: F64

    def __add__(self, more: Residuals) -> Residuals:
        return Residuals(self.count + more.count, self.total + more.total)

    def __sub__(self, some: Residuals) -> Residuals:
        return Residuals(self.count - some.count, self.total - some.total)

    @property
    def length(self) -> float:
        """At least that of the total."""
        return float(np.sqrt(np.einsum("i,i", self.total, self.total))) * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class SpreadBound:
    """How far some vectors spread, and how much others that came later can add to that.

    A later vector v makes the largest eigenvalue of Σ (v − c)·(v − c)ᵀ larger by ‖v − c‖² at most; and around no point
    c it is smaller than around the mean of all.

    Attributes:
        mean: float64[d], of the vectors.
        spread, residual_spread, usual: as of their `Moments`.
        added: at least Σ‖v − mean‖² of those that came later.
        residual_added: at least their Σ‖v − v̂‖².
    """

    mean: F64
    spread: float
    residual_spread: float
    usual: float
    added: float = 0.0
    residual_added: float = 0.0

    def append(self, more: Moments) -> SpreadBound:
        """With more vectors behind them."""
        squares, residual_squares = more.squares
        centre = float(np.einsum("i,i", self.mean, self.mean))
        around = squares - 2 * float(np.einsum("i,i", self.mean, more.total)) + more.count * centre
        # As in `Moments._largest`; and what the sums in float64 lose where they cancel.
        error = 2.0**-13 * squares + 1e-9 * more.count * centre + more.count * len(self.mean) * 2.0**-125
        residual_error = 2.0**-13 * residual_squares + more.count * len(self.mean) * 2.0**-125
        return replace(
            self,
            added=self.added + max(around, 0.0) + error,
            residual_added=self.residual_added + residual_squares + residual_error,
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over vectors v that are kept as codes v̂. Never changed: more vectors make new ones.

    Attributes:
        count: how many vectors.
        total: float64[d], Σ v.
        residual_total: float64[d], Σ (v − v̂).
        grams: [2, d, d], Σ v·vᵀ and Σ (v − v̂)·(v − v̂)ᵀ; float32 of at most 1024 vectors, float64 of what was joined.
        earlier: what is known of the first of them; None where nothing is.
    """

    count: int
    total: F64
    residual_total: F64
    grams: F64 | F32
    earlier: SpreadBound | None = None

    @classmethod
    def empty(cls, width: int) -> Moments:
        """Before the first vector."""
        return cls(0, np.zeros(width), np.zeros(width), np.zeros((2, width, width)))

    @classmethod
    def of(cls, vectors: F32, residuals: F32, residual_total: F64) -> Moments:
        """Of vectors float32[r, d], their v − v̂ in float32 and the sum of these before they were rounded; r ≤ 1024."""
        total = vectors.sum(axis=0, dtype=np.float64)
        return cls(len(vectors), total, residual_total, gram_matrices(vectors, residuals))

    def merge(self, more: Moments) -> Moments:
        """With those of more vectors."""
        with np.errstate(invalid="ignore"):  # of spreads that are not finite
            grams = self.grams + more.grams
        total, residual_total = self.total + more.total, self.residual_total + more.residual_total
        earlier = None if self.known is None else self.known.append(more)
        return Moments(self.count + more.count, total, residual_total, grams, earlier)

    @property
    def known(self) -> SpreadBound | None:
        """What was found of them, or of the first of them and what came since; None before anything was."""
        found = self.__dict__
        if "spread" in found and "residual_spread" in found and "usual" in found:
            return SpreadBound(self.mean, self.spread, self.residual_spread, self.usual)
        return self.earlier

    @cached_property
    def squares(self) -> tuple[float, float]:
        """About Σ‖v‖² and Σ‖v − v̂‖²."""
        return float(np.trace(self.grams[0])), float(np.trace(self.grams[1]))

    def found(self) -> SpreadBound:
        """What eigenvalues say of all of them: some tens of milliseconds the first time."""
        return SpreadBound(self.mean, self.spread, self.residual_spread, self.usual)

    @cached_property
    def mean(self) -> F64:
        """float64[d]."""
        return self.total / max(self.count, 1)

    @property
    def residuals(self) -> Residuals:
        """Of all of them."""
        return Residuals(self.count, self.residual_total)

    @cached_property
    def spread(self) -> float:
        """At least the largest eigenvalue of Σ (v − mean)·(v − mean)ᵀ."""
        return self._largest(self.grams[0] - np.outer(self.total, self.mean), self.grams[0])

    @cached_property
    def usual(self) -> float:
        """About the mean eigenvalue of Σ (v − mean)·(v − mean)ᵀ, each counted as often as it is large."""
        around = self.grams[0] - np.outer(self.total, self.mean)
        trace = float(np.trace(around))
        return float(np.einsum("ij,ij", around, around)) / trace if trace > 0 else 0.0

    @cached_property
    def residual_spread(self) -> float:
        """At least the largest eigenvalue of Σ (v − v̂)·(v − v̂)ᵀ."""
        return self._largest(self.grams[1], self.grams[1])

    def _largest(self, matrix: F64, gram: F64) -> float:
        """An upper bound on the largest eigenvalue of a matrix that has the error of `gram`.

        A Gram matrix XᵀX was summed in float32, up to 1,024 rows at a time: each element is off by at most γ₁₀₂₄ of
        the same of |X|ᵀ|X|, whose norm is at most the trace; and by 2⁻¹²⁶ for each product that falls below float32.
        The error of an eigenvalue in float64 is far less.
        """
        if not np.isfinite(matrix).all():
            return np.inf
        error = 2.0**-13 * np.trace(gram) + self.count * len(gram) * 2.0**-125
        return max(0.0, float(np.linalg.eigvalsh(matrix)[-1])) + float(error)


@dataclass(frozen=True, eq=False)
class Spread:
    """How far all vectors of some moments lie apart.

    Attributes:
        count: how many they are.
        mean: float64[d], theirs.
        around_mean: at least the largest eigenvalue of Σ (v − mean)·(v − mean)ᵀ.
        usual: about the mean eigenvalue of the same, each counted as often as it is large.
        square: about Σ‖v‖².
        residuals: Σ (v − v̂).
        residual_spread: at least the largest eigenvalue of Σ (v − v̂)·(v − v̂)ᵀ.
        residual_square: about Σ‖v − v̂‖².
    """

    count: int
    mean: F64
    around_mean: float
    usual: float
    square: float
    residuals: Residuals
    residual_spread: float
    residual_square: float

    @classmethod
    def of(cls, moments: Sequence[Moments]) -> Spread | None:
        """Of all of them together; None where that is not finite.

        Vectors with mean μ_b lie around any point c as Σ (v − μ_b)·(v − μ_b)ᵀ + n_b·(μ_b − c)·(μ_b − c)ᵀ, and the
        largest eigenvalue of a sum is at most the sum of the largest ones.
        """
        count = sum(some.count for some in moments)
        mean = np.sum([some.total for some in moments], axis=0) / max(count, 1)
        known = _spread_bounds(moments)
        apart = np.sum((np.stack([some.mean for some in moments]) - mean) ** 2, axis=1)
        around = sum(
            each.spread + each.added + some.count * far
            for some, each, far in zip(moments, known, apart.tolist(), strict=True)
        )
        residuals = Residuals(count, np.sum([some.residual_total for some in moments], axis=0))
        residual_spread = sum(each.residual_spread + each.residual_added for each in known)
        if not (np.isfinite(around + residual_spread) and np.isfinite(residuals.total).all()):
            return None
        square, residual_square = (sum(some.squares[part] for some in moments) for part in (0, 1))
        usual = sum(each.usual for each in known)
        return cls(count, mean, around, usual, square, residuals, residual_spread, residual_square)

    @classmethod
    def merge(cls, spreads: Sequence[Spread]) -> Spread | None:
        """Of all vectors of some spreads, as `of` has it; None where that is not finite."""
        count = sum(some.count for some in spreads)
        mean = np.sum([some.count * some.mean for some in spreads], axis=0) / max(count, 1)
        apart = np.sum((np.stack([some.mean for some in spreads]) - mean) ** 2, axis=1)
        # A little more, for the means were rounded: an error of one adds to every distance from it.
        far = [(1 + 1e-9) * some.count * each for some, each in zip(spreads, apart.tolist(), strict=True)]
        around = sum(some.around_mean + each for some, each in zip(spreads, far, strict=True))
        residuals = reduce(add, [some.residuals for some in spreads])
        residual_spread = sum(some.residual_spread for some in spreads)
        if not (np.isfinite(around + residual_spread) and np.isfinite(residuals.total).all()):
            return None
        usual, square, residual_square = (
            sum(getattr(some, name) for some in spreads) for name in ("usual", "square", "residual_square")
        )
        return cls(count, mean, around, usual, square, residuals, residual_spread, residual_square)

    def around(self, from_mean: float) -> float:
        """At least the largest eigenvalue of Σ (v − c)·(v − c)ᵀ, for a c that is so far from the mean."""
        return self.around_mean + self.count * from_mean**2

    @cached_property
    def around_zero(self) -> float:
        """The same around 0."""
        return self.around(self.mean_length)

    @cached_property
    def mean_length(self) -> float:
        """At least the mean's."""
        return float(np.sqrt(np.einsum("i,i", self.mean, self.mean))) * (1 + 1e-9)


def _spread_bounds(moments: Sequence[Moments]) -> list[SpreadBound]:
    """What is known of each, found anew where what came since makes the sum of all much looser."""
    known = [some.known or some.found() for some in moments]
    tight = sum(each.added for each in known) <= MAX_SLACK * sum(each.spread for each in known)
    if tight and sum(each.residual_added for each in known) <= MAX_SLACK * sum(each.residual_spread for each in known):
        return known
    return [
        some.found() if each.added or each.residual_added else each for some, each in zip(moments, known, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Grams:
    """Of all keys of a view.

    Attributes:
        total: float64[2, d, d], at least Σ (k − k̂)(k − k̂)ᵀ and Σ k kᵀ; for cosine those of the keys' directions.
    """

    total: F64

    @cached_property
    def unit(self) -> F32:
        """float32[2, d, d], the same over their traces, to be multiplied in float32."""
        return np.asarray(self.total / np.maximum(self.traces, 1e-300)[:, None, None], dtype=np.float32)

    @cached_property
    def traces(self) -> list[float]:
        """Of each of the two."""
        return [float(np.trace(gram)) for gram in self.total]


class RunningGrams:
    """The sums of the views of one memory, each made from those of the view before it; for many threads.

    A block's matrices are never changed, others take their place: so where the same arrays are to be added up, the
    sum is the same. That of all blocks but the last, which is the one that most writes change, is kept beside it.
    """

    def __init__(self) -> None:
        self._full: tuple[tuple[F64, ...], F64 | None] = ((), None)
        self._last: tuple[tuple[F64, ...], Grams | None] = ((), None)

    def of(self, grams: Sequence[F64]) -> Grams | None:
        """The sum of the matrices of all blocks, at least one, in their order; None where it is not finite."""
        added, found = self._last
        if not _are_same(added, grams):
            total = grams[-1] if len(grams) == 1 else self._before_last(tuple(grams[:-1])) + grams[-1]
            found = Grams(total) if np.isfinite(total).all() else None
            self._last = tuple(grams), found
        return found

    def _before_last(self, grams: tuple[F64, ...]) -> F64:
        added, total = self._full
        if total is None or not _are_same(added, grams[: len(added)]):
            added, total = grams[:1], grams[0]
        # A block that is full by now is added to those before it.
        for gram in grams[len(added) :]:
            total = total + gram
        self._full = grams, total
        return total


def _are_same(some: Sequence[F64], others: Sequence[F64]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))

"""Bounds on the rounding errors of a lookup that gradients flow through.

Let u be the unit roundoff, γ_m = m·u / (1 − m·u), κ the largest ‖∂s/∂q‖ and V the largest ‖v‖.

**Weights.** A product that adds at most m numbers one after the other is off by γ_m·‖q‖·‖k‖ (Higham, Accuracy and
Stability of Numerical Algorithms, §3.1). The query is rounded to the type of the sums, and the product is scaled and
shifted, which are four roundings more. A logit x = (s − peak)/T adds three roundings of |x|, and its exponential two of
them and a known relative error. So each term is off by a factor from e⁻ᵟ to eᵟ, apart from an error of the peak that
all terms share. Their sum adds γ. So ŵ = ρ·w·eᵉ with |e| ≤ δ for each row, and a common factor ρ from e⁻ᶜ to eᶜ, c = δ
+ γ. Then the total variation is at most tanh(δ/2): the worst case has all rows at one of the two ends. Terms dropped
below the floor have at most n·e^floor of the weight.

**Output.** ‖ô − o‖ ≤ Σ|ŵ − w|·V + γ·V ≤ (2·tanh(δ/2) + 2γ)·V.

**Gradient.** With a = g·v and any level m̂, the gradient G = T·∂(g·o)/∂q is Σ w(a − m̂) ∂s/∂q − (m − m̂) Σ w ∂s/∂q. Let
D be the computed Σ ŵ|a − m̂|. Products a are off by η = γ·‖g‖·V. So the computed Ĝ is within

    κ·M of ρ·Σ w(a − m̂) ∂s/∂q,   M = (eᵟ − 1)·eᶜ·D + γ·D + η·eᶜ

The level m is the one at which Σ w(a − m) equals the gradient l of the log-partition. The computed Σ ŵ(a − m̂) − l = x
shows in the same way that ρ·|m − m̂| ≤ |x| + (eᶜ − 1)·|l| + M. Together, with E = κ·(2M + |x| + (eᶜ − 1)·|l|),

    ‖Ĝ − G‖ ≤ E + (eᶜ − 1)·‖G‖ ≤ E + (eᶜ − 1)·eᶜ·(‖Ĝ‖ + E)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F64
from softkv_attention.kernels import FLOAT_CHUNK, FLOAT_ROWS, TERM_FLOOR, kernels
from softkv_attention.lookup import View

SINGLE, DOUBLE = 2.0**-24, 2.0**-53


@dataclass(frozen=True)
class Rounding:
    """The rounding of the sums of a lookup.

    Attributes:
        unit: the unit roundoff u.
        product_terms: the most numbers of a product that are added one after the other.
        value_terms: the same for products of values.
        row_terms: the same for sums over rows.
        exponential: the largest relative error of an exponential of 0.
        floor: terms below exp(floor) are dropped, or have lost digits.
    """

    unit: float
    product_terms: int
    value_terms: int
    row_terms: int
    exponential: float
    floor: float

    @classmethod
    def of_kernels(cls, view: View) -> Rounding:
        """Return the rounding of `Kernels.blend_rows` and `pull_rows`."""
        widths = view.dimension or 0, view.value_dimension or 0
        if kernels().SCANS:  # C adds in chunks; NumPy's library adds in an order of its own
            widths = tuple(min(width, FLOAT_CHUNK) + -(-width // FLOAT_CHUNK) for width in widths)  # type: ignore[assignment]
        return cls(SINGLE, *widths, FLOAT_ROWS + 2, 2.1e-7, TERM_FLOOR)

    def gamma(self, terms: float) -> float:
        """Return γ_m of a number of terms."""
        share = terms * self.unit
        return share / (1 - share) if share < 1 else np.inf


@dataclass(frozen=True, eq=False)
class GradientBounds:
    """Bounds for q queries of one lookup.

    Attributes:
        rounding: how sums are rounded.
        slope: κ, the largest ‖∂s/∂q‖ of a scaled query.
        value_norm: V, the largest ‖v‖.
        inverse: float64[q], 1/T.
        terms: float64[q], δ.
        common: float64[q], c.
        dropped: an upper bound of the weight of dropped terms.
    """

    rounding: Rounding
    slope: float
    value_norm: float
    inverse: F64
    terms: F64
    common: F64
    dropped: float

    @classmethod
    def of(cls, view: View, rounding: Rounding, query_norms: F64, inverse: F64) -> GradientBounds:
        """Return the bounds of scaled queries with the lengths float64[q]."""
        facts = view.facts
        slope = 1.0 if view.similarity == "cosine" else facts.key_norm
        largest = query_norms * slope + (slope * slope / 2 if view.similarity == "gaussian" else 0.0)
        similarity = rounding.gamma(rounding.product_terms + 4) * largest
        terms = similarity * inverse + rounding.exponential + 5 * rounding.unit * abs(rounding.floor)
        common = terms + rounding.gamma(rounding.row_terms)
        return cls(rounding, slope, facts.value_norm, inverse, terms, common, view.n * float(np.exp(rounding.floor)))

    @property
    def total_variation(self) -> F64:
        """float64[q], bounds on the total variation of the weights."""
        return np.minimum(np.tanh(self.common / 2) + self.dropped, 1.0)

    @property
    def output_error(self) -> F64:
        """float64[q], bounds on ‖ô − o‖."""
        return self.value_norm * 2 * (self.total_variation + self.rounding.gamma(self.rounding.row_terms + 2))

    def query_error(self, gradient_norms: F64, spreads: F64, excess: F64, of_logs: F64, lengths: F64) -> F64:
        """Return float64[q], bounds on the error of the gradient of each scaled query; ∞ if none is known.

        Args:
            gradient_norms: float64[q], ‖g‖.
            spreads: float64[q], D.
            excess: float64[q], x.
            of_logs: float64[q], l.
            lengths: float64[q], ‖Ĝ‖.
        """
        rounding = self.rounding
        with np.errstate(over="ignore", invalid="ignore"):
            products = rounding.gamma(rounding.value_terms + 5) * gradient_norms * self.value_norm
            ratio, shared = np.exp(self.common), np.expm1(self.common)
            moved = (np.expm1(self.terms) * ratio + rounding.gamma(rounding.row_terms + 8)) * spreads + products * ratio
            dropped = self.dropped * 2 * gradient_norms * self.value_norm
            error = self.slope * (2 * moved + dropped + np.abs(excess) + shared * np.abs(of_logs))
            error = self.inverse * (error + shared * ratio * (lengths + error))
        return np.where(np.isnan(error), np.inf, error)

"""Bounds on the rounding errors of a lookup that gradients flow through.

Let u be the unit roundoff, γ_m = m·u / (1 − m·u), κ the largest ‖∂s/∂q‖ and V the largest ‖v‖.

**Weights.** A product of widths d that adds at most m numbers one after the other is off by γ_m·‖q‖·‖k‖ (Higham,
Accuracy and Stability of Numerical Algorithms, §3.1). The query is rounded to the type of the sums, and the product is
scaled and shifted, which are four roundings more. A logit x = (s − peak)/T adds three roundings of |x|, and its
exponential a known relative error. So each term is off by a factor from e⁻ᵟ to eᵟ, apart from an error of the peak that
all terms share. The sum of positive terms adds γ. Hence Σ|ŵ − w| ≤ ε = e²ᵟ·(1 + γ) − 1, and half of it bounds the total
variation. Terms that are dropped because they lie below the floor have at most n·e^floor of the weight.

**Output.** ‖ô − o‖ ≤ Σ|ŵ − w|·V + γ·V.

**Gradient.** With a = g·v and any level m̂, the gradient T·∂(g·o)/∂q is Σ w(a − m̂) ∂s/∂q − (m − m̂) Σ w ∂s/∂q. Let D =
Σ w|a − m̂| be the computed spread. Products a are off by η = γ·‖g‖·V. So the computed first sum is off by at most
κ·((ε + γ)·D/(1 − ε) + η). The level m = Σ wa − ∂log-partition is the one at which Σ w(a − m̂) equals the gradient of the
log-partition; the computed sum says how far m̂ is from it, up to ε·D/(1 − ε) + η. The second sum, which is left out, is
at most κ·|m − m̂|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention.arrays import F64
from attention.kernels import FLOAT_CHUNK, FLOAT_ROWS, TERM_FLOOR, kernels
from attention.lookup.memory.view import View

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
        weights: float64[q], ε, an upper bound of Σ|ŵ − w| over all rows and the null key.
    """

    rounding: Rounding
    slope: float
    value_norm: float
    inverse: F64
    weights: F64

    @classmethod
    def of(cls, view: View, rounding: Rounding, query_norms: F64, inverse: F64) -> GradientBounds:
        """Return the bounds of scaled queries with the lengths float64[q]."""
        facts = view.facts
        slope = 1.0 if view.similarity == "cosine" else facts.key_norm
        largest = query_norms * slope + (slope * slope / 2 if view.similarity == "gaussian" else 0.0)
        similarity = rounding.gamma(rounding.product_terms + 4) * largest
        logit = similarity * inverse + rounding.exponential + 5 * rounding.unit * abs(rounding.floor)
        dropped = view.n * float(np.exp(rounding.floor))
        with np.errstate(over="ignore"):
            weights = np.expm1(2 * logit) * (1 + rounding.gamma(rounding.row_terms))
        weights += rounding.gamma(rounding.row_terms) + 2 * dropped
        return cls(rounding, slope, facts.value_norm, inverse, weights)

    @property
    def total_variation(self) -> F64:
        """float64[q], bounds on the total variation of the weights, at most 1."""
        return np.minimum(self.weights / 2, 1.0)

    @property
    def output_error(self) -> F64:
        """float64[q], bounds on ‖ô − o‖."""
        return self.value_norm * (np.minimum(self.weights, 2.0) + self.rounding.gamma(self.rounding.row_terms + 2))

    def query_error(self, gradient_norms: F64, spreads: F64, excess: F64) -> F64:
        """Return float64[q], bounds on the error of the gradient of each scaled query; ∞ if none is known.

        Args:
            gradient_norms: float64[q], ‖g‖.
            spreads: float64[q], D.
            excess: float64[q], how far the computed Σ w(a − m̂) is from the gradient of the log-partition.
        """
        rounding = self.rounding
        products = rounding.gamma(rounding.value_terms + 5) * gradient_norms * self.value_norm
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = spreads * self.weights / (1 - self.weights)
            summed = spreads * rounding.gamma(rounding.row_terms + 8) / (1 - self.weights)
        error = self.slope * self.inverse * (2 * (moved + products) + summed + np.abs(excess))
        return np.where(self.weights < 1, error, np.inf)

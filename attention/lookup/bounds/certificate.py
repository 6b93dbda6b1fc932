"""The certificate of an answer: a proven bound on its error, for rows read exactly and rows scanned as 8-bit codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attention.arrays import F64
from attention.lookup.bounds.similarities import Slack
from attention.lookup.bounds.weights import bound_rounding, bound_separated, bound_sparse
from attention.lookup.softmax.distribution import SUPPORT, Distribution
from attention.lookup.softmax.mixture import Mixture


@dataclass(frozen=True)
class Certificate:
    """A proven bound on the distance between the returned answer and the true one.

    w and ŵ are the true and the returned weights, o and ô the true and the returned output (weighted sum of values).

    Attributes:
        method: "exact" if every similarity is computed in float64 over the stored float32; "quantised" if most come
            from a scan of 8-bit codes.
        total_variation: an upper bound of ½·Σ|w − ŵ| over every document and the null key. If documents have several
            keys, over the documents of the answer, all others together, and the null key.
        output_error: an upper bound of ‖o − ô‖₂; None if no output was requested.
    """

    method: str
    total_variation: float
    output_error: float | None

    def error(self, value_norm: float) -> float:
        """Return the error bound as one number, which a question's `max_error` limits.

        It is the larger of two numbers: the total variation, and the output's error divided by the largest ‖v‖.

        Args:
            value_norm: the largest length ‖v‖ of a value.
        """
        return max(self.total_variation, (self.output_error or 0.0) / max(value_norm, 1e-300))


TIGHT = 1e-6
"""A bound of at most this needs no second, sharper one."""


def total_variation(
    distribution: Distribution | Mixture,
    normaliser: str,
    similarities: F64,
    best: float,
    slack: Slack,
    documents: int,
    alike: Callable[[], bool],
) -> float:
    """Bound the total variation between true and computed weights that rounding in float64 causes.

    The bound takes every row's similarity as computed in float64; `tail_variation` bounds what 8-bit codes add.

    Args:
        distribution: the computed weights.
        normaliser: softmax, sparsemax, entmax15 or one_hot.
        similarities: float64[n], of the rows with a float64 similarity; the best of all rows is among them.
        best: the largest similarity; unused if n is 0.
        slack: a bound on the errors of the similarities.
        documents: the number of rows that pass the mask.
        alike: returns whether all rows that tie for the best are copies of one vector; called only if it matters.
    """
    if not similarities.size:
        return 0.0
    temperature, null = distribution.evidence.temperature, distribution.evidence.null_similarity
    # At T = 0 and for one_hot only the best rows have weight: the question is whether they are truly the best.
    cold = temperature == 0 or normaliser == "one_hot"
    if normaliser in SUPPORT and not cold:
        return bound_sparse(similarities, null, slack, temperature, SUPPORT[normaliser])
    bound = 1.0 if cold else bound_rounding(slack, best, temperature, distribution.mean_gap, documents)
    # The second bound calls `alike`, which may read rows, so a first bound that is tight is enough.
    if bound > TIGHT:
        separated = bound_separated(similarities, null, slack, 0.0 if cold else temperature, alike=alike())
        bound = min(bound, separated)
    return bound

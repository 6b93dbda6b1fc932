"""How far rounding in float64 can carry a computed similarity.

u = 2⁻⁵³, γ_m = m·u / (1 − m·u) (Higham, Accuracy and Stability of Numerical Algorithms, §3.1): a product of two vectors
of width d is off by at most γ_d·‖q‖·‖k‖ in any order of summation. √d adds two roundings; cosine divides by two norms,
each off by γ_(d/2 + 1) relative, with three roundings more; gaussian sums terms of one sign, so it is off by γ_(d + 4)
relative to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64

UNIT_ROUNDOFF = 2.0**-53


@dataclass(frozen=True)
class Slack:
    """How far a computed similarity or logit s can be from the true one: `absolute` + `relative`·|s|."""

    absolute: float
    relative: float

    def at(self, similarity: float) -> float:
        """The bound for one computed similarity."""
        return self.absolute + self.relative * abs(similarity)

    def in_logits(self, temperature: float, largest: float) -> Slack:
        """The bound on a logit z = (s − c)/T + bias that is computed of computed similarities, c any of them or 0.

        s is off by no more than at the largest, s − c by 2u·largest on top of it, the quotient by as much again over T;
        and the sum by u·|z|.

        Args:
            temperature: above 0.
            largest: at least |s|, and the size of a null key's similarity.
        """
        return Slack((self.at(largest) + 8 * UNIT_ROUNDOFF * largest) / temperature, 2 * UNIT_ROUNDOFF)


def similarity_slack(similarity: str, query: F64, key_norm: float) -> Slack:
    """The bound on a similarity that is computed in float64.

    Args:
        query: float64[d].
        key_norm: the largest ‖k‖.
    """
    d = query.size
    if similarity == "gaussian":
        return Slack(0.0, _gamma(d + 4))
    if similarity == "cosine":
        return Slack(_gamma(2 * d + 8), 0.0)
    absolute = _gamma(d + 2) * float(np.sqrt((query * query).sum())) * key_norm * (1 + _gamma(2 * d))
    return Slack(absolute / np.sqrt(d) if similarity == "scaled_dot" else absolute, 0.0)


def _gamma(m: int) -> float:
    return m * UNIT_ROUNDOFF / (1 - m * UNIT_ROUNDOFF)

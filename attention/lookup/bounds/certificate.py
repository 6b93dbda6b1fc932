"""The certificate of an answer: a bound on its error."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Certificate:
    """A proven bound on the distance between the returned and the true answer.

    Attributes:
        method: "exact", every similarity in float64 over the stored float32; or "quantised", a scan of 8-bit codes.
        total_variation: ½·Σ|w − ŵ| over every document and the null key is at most this; where documents have several
            keys, over the documents of the answer, all others together, and the null key.
        output_error: ‖o − ô‖₂ is at most this; None if no output was requested.
    """

    method: str
    total_variation: float
    output_error: float | None

    def error(self, value_norm: float) -> float:
        """Return what `max_error` bounds: the larger of total variation and the output's error over the largest ‖v‖."""
        return max(self.total_variation, (self.output_error or 0.0) / max(value_norm, 1e-300))

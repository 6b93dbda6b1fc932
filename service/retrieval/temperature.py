"""A collection's temperature where nothing was said."""

from __future__ import annotations

import math


def default_temperature(similarity: str, *, has_encoder: bool, dimension: int | None) -> float:
    """What sentence encoders were trained at (scale 20)."""
    if not has_encoder:
        return 0.05 if similarity == "cosine" else 1.0
    if similarity == "scaled_dot":
        return 0.05 / math.sqrt(dimension or 1)
    return 1.0 if similarity == "gaussian" else 0.05

"""A collection's temperature where nothing was said."""

from __future__ import annotations

import math

from service.encoding.temperature import Temperatures


def default_temperature(similarity: str, *, encoder: Temperatures | None, dimension: int | None) -> float:
    """Its encoder's, or without one what is usual.

    A gaussian's temperature is the square of a bandwidth, and 1 unless the encoder's maker compares by distance.
    """
    if encoder is None:
        return 0.05 if similarity == "cosine" else 1.0
    if similarity == "scaled_dot":
        return encoder["dot"].value / math.sqrt(dimension or 1)
    if similarity == "gaussian":
        return encoder["gaussian"].value if "gaussian" in encoder else 1.0
    return encoder["dot" if similarity == "dot" else "cosine"].value

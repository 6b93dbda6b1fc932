"""The null key's similarity: what the best of n unrelated texts would reach."""

from __future__ import annotations

import math
from typing import Literal

from service.encoding.background import Background
from service.encoding.temperature import Temperatures
from service.retrieval.errors import InvalidContent

NullChoice = float | Literal["auto", False]


def null_similarity(
    choice: NullChoice,
    *,
    similarity: str,
    documents: int,
    dimension: int | None,
    background: Background | None,
) -> float | None:
    """s₀ of a collection of n documents, or None for no null key.

    `"auto"` is s₀ = μ + σ√(2 ln max(n, 2)): the expected maximum of n draws from the encoder's
    background, a normal with mean μ and deviation σ; a document below it is no better than the best
    of n unrelated ones. That is a cosine; for unit vectors scaled_dot is s₀/√d and
    gaussian −‖q−k‖²/2 = s₀ − 1.
    """
    if choice is False:
        return None
    if choice != "auto":
        return float(choice)
    if background is None:
        raise InvalidContent.at(
            "/null",
            'null "auto" is measured on the encoder\'s background, and this collection has no encoder: '
            "send a similarity, or false",
        )
    level = background.mean + background.deviation * math.sqrt(2 * math.log(max(documents, 2)))
    if similarity == "scaled_dot":
        return level / math.sqrt(dimension or 1)
    if similarity == "gaussian":
        return level - 1
    return level


def default_null(has_encoder: bool) -> NullChoice:
    """A collection's null key where nothing was said."""
    return "auto" if has_encoder else False


def default_temperature(similarity: str, *, encoder: Temperatures | None, dimension: int | None) -> float:
    """A collection's temperature where nothing was said: its encoder's, or without one what is usual.

    A gaussian's temperature is the square of a bandwidth, and 1 unless the encoder's maker compares by distance.
    """
    if encoder is None:
        return 0.05 if similarity == "cosine" else 1.0
    if similarity == "scaled_dot":
        return encoder["dot"].value / math.sqrt(dimension or 1)
    if similarity == "gaussian":
        return encoder["gaussian"].value if "gaussian" in encoder else 1.0
    return encoder["dot" if similarity == "dot" else "cosine"].value

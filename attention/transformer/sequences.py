"""Sequences of tokens, one after the other, as `Packed` and `Compiled` take them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from attention.errors import ParameterError, ShapeError

Integers = npt.NDArray[np.int64]


def check_sequences(tokens: Integers, lengths: Integers) -> tuple[Integers, Integers]:
    """Tokens and lengths as int64.

    Raises:
        ParameterError: they are not integers.
        ShapeError: they do not fit each other.
    """
    for name, array in {"tokens": tokens, "lengths": lengths}.items():
        if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1:
            raise ParameterError(
                f"{name} must be a row of integers, got {array.dtype} of shape {array.shape}: "
                f"put the sequences one after the other"
            )
    if (lengths < 1).any() or lengths.sum() != len(tokens):
        raise ShapeError(
            f"lengths must be at least 1 each and sum to the {len(tokens)} tokens, "
            f"got a least of {lengths.min(initial=1)} and a sum of {lengths.sum()}"
        )
    return tokens.astype(np.int64), lengths.astype(np.int64)

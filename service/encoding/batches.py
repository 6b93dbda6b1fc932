"""Texts of like length together, so that little is spent on padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def token_batches(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Split n texts into batches that hold at most `budget` tokens once padded to their longest text.

    Args:
        lengths: int64 [n], the tokens that the model reads of each text.
        budget: tokens a batch; a longer text is a batch of its own.

    Yields:
        int64 positions, the longest texts first; every position in exactly one batch.
    """
    longest_first = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(lengths):
        longest = max(int(lengths[longest_first[start]]), 1)
        stop = start + max(budget // longest, 1)
        yield longest_first[start:stop]
        start = stop

"""What the passes of a scan are given: a stretch of keys, and the lists that they fill."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention.kernels.layout import Bytes


class Stretch(NamedTuple):
    """Keys side by side.

    Attributes:
        codes: uint8[groups, depth, 16, 4], of r keys and more.
        scales: float32[r].
        allowed: bool[r], True = may be attended to.
        base: the place of the first one among all rows.
    """

    codes: Bytes
    scales: NDArray[np.float32]
    allowed: NDArray[np.bool_]
    base: int


class Lists(NamedTuple):
    """The rows listed for q queries, as many as their lists have room for.

    Attributes:
        bars: float32[q]; similarities from here on are listed.
        places: int64[q, c].
        found: float32[q, c], their similarities.
        counts: int64[q], how much of each list is used.
    """

    bars: NDArray[np.float32]
    places: NDArray[np.int64]
    found: NDArray[np.float32]
    counts: NDArray[np.int64]

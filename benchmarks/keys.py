"""Keys to look up among: clusters of unit vectors, made block by block, and queries near some of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
WIDTH = 384
CLUSTERS = 2_000
BLOCK = 65_536


def clustered(rows: int, seed: int = 0, width: int = WIDTH) -> Iterator[Array]:
    """Yield blocks float32[≤ 65,536, width], `rows` rows in all: unit vectors around 2,000 centres, in random order."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((CLUSTERS, width), dtype=np.float32)
    for start in range(0, rows, BLOCK):
        block = centres[random.integers(0, CLUSTERS, min(BLOCK, rows - start))]
        block += random.standard_normal(block.shape, dtype=np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        yield block


def gathered(rows: int) -> Array:
    """float32[rows, 384]: the same in one piece."""
    keys = np.empty((rows, WIDTH), dtype=np.float32)
    start = 0
    for block in clustered(rows):
        keys[start : start + len(block)] = block
        start += len(block)
    return keys


def near(keys: Array, count: int, seed: int) -> Array:
    """float32[count, d]: unit vectors, each as far from some key as that is from its centre."""
    random = np.random.default_rng(seed)
    width = keys.shape[1]
    chosen = keys[random.integers(0, len(keys), count)]
    queries = chosen + random.standard_normal((count, width), dtype=np.float32) / np.float32(np.sqrt(width))
    return (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)

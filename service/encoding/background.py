"""How similar two things are, to an encoder, that have nothing to do with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attention.lookup import Background


def measure_background(questions: NDArray[np.float32], texts: NDArray[np.float32]) -> Background:
    """The cosine similarity of every question with every text of another topic.

    Args:
        questions, texts: float32 [n, d], those of `topics.TOPICS` in the same order.
    """
    similarity = _unit(questions) @ _unit(texts).T  # [n, n]
    unrelated = similarity[~np.eye(len(similarity), dtype=np.bool_)]  # [n(n − 1)]
    return Background(float(unrelated.mean()), float(unrelated.std()))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors.astype(np.float64)
    lengths = np.linalg.norm(unit, axis=1, keepdims=True)
    unit /= np.where(lengths > 0, lengths, 1.0)
    return unit

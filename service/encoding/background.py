"""How similar two things are, to an encoder, that have nothing to do with each other."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Background:
    """The cosine similarity of unrelated questions and texts: its mean μ and its standard deviation σ.

    The null level of `null: "auto"` stands on it: the best of n unrelated texts is expected near
    μ + σ√(2 ln n), so only what lies above that is evidence.
    """

    mean: float
    deviation: float

    @classmethod
    def measure(cls, questions: NDArray[np.float32], texts: NDArray[np.float32]) -> Self:
        """Measure it with every question against every text of another topic.

        Args:
            questions, texts: float32 [n, d], those of `topics.TOPICS` in the same order.
        """
        similarity = _unit(questions) @ _unit(texts).T  # [n, n]
        unrelated = similarity[~np.eye(len(similarity), dtype=np.bool_)]  # [n(n − 1)]
        return cls(float(unrelated.mean()), float(unrelated.std()))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors.astype(np.float64)
    lengths = np.linalg.norm(unit, axis=1, keepdims=True)
    unit /= np.where(lengths > 0, lengths, 1.0)
    return unit

"""How similar two things are, to an encoder, that have nothing to do with each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.encoding.texts import Purpose
from service.encoding.topics import TOPICS


@dataclass(frozen=True, slots=True)
class Background:
    """The cosine similarity of unrelated questions and texts: its mean μ and its standard deviation σ.

    The null level of `null: "auto"` stands on it: the best of n unrelated texts is expected near
    μ + σ√(2 ln n), so only what lies above that is evidence.
    """

    mean: float
    deviation: float

    @classmethod
    def measure(cls, embed: Callable[[Sequence[str], Purpose], NDArray[np.float32]]) -> Self:
        """Measure it with every question against every text of another topic of `topics.TOPICS`.

        Args:
            embed: texts and their purpose → vectors float32 [n, d].
        """
        questions = _unit(embed([topic.question for topic in TOPICS], "query"))  # [n, d]
        texts = _unit(embed([topic.text for topic in TOPICS], "document"))  # [n, d]
        similarity = questions @ texts.T  # [n, n]
        unrelated = similarity[~np.eye(len(TOPICS), dtype=np.bool_)]  # [n(n − 1)]
        return cls(float(unrelated.mean()), float(unrelated.std()))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit

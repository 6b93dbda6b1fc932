"""How similar two things are, to an encoder, that have nothing to do with each other."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from attention.lookup import Background
from service.encoding.texts import Purpose
from service.encoding.topics import TOPICS


def measure_background(embed: Callable[[Sequence[str], Purpose], NDArray[np.float32]]) -> Background:
    """The cosine similarity of every question with every text of another topic of `topics.TOPICS`.

    Args:
        embed: texts and their purpose → vectors float32 [n, d].
    """
    questions = _unit(embed([topic.question for topic in TOPICS], "query"))  # [n, d]
    texts = _unit(embed([topic.text for topic in TOPICS], "document"))  # [n, d]
    similarity = questions @ texts.T  # [n, n]
    unrelated = similarity[~np.eye(len(TOPICS), dtype=np.bool_)]  # [n(n − 1)]
    return Background(float(unrelated.mean()), float(unrelated.std()))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit

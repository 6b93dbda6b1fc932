"""The error of an engine's vectors: their distance from the layers of `SentenceEncoder` in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from attention.transformer import load, map_arrays
from benchmarks.engines.reading import in_batches, padded

BEST = 10


class Grade(IntEnum):
    """The precision that an engine can replace."""

    LESS = 0
    BFLOAT16 = 1
    FLOAT32 = 2

    def __str__(self) -> str:
        return "less" if self is Grade.LESS else self.name.lower()


FLOAT32_COSINE, FLOAT32_COMPONENT = 0.99999, 1e-5
BFLOAT16_COSINE = 0.9995  # every library's own bfloat16 is nearer than that, and no int8 is


@dataclass(frozen=True)
class Fidelity:
    """An engine's distance from the definition.

    Attributes:
        least, mean: of the cosines of each text's two vectors.
        component: the largest difference of two components.
        agreement: the share of a question's ten nearest texts that are those of the definition, mean of all questions.
    """

    least: float
    mean: float
    component: float
    agreement: float

    @property
    def grade(self) -> Grade:
        """The best that it can stand in for."""
        if self.least >= FLOAT32_COSINE and self.component <= FLOAT32_COMPONENT:
            return Grade.FLOAT32
        return Grade.BFLOAT16 if self.least >= BFLOAT16_COSINE else Grade.LESS


def definition(model: Path, texts: Sequence[str]) -> NDArray[np.float64]:
    """The vectors of n texts by the definition, float64 [n, d]."""
    layers = map_arrays(lambda array: torch.as_tensor(array).double(), load(model).model)

    def run(ids: list[list[int]]) -> NDArray[np.float64]:
        tokens, mask = padded(ids)
        with torch.inference_mode():
            return layers(torch.from_numpy(tokens), torch.from_numpy(mask.sum(1))).numpy()

    return in_batches(model, run)(texts)


def compared(
    actual: tuple[NDArray[np.float32], NDArray[np.float32]], expected: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> Fidelity:
    """An engine's vectors of questions and texts, and the definition's of the same."""
    both, wants = (np.concatenate(vectors).astype(np.float64) for vectors in (actual, expected))
    lengths = np.linalg.norm(both, axis=1) * np.linalg.norm(wants, axis=1)
    cosines = (both * wants).sum(axis=1) / lengths
    pairs = zip(nearest(*actual), nearest(*expected), strict=True)
    agreement = np.mean(
        [
            len(set(actual_indices) & set(expected_indices)) / len(expected_indices)
            for actual_indices, expected_indices in pairs
        ]
    )
    return Fidelity(float(cosines.min()), float(cosines.mean()), float(np.abs(both - wants).max()), float(agreement))


def nearest(questions: NDArray[np.floating], texts: NDArray[np.floating]) -> list[list[int]]:
    """Return the nearest texts of each question, ten of them if there are enough."""
    similarities = questions.astype(np.float64) @ texts.astype(np.float64).T
    return np.argsort(-similarities, axis=1, kind="stable")[:, :BEST].tolist()

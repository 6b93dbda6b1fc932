"""The data of every contender: clustered keys with a text and some metadata, and the ten nearest by NumPy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.keys import BLOCK, Array, gathered

TOP = 10
# Plain English words, from questions about the demo collections.
QUESTIONS = Path(__file__).parents[1] / "questions.jsonl"
WORDS = sorted(set(re.findall("[a-z]{4,}", QUESTIONS.read_text(encoding="utf-8"))))
WORDS_A_TEXT = 30


@dataclass(frozen=True)
class Documents:
    """Keys with what belongs to them; the same for the same keys.

    Attributes:
        keys: float32[n, d], unit vectors.
        texts: of each.
        percent: int[n], from 0 to 99, each of equally many documents: what filters ask for.
    """

    keys: Array
    texts: Sequence[str]
    percent: NDArray[np.int64]

    @classmethod
    def of(cls, keys: Array | None = None, *, count: int) -> Documents:
        """So many, with these keys; without them, clusters of unit vectors."""
        random = np.random.default_rng(count)
        percent = random.permutation(count) % 100
        return cls(gathered(count) if keys is None else keys, texts_of(count), percent)

    def __len__(self) -> int:
        return len(self.texts)

    def metadata(self, index: int) -> dict[str, str | int]:
        """A small flat object, as every contender takes it."""
        return {"percent": int(self.percent[index]), "source": f"source-{index % 97}", "year": 1950 + index % 75}

    def nearest(self, queries: Array, below: int | None) -> list[set[str]]:
        """The ids of the ten nearest of those with `percent` below that, of each query; None: of all."""
        best = np.empty((len(queries), 0), dtype=np.float32)
        rows = np.empty((len(queries), 0), dtype=np.int64)
        for start in range(0, len(self), BLOCK):
            similarities = queries @ self.keys[start : start + BLOCK].T
            if below is not None:
                similarities[:, self.percent[start : start + BLOCK] >= below] = -np.inf
            columns = np.broadcast_to(np.arange(start, start + similarities.shape[1]), similarities.shape)
            best, rows = np.concatenate([best, similarities], axis=1), np.concatenate([rows, columns], axis=1)
            top = np.argpartition(-best, min(TOP, best.shape[1]) - 1, axis=1)[:, :TOP]
            best, rows = np.take_along_axis(best, top, axis=1), np.take_along_axis(rows, top, axis=1)
        return [
            {id_of(column) for column, similarity in zip(row, similarities, strict=True) if similarity > -np.inf}
            for row, similarities in zip(rows.tolist(), best.tolist(), strict=True)
        ]


def id_of(index: int) -> str:
    """Return the id of the document with this index."""
    return f"{index:08}"


def texts_of(count: int) -> list[str]:
    """Some two hundred characters each."""
    chosen = np.random.default_rng(count + 1).integers(0, len(WORDS), (count, WORDS_A_TEXT))
    return [" ".join([WORDS[word] for word in row]) for row in chosen]


def questions(count: int) -> list[str]:
    """Texts of five words, no two alike."""
    chosen = np.random.default_rng(3).integers(0, len(WORDS), (count, 5))
    return [" ".join([WORDS[word] for word in row]) for row in chosen]


def recall(actual: Iterable[Sequence[str]], nearest: Iterable[set[str]]) -> float:
    """The share of the nearest that were found, over all queries that have any; 1 where none has."""
    right = expected = 0
    for ids, best in zip(actual, nearest, strict=True):
        right, expected = right + len(best.intersection(ids)), expected + len(best)
    return right / expected if expected else 1.0

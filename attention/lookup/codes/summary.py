"""What is kept of rows so that something can be said of their similarities without reading them: a few sums.

The similarity of a query is a product q′·x with a vector x that a row has whatever is asked: of `dot` the key, of
`scaled_dot` too, with q/√d for q′; of `cosine` k/‖k‖ with q/‖q‖; and of `gaussian`, as
−½‖q − k‖² = q·k − ½‖k‖² − ½‖q‖², the key and one more component, −½‖k‖², with (q, 1), but for −½‖q‖². So Σx and Σx·xᵀ
say the mean of the similarities of any query, and how far they spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from attention.dtypes import F32, F64
from attention.errors import ParameterError, ShapeError
from attention.similarity import SIMILARITIES

BATCH_ROWS = 4096


@dataclass(frozen=True, eq=False)
class KeySummary:
    """Sums over the vectors x of some rows, see above; of more rows by `+`.

    Attributes:
        similarity: which one the vectors are for.
        n: how many rows.
        documents: how many documents they are keys of.
        total: float64[w], Σx.
        gram: [w, w], Σx·xᵀ; float32 as it is kept and sent, float64 where several were added up.
        key_norm, value_norm: at least the largest ‖k‖ and ‖v‖.
        removed: how many of the rows are there no longer, by whatever was removed since the sums were made.
    """

    similarity: str
    n: int
    documents: int
    total: F64
    gram: F32 | F64
    key_norm: float
    value_norm: float
    removed: int = 0

    @classmethod
    def empty(cls, similarity: str, width: int) -> Self:
        """Of no rows, of keys of that width."""
        if similarity not in SIMILARITIES:
            raise ParameterError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {similarity!r}")
        w = width + (similarity == "gaussian")
        return cls(similarity, 0, 0, np.zeros(w), np.zeros((w, w), dtype=np.float32), 0.0, 0.0)

    @classmethod
    def of(cls, similarity: str, keys: F32, values: F32 | None = None, documents: int | None = None) -> Self:
        """Of keys float32[n, d] and values float32[n, d_v], None where the values are the keys.

        Args:
            documents: how many they are keys of; None for one each.

        Raises:
            ShapeError: the keys are no matrix, or the values are not as many.
            ParameterError: a similarity of no known name.
        """
        if keys.ndim != 2 or (values is not None and len(values) != len(keys)):
            shapes = keys.shape, None if values is None else values.shape
            raise ShapeError(f"keys must be [n, d] and values [n, d_v], got {shapes[0]} and {shapes[1]}")
        nothing = cls.empty(similarity, keys.shape[1])
        total, gram = nothing.total, nothing.gram.astype(np.float64)
        key_norm = value_norm = 0.0
        # What is not finite bounds nothing, and is found where it is used.
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(keys), BATCH_ROWS):
                some = keys[first : first + BATCH_ROWS].astype(np.float64)
                norms = _norms(some)
                vectors = _vectors(similarity, some, norms)
                total = total + vectors.sum(axis=0)
                gram += vectors.T @ vectors
                own = norms if values is None else _norms(values[first : first + BATCH_ROWS].astype(np.float64))
                key_norm, value_norm = max(key_norm, _round_up_max(norms)), max(value_norm, _round_up_max(own))
            kept = gram.astype(np.float32)
        return cls(
            similarity, len(keys), len(keys) if documents is None else documents, total, kept, key_norm, value_norm
        )

    def __add__(self, more: KeySummary) -> KeySummary:
        if self.similarity != more.similarity or self.total.shape != more.total.shape:
            mine, theirs = ((each.similarity, each.total.size) for each in (self, more))
            raise ShapeError(f"summaries of one collection can be added up, got {mine} and {theirs}")
        return KeySummary(
            self.similarity,
            self.n + more.n,
            self.documents + more.documents,
            self.total + more.total,
            np.add(self.gram, more.gram, dtype=np.float64),
            max(self.key_norm, more.key_norm),
            max(self.value_norm, more.value_norm),
            self.removed + more.removed,
        )

    def message(self) -> tuple[dict[str, Any], dict[str, F64 | F32]]:
        """What a message says of it in JSON, and the arrays that go with it: 4·w² + 8·w bytes."""
        names = ("similarity", "n", "documents", "key_norm", "value_norm", "removed")
        with np.errstate(over="ignore"):
            gram = self.gram.astype(np.float32, copy=False)
        return {name: getattr(self, name) for name in names}, {"total": self.total, "gram": gram}

    @classmethod
    def of_message(cls, said: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """From both halves of a `message`."""
        return cls(**said, total=arrays["total"], gram=arrays["gram"])


def _vectors(similarity: str, keys: F64, norms: F64) -> F64:
    """float64[r, w], what the sums are over, of keys float64[r, d] and their lengths."""
    if similarity == "cosine":
        return np.asarray(keys / norms[:, None])
    if similarity == "gaussian":
        return np.column_stack([keys, -0.5 * norms * norms])
    return keys


def _norms(vectors: F64) -> F64:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _round_up_max(norms: F64) -> float:
    """At least the largest, whatever its sum was rounded to."""
    return float(norms.max(initial=0.0)) * (1 + 1e-9)

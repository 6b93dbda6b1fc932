"""A few sums over keys, which bound the similarities of rows without reading them.

The similarity of a query is a product q′·x with a vector x of the row that does not depend on the query. For `dot` and
`scaled_dot` x is the key, with q/√d for q′ in the latter; for `cosine` it is k/‖k‖ with q/‖q‖. For `gaussian`,
−½‖q − k‖² = q·k − ½‖k‖² − ½‖q‖², so x is the key and one more component, −½‖k‖², with (q, 1), except for −½‖q‖². So Σx
and Σx·xᵀ give the mean of the similarities of any query, and their spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from softkv_attention.arrays import F32, F64
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.similarity import SIMILARITIES

BATCH_ROWS = 4096


@dataclass(frozen=True, eq=False)
class KeySummary:
    """Sums over the keys of some rows, from which bounds on their similarities with any query follow.

    Each row has a vector x: the key k for dot, k/‖k‖ for cosine, and k with one more component −½‖k‖² for gaussian. A
    similarity is a product of x with a vector made from the query. `+` adds the rows of another summary.

    Attributes:
        similarity: the name of the similarity of queries and keys.
        n: the number of rows.
        documents: the number of documents that the rows are keys of.
        total: float64[w], Σx.
        gram: [w, w], Σx·xᵀ; float32 when stored and sent, float64 after an addition.
        key_norm, value_norm: upper bounds on ‖k‖ of the keys and ‖v‖ of the values.
        removed: the number of these rows that were removed after the sums were made.
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
        """Return the summary of zero rows, for keys of this width.

        Raises:
            ParameterError: the similarity is unknown.
        """
        if similarity not in SIMILARITIES:
            raise ParameterError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {similarity!r}")
        w = width + (similarity == "gaussian")
        return cls(similarity, 0, 0, np.zeros(w), np.zeros((w, w), dtype=np.float32), 0.0, 0.0)

    @classmethod
    def of(cls, similarity: str, keys: F32, values: F32 | None = None, documents: int | None = None) -> Self:
        """Compute the summary of some rows from their keys and values.

        Args:
            similarity: the name of the similarity.
            keys: float32[n, d].
            values: float32[n, d_v]; None if the values are the keys.
            documents: the number of documents that the keys belong to; None if each key is a document.

        Raises:
            ShapeError: the keys are not a matrix, or the number of values differs from the number of keys.
            ParameterError: the similarity is unknown.
        """
        if keys.ndim != 2 or (values is not None and len(values) != len(keys)):
            shapes = keys.shape, None if values is None else values.shape
            raise ShapeError(f"keys must be [n, d] and values [n, d_v], got {shapes[0]} and {shapes[1]}")
        nothing = cls.empty(similarity, keys.shape[1])
        total, gram = nothing.total, nothing.gram.astype(np.float64)
        key_norm = value_norm = 0.0
        # A sum that is not finite bounds nothing; its readers check for that.
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(keys), BATCH_ROWS):
                batch = keys[first : first + BATCH_ROWS].astype(np.float64)
                norms = _norms(batch)
                vectors = _vectors(similarity, batch, norms)
                total = total + vectors.sum(axis=0)
                gram += vectors.T @ vectors
                value_norms = norms if values is None else _norms(values[first : first + BATCH_ROWS].astype(np.float64))
                key_norm, value_norm = max(key_norm, _round_up_max(norms)), max(value_norm, _round_up_max(value_norms))
            stored_gram = gram.astype(np.float32)
        return cls(
            similarity,
            len(keys),
            len(keys) if documents is None else documents,
            total,
            stored_gram,
            key_norm,
            value_norm,
        )

    def __add__(self, more: KeySummary) -> KeySummary:
        if self.similarity != more.similarity or self.total.shape != more.total.shape:
            mine, theirs = ((summary.similarity, summary.total.size) for summary in (self, more))
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
        """Return the summary as a message to another process: JSON fields and arrays, of 4·w² + 8·w bytes."""
        names = ("similarity", "n", "documents", "key_norm", "value_norm", "removed")
        with np.errstate(over="ignore"):
            gram = self.gram.astype(np.float32, copy=False)
        return {name: getattr(self, name) for name in names}, {"total": self.total, "gram": gram}

    @classmethod
    def of_message(cls, fields: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """Return the summary from the JSON fields and arrays that `message` made."""
        return cls(**fields, total=arrays["total"], gram=arrays["gram"])


def _vectors(similarity: str, keys: F64, norms: F64) -> F64:
    """Return float64[r, w], for each row the vector x that a `KeySummary` sums.

    x is the key k for dot, k/‖k‖ for cosine, and k with one more component −½‖k‖² for gaussian.

    Args:
        similarity: the name of the similarity.
        keys, norms: float64[r, d] and float64[r], the keys and their lengths.
    """
    if similarity == "cosine":
        return np.asarray(keys / norms[:, None])
    if similarity == "gaussian":
        return np.column_stack([keys, -0.5 * norms * norms])
    return keys


def _norms(vectors: F64) -> F64:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _round_up_max(norms: F64) -> float:
    """Return an upper bound on the largest of the norms, which includes their rounding errors; 0 without norms."""
    return float(norms.max(initial=0.0)) * (1 + 1e-9)

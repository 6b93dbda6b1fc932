"""The exact answer: the nearest rows in float64, and the softmax over all rows.

`softkv-core` computes it if it is installed. NumPy does so otherwise, and if the core's bound is loose beside the
weight of the nearest rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

TIE = 2.0**-20
"""The distance to the k-th similarity that counts as a tie, relative to the lengths: the rounding of float32."""

_LOOSE = 0.05
_NEAR = 1e-4
_LEAST_REST = 1e-6
_UNIT = 2.0**-53
_QUERIES, _ROWS = 128, 16_384


@dataclass(frozen=True)
class ExactAnswer:
    """The exact answer to a query.

    Attributes:
        rows: int64[k], the nearest rows, best first; fewer if fewer pass.
        similarities: float64[k].
        log_partition: log Σ exp(similarity / temperature) over all rows that pass.
        bound: a proven bound on the error of any weight or sum of weights.
        rounding: the part of it that is due to rounding in float64 alone, of the logits of known rows.
    """

    rows: I64
    similarities: F64
    log_partition: float
    bound: float
    rounding: float


class ExactSearch(Protocol):
    """A search that compares every row."""

    @property
    def library(self) -> str:
        """The library that computes, with its version."""

    def answers(
        self, queries: F64, k: int, temperature: float, passing: Bools | None, excluded: I64
    ) -> list[ExactAnswer]:
        """Return the exact answer to each query.

        Args:
            queries: float64[q, d].
            k: how many rows.
            temperature: T of the softmax.
            passing: bool[n], the rows that pass a filter; None for all.
            excluded: int64[q], a row that is left out of the answer to each query, or −1.
        """


def exact_search(vectors: F32, similarity: str, *, core: bool | None = None) -> ExactSearch:
    """Return the exact search over vectors [n, d].

    Args:
        vectors: finite, and of length above 0 for the cosine.
        similarity: cosine, dot or gaussian.
        core: whether `softkv-core` computes; None if it does whenever it is installed.

    Raises:
        ImportError: `core` is true and `softkv-core` is not installed.
    """
    by_numpy = NumpySearch(vectors, similarity)
    if core is False:
        return by_numpy
    try:
        return CoreSearch(vectors, similarity, by_numpy)
    except ImportError:
        if core:
            raise
        return by_numpy


def similarities(similarity: str, queries: F64, keys: F64) -> F64:
    """Return the similarity of each query [q, d] and key [n, d], as float64[q, n]."""
    products = queries @ keys.T
    if similarity == "dot":
        return products
    if similarity == "cosine":
        products /= np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(keys, axis=1)
        return products
    products -= (queries**2).sum(axis=1)[:, None] / 2
    products -= (keys**2).sum(axis=1) / 2
    return products


def count_as_similar(vectors: F32, similarity: str, rows: I64) -> I64:
    """Return how many other rows are as similar to the vector of each of some rows as this row itself, or nearly so.

    A similarity in float32 is enough for this.
    """
    counts = np.zeros(len(rows), dtype=np.int64)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    for first in range(0, len(rows), _QUERIES):
        chosen = rows[first : first + _QUERIES]
        queries, query_lengths = vectors[chosen], lengths[chosen][:, None]
        for start in range(0, len(vectors), _ROWS):
            products = queries @ vectors[start : start + _ROWS].T
            key_lengths = lengths[start : start + _ROWS]
            if similarity == "cosine":
                near = products >= (1 - _NEAR) * query_lengths * key_lengths
            elif similarity == "dot":
                near = products >= query_lengths**2 - _NEAR * query_lengths * key_lengths
            else:
                distances = query_lengths**2 + key_lengths**2 - 2 * products
                near = distances <= _NEAR * (query_lengths + key_lengths) ** 2
            counts[first : first + _QUERIES] += near.sum(axis=1)
    return counts - 1


def scale(similarity: str, query: F64, key: F64) -> float:
    """Return the size relative to which a similarity of a query [d] and a key [d] is rounded."""
    if similarity == "cosine":
        return 1.0
    lengths = np.linalg.norm(query), np.linalg.norm(key)
    return float(lengths[0] * lengths[1] if similarity == "dot" else (lengths[0] + lengths[1]) ** 2 / 2)


class NumpySearch:
    """An `ExactSearch` in float64 by NumPy, a part of the rows at a time."""

    library = f"NumPy {np.__version__}"

    def __init__(self, vectors: F32, similarity: str) -> None:
        self._vectors = vectors
        self._similarity = similarity
        self._longest = float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64).max(initial=0)))

    def answers(
        self, queries: F64, k: int, temperature: float, passing: Bools | None, excluded: I64
    ) -> list[ExactAnswer]:
        """See `ExactSearch`."""
        chosen = np.arange(len(self._vectors)) if passing is None else np.flatnonzero(passing)
        results: list[ExactAnswer] = []
        for start in range(0, len(queries), _QUERIES):
            part = slice(start, start + _QUERIES)
            results += self._batch(queries[part], k, temperature, chosen, excluded[part])
        return results

    def _batch(self, queries: F64, k: int, temperature: float, chosen: I64, excluded: I64) -> list[ExactAnswer]:
        table = np.empty((len(queries), len(chosen)))
        for start in range(0, len(chosen), _ROWS):
            keys = self._vectors[chosen[start : start + _ROWS]].astype(np.float64)
            table[:, start : start + _ROWS] = similarities(self._similarity, queries, keys)
        for query, row in enumerate(excluded):
            if row >= 0:
                table[query, chosen == row] = -np.inf
        return [self._answer(query, line, k, temperature, chosen) for query, line in zip(queries, table, strict=True)]

    def _answer(self, query: F64, line: F64, k: int, temperature: float, chosen: I64) -> ExactAnswer:
        count = min(k, int(np.isfinite(line).sum()))
        if not count:
            return ExactAnswer(np.empty(0, dtype=np.int64), np.empty(0), -np.inf, 0.0, 0.0)
        head = np.argpartition(line, -count)[-count:]
        head = head[np.lexsort((head, -line[head]))]
        top = line[head[0]]
        log_partition = top / temperature + float(np.log(np.exp((line - top) / temperature).sum()))
        rounding = self.bound_rounding(query, temperature, len(line))
        return ExactAnswer(chosen[head], line[head], log_partition, rounding, rounding)

    def bound_rounding(self, query: F64, temperature: float, n: int) -> float:
        """Bound the error of a weight: that of a logit moves the logarithm of a weight by twice as much at most."""
        length = float(np.linalg.norm(query))
        sizes = {"cosine": 1.0, "dot": length * self._longest, "gaussian": (length + self._longest) ** 2}
        logit = (len(query) + 8) * _UNIT * sizes[self._similarity] / temperature
        return float(min(1.0, np.expm1(min(2 * logit, 1.0)) + (np.log2(n) + 16) * 4 * _UNIT))


class CoreSearch:
    """An `ExactSearch` by `attention.lookup`, whose certificates bound the error."""

    def __init__(self, vectors: F32, similarity: str, by_numpy: NumpySearch) -> None:
        from attention.lookup import Memory

        self._memory = Memory.of(vectors, similarity=similarity)
        self._vectors = vectors
        self._similarity = similarity
        self._by_numpy = by_numpy
        self.library = f"softkv-core {version('softkv-core')}"

    def answers(
        self, queries: F64, k: int, temperature: float, passing: Bools | None, excluded: I64
    ) -> list[ExactAnswer]:
        """See `ExactSearch`. Without a row that is left out, a weight grows by the weight of that row."""
        from attention.lookup import attend

        if not len(queries):
            return []
        answers = attend(queries, self._memory, temperature=temperature, mask=passing, top_k=k + 1, output=False)
        values = [self._own_similarity(query, row, passing) for query, row in zip(queries, excluded, strict=True)]
        n = len(self._vectors) if passing is None else int(passing.sum())
        results = [
            _without(answer, k, row, value, temperature, self._by_numpy.bound_rounding(query, temperature, max(n, 1)))
            for answer, row, value, query in zip(answers, excluded, values, queries, strict=True)
        ]
        loose = [number for number, result in enumerate(results) if _is_loose(result, temperature)]
        again = self._by_numpy.answers(queries[loose], k, temperature, passing, excluded[loose])
        for number, result in zip(loose, again, strict=True):
            results[number] = result
        return results

    def _own_similarity(self, query: F64, row: int, passing: Bools | None) -> float | None:
        """Return the similarity of a row that is left out, or None if none is, or it does not pass anyway."""
        if row < 0 or (passing is not None and not passing[row]):
            return None
        key = self._vectors[row : row + 1].astype(np.float64)
        return float(similarities(self._similarity, query[None], key)[0, 0])


def _is_loose(answer: ExactAnswer, temperature: float) -> bool:
    return answer.bound > _LOOSE * float(weights_of(answer, answer.similarities, temperature).sum())


def _without(
    answer: Any, k: int, excluded: int, value: float | None, temperature: float, rounding: float
) -> ExactAnswer:
    """Return an answer of the core without a row of this similarity. The bound is infinite if only NumPy can tell."""
    keep = answer.numbers != excluded
    rows, values = answer.numbers[keep][:k], answer.similarities[keep][:k]
    log_partition, bound = answer.log_partition, answer.certificate.total_variation
    if log_partition is None:  # no row passes
        return ExactAnswer(rows, values, -np.inf, 0.0, 0.0)
    if value is not None:
        rest = 1 - float(np.exp(value / temperature - log_partition))
        if rest < _LEAST_REST:
            return ExactAnswer(rows, values, log_partition, np.inf, rounding)
        log_partition += np.log(rest)
        bound = min(1.0, 2 * bound / rest + 8 * _UNIT / rest)
    return ExactAnswer(rows, values, float(log_partition), float(bound) + rounding, rounding)


def weights_of(answer: ExactAnswer, values: Sequence[float] | F64, temperature: float) -> F64:
    """Return the weights of rows with these similarities."""
    return np.exp(np.asarray(values, dtype=np.float64) / temperature - answer.log_partition)

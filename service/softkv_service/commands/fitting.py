"""Fitting of a projection of queries to labelled pairs, with every document of the collection as a negative.

The projection is the identity plus a matrix D. It minimises the cross-entropy over the whole collection plus a penalty,
α‖D‖²/2p for p pairs, which pulls it towards the identity. For products this is convex, and L-BFGS from D = 0 moves D
only within the span of the pairs. The penalty and the number of steps are chosen by cross-validation among the pairs
for training. The others, which are held out, judge the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from softkv_attention.lookup import Memory, similarities_of
from softkv_attention.torch import corpus_cross_entropy
from softkv_service.retrieval.labels import MAX_RANK
from softkv_service.retrieval.projection import Projection

Array = NDArray[np.floating[Any]]

HELD_OUT = 3
"""One of this number of pairs is held out."""

FOLDS = 3
PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0)
"""The α that are tried, the strongest first. Each begins where the one before has ended."""

STEPS = (4, 8, 16)
"""The numbers of steps of L-BFGS, for each penalty, after which the quality is measured."""

SMALLEST_SHARE = 0.01
"""Directions of a projection that are weaker than this share of its strongest are left out."""

PARALLEL_PRODUCTS = 1 << 31
"""From this number of products on, torch uses several threads; with fewer, they mostly wait for each other."""

MAX_SIMILARITIES = 1 << 24
"""The most similarities, of 8 bytes each, that are computed at once."""


@dataclass(frozen=True, eq=False)
class LabelledQueries:
    """Queries with the documents that answer them.

    Attributes:
        vectors: float32[p, d]
        answers: for each query, the numbers in the memory of the documents that answer it, at least one.
    """

    vectors: NDArray[np.float32]
    answers: Sequence[Sequence[int]]

    def __len__(self) -> int:
        """Return p, the number of queries."""
        return len(self.answers)

    def part(self, indices: NDArray[np.int64]) -> LabelledQueries:
        """Return the queries with these indices int64[k]."""
        return LabelledQueries(self.vectors[indices], [self.answers[i] for i in indices])

    def split(self, parts: int) -> Iterator[tuple[LabelledQueries, LabelledQueries]]:
        """Yield each part, every `parts`-th of the queries in their order, after all others: (others, part)."""
        numbers = np.arange(len(self))
        for first in range(parts):
            chosen = numbers % parts == first
            yield self.part(numbers[~chosen]), self.part(numbers[chosen])


@dataclass(frozen=True, eq=False)
class FittedProjection:
    """A projection with its quality on pairs that it was not fitted to.

    Attributes:
        down, up: float32[r, d], of the map q → q + (q·downᵀ)·up.
        penalty, steps: the chosen α, and the steps of L-BFGS that it was given.
        before, after: float64[m], the reciprocal rank of the best right document of each held-out pair.
        is_new: bool[m], whether no pair for training has a right document in common with it.
        pairs: the number of pairs that it was fitted to.
    """

    down: NDArray[np.float32]
    up: NDArray[np.float32]
    penalty: float
    steps: int
    before: Array
    after: Array
    is_new: NDArray[np.bool_]
    pairs: int

    @property
    def gain(self) -> float:
        """The mean difference of the reciprocal ranks."""
        return float((self.after - self.before).mean())

    @property
    def error(self) -> float:
        """The standard error of that difference, which is paired."""
        return float((self.after - self.before).std(ddof=1) / math.sqrt(len(self.before)))

    @property
    def gains(self) -> bool:
        """Whether the gain is more than twice its standard error."""
        return self.gain > 2 * self.error


def fit_projection(
    memory: Memory,
    queries: LabelledQueries,
    temperature: float,
    served: Callable[[Array], Array] | None = None,
    progress: Callable[[int, int], object] = lambda done, of: None,
) -> FittedProjection:
    """Fit a projection to two thirds of the queries, and judge it on the others.

    Args:
        memory: the keys of all documents.
        queries: labelled queries, in an order that means nothing.
        temperature: the temperature of the loss, above 0.
        served: the map of queries that is in use, with which the result is compared; None for none.
        progress: is called with the number of fits that are done, and of all.
    """
    products = len(queries) * memory.view.n * queries.vectors.shape[1]
    with _use_threads(torch.get_num_threads() if products >= PARALLEL_PRODUCTS else 1):
        return _fit_and_judge(memory, queries, temperature, served, progress)


@contextmanager
def _use_threads(count: int) -> Iterator[None]:
    """Let torch compute in this number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit_and_judge(
    memory: Memory,
    queries: LabelledQueries,
    temperature: float,
    served: Callable[[Array], Array] | None,
    progress: Callable[[int, int], object],
) -> FittedProjection:
    """Fit a projection, and judge it; see `fit_projection`."""
    training, held_out = next(queries.split(HELD_OUT))
    fits = (FOLDS + 1) * len(PENALTIES)
    done = iter(range(1, fits + 1))
    quality = np.zeros((len(PENALTIES), len(STEPS)))
    for rest, fold in training.split(FOLDS):
        for i, path in enumerate(_fit_path(memory, rest, temperature)):
            for j, matrix in enumerate(path):
                quality[i, j] += reciprocal_ranks(memory, fold.vectors + fold.vectors @ matrix, fold.answers).sum()
            progress(next(done), fits)
    # argmax returns the first of equals, which has the strongest penalty and the fewest steps.
    best, step = (int(index) for index in np.unravel_index(int(np.argmax(quality)), quality.shape))
    paths = _fit_path(memory, training, temperature)
    for _ in range(best):
        next(paths)
        progress(next(done), fits)
    down, up = factor(next(paths)[step])
    progress(fits, fits)
    trained = {answer for answers in training.answers for answer in answers}
    before = held_out.vectors if served is None else served(held_out.vectors)
    return FittedProjection(
        down,
        up,
        PENALTIES[best],
        STEPS[step],
        reciprocal_ranks(memory, before, held_out.answers),
        reciprocal_ranks(memory, Projection(down, up).map_queries(held_out.vectors), held_out.answers),
        np.array([trained.isdisjoint(answers) for answers in held_out.answers]),
        len(training),
    )


def _fit_path(memory: Memory, queries: LabelledQueries, temperature: float) -> Iterator[list[NDArray[np.float64]]]:
    """Yield for each penalty the matrices D float64[d, d] after each number of steps."""
    vectors = torch.from_numpy(np.ascontiguousarray(queries.vectors))
    width = vectors.shape[1]
    # The first step of L-BFGS is the gradient over the sum of its magnitudes. At this scale D then moves by about 1.
    scale = float(width)
    scaled = torch.zeros(width, width, requires_grad=True)
    for penalty in PENALTIES:
        optimiser = torch.optim.LBFGS([scaled], line_search_fn="strong_wolfe", history_size=10)

        def loss(penalty: float = penalty, optimiser: torch.optim.Optimizer = optimiser) -> torch.Tensor:
            optimiser.zero_grad()
            matrix = scale * scaled
            entropy = corpus_cross_entropy(vectors + vectors @ matrix, memory, queries.answers, temperature)
            total = entropy + penalty * matrix.square().sum() / (2 * len(queries))
            total.backward()  # type: ignore[no-untyped-call]
            return total

        path = list[NDArray[np.float64]]()
        for before, after in zip((0, *STEPS), STEPS, strict=False):
            optimiser.param_groups[0]["max_iter"] = after - before
            optimiser.step(loss)  # type: ignore[no-untyped-call]
            path.append(scale * scaled.detach().double().numpy())
        yield path


def factor(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return float32[r, d] down and up, with q·D = (q·downᵀ)·up up to directions that hardly count; r is at least 1."""
    left, values, right = np.linalg.svd(matrix)
    rank = min(max(1, int(np.count_nonzero(values > SMALLEST_SHARE * values[0]))), MAX_RANK)
    roots = np.sqrt(values[:rank])
    return (left[:, :rank] * roots).T.astype(np.float32), (right[:rank] * roots[:, None]).astype(np.float32)


def reciprocal_ranks(memory: Memory, vectors: Array, answers: Sequence[Sequence[int]]) -> Array:
    """Return float64[q], one over the rank of the best right document among all, of several keys its best.

    Of documents that tie with it, half count as better.

    Args:
        memory: the keys of all documents.
        vectors: [q, d]
        answers: for each query, the numbers of the right documents.
    """
    ranks = np.empty(len(vectors))
    size = max(1, MAX_SIMILARITIES // max(1, memory.view.n))
    for start in range(0, len(vectors), size):
        rows = similarities_of(memory.view, vectors[start : start + size].astype(np.float64))
        order = np.argsort(rows.owners, kind="stable")
        owners, firsts = np.unique(rows.owners[order], return_index=True)
        best = np.maximum.reduceat(rows.similarities[:, order], firsts, axis=1)
        for i, row in enumerate(best, start=start):
            right = row[np.searchsorted(owners, np.asarray(answers[i]))].max()
            ranks[i] = 1 + np.count_nonzero(row > right) + (np.count_nonzero(row == right) - 1) / 2
    return 1 / ranks

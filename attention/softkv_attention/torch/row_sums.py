"""Sums over every row of a view in float32 by the kernels, and the sums of their gradients.

The rows are the float32 originals, read in tiles by all cores. `bounds.py` has the rounding errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import Lock
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary, finalize

import numpy as np

from softkv_attention.arrays import F32, F64, I64
from softkv_attention.errors import ParameterError
from softkv_attention.kernels import FloatRows, kernels, pool, similarity_columns, workers
from softkv_attention.lookup import Mask, PassingRows, Tile, View
from softkv_attention.torch.questions import key_terms

TILE_ROWS = 4096
"""The most rows that a core reads at a time."""

BATCH = 64
"""The most queries that a tile is multiplied with at a time: their sums then stay in the L2 cache."""

SIMILARITY_SHARE, SIMILARITY_BYTES = 0.2, 1 << 26
"""The most memory for the similarities of a lookup: this share of the memory of the keys, or these bytes if more."""

SHORTEST = 1e-30
"""Products with shorter keys may be denormal, and 1/‖k‖ may overflow float32."""


Sums = TypeVar("Sums")


class RowTile(NamedTuple):
    """Some rows of a view that pass a mask.

    Attributes:
        keys: float32[r, d]
        values: float32[r, d_v]; the same array as `keys` if the values are the keys.
        norms: float64[r], the lengths ‖k‖ of the keys.
    """

    keys: F32
    values: F32
    norms: F64


def row_tiles(view: View, mask: Mask | None, rows: int) -> Iterator[RowTile]:
    """Yield all rows of a view that pass a mask, at most `rows` of them at a time."""
    for tile in PassingRows(view, mask, rows).tiles:
        keys = tile.load_keys()[tile.rows]
        values = keys if tile.segment.block.values is None else tile.load_values()[tile.rows]
        yield RowTile(keys, values, tile.norms)


_SPARES: WeakKeyDictionary[View, list[F32]] = WeakKeyDictionary()
"""Memory that similarities of a view's rows were kept in, for the next lookup: new pages would cost what is saved."""


def _memory_of(spares: list[F32], size: int) -> F32:
    """Return float32[at least `size`]: a spare one, or a new one. Smaller ones are dropped."""
    with suppress(IndexError):
        while True:
            spare = spares.pop()
            if spare.size >= size:
                return spare
    return np.empty(size, dtype=np.float32)


class StoredSimilarities:
    """The similarities of some queries and all rows that pass a mask, kept from the way there for the way back."""

    def __init__(self, view: View, rows: int, queries: int) -> None:
        spares, size = _SPARES.setdefault(view, []), rows * similarity_columns(queries)
        memory = _memory_of(spares, size)
        self._numbers = memory[:size].reshape(rows, similarity_columns(queries))
        finalize(self, spares.append, memory).atexit = False

    def of(self, tile: Tile) -> F32:
        """Return float32[r, similarity_columns(q)], those of a tile's rows."""
        return self._numbers[tile.start : tile.stop]


class Blend(NamedTuple):
    """Sums over all rows for q queries. A row's term is exp((similarity − peak)/T).

    Attributes:
        peaks: float64[q], the largest similarity; −∞ without rows.
        masses: float64[q], Σ term.
        moments: float64[q], Σ term·similarity.
        outputs: float64[q, d_v], Σ term·value.
        similarities: those of each batch of queries; None if they are not stored.
    """

    peaks: F64
    masses: F64
    moments: F64
    outputs: F64
    similarities: Sequence[StoredSimilarities] | None


class Pull(NamedTuple):
    """Sums over all rows for q queries. A row's share is c = term·(gradient·value − level).

    Attributes:
        totals: float64[q], Σ c.
        moments: float64[q], Σ c·similarity.
        spreads: float64[q], Σ |c|.
        queries: float64[q, d], Σ c·∂similarity/∂query.
    """

    totals: F64
    moments: F64
    spreads: F64
    queries: F64


def blend(
    view: View, mask: Mask | None, queries: F64, inverse: F64, *, keys: bool = False, keep: bool = False
) -> Blend:
    """Blend the values of all rows that pass a mask.

    Args:
        view: the rows.
        mask: the mask; None for all rows.
        queries: float64[q, d], scaled so that similarities are products, over the length of the key under cosine and
            less half of its square under gaussian.
        inverse: float64[q], 1/T.
        keys: blend ∂similarity/∂query instead of the values: keys, over their lengths under cosine.
        keep: store the similarities for `pull`, unless they take more than SIMILARITY_SHARE and SIMILARITY_BYTES.
    """
    width = (view.dimension if keys else view.value_dimension) or 0
    vectors, inverses = queries.astype(np.float32, order="C"), inverse.astype(np.float32)
    passing, running = PassingRows(view, mask, TILE_ROWS), kernels()
    limit = max(SIMILARITY_BYTES, SIMILARITY_SHARE * 4 * view.n * (view.dimension or 0))
    keep = keep and 4 * passing.n * similarity_columns(len(queries)) <= limit
    batches: list[StoredSimilarities] = []
    peaks, sums = np.full(len(queries), -np.inf, dtype=np.float32), np.zeros((len(queries), 2))
    outputs = np.zeros((len(queries), width))
    for batch in _batches(len(queries)):
        of_batch = vectors[batch], inverses[batch]
        similarities = StoredSimilarities(view, passing.n, batch.stop - batch.start) if keep else None
        if similarities is not None:
            batches.append(similarities)

        def start(count: int = batch.stop - batch.start) -> tuple[F32, F64, F64]:
            return np.full(count, -np.inf, dtype=np.float32), np.zeros((count, 2)), np.zeros((count, width))

        def read(
            tile: Tile,
            to: tuple[F32, F64, F64],
            of_batch: tuple[F32, F32] = of_batch,
            similarities: StoredSimilarities | None = similarities,
        ) -> None:
            rows = _float_rows(tile, view.similarity)
            rows = rows._replace(values=rows.keys) if keys else rows
            of_tile = None if similarities is None else similarities.of(tile)
            best_of_thread, sums_of_thread, outputs_of_thread = to
            running.blend_rows(rows, *of_batch, keys, best_of_thread, sums_of_thread, outputs_of_thread, of_tile)

        of_threads = _read_all(passing.tiles, start, read)
        best = np.max([part[0] for part in of_threads], axis=0)
        peaks[batch] = best
        for peak, sums_of_thread, outputs_of_thread in of_threads:
            present = np.isfinite(peak)
            gap = (peak[present].astype(np.float64) - best[present]) * inverses[batch][present]
            shrink = np.exp(gap)[:, None]
            sums[batch][present] += sums_of_thread[present] * shrink
            outputs[batch][present] += outputs_of_thread[present] * shrink
    return Blend(peaks.astype(np.float64), sums[:, 0], sums[:, 1], outputs, batches if keep else None)


def pull(
    view: View,
    mask: Mask | None,
    queries: F64,
    inverse: F64,
    peaks: F64,
    gradients: F64,
    levels: F64,
    *,
    similarities: Sequence[StoredSimilarities] | None = None,
) -> Pull:
    """Pull gradients of the outputs back to the queries.

    Args:
        view, mask, queries, inverse: as in `blend`.
        peaks: float64[q], of `blend`.
        gradients: float64[q, d_v]
        levels: float64[q]
        similarities: of `blend` with the same view, mask and queries; None to compute the similarities again.
    """
    vectors, inverses, best, of_outputs, middles = (
        array.astype(np.float32, order="C") for array in (queries, inverse, peaks, gradients, levels)
    )
    tiles, running = PassingRows(view, mask, TILE_ROWS).tiles, kernels()
    sums, pulled = np.zeros((len(queries), 3)), np.zeros(queries.shape)
    for number, batch in enumerate(_batches(len(queries))):
        of_batch = vectors[batch], inverses[batch], best[batch], of_outputs[batch], middles[batch]
        of_queries = None if similarities is None else similarities[number]

        def start(count: int = batch.stop - batch.start) -> tuple[F64, F64]:
            return np.zeros((count, 3)), np.zeros((count, queries.shape[1]))

        def read(
            tile: Tile,
            to: tuple[F64, F64],
            of_batch: tuple[F32, F32, F32, F32, F32] = of_batch,
            of_queries: StoredSimilarities | None = of_queries,
        ) -> None:
            of_tile = None if of_queries is None else of_queries.of(tile)
            running.pull_rows(_float_rows(tile, view.similarity), *of_batch, *to, of_tile)

        for sums_of_thread, queries_of_thread in _read_all(tiles, start, read):
            sums[batch] += sums_of_thread
            pulled[batch] += queries_of_thread
    return Pull(sums[:, 0], sums[:, 1], sums[:, 2], pulled)


def _batches(count: int) -> Iterator[slice]:
    for first in range(0, count, BATCH):
        yield slice(first, min(first + BATCH, count))


def _float_rows(tile: Tile, similarity: str) -> FloatRows:
    """Return a tile's rows as the kernels read them, without a copy."""
    keys = tile.load_keys()
    values = keys if tile.segment.block.values is None else tile.load_values()
    rows: I64 | None = None
    if isinstance(tile.rows, slice):
        same = values is keys
        keys = keys[tile.rows]
        values = keys if same else values[tile.rows]
    else:
        rows = tile.rows.astype(np.int64, copy=False)
    if similarity == "cosine":
        check_lengths(tile.norms)
    factors, addends = (
        None if numbers is None else numbers.astype(np.float32) for numbers in key_terms(similarity, tile.norms)
    )
    return FloatRows(keys, values, rows, factors, addends)


def check_lengths(norms: F64) -> None:
    """Raise a ParameterError if a key is so short that it has lost digits in float32."""
    if len(norms) and norms.min() < SHORTEST:
        raise ParameterError(
            f"keys must be at least {SHORTEST} long for cosine in float32, one is {norms.min():.1e}: "
            "send queries of float64, or longer keys"
        )


def _read_all(tiles: Sequence[Tile], start: Callable[[], Sums], read: Callable[[Tile, Sums], None]) -> list[Sums]:
    """Read all tiles in as many threads as there are cores; return the sums of each thread."""
    remaining, turn = iter(tiles), Lock()

    def work() -> Sums:
        sums = start()
        while True:
            with turn:
                tile = next(remaining, None)
            if tile is None:
                return sums
            read(tile, sums)

    # NumPy's products run in several threads by themselves.
    threads = min(workers(), len(tiles)) if kernels().SCANS else 1
    futures = [pool().submit(work) for _ in range(threads - 1)]
    return [work(), *(future.result() for future in futures)]


def document_rows(view: View, mask: Mask | None, documents: I64) -> tuple[I64, I64]:
    """Return the rows of some documents that pass a mask: their documents int64[m], ascending, and their numbers.

    Args:
        view: the view.
        mask: the mask; None for all rows.
        documents: int64[r], the documents, in any order; unknown ones are ignored.
    """
    selected = view.mask(documents)
    owners, numbers = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for segment, passes in view.passing(selected if mask is None else selected & mask):
        owners.append(segment.owners if passes is None else segment.owners[passes])
        numbers.append(segment.numbers if passes is None else segment.numbers[passes])
    of_rows = np.concatenate(owners)
    order = np.argsort(of_rows, kind="stable")
    return of_rows[order], np.concatenate(numbers)[order]

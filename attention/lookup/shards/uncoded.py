"""Rows without codes as a part: read in float64, summed below a threshold and listed above it as they are read.

Nothing as long as the rows is held: a tile's similarities become sums and a list before the next one is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F32, F64, I64
from attention.kernels import kernels, pool, workers
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.tiles import PassingRows, Tile
from attention.lookup.rescoring.originals import compute_all_similarities
from attention.lookup.scan.accumulator import NO_THRESHOLD, VALUE_ERRORS
from attention.lookup.scan.thresholds import ThresholdSample, merge_thresholds
from attention.lookup.shards.local import LocalShard
from attention.lookup.shards.scan_result import Scanned, ScanRequest, Sums

TILE_ROWS = 2_048

MAX_TILES_PER_SUM = 64
"""So many tiles at most are blended one after another; what these come to is added up in pairs."""

SLACK_FACTOR = 4
"""So many times the slack a row is taken to be off: one that is scanned lower than that is neither among the best, nor
may it truly be level with them, see `bounds.weights.bound_separated`."""

MIN_LOGIT = -700.0
"""The logarithm of the least term there is, relative to a threshold."""


class UncodedShard(LocalShard):
    """The rows of a view that a mask lets through, which need no codes.

    What is scanned of them is off by no more than what float64 leaves open. There is no histogram.
    """

    method = "exact"

    def fits(self, query: F64) -> bool:
        """Whether a scan can hold the products of its keys with a query: float64 does."""
        return True

    def sample_similarities(self, request: ScanRequest, sampling: ThresholdSample) -> tuple[F32, int]:
        """What a sample says of where lists are to open, see `thresholds.sample_best`."""
        vectors = request.vectors
        found, seen = [np.full((len(vectors), sampling.count), float(NO_THRESHOLD))], 0
        for segment, passes in self._view.passing(self._mask):
            places = sampling.of_segment(segment)
            if passes is not None:
                places = places[passes[places]]
            found.append(
                compute_all_similarities(self.facts.similarity, [Tile(segment, places, 0, len(places))], vectors)
            )
            seen += len(places)
        everything = np.sort(np.concatenate(found, axis=1), axis=1)
        return everything[:, -sampling.count :].astype(np.float32), seen

    def codes(self, request: ScanRequest) -> QueryCodes:
        """The queries as they are: none of what they are coded with is left out."""
        vectors = request.vectors
        count, none = len(vectors), np.zeros(len(vectors))
        return QueryCodes(np.zeros((count, 0), np.int16), none, none, np.zeros_like(vectors), none, fine=True)

    def _scan(self, request: ScanRequest, queries: QueryCodes, thresholds: F32 | None) -> Scanned:
        """See `LocalShard`: every row that passes is read once."""
        assert request.temperatures is not None
        if thresholds is None:
            sampling = ThresholdSample.of(self.sample_stride, self.facts.n, request.listed)
            thresholds = merge_thresholds([self.sample_similarities(request, sampling)], sampling.count)
        levels = thresholds.astype(np.float64)
        warmth = np.maximum(request.temperatures, 1e-30)
        starts = {id(tile.segment): tile.start for tile in self._rows.tiles}
        vectors, similarity = request.vectors, self.facts.similarity

        width = (self.facts.value_dimension or 0) if request.outputs else 0

        def read(tiles: Sequence[Tile]) -> tuple[list[_Read], F64]:
            blend = np.zeros((len(vectors), width))
            begins = [starts[id(tile.segment)] for tile in tiles]
            own = zip(tiles, begins, strict=True)
            return [_Read.of(similarity, tile, at, vectors, levels, warmth, blend) for tile, at in own], blend

        tiles = PassingRows(self._view, self._mask, TILE_ROWS).tiles
        each = min(MAX_TILES_PER_SUM, -(-len(tiles) // workers()))
        runs = [tiles[first : first + each] for first in range(0, len(tiles), each)]
        contexts = [copy_context() for _ in runs]  # whose kernels are those that this answer is made with
        done = list(pool().map(lambda run, context: context.run(read, run), runs, contexts))
        found = [each for some, _ in done for each in some]
        largest = np.max([each.largest for each in found], axis=0)
        sizes = zip(vectors, largest.tolist(), strict=True)
        errors = np.array([SLACK_FACTOR * self.slack(vector).at(size) for vector, size in sizes])
        none = np.zeros(len(vectors))
        begins, places, similarities = _sort_candidates(
            [each.places for each in found], [each.listed for each in found]
        )
        return Scanned(
            Sums(
                np.where(thresholds > NO_THRESHOLD, levels, -np.inf),
                levels,
                _sum_in_pairs([each.sums for each in found]),
                _sum_in_pairs([blend for _, blend in done]) if request.outputs else None,
                np.zeros((len(vectors), len(VALUE_ERRORS))),
            ),
            np.stack([errors, none, errors], axis=1),
            begins,
            places,
            similarities,
            np.zeros(len(vectors), dtype=np.int64),  # known well enough for their weight
            None,
            none,
        )


@dataclass(frozen=True, eq=False)
class _Read:
    """What one tile comes to.

    Attributes:
        sums: float64[q, 3], see `ScanResult`.
        places, listed: of each query where the rows from its threshold on stand, and their similarities.
        largest: float64[q], the largest size of a similarity.
    """

    sums: F64
    places: Sequence[I64]
    listed: Sequence[F64]
    largest: F64

    @classmethod
    def of(cls, similarity: str, tile: Tile, start: int, vectors: F64, levels: F64, warmth: F64, blend: F64) -> _Read:
        """Of a tile whose segment begins at place `start`; Σe·v is added to the blend float64[q, d_v], if d_v > 0."""
        alone = Tile(tile.segment, tile.rows, 0, tile.stop - tile.start)
        similarities = compute_all_similarities(similarity, [alone], vectors)
        above = similarities >= levels[:, None]
        x = np.clip((similarities - levels[:, None]) / warmth[:, None], MIN_LOGIT, 0.0)
        terms = np.where(above, 0.0, np.exp(x))
        if blend.shape[1]:
            kernels().all_sums(tile.load_values(), tile.indices, terms, blend)
        rows = [np.flatnonzero(row) for row in above]
        return cls(
            np.stack([terms.sum(axis=1), (terms * x).sum(axis=1), (terms * terms).sum(axis=1)], axis=1),
            [start + tile.indices[own] for own in rows],
            [row[own] for row, own in zip(similarities, rows, strict=True)],
            np.abs(similarities).max(axis=1),
        )


def _sum_in_pairs(sums: Sequence[F64]) -> F64:
    """Their sum, each number added up in pairs."""
    return np.asarray(np.stack(sums, axis=-1).sum(axis=-1))


def _sort_candidates(places: Sequence[Sequence[I64]], listed: Sequence[Sequence[F64]]) -> tuple[I64, I64, F64]:
    """Where each query's rows begin int64[q + 1], places and similarities of what all tiles listed, best first."""
    similarities = [np.concatenate(own) for own in zip(*listed, strict=True)]
    orders = [np.argsort(-own, kind="stable") for own in similarities]
    stand = [np.concatenate(own)[order] for own, order in zip(zip(*places, strict=True), orders, strict=True)]
    starts = np.append(0, np.cumsum([len(own) for own in similarities]))
    scanned = [own[order] for own, order in zip(similarities, orders, strict=True)]
    return starts, np.concatenate(stand), np.concatenate(scanned)

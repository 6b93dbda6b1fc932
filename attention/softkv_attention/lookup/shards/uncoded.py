"""A shard of rows without 8-bit codes.

Its scan reads the float32 originals. It lists rows above a threshold, and sums the others as it reads them.

No array as long as the rows is in memory: a tile's similarities become sums and a list before the next tile is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass

import numpy as np

from softkv_attention.arrays import F32, F64, I64
from softkv_attention.kernels import kernels, pool, workers
from softkv_attention.lookup.codes.quantisation import QueryCodes
from softkv_attention.lookup.memory.tiles import PassingRows, Tile
from softkv_attention.lookup.rescoring.originals import compute_all_similarities
from softkv_attention.lookup.scan import NO_THRESHOLD, VALUE_ERRORS, ThresholdSample, merge_thresholds
from softkv_attention.lookup.shards.local import TILE_ROWS, LocalShard
from softkv_attention.lookup.shards.scan_result import RawScan, ScanRequest, Sums

MAX_TILES_PER_SUM = 64
"""The most tiles whose outputs are added one after another; these sums are then added in pairs."""

SLACK_FACTOR = 4
"""The assumed error of a similarity, in units of its slack. A row that is scanned lower than the best by more than that
is neither among the best, nor can it truly tie with them, see `bounds.weights.bound_separated`."""

MIN_LOGIT = -700.0
"""The smallest logit of a term, relative to a threshold."""


class UncodedShard(LocalShard):
    """The rows of a view that pass a mask, scanned in float64 because they have no 8-bit codes.

    Scanned similarities have only the rounding errors of float64. The scan does not make histograms.
    """

    method = "exact"

    def fits(self, query: F64) -> bool:
        """Return True, because a scan computes everything in float64, in which the products of any query fit."""
        return True

    def sample_similarities(self, request: ScanRequest, sampling: ThresholdSample) -> tuple[F32, int]:
        """Return float32[q, count], each query's best similarities in a sample of rows, and the size of the sample.

        Args:
            request: the queries.
            sampling: which rows to sample, and `count`.
        """
        vectors = request.vectors
        samples, seen = [np.full((len(vectors), sampling.count), float(NO_THRESHOLD))], 0
        for segment, passes in self._view.passing(self._mask):
            positions = sampling.of_segment(segment)
            if passes is not None:
                positions = positions[passes[positions]]
            tile = Tile(segment, positions, 0, len(positions))
            samples.append(compute_all_similarities(self.facts.similarity, [tile], vectors))
            seen += len(positions)
        ascending = np.sort(np.concatenate(samples, axis=1), axis=1)
        return ascending[:, -sampling.count :].astype(np.float32), seen

    def codes(self, request: ScanRequest) -> QueryCodes:
        """Return empty integer codes, because this scan reads the queries in float64.

        The errors that they state are 0.
        """
        vectors = request.vectors
        count, zeros = len(vectors), np.zeros(len(vectors))
        return QueryCodes(np.zeros((count, 0), np.int16), zeros, zeros, np.zeros_like(vectors), zeros, fine=True)

    def _scan(self, request: ScanRequest, queries: QueryCodes, thresholds: F32 | None) -> RawScan:
        """Scan every row that passes the mask in float64, and return its candidates and the sums over all other rows.

        Args:
            request: the queries, and what to compute for them.
            queries: not used.
            thresholds: float32[q], the similarity from which a row is listed; None to choose it from a sample.
        """
        assert request.temperatures is not None
        if thresholds is None:
            sampling = ThresholdSample.of(self.sample_stride, self.facts.n, request.listed)
            thresholds = merge_thresholds([self.sample_similarities(request, sampling)], sampling.count)
        levels = thresholds.astype(np.float64)
        temperatures = np.maximum(request.temperatures, 1e-30)
        first_rows = {id(tile.segment): tile.start for tile in self._rows.tiles}
        vectors, similarity = request.vectors, self.facts.similarity
        width = (self.facts.value_dimension or 0) if request.outputs else 0

        def scan_run(run: Sequence[Tile]) -> tuple[list[_TileScan], F64]:
            outputs = np.zeros((len(vectors), width))
            scans = [
                _TileScan.of(similarity, tile, first_rows[id(tile.segment)], vectors, levels, temperatures, outputs)
                for tile in run
            ]
            return scans, outputs

        tiles = PassingRows(self._view, self._mask, TILE_ROWS).tiles
        run_length = min(MAX_TILES_PER_SUM, -(-len(tiles) // workers()))
        runs = [tiles[first : first + run_length] for first in range(0, len(tiles), run_length)]
        contexts = [copy_context() for _ in runs]  # they have the kernels that were pinned for this answer
        results = list(pool().map(lambda run, context: context.run(scan_run, run), runs, contexts))
        scans = [scan for run_scans, _ in results for scan in run_scans]
        largest = np.max([scan.largest for scan in scans], axis=0)
        sizes = zip(vectors, largest.tolist(), strict=True)
        errors = np.array([SLACK_FACTOR * self.slack(vector).at(size) for vector, size in sizes])
        zeros = np.zeros(len(vectors))
        starts, rows, similarities = _sort_candidates(scans)
        return RawScan(
            Sums(
                np.where(thresholds > NO_THRESHOLD, levels, -np.inf),
                levels,
                _sum_in_pairs([scan.sums for scan in scans]),
                _sum_in_pairs([outputs for _, outputs in results]) if request.outputs else None,
                np.zeros((len(vectors), len(VALUE_ERRORS))),
            ),
            np.stack([errors, zeros, errors], axis=1),
            starts,
            rows,
            similarities,
            np.zeros(len(vectors), dtype=np.int64),  # scanned similarities are exact enough for weights
            None,
            zeros,
        )


@dataclass(frozen=True, eq=False)
class _TileScan:
    """The result of scanning one tile (run of rows) for q queries: sums, and the rows above each query's threshold.

    Attributes:
        sums: float64[q, 3]: Σe, Σe·x and Σe² over the rows below the threshold, with x = (s − threshold)/T and e =
            exp(x).
        rows, similarities: for each query the rows at or above its threshold, and their similarities.
        largest: float64[q], the largest absolute similarity.
    """

    sums: F64
    rows: Sequence[I64]
    similarities: Sequence[F64]
    largest: F64

    @classmethod
    def of(
        cls, similarity: str, tile: Tile, start: int, vectors: F64, levels: F64, temperatures: F64, outputs: F64
    ) -> _TileScan:
        """Scan one tile (run of rows) in float64 for q queries.

        Args:
            similarity: the name of the similarity.
            tile: the rows.
            start: the index in the view of the first row of the tile's segment (block).
            vectors: float64[q, d], the queries.
            levels, temperatures: float64[q], the threshold and the temperature of each query.
            outputs: float64[q, d_v], to which Σ v·exp((s − threshold)/T) over the rows below the threshold is added;
                d_v = 0 if no output is requested.
        """
        single = Tile(tile.segment, tile.rows, 0, tile.stop - tile.start)
        similarities = compute_all_similarities(similarity, [single], vectors)
        is_listed = similarities >= levels[:, None]
        x = np.clip((similarities - levels[:, None]) / temperatures[:, None], MIN_LOGIT, 0.0)
        terms = np.where(is_listed, 0.0, np.exp(x))
        if outputs.shape[1]:
            kernels().all_sums(tile.load_values(), tile.indices, terms, outputs)
        listed = [np.flatnonzero(row) for row in is_listed]
        return cls(
            np.stack([terms.sum(axis=1), (terms * x).sum(axis=1), (terms * terms).sum(axis=1)], axis=1),
            [start + tile.indices[positions] for positions in listed],
            [row[positions] for row, positions in zip(similarities, listed, strict=True)],
            np.abs(similarities).max(axis=1),
        )


def _sum_in_pairs(terms: Sequence[F64]) -> F64:
    """Return the sum of all terms, added in pairs to keep rounding errors small."""
    return np.asarray(np.stack(terms, axis=-1).sum(axis=-1))


def _sort_candidates(scans: Sequence[_TileScan]) -> tuple[I64, I64, F64]:
    """Return the candidates (listed rows) of all tiles, each query's best first.

    Returns:
        The start of each query int64[q + 1], the rows int64[m], and their similarities float64[m].
    """
    rows, similarities = [], []
    for query in range(len(scans[0].rows)):
        unsorted = np.concatenate([scan.similarities[query] for scan in scans])
        order = np.argsort(-unsorted, kind="stable")
        similarities.append(unsorted[order])
        rows.append(np.concatenate([scan.rows[query] for scan in scans])[order])
    starts = np.append(0, np.cumsum([len(values) for values in similarities]))
    return starts, np.concatenate(rows), np.concatenate(similarities)

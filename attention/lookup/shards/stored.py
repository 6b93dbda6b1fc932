"""The half of a shard that the exact path uses: rows in this process, every similarity in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.bounds.similarities import similarity_slack
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question
from attention.lookup.rescoring.originals import compute_all_similarities, compute_all_sums
from attention.lookup.rescoring.ranking import DocumentGrouping, refine_similarities
from attention.lookup.softmax.distribution import relative_logits

TILE_ROWS = 2048


class StoredRows:
    """The half of a `Shard` that the exact path uses, over originals that this process can read.

    Attributes:
        facts: statistics of the view, or of all shards if this is one of several.
    """

    def __init__(self, view: View, mask: Mask | None, facts: BlockStatistics | None = None) -> None:
        self._view, self._mask = view, mask
        self.facts = facts or view.facts

    @cached_property
    def _passing(self) -> PassingRows:
        return PassingRows(self._view, self._mask, TILE_ROWS)

    @cached_property
    def rows(self) -> I64:
        """See `Shard`; they ascend."""
        segments, passing = self._view.segments, self._passing
        if passing.n == sum(segment.count for segment in segments):
            return np.arange(passing.n)
        starts, start = dict[int, int](), 0
        for segment in segments:
            starts[id(segment)] = start
            start += segment.count
        rows = [starts[id(tile.segment)] + tile.indices for tile in passing.tiles]
        return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)

    @property
    def row_order(self) -> I64 | None:
        """See `Shard`."""
        return None

    @property
    def term_count(self) -> int:
        """See `Shard`: tiles are summed one by one, and within a tile its rows."""
        tiles = self._passing.tiles
        return len(tiles) + max((tile.stop - tile.start for tile in tiles), default=0)

    @cached_property
    def grouping(self) -> DocumentGrouping | None:
        """See `Shard`."""
        return DocumentGrouping(self._passing.owners()) if self.facts.several else None

    def read_biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """See `Shard`."""
        addends: dict[int, F64] = {}
        for bias in (question.bias for question in questions):
            if bias is not None and id(bias) not in addends:
                addends[id(bias)] = bias.all_of(self._passing.places)
        return [addends.get(id(question.bias)) for question in questions]

    def read_similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """See `Shard`: computed by tile, then refined where the head is decided."""
        queries = np.array([question.vector for question in questions])
        view, similarity, passing = self._view, self._view.similarity, self._passing
        similarities = compute_all_similarities(similarity, passing.tiles, queries, beyond_memory=view.beyond_memory)
        if passing.n:
            for row, question, addends in zip(similarities, questions, biases, strict=True):
                rounding, k = similarity_slack(similarity, question.vector, self.facts.key_norm), max(question.cap, 1)
                temperature = question.temperature
                if addends is None or not temperature:
                    error = rounding.at(float(row.max()))
                    refine_similarities(passing, similarity, question.vector, row, k, error)
                else:
                    assert not isinstance(temperature, Auto)
                    logits, _ = relative_logits(row, addends, temperature)
                    error = rounding.in_logits(temperature, float(np.abs(row).max())).at(float(np.abs(logits).max()))
                    refine_similarities(passing, similarity, question.vector, row, k, error, logits)
        return similarities

    def recompute(self, question: Question, similarities: F64) -> F64:
        """See `Shard`."""
        refined = similarities.copy()
        if self._passing.n:
            refine_similarities(self._passing, self._view.similarity, question.vector, refined, self._passing.n, 0.0)
        return refined

    def weighted_sums(self, weights: F64) -> F64:
        """See `Shard`."""
        view = self._view
        return compute_all_sums(
            self._passing.tiles, weights, view.value_dimension or 0, beyond_memory=view.beyond_memory
        )

"""Every row of a view that a mask lets through, as the exact path reads them: each similarity in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.lookup.bounds.similarities import similarity_slack
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.tiles import PassingRows, are_copies
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question
from attention.lookup.rescoring.originals import compute_all_similarities, compute_all_sums
from attention.lookup.rescoring.ranking import DocumentGrouping, refine_similarities
from attention.lookup.shards.parted import Parted
from attention.lookup.softmax.distribution import relative_logits

TILE_ROWS = 2048


class EveryRow(Protocol):
    """Rows, which stand at places counted from 0; all there are, or those that pass.

    Attributes:
        facts: of all rows of the view.
        n: how many there are.
        terms: as many numbers at most are added one by one where values are summed.
    """

    facts: BlockStatistics
    n: int
    terms: int

    @property
    def all_numbers(self) -> I64:
        """int64[n], the row numbers."""

    @property
    def owners(self) -> I64:
        """int64[n], the documents that they are keys of."""

    @property
    def grouping(self) -> DocumentGrouping | None:
        """Which of them are keys of one document; None where no document has several."""

    @property
    def order(self) -> I64 | None:
        """int64[n], by which rows that tie are told apart; None where it is by their places."""

    def biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """float64[n] for each question that has a bias, one for all that share it."""

    def similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """float64[q, n], summed alike where they decide the head, or the logits beside a bias do."""

    def summed_alike(self, question: Question, similarities: F64) -> F64:
        """float64[n], a copy in which every similarity is summed alike."""

    def sums(self, weights: F64) -> F64:
        """float64[q, d_v]: the values of all rows weighted by float64[q, n]."""

    def numbers(self, places: Index) -> I64:
        """The row numbers at `places`."""

    def alike(self, places: Index) -> bool:
        """Whether the rows at `places`, ascending, hold copies of one key."""


class Read:
    """Rows of a view that lie here, see `EveryRow`."""

    def __init__(self, view: View, mask: Mask | None) -> None:
        self._view, self._passing = view, PassingRows(view, mask, TILE_ROWS)
        self.facts, self.n = view.facts, self._passing.n
        tiles = self._passing.tiles
        self.terms = len(tiles) + max((tile.stop - tile.start for tile in tiles), default=0)

    @property
    def all_numbers(self) -> I64:
        """See `EveryRow`."""
        return self.numbers(np.arange(self.n))

    @property
    def owners(self) -> I64:
        """See `EveryRow`."""
        return self._passing.owners()

    @cached_property
    def grouping(self) -> DocumentGrouping | None:
        """See `EveryRow`."""
        return DocumentGrouping(self.owners) if self.facts.several else None

    @property
    def order(self) -> I64 | None:
        """Their numbers, where parts have them in any order; or None."""
        return self.all_numbers if isinstance(self._view, Parted) else None

    def biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """See `EveryRow`."""
        found: dict[int, F64] = {}
        for bias in (question.bias for question in questions):
            if bias is not None and id(bias) not in found:
                found[id(bias)] = bias.all_of(self._passing.places)
        return [found.get(id(question.bias)) for question in questions]

    def similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """See `EveryRow`: scanned by tile first."""
        queries = np.array([question.vector for question in questions])
        view, similarity = self._view, self._view.similarity
        similarities = compute_all_similarities(
            similarity, self._passing.tiles, queries, beyond_memory=view.beyond_memory
        )
        if self.n:
            for row, question, own in zip(similarities, questions, biases, strict=True):
                rounding, k = similarity_slack(similarity, question.vector, self.facts.key_norm), max(question.cap, 1)
                temperature = question.temperature
                if own is None or not temperature:
                    error = rounding.at(float(row.max()))
                    refine_similarities(self._passing, similarity, question.vector, row, k, error)
                else:
                    assert not isinstance(temperature, Auto)
                    logits, _ = relative_logits(row, own, temperature)
                    error = rounding.in_logits(temperature, float(np.abs(row).max())).at(float(np.abs(logits).max()))
                    refine_similarities(self._passing, similarity, question.vector, row, k, error, logits)
        return similarities

    def summed_alike(self, question: Question, similarities: F64) -> F64:
        """See `EveryRow`."""
        known = similarities.copy()
        if self.n:
            refine_similarities(self._passing, self._view.similarity, question.vector, known, self.n, 0.0)
        return known

    def sums(self, weights: F64) -> F64:
        """See `EveryRow`."""
        view = self._view
        return compute_all_sums(
            self._passing.tiles, weights, view.value_dimension or 0, beyond_memory=view.beyond_memory
        )

    def numbers(self, places: Index) -> I64:
        """See `EveryRow`."""
        return self._passing.places.numbers(places)

    def alike(self, places: Index) -> bool:
        """See `EveryRow`."""
        return are_copies(self._passing.places, places)

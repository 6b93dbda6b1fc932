"""Every row that passes, of those that others hold, as the exact path asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.lookup.memory.view import Mask
from attention.lookup.question import Question
from attention.lookup.rescoring.ranking import DocumentGrouping
from attention.lookup.shards.every_row import TILE_ROWS
from attention.lookup.shards.remote.shard import alike
from attention.lookup.shards.remote.view import Message, RemoteView, condition_of


class RemoteRows:
    """See `EveryRow`: rows stand in the order in which their holders told of them."""

    def __init__(self, view: RemoteView, mask: Mask | None) -> None:
        self._view, self._mask = view, mask
        self.facts = view.facts
        self.n = view.n if mask is None else mask.n
        # Of each holder's blocks the last tile may be cut short, and what holders have summed is added up.
        self.terms = self.n // TILE_ROWS + 3 * self.facts.blocks + TILE_ROWS
        self._numbers = self._owners = np.empty(0, dtype=np.int64)

    @property
    def all_numbers(self) -> I64:
        """See `EveryRow`; after `similarities`."""
        return self._numbers

    @property
    def owners(self) -> I64:
        """See `EveryRow`; after `similarities`."""
        return self._owners

    @cached_property
    def grouping(self) -> DocumentGrouping | None:
        """See `EveryRow`; after `similarities`."""
        return DocumentGrouping(self._owners) if self.facts.several else None

    @property
    def order(self) -> I64 | None:
        """Their numbers; after `similarities`."""
        return self._numbers

    def biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """There are none: a bias is made of a view whose rows lie here."""
        return [None] * len(questions)

    def similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """See `EveryRow`; every one is summed alike."""
        if not self.n:
            return np.empty((len(questions), 0))
        said = {"call": "rows", "condition": condition_of(self._mask)}
        arrays = {"vectors": np.array([question.vector for question in questions])}
        found = [arrays for _, arrays in self._view.ask().every((said, arrays))]
        self._numbers, self._owners = (np.concatenate([each[name] for each in found]) for name in ("numbers", "owners"))
        return np.concatenate([each["similarities"] for each in found], axis=1)

    def summed_alike(self, question: Question, similarities: F64) -> F64:
        """They are."""
        return similarities

    def sums(self, weights: F64) -> F64:
        """See `EveryRow`."""
        total = np.zeros((len(weights), self._view.value_dimension or 0))
        said = {"call": "sums", "condition": condition_of(self._mask)}

        def message(at: Index) -> Message:
            return said, {"numbers": self._numbers[at], "weights": weights[:, at]}

        for _, (_, arrays) in self._view.ask().those(self._numbers, message):
            total += arrays["outputs"]
        return total

    def numbers(self, places: Index) -> I64:
        """See `EveryRow`."""
        return self._numbers[places]

    def alike(self, places: Index) -> bool:
        """See `EveryRow`."""
        return alike(self._view, self._numbers[places])

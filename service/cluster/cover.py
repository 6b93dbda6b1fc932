"""The ranges of one version of a collection, in the hands of slots: what the lookup asks of its holders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attention.dtypes import I64, Index
from attention.lookup import Facts, Message
from service.cluster.calling import Calling
from service.cluster.placement import RANGE_ROWS
from service.cluster.round import Asked


@dataclass(frozen=True, eq=False)
class ToldRange:
    """What a slot told of a range.

    Attributes:
        facts: of its rows.
        dimension: the keys' width; None where it never had any.
        end: the number behind its last row.
        coded: whether its rows have codes.
    """

    facts: Facts
    dimension: int | None
    end: int
    coded: bool


class Cover:
    """Some ranges of one version, see `attention.lookup.Holders`.

    Args:
        told: of each range, by its first row.
    """

    def __init__(self, calling: Calling, asked: Asked, told: Mapping[int, ToldRange]) -> None:
        self._calling, self._asked = calling, asked
        self._first_rows = np.array(sorted(told), dtype=np.int64)
        # The rows of a document that begins in a range may go on behind its end.
        self._ends = np.array([max(each + RANGE_ROWS, told[each].end) for each in self._first_rows.tolist()])

    def every(self, message: Message) -> Sequence[Message]:
        """Ask about all rows."""
        return [answer for _, answer in self._calling.ask(self._asked, self._first_rows.tolist(), lambda _: message)]

    def those(self, numbers: I64, message: Callable[[Index], Message]) -> Sequence[tuple[Index, Message]]:
        """Ask about rows, or documents, by their numbers."""
        if not len(numbers):
            return []
        whose = self._first_rows[np.searchsorted(self._ends, numbers, side="right")]
        places = {first_row: np.flatnonzero(whose == first_row) for first_row in np.unique(whose).tolist()}

        def at(first_rows: Sequence[int]) -> Index:
            return np.sort(np.concatenate([places[first_row] for first_row in first_rows]))

        replies = self._calling.ask(self._asked, list(places), lambda first_rows: message(at(first_rows)))
        return [(at(first_rows), answer) for first_rows, answer in replies]

"""Rows that are sent together, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from softkv.answers.report import Refusal
from softkv.calls.lines import Line
from softkv.errors import Flaw, Invalid


class Batch:
    """Rows that are sent together.

    Attributes:
        first: the place of the first of them.
        rows: how many they are, those that were refused here included.
        lines: those that are to be sent.
        ids: of these.
        refused: the others.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.rows = 0
        self.size = 0
        self.lines: list[Line] = []
        self.ids: set[str] = set()
        self.refused: list[Refusal] = []

    def add(self, row: Line) -> None:
        """One more row; of two with one id the service takes the first."""
        self.rows += 1
        if row.id is not None and row.id in self.ids:
            detail = f"the id {row.id!r} is in this request twice: send each id once"
            self.refused.append(Refusal.of(row.place, row.id, [Flaw("/id", detail)]))
            return
        if row.id is not None:
            self.ids.add(row.id)
        self.lines.append(row)
        self.size += len(row.content) + 1

    def refuse(self, place: int, name: str | None, error: Invalid) -> None:
        """One more row, which is not sent."""
        self.rows += 1
        self.refused.append(Refusal.of(place, name, error.errors))


class Outcome:
    """What became of a batch; fields as in a report."""

    def __init__(self, refused: Iterable[Refusal]) -> None:
        self.upserted = 0
        self.skipped: list[str] = []
        self.truncated: list[str] = []
        self.refused = list(refused)

    def refuse(self, row: Line, flaws: Sequence[Flaw]) -> None:
        """One more row that was not written."""
        self.refused.append(Refusal.of(row.place, row.id, flaws))

"""What became of rows that were written in parts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from softkv.errors import Flaw
from softkv.problems import raise_flaws
from softkv.record import Record


class Refusal(NamedTuple):
    """A row that was not written.

    Attributes:
        row: its place among the rows that were given, from 0.
        id: its document's, None where it has none.
    """

    row: int
    id: str | None
    detail: str
    errors: tuple[Flaw, ...]

    @classmethod
    def of(cls, row: int, name: str | None, flaws: Sequence[Flaw]) -> Refusal:
        """The refusal of a row for these flaws; its detail names the field of the first."""
        pointer, detail = flaws[0]
        field = pointer.rpartition("/")[2]
        return cls(row, name, detail if field in detail else f"{pointer}: {detail}", tuple(flaws))


class Report:
    """What became of the rows; given to `upsert` as `resume`, it says where to go on, and is filled further.

    It is false where a row was refused.

    Attributes:
        rows: how many were read.
        acknowledged: of how many, from the first on, the service has said what became of them.
        upserted: how many of these were written.
        skipped: ids that were taken, with `on_conflict="skip"`.
        refused: the rows that were not written, each with the reason, in their order.
        truncated: ids of documents with a text that is longer than the encoder reads, and was cut.
        id: names the upload, so that no part of it is done twice.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.acknowledged = 0
        self.upserted = 0
        self.skipped: list[str] = []
        self.refused: list[Refusal] = []
        self.truncated: list[str] = []
        self.id = os.urandom(8).hex()

    def raise_for_refused(self) -> Report:
        """Raise Invalid where a row was refused; else the report itself."""
        if self.refused:
            raise_flaws(Flaw(f"/{each.row}", each.detail) for each in self.refused)
        return self

    def __bool__(self) -> bool:
        """Whether no row was refused."""
        return not self.refused

    def __repr__(self) -> str:
        others = [(len(each), name) for name in ("skipped", "refused", "truncated") if (each := getattr(self, name))]
        told = [f"{self.upserted:,} of {self.rows:,} rows written", *(f"{many:,} {name}" for many, name in others)]
        if self.acknowledged < self.rows:
            told.append(f"{self.acknowledged:,} acknowledged")
        why = f"; row {self.refused[0].row}: {self.refused[0].detail}" if self.refused else ""
        return f"<Report {', '.join(told)}{why}>"


class Backup(Record):
    """A backup, whole and checked.

    Attributes:
        made: when, in UTC (ISO 8601).
        length: of the database in it, in bytes.
        sha256: of the same, in hexadecimal.
    """

    made: str
    length: int
    sha256: str

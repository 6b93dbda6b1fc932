"""Results of uploads and backups."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from softkv.errors import Flaw
from softkv.problems import raise_flaws
from softkv.record import Record


class Refusal(NamedTuple):
    """A row of an upload that was not written, with the reason.

    Attributes:
        row: the index of the row, from 0.
        id: the document's id; None if it has none.
    """

    row: int
    id: str | None
    detail: str
    errors: tuple[Flaw, ...]

    @classmethod
    def of(cls, row: int, document_id: str | None, flaws: Sequence[Flaw]) -> Refusal:
        """Return the refusal of a row for these flaws; its detail names the first flaw's field."""
        pointer, detail = flaws[0]
        field = pointer.rpartition("/")[2]
        return cls(row, document_id, detail if field in detail else f"{pointer}: {detail}", tuple(flaws))


class Report:
    """The result of an upload. In a condition, a report is false if a row was refused.

    To continue an interrupted upload, pass the report to `upsert` as `resume`; the continued upload adds to it.

    Attributes:
        rows: the number of rows that were read.
        acknowledged: the number of rows, from the first on, whose result the service has reported.
        upserted: the number of rows that were written.
        skipped: the ids that existed already, with `on_conflict="skip"`.
        refused: the rows that were not written, with the reason, in their order.
        truncated: the ids of documents whose text is longer than the encoder reads.
        id: the upload's name, with which no part of it is written twice.
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
        """Raise Invalid if a row was refused; otherwise return this report.

        Returns:
            The report itself.

        Raises:
            Invalid: a row was refused; `errors` has each.

        Example:
            >>> collection.upsert(rows).raise_for_refused()
        """
        if self.refused:
            raise_flaws(Flaw(f"/{refusal.row}", refusal.detail) for refusal in self.refused)
        return self

    def __bool__(self) -> bool:
        """Return whether no row was refused."""
        return not self.refused

    def __repr__(self) -> str:
        counts = [(len(ids), name) for name in ("skipped", "refused", "truncated") if (ids := getattr(self, name))]
        parts = [f"{self.upserted:,} of {self.rows:,} rows written", *(f"{count:,} {name}" for count, name in counts)]
        if self.acknowledged < self.rows:
            parts.append(f"{self.acknowledged:,} acknowledged")
        reason = f"; row {self.refused[0].row}: {self.refused[0].detail}" if self.refused else ""
        return f"<Report {', '.join(parts)}{reason}>"


class Backup(Record):
    """A backup that was saved, and whose checksum was verified.

    Attributes:
        made: the time in UTC (ISO 8601).
        length: the size of the database in bytes.
        sha256: the checksum of the database, in hexadecimal.
    """

    made: str
    length: int
    sha256: str

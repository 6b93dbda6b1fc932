"""A backup that was received: what it says of itself."""

from __future__ import annotations

from softkv.record import Record


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

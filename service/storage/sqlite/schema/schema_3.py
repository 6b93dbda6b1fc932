"""Schema 3: no calibration, but an empty table that none was ever written to."""

from __future__ import annotations

from sqlite3 import Connection


def change(connection: Connection) -> None:
    """Make schema 4 of it, within a transaction; checksums stay, as they leave out a calibration that is not there."""
    connection.execute("DROP TABLE IF EXISTS calibrations")
    connection.execute("ALTER TABLE collections ADD COLUMN calibration TEXT")

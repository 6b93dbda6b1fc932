"""Schema 2: no basis, and no seed of thin codes."""

from __future__ import annotations

from sqlite3 import Connection

from service.storage.checksums import settings_checksum

_SETTINGS = "similarity, temperature, dimension, value_dimension, encoder, precision, value_from, null_key"


def change(connection: Connection) -> None:
    """Make schema 3 of it, within a transaction: what its collections were is what they are."""
    connection.execute(
        "ALTER TABLE collections"
        " ADD COLUMN basis TEXT NOT NULL DEFAULT 'proven' CHECK (basis IN ('proven', 'measured'))"
    )
    connection.execute("ALTER TABLE collections ADD COLUMN thin_seed BLOB CHECK (length(thin_seed) = 32)")
    rows = connection.execute(f"SELECT id, name, checksum, {_SETTINGS} FROM collections").fetchall()
    for number, name, checksum, *settings, null in rows:
        # One that was damaged keeps its checksum, and is found to be.
        if settings_checksum(name, (*settings, null)) == checksum:
            checked = settings_checksum(name, (*settings, "proven", null, None))
            connection.execute("UPDATE collections SET checksum = ? WHERE id = ?", (checked, number))

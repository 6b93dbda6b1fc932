"""One reader of tables: files of many formats, DataFrames and Arrow tables become the same documents."""

from __future__ import annotations

from softkv.tables.opening import open_table
from softkv.tables.table import Table

__all__ = ["Table", "open_table"]

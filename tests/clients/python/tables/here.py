"""`open_table` without another process, for tests that open many small tables."""

from __future__ import annotations

from typing import Any

from softkv.table_options import fill_options
from softkv.tables import Reading, Table
from softkv.tables.opening import open_here


def open_table(source: Any, *, ids: Any = None, **options: Any) -> Table:
    return open_here(source, Reading(fill_options(**options)), ids=None if ids is None else str(ids), lines=None)

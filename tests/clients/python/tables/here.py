"""`open_table` without another process, for tests that open many small tables."""

from __future__ import annotations

from typing import Any

from softkv.table_options import TableOptions
from softkv.tables import Reading, Table
from softkv.tables.opening import open_here


def open_table(source: Any, *, ids: Any = None, **options: Any) -> Table:
    return open_here(source, Reading(TableOptions(ids=ids, **options)), lines=None)

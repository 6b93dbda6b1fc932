"""`open_table` without another process, for tests that open many small tables."""

from __future__ import annotations

from typing import Any

from softkv.tables import Columns, Table
from softkv.tables.opening import open_here


def open_table(source: Any, *, ids: Any = None, **options: Any) -> Table:
    reading = {name: options.pop(name, None) for name in ("delimiter", "charset")}
    return open_here(source, Columns(**options), **reading, ids=None if ids is None else str(ids), lines=None)

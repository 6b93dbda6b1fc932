"""`open_table` without another process, for tests that open many small tables."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from softkv.tables import Columns, Layout, Table
from softkv.tables.opening import open_here


def open_table(source: Any, *, ids: Any = None, **options: Any) -> Table:
    layout = Layout(**{field.name: options.pop(field.name) for field in fields(Layout) if field.name in options})
    return open_here(source, Columns(**options), layout, ids=None if ids is None else str(ids), lines=None)

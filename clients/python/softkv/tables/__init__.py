"""One reader of tables: files of many formats, DataFrames and Arrow tables become the same documents."""

from __future__ import annotations

from softkv.tables.asked import Asked, read_asked
from softkv.tables.columns import Columns
from softkv.tables.content import stem_of
from softkv.tables.objects import EXPORT_MARK, EXPORT_SETTINGS, EXPORT_VERSION
from softkv.tables.opening import open_table, open_with
from softkv.tables.questions import read_questions
from softkv.tables.table import Table

__all__ = [
    "EXPORT_MARK",
    "EXPORT_SETTINGS",
    "EXPORT_VERSION",
    "Asked",
    "Columns",
    "Table",
    "open_table",
    "open_with",
    "read_asked",
    "read_questions",
    "stem_of",
]

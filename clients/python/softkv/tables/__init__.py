"""One reader of tables: files of many formats, DataFrames and Arrow tables become the same documents."""

from __future__ import annotations

from softkv.tables.columns import OF_OPEN_TABLE, Reading
from softkv.tables.confinement import filters_calls, landlock_version
from softkv.tables.objects import EXPORT_MARK, EXPORT_SETTINGS, EXPORT_VERSION
from softkv.tables.opening import open_table, open_with
from softkv.tables.packing import stem_of
from softkv.tables.process import END, MESSAGE, reader_command, reader_environment, why_ended
from softkv.tables.questions import read_questions
from softkv.tables.table import Table

__all__ = [
    "END",
    "EXPORT_MARK",
    "EXPORT_SETTINGS",
    "EXPORT_VERSION",
    "MESSAGE",
    "OF_OPEN_TABLE",
    "Reading",
    "Table",
    "filters_calls",
    "landlock_version",
    "open_table",
    "open_with",
    "read_questions",
    "reader_command",
    "reader_environment",
    "stem_of",
    "why_ended",
]

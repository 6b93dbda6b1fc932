"""A referee for the index of a vector store: its search beside the exact answer, question by question.

`check_index` asks, and its report is JSON. `summarise`, `compare` and `to_markdown` compute all figures from it.
"""

from __future__ import annotations

from softkv_referee.index_check.asking import Reading, check_index, read_rows
from softkv_referee.index_check.comparison import compare
from softkv_referee.index_check.exact import TIE, exact_search
from softkv_referee.index_check.markdown import to_markdown
from softkv_referee.index_check.questions import resolve
from softkv_referee.index_check.summary import summarise

__all__ = [
    "TIE",
    "Reading",
    "check_index",
    "compare",
    "exact_search",
    "read_rows",
    "resolve",
    "summarise",
    "to_markdown",
]

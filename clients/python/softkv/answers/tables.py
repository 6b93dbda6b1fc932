"""Answers as tables of other libraries, which are imported when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def wanted(module: str, distribution: str) -> Any:
    """A module, or an ImportError that says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"this needs {distribution}, which is not here: pip install {distribution}") from error


def data_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a DataFrame of pandas'."""
    return wanted("pandas", "pandas").DataFrame(list(rows))


def arrow_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table of Arrow's: a column of one kind each, of what is anything as JSON."""
    plain = [
        {name: _text(cell) if name in ("value", "metadata") else cell for name, cell in row.items()} for row in rows
    ]
    return wanted("pyarrow", "pyarrow").Table.from_pylist(plain)


def _text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)

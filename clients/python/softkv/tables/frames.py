"""DataFrames of pandas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from softkv.tables.content import Content, NumberedRow

_SLICE_ROWS = 1000


def read_frame(frame: Any) -> Content:
    """Return the rows of a DataFrame without missing cells; an index named `id` is a column."""
    if "id" not in frame.columns and frame.index.name == "id":
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]

    def rows() -> Iterator[NumberedRow]:
        for start in range(0, len(frame), _SLICE_ROWS):
            chunk = frame.iloc[start : start + _SLICE_ROWS]
            cells = [
                (chunk.iloc[:, index].tolist(), chunk.iloc[:, index].isna().tolist()) for index in range(len(names))
            ]
            for row in range(len(chunk)):
                filled = zip(names, cells, strict=True)
                yield start + row + 1, {name: column[row] for name, (column, missing) in filled if not missing[row]}

    return Content(names, rows, len(frame))

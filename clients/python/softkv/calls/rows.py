"""Iteration over rows of any kind as documents: objects, tables of pandas and Arrow, or columns."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from softkv.answers.documents import Document
from softkv.answers.rendering import require_module
from softkv.problems import invalid_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SLICE_ROWS = 1000
_DOCUMENT_FIELDS = ("id", "key", "value", "key_vector", "key_vectors", "value_vector", "parts", "split")
_KEY_FIELDS = ("key", "key_vector", "key_vectors")
_VECTOR_FIELDS = ("key_vector", "value_vector")
_COLUMN_ARGUMENTS = {
    "id": "ids",
    "key": "keys",
    "key_vector": "key_vectors",
    "value": "values",
    "value_vector": "value_vectors",
    "metadata": "metadata",
}


class _ArrowStream(Protocol):
    """An object that exports its rows as a stream by Arrow's PyCapsule protocol."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class _ArrowArray(Protocol):
    """An object that exports its rows as one array by Arrow's PyCapsule protocol."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...


Row: TypeAlias = Document | Mapping[str, Any]
Rows: TypeAlias = Iterable[Row] | AsyncIterable[Row] | _ArrowStream | _ArrowArray


def open_rows(rows: Any, columns: Mapping[str, Any]) -> tuple[Iterable[Any] | AsyncIterable[Any], int | None]:
    """Return an iterable of rows, and their number if it is known.

    Args:
        rows: the rows; None if there are columns.
        columns: the columns by field name; empty if there are rows.

    Raises:
        Invalid: there are neither rows nor columns, or both, or the rows cannot be iterated over.
        ImportError: the rows are an Arrow table, and pyarrow is not installed.
    """
    if (rows is None) == (not columns):
        raise invalid_value("", "wanted rows, or columns that begin with ids=; send one of them")
    if columns:
        return _rows_of_columns(columns)
    if getattr(rows, "gi_frame", rows) is None or getattr(rows, "ag_frame", rows) is None:
        raise invalid_value("", "these rows are a generator that has been gone through already: make it anew")
    total = len(rows) if isinstance(rows, Sized) else None
    if isinstance(rows, Mapping | Document | str | bytes):
        raise invalid_value("", f"wanted rows, got one {type(rows).__name__}: put it into a list")
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")  # a table's own library is already imported
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        return _rows_of_frame(rows), total
    if arrow is not None and isinstance(rows, arrow.RecordBatch):
        return _rows_of_arrow([rows]), rows.num_rows
    if hasattr(rows, "__arrow_c_stream__"):
        reader = require_module("pyarrow", "pyarrow").RecordBatchReader.from_stream(rows)
        return _rows_of_arrow(reader), getattr(rows, "num_rows", total)
    if not isinstance(rows, Iterable | AsyncIterable):
        raise invalid_value(
            "", f"wanted rows to go through, a DataFrame or a table of Arrow's; got {type(rows).__name__}"
        )
    return rows, total


def _rows_of_columns(columns: Mapping[str, Any]) -> tuple[Iterator[Row], int]:
    """Convert columns of equal length to rows. Return an iterable of the rows, and their number."""
    arrays = {
        name: _as_matrix(column, _COLUMN_ARGUMENTS[name]) if name in _VECTOR_FIELDS else column
        for name, column in columns.items()
    }
    if "id" not in arrays:
        raise invalid_value("", "columns came without ids=: give each row its id")
    for name, column in arrays.items():
        if not isinstance(column, Sized):
            raise invalid_value(
                "", f"{_COLUMN_ARGUMENTS[name]}: wanted a list or an array, got {type(column).__name__}: write list(…)"
            )
    lengths = {_COLUMN_ARGUMENTS[name]: len(column) for name, column in arrays.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{length:,} {name}" for name, length in lengths.items())
        raise invalid_value("", f"wanted as many of each column, got {counts}")

    def rows() -> Iterator[Row]:
        for cells in zip(*arrays.values(), strict=True):
            yield {
                name: cell
                for name, cell in zip(arrays, cells, strict=True)
                if cell is not None or name == "value"  # None is a value: JSON's null
            }

    return rows(), lengths["ids"]


def _as_matrix(column: Any, name: str) -> NDArray[Any]:
    """Return a column of vectors as an array [n, d]."""
    import numpy as np

    try:
        array = np.asarray(column)
    except ValueError:
        raise invalid_value("", f"{name}: wanted rows of one length, got some that are longer than others") from None
    if array.ndim != 2:
        raise invalid_value("", f"{name}: wanted a matrix with a row a document, got an array of shape {array.shape}")
    return array


def _rows_of_frame(frame: Any) -> Iterator[Row]:
    """Yield the rows of a pandas DataFrame without missing cells."""
    if "id" not in frame.columns and frame.index.name == "id":
        frame = frame.reset_index()
    _require_columns(list(frame.columns))
    for start in range(0, len(frame), _SLICE_ROWS):
        chunk = frame.iloc[start : start + _SLICE_ROWS]
        cells = {str(name): chunk.iloc[:, index].tolist() for index, name in enumerate(chunk.columns)}
        missing = {str(name): chunk.iloc[:, index].isna().tolist() for index, name in enumerate(chunk.columns)}
        for row in range(len(chunk)):
            yield _to_fields({name: column[row] for name, column in cells.items() if not missing[name][row]})


def _rows_of_arrow(batches: Iterable[Any]) -> Iterator[Row]:
    """Yield the rows of Arrow batches without null cells."""
    for batch in batches:
        _require_columns(batch.schema.names)
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            chunk = batch.slice(start, _SLICE_ROWS)
            cells = {name: _column_cells(chunk.column(index)) for index, name in enumerate(chunk.schema.names)}
            for row in range(chunk.num_rows):
                yield _to_fields({name: cell for name, column in cells.items() if (cell := column[row]) is not None})


def _column_cells(column: Any) -> Sequence[Any]:
    """Return a column's cells; a column of vectors of one length becomes an array with one row per vector."""
    from pyarrow import types

    kind = column.type
    if not types.is_fixed_size_list(kind) or not types.is_floating(kind.value_type) or column.null_count:
        cells: Sequence[Any] = column.to_pylist()
        return cells
    vectors: Sequence[Any] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), kind.list_size)
    return vectors


def _to_fields(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a table row to a document's fields; the columns `year` and `metadata.year` mean the same field."""
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, cell in cells.items():
        if name in _DOCUMENT_FIELDS:
            fields[name] = cell
        elif name == "metadata" and isinstance(cell, Mapping):
            metadata |= {field: entry for field, entry in cell.items() if entry is not None}
        else:
            metadata[name.removeprefix("metadata.")] = cell
    return fields | {"metadata": metadata} if metadata else fields


def _require_columns(names: Sequence[Any]) -> None:
    """Raise Invalid if a table lacks an id column or any key column."""
    columns = f"its columns are {', '.join(map(str, names)) or 'none'}"
    if "id" not in names:
        raise invalid_value("", f"the table has no column 'id', {columns}: name the one that holds it so")
    if not set(_KEY_FIELDS) & set(names):
        raise invalid_value(
            "",
            f"the table has no column of keys, {columns}: name one of them key, if it has texts, or key_vector, "
            "if it has vectors; documents without a key are written as objects",
        )

"""Iteration over rows of any kind as documents: objects, tables of pandas and Arrow, or columns."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from softkv.answers.documents import Document, TableRow
from softkv.problems import invalid_value
from softkv.wire import as_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


Row: TypeAlias = Document | Mapping[str, Any] | TableRow
RowSource: TypeAlias = Iterable[Row] | AsyncIterable[Row] | _ArrowStream | _ArrowArray


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
    total = len(rows) if isinstance(rows, Sized) else getattr(rows, "total", None)
    if isinstance(rows, Mapping | Document | str | bytes):
        raise invalid_value("", f"wanted rows, got one {type(rows).__name__}: put it into a list")
    pandas = sys.modules.get("pandas")  # a table's own library is already imported
    is_frame = pandas is not None and isinstance(rows, pandas.DataFrame)
    if is_frame or hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
        from softkv.tables import OF_OPEN_TABLE, Reading, open_with

        table = open_with(rows, Reading(form=OF_OPEN_TABLE))
        return table, table.total
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
    array = as_array(column, name)
    if array.ndim != 2:
        raise invalid_value("", f"{name}: wanted a matrix with a row a document, got an array of shape {array.shape}")
    return array

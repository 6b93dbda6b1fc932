"""Rows of every kind, gone through as objects with a document's fields: those of a table, and those of columns."""

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
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...


Row: TypeAlias = Document | Mapping[str, Any]
Rows: TypeAlias = Iterable[Row] | AsyncIterable[Row] | _ArrowStream | _ArrowArray


def open_rows(given: Any, columns: Mapping[str, Any]) -> tuple[Iterable[Any] | AsyncIterable[Any], int | None]:
    """What was given as rows, or as columns → the rows, and how many they are where that is known.

    Raises:
        Invalid: it is neither, or both.
        ImportError: it is a table that only pyarrow reads.
    """
    if (given is None) == (not columns):
        raise invalid_value("", "wanted rows, or columns that begin with ids=; send one of them")
    if columns:
        return _rows_of_columns(columns)
    if getattr(given, "gi_frame", given) is None or getattr(given, "ag_frame", given) is None:
        raise invalid_value("", "these rows are a generator that has been gone through already: make it anew")
    total = len(given) if isinstance(given, Sized) else None
    if isinstance(given, Mapping | Document | str | bytes):
        raise invalid_value("", f"wanted rows, got one {type(given).__name__}: put it into a list")
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")  # a table's library is loaded
    if pandas is not None and isinstance(given, pandas.DataFrame):
        return _rows_of_frame(given), total
    if arrow is not None and isinstance(given, arrow.RecordBatch):
        return _rows_of_arrow([given]), given.num_rows
    if hasattr(given, "__arrow_c_stream__"):
        reader = require_module("pyarrow", "pyarrow").RecordBatchReader.from_stream(given)
        return _rows_of_arrow(reader), getattr(given, "num_rows", total)
    if not isinstance(given, Iterable | AsyncIterable):
        raise invalid_value(
            "", f"wanted rows to go through, a DataFrame or a table of Arrow's; got {type(given).__name__}"
        )
    return given, total


def _rows_of_columns(columns: Mapping[str, Any]) -> tuple[Iterator[Row], int]:
    held = {
        name: _as_matrix(column, _COLUMN_ARGUMENTS[name]) if name in _VECTOR_FIELDS else column
        for name, column in columns.items()
    }
    if "id" not in held:
        raise invalid_value("", "columns came without ids=: give each row its id")
    for name, column in held.items():
        if not isinstance(column, Sized):
            raise invalid_value(
                "", f"{_COLUMN_ARGUMENTS[name]}: wanted a list or an array, got {type(column).__name__}: write list(…)"
            )
    many = {_COLUMN_ARGUMENTS[name]: len(column) for name, column in held.items()}
    if len(set(many.values())) > 1:
        told = ", ".join(f"{each:,} {name}" for name, each in many.items())
        raise invalid_value("", f"wanted as many of each column, got {told}")

    def rows() -> Iterator[Row]:
        for cells in zip(*held.values(), strict=True):
            yield {
                name: cell
                for name, cell in zip(held, cells, strict=True)
                if cell is not None or name == "value"  # where None is a value, as null is one of JSON
            }

    return rows(), many["ids"]


def _as_matrix(given: Any, name: str) -> NDArray[Any]:
    import numpy as np

    try:
        array = np.asarray(given)
    except ValueError:
        raise invalid_value("", f"{name}: wanted rows of one length, got some that are longer than others") from None
    if array.ndim != 2:
        raise invalid_value("", f"{name}: wanted a matrix with a row a document, got an array of shape {array.shape}")
    return array


def _rows_of_frame(frame: Any) -> Iterator[Row]:
    """The rows of a DataFrame of pandas'; a cell that is missing is left out."""
    if "id" not in frame.columns and frame.index.name == "id":
        frame = frame.reset_index()
    _require_columns(list(frame.columns))
    for start in range(0, len(frame), _SLICE_ROWS):
        part = frame.iloc[start : start + _SLICE_ROWS]
        cells = {str(name): part.iloc[:, at].tolist() for at, name in enumerate(part.columns)}
        missing = {str(name): part.iloc[:, at].isna().tolist() for at, name in enumerate(part.columns)}
        for row in range(len(part)):
            yield _to_fields({name: column[row] for name, column in cells.items() if not missing[name][row]})


def _rows_of_arrow(batches: Iterable[Any]) -> Iterator[Row]:
    """The rows of Arrow's batches; a cell that is null is left out."""
    for batch in batches:
        _require_columns(batch.schema.names)
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            part = batch.slice(start, _SLICE_ROWS)
            cells = {name: _column_cells(part.column(at)) for at, name in enumerate(part.schema.names)}
            for row in range(part.num_rows):
                yield _to_fields({name: cell for name, column in cells.items() if (cell := column[row]) is not None})


def _column_cells(column: Any) -> Sequence[Any]:
    """A column's cells; of lists of one length, which vectors are, an array with a row for each."""
    from pyarrow import types

    kind = column.type
    if not types.is_fixed_size_list(kind) or not types.is_floating(kind.value_type) or column.null_count:
        cells: Sequence[Any] = column.to_pylist()
        return cells
    numbers: Sequence[Any] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), kind.list_size)
    return numbers


def _to_fields(cells: Mapping[str, Any]) -> dict[str, Any]:
    """A table's row → a document's fields; `metadata.year` and `year` are the same one."""
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, cell in cells.items():
        if name in _DOCUMENT_FIELDS:
            fields[name] = cell
        elif name == "metadata" and isinstance(cell, Mapping):
            metadata |= {field: each for field, each in cell.items() if each is not None}
        else:
            metadata[name.removeprefix("metadata.")] = cell
    return fields | {"metadata": metadata} if metadata else fields


def _require_columns(names: Sequence[Any]) -> None:
    told = f"its columns are {', '.join(map(str, names)) or 'none'}"
    if "id" not in names:
        raise invalid_value("", f"the table has no column 'id', {told}: name the one that holds it so")
    if not set(_KEY_FIELDS) & set(names):
        raise invalid_value(
            "",
            f"the table has no column of keys, {told}: name one of them key, if it has texts, or key_vector, "
            "if it has vectors; documents without a key are written as objects",
        )

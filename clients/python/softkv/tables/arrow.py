"""Parquet, Arrow's files, Arrow tables of any library, and DataFrames of pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from softkv.answers.rendering import require_module
from softkv.errors import Invalid
from softkv.problems import invalid_value
from softkv.tables.cells import BadCell, Floats, parse_json
from softkv.tables.columns import Reading
from softkv.tables.content import Content, NumberedRow, require_reader, unreadable
from softkv.tables.packing import File

_SLICE_ROWS = 1000


def read_parquet(source: File) -> Content:
    """Return the rows of a Parquet file.

    Raises:
        Invalid: it is another file, pyarrow is not installed, a column that is not skipped holds bytes, or rows lie in
            other files or nowhere.
    """
    path = source.path
    pyarrow = require_reader("pyarrow", "pyarrow", path)
    try:
        file = require_module("pyarrow.parquet", "pyarrow").ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(path, f"cannot be read as Parquet: {error}") from None
    _require_held(file, path)
    _refuse_bytes(file.schema_arrow, path.name, source.reading)
    rows = lambda: _rows(file.iter_batches(batch_size=_SLICE_ROWS))  # noqa: E731
    return Content(file.schema_arrow.names, rows, file.metadata.num_rows, kinds=_kinds_of(file.schema_arrow))


def read_arrow_file(source: File) -> Content:
    """Return the rows of a file in Arrow's own format, which is also Feather's.

    Raises:
        Invalid: as of `read_parquet`.
    """
    path = source.path
    pyarrow = require_reader("pyarrow", "pyarrow", path)
    ipc = require_module("pyarrow.ipc", "pyarrow")
    memory = pyarrow.memory_map(str(path))
    try:
        table = ipc.open_file(memory).read_all()
    except pyarrow.ArrowInvalid:
        try:
            table = ipc.open_stream(memory).read_all()
        except pyarrow.ArrowInvalid as error:
            raise unreadable(path, f"is not an Arrow file: {error}") from None
    table.validate(full=True)  # a damaged file could otherwise lead to any place in the memory
    if table.num_rows > 8 * table.get_total_buffer_size():
        raise _cellless(path, table.num_rows)
    return read_arrow(table, path.name, source.reading)


def read_lance(source: File) -> Content:
    """Return the rows of a folder of Lance.

    Raises:
        Invalid: it is another folder, pylance is not installed, or a column that is not skipped holds bytes.
    """
    for file in source.path.rglob("*"):
        if file.is_symlink():
            raise unreadable(file, "is a link, and is not read: copy the file there")
    dataset = require_reader("lance", "pylance", source.path).dataset(str(source.path.resolve()))
    _refuse_bytes(dataset.schema, source.path.name, source.reading)
    rows = lambda: _rows(dataset.to_batches(batch_size=_SLICE_ROWS))  # noqa: E731
    return Content(dataset.schema.names, rows, dataset.count_rows())


def _require_held(file: Any, path: Path) -> None:
    """Raise Invalid if the columns of a Parquet file lie in other files, or have no cells."""
    from pyarrow import types

    for group in range(file.metadata.num_row_groups):
        for column in range(file.metadata.num_columns):
            if other := file.metadata.row_group(group).column(column).file_path:
                raise unreadable(path, f"says that its rows are in {other}: load that file")
    if file.metadata.num_rows and all(types.is_null(column.type) for column in file.schema_arrow):
        raise _cellless(path, file.metadata.num_rows)


def _cellless(path: Path, rows: int) -> Invalid:
    """Return the error for a file that says how many rows it has, and has no cells of them."""
    return unreadable(path, f"has no cells for its {rows:,} rows: write a column that is not null")


def read_arrow(table: Any, name: str, reading: Reading) -> Content:
    """Return the rows of an Arrow table, batch or reader, or of an object with Arrow's interface for streams.

    Raises:
        Invalid: a column that is not skipped holds bytes.
        ImportError: pyarrow is not installed.
    """
    pyarrow = require_module("pyarrow", "pyarrow")
    if isinstance(table, pyarrow.RecordBatch) or not hasattr(table, "__arrow_c_stream__"):
        table = pyarrow.Table.from_batches([pyarrow.record_batch(table)])
    if isinstance(table, pyarrow.Table):
        _refuse_bytes(table.schema, name, reading)
        kinds = _kinds_of(table.schema)
        return Content(table.schema.names, lambda: _rows(table.to_batches()), table.num_rows, kinds=kinds)
    reader = pyarrow.RecordBatchReader.from_stream(table)
    _refuse_bytes(reader.schema, name, reading)
    return Content(reader.schema.names, lambda: _rows(reader), getattr(table, "num_rows", None))


def _kinds_of(schema: Any) -> dict[str, str]:
    """Return what the cells of columns are: numbers of any width are one kind, and so are texts."""
    from pyarrow import types

    kinds = dict[str, str]()
    for column in schema:
        kind = column.type.value_type if types.is_dictionary(column.type) else column.type
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            kinds[column.name] = "numbers"
        elif types.is_string(kind) or types.is_large_string(kind):
            kinds[column.name] = "texts"
        elif not types.is_null(kind):
            kinds[column.name] = str(kind)
    return kinds


def _refuse_bytes(schema: Any, name: str, reading: Reading) -> None:
    from pyarrow import types

    for column in schema:
        kind = column.type
        is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
        is_bytes = is_bytes or getattr(types, "is_binary_view", types.is_binary)(kind)
        if is_bytes and column.name not in reading.options.skip and column.name != (reading.options.id or "id"):
            raise invalid_value(
                "",
                f"{name}: column {column.name!r} holds bytes ({kind}), which JSON has not: "
                f"leave it out with {reading.say('skip', column.name)}, or write it as text",
            )


def _rows(batches: Iterable[Any]) -> Iterator[NumberedRow]:
    """Yield the rows of Arrow batches without null cells."""
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            chunk = batch.slice(start, _SLICE_ROWS)
            cells = [(name, _cells(chunk.column(index))) for index, name in enumerate(chunk.schema.names)]
            for row in range(chunk.num_rows):
                number += 1
                yield number, {name: cell for name, column in cells if (cell := column[row]) is not None}


def _cells(column: Any) -> Sequence[Any]:
    """Return a column's cells. Lists of floats of one length are read as arrays, much faster than one by one."""
    from pyarrow import compute, types

    kind = column.type
    is_fixed = types.is_fixed_size_list(kind)
    is_list = is_fixed or types.is_list(kind) or types.is_large_list(kind)
    if is_list and types.is_floating(kind.value_type) and not column.null_count:
        numbers, width = column.flatten(), compute.max(compute.list_value_length(column)).as_py()
        if not numbers.null_count and width and len(numbers) == width * len(column):
            vectors: Sequence[Any] = numbers.to_numpy(zero_copy_only=False).reshape(len(column), width)
            return vectors if is_fixed else [Floats(vector) for vector in vectors]
    try:
        cells: Sequence[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        cells = [_cell(scalar) for scalar in column]
    if types.is_floating(kind) and kind.bit_width < 64:  # NumPy's numbers know how many digits they have
        number = kind.to_pandas_dtype()
        return [None if cell is None else number(cell) for cell in cells]
    if getattr(kind, "extension_name", "") == "arrow.json":
        return [None if cell is None else _parse(cell) for cell in cells]
    return [_with_maps(cell, kind) for cell in cells] if "map<" in str(kind) else cells


def _parse(cell: str) -> Any:
    """Return the value of a cell of JSON, or the reason if it is not JSON."""
    try:
        return parse_json(cell.encode())
    except ValueError as error:
        return BadCell(f"it is not JSON: {error}")


def _with_maps(cell: Any, kind: Any) -> Any:
    """Return a cell whose maps, which Arrow has as lists of pairs, are objects; or why one cannot be."""
    from pyarrow import types

    if cell is None or isinstance(cell, BadCell):
        return cell
    if types.is_map(kind):
        items = {name: _with_maps(item, kind.item_type) for name, item in cell}
        return items if len(items) == len(cell) else BadCell("a map has a key twice: write it as a list of pairs")
    if types.is_struct(kind):
        return {field.name: _with_maps(cell[field.name], field.type) for field in kind}
    return [_with_maps(item, kind.value_type) for item in cell] if isinstance(cell, list) else cell


def _cell(scalar: Any) -> Any:
    """Return a cell, or why Python has no such value, such as a time after the year 9999."""
    from pyarrow import types

    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        if types.is_timestamp(scalar.type) and scalar.type.unit == "ns":
            return _nanoseconds(scalar)
        return BadCell(str(error))


def _nanoseconds(scalar: Any) -> str:
    """Return a timestamp of nanoseconds in ISO 8601, as pandas writes it; without pandas, Python has no such value."""
    import pyarrow

    seconds, rest = divmod(scalar.value, 10**9)
    instant = pyarrow.scalar(seconds, pyarrow.timestamp("s", scalar.type.tz)).as_py().isoformat()
    return f"{instant[:19]}.{rest:09}{instant[19:]}"


def read_frame(frame: Any) -> Content:
    """Return the rows of a DataFrame without missing cells; an index named `id` is a column."""
    if "id" not in frame.columns and frame.index.name == "id":
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]

    def rows() -> Iterator[NumberedRow]:
        for start in range(0, len(frame), _SLICE_ROWS):
            chunk = frame.iloc[start : start + _SLICE_ROWS]
            columns = [chunk.iloc[:, index] for index in range(len(names))]
            cells = [(_cells_of_frame(column), column.isna().tolist()) for column in columns]
            for row in range(len(chunk)):
                filled = zip(names, cells, strict=True)
                yield start + row + 1, {name: column[row] for name, (column, missing) in filled if not missing[row]}

    return Content(names, rows, len(frame))


def _cells_of_frame(column: Any) -> list[Any]:
    """Return a column's cells; floats of fewer than 64 bits as NumPy's numbers, as those of Arrow."""
    is_narrow = column.dtype.kind == "f" and column.dtype.itemsize < 8
    return list(column.to_numpy(f"f{column.dtype.itemsize}", na_value=float("nan")) if is_narrow else column.tolist())

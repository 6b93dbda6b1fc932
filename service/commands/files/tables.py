"""Documents from tables: CSV and Parquet, a row each."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from service.commands.errors import CommandError
from service.commands.files.source import ColumnNames, DocumentSource, Entry, write_document

# A field of a CSV file may be a whole article.
_LARGEST_FIELD = 16 * 2**20
_ROWS = 1024


def open_csv(path: Path, columns: ColumnNames) -> DocumentSource:
    """A CSV file with a header, in UTF-8."""
    csv.field_size_limit(_LARGEST_FIELD)

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            try:
                _require(columns.required or columns.id, reader.fieldnames or (), path)
                for row in reader:
                    if None in row or None in row.values():
                        raise CommandError(
                            f"{path} line {reader.line_num} has another number of cells than the header: "
                            "quote cells that hold a comma"
                        )
                    yield reader.line_num, row
            except (csv.Error, UnicodeDecodeError) as error:
                raise CommandError(f"{path} line {reader.line_num} is not CSV in UTF-8: {error}") from None

    def entries() -> Iterator[Entry]:
        for number, row in rows():
            cells = {name: cell for name, cell in row.items() if cell or name in (columns.id, columns.key)}
            for name in cells.keys() - {columns.id, columns.key, columns.value}:
                if not columns.text:
                    cells[name] = _scalar(cells[name])
            yield Entry(number, write_document(_document(cells, columns)))

    return DocumentSource(sum(1 for _ in rows()), entries)


def _scalar(cell: str) -> Any:
    """A cell of metadata: a number or a truth value where it is written as JSON writes one, else the text."""
    try:
        read = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
    return read if isinstance(read, bool | int | float) else cell


def open_parquet(path: Path, columns: ColumnNames) -> DocumentSource:
    """A Parquet file; needs pyarrow."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise CommandError(
            f"reading {path} needs pyarrow, which is not installed: run `pip install pyarrow`, or convert it to .ndjson"
        ) from None
    try:
        file = ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise CommandError(f"{path} is not a Parquet file: {error}") from None
    _require(columns.required or columns.id, file.schema_arrow.names, path)

    def entries() -> Iterator[Entry]:
        number = 0
        for batch in file.iter_batches(batch_size=_ROWS):
            for row in batch.to_pylist():
                number += 1
                cells = {name: cell for name, cell in row.items() if cell is not None}
                yield Entry(number, write_document(_document(cells, columns)))

    return DocumentSource(file.metadata.num_rows, entries)


def _document(cells: dict[str, Any], columns: ColumnNames) -> dict[str, Any]:
    """A table's row → a document; `metadata.year` and `year` are the same field."""
    document: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    named = {columns.id: "id", columns.key: "key", columns.value: "value"}
    for name, cell in cells.items():
        if name in named:
            document[named[name]] = cell
        elif name in ("key_vector", "value_vector"):
            document[name] = cell
        elif name == "metadata" and isinstance(cell, dict):
            metadata |= {field: part for field, part in cell.items() if part is not None}
        else:
            metadata[name.removeprefix("metadata.")] = cell
    if metadata:
        document["metadata"] = metadata
    return document


def _require(name: str, names: Any, path: Path) -> None:
    if name not in names:
        raise CommandError(
            f"{path} has no column {name!r}, its columns are {', '.join(names) or 'none'}: name the one that holds it"
        )

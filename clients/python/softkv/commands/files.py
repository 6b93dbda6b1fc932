"""Functions that read files of documents, texts and vectors as streams, and write such files."""

from __future__ import annotations

import base64
import csv
import json
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from softkv.commands.command_line import CommandError, Misused

# Far below the limit of a request, whatever the length of the lines.
_BATCH_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Entry:
    """One document in a file: its line or row number, from 1, and its JSON text."""

    number: int
    content: bytes

    @property
    def document(self) -> dict[str, Any] | None:
        """The JSON object, or None if the line is not one."""
        return self._document_and_flaw[0]

    @property
    def flaw(self) -> str:
        """The reason why the line is not a document; empty if it is one."""
        return self._document_and_flaw[1]

    @cached_property
    def _document_and_flaw(self) -> tuple[dict[str, Any] | None, str]:
        try:
            value = _parse(self.content)
        except (ValueError, RecursionError) as error:
            return None, f"it is not JSON: {error}"
        if isinstance(value, dict):
            return value, ""
        return None, f"expected a document as a JSON object, got {self.content[:40].decode(errors='replace')}"

    @property
    def id(self) -> str | None:
        """The document's id, or None if it has none."""
        id_ = (self.document or {}).get("id")
        return id_ if isinstance(id_, str) else None


def _parse(content: bytes) -> Any:
    """Parse JSON as the service does.

    Text that orjson refuses, such as lone surrogates and huge numbers, is parsed by `json`. So the service itself can
    name these flaws.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; send null or leave the field out")


@dataclass(frozen=True)
class ColumnNames:
    """The columns of a table that hold ids, keys and values; every other column is metadata under its own name.

    A table without the column `required` is refused. If `required` is None, a table without the column of ids is
    refused. `text` keeps the metadata of a CSV file as texts. Otherwise a cell that is a JSON number, `true` or `false`
    becomes that value, so that filters can compare it. The column `expires`, if it is named, has the instants at which
    documents expire.
    """

    id: str = "id"
    key: str = "key"
    value: str = "value"
    text: bool = False
    required: str | None = None
    expires: str | None = None


@dataclass(frozen=True)
class DocumentSource:
    """The documents of a file or of another program, and the function that reads them from the start.

    Attributes:
        total: the number of documents, if it is known.
        entries: returns the documents.
        settings: the settings of the exported collection, as `create` takes them; empty if unknown.
        name: the name of the exported collection.
        unit: what the number of an entry counts: lines or rows.
    """

    total: int | None
    entries: Callable[[], Iterator[Entry]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    unit: str = "line"


def write_document(document: dict[str, Any]) -> bytes:
    """Return a document as a line of NDJSON."""
    # Decimals, which orjson does not support, keep their digits as text.
    return orjson.dumps(document, default=str, option=orjson.OPT_SERIALIZE_NUMPY)


def batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Yield entries in lists of at most `size`; lists of long entries are shorter."""
    batch: list[Entry] = []
    batch_bytes = 0
    for entry in entries:
        if batch and (len(batch) == size or batch_bytes + len(entry.content) > _BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(entry)
        batch_bytes += len(entry.content)
    if batch:
        yield batch


VERSION = 1
_MARK = "softkv_export"
_SETTINGS = (
    "similarity",
    "dimension",
    "value_dimension",
    "encoder",
    "value_from",
    "temperature",
    "null",
    "defaults",
    "expire_after",
)


@dataclass(frozen=True)
class ExportHead:
    """The first line of an exported collection: the collection's name, and its settings as the client's `create` takes
    them.
    """

    name: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, info: Any) -> ExportHead:
        """Return the head for a collection, from the client's description of it."""
        settings: dict[str, Any] = {name: getattr(info, name) for name in _SETTINGS}
        if settings["null"] == "calibrated":  # a new collection cannot be calibrated: it gets the defaults
            settings |= {"null": None, "temperature": None}
        # Unknown settings are left out, except the encoder: None means that the collection has no encoder.
        return cls(info.name, {name: v for name, v in settings.items() if v is not None or name == "encoder"})

    def line(self) -> bytes:
        """Return the head as a line of NDJSON."""
        return write_document({_MARK: VERSION, "collection": self.name, "settings": dict(self.settings)})


def read_head(entry: Entry) -> ExportHead | None:
    """Return the head if this line is the head of an exported collection, else None.

    Raises:
        CommandError: a later version wrote the head.
    """
    document = entry.document
    if document is None or _MARK not in document or "id" in document:
        return None
    name, settings = document.get("collection"), document.get("settings")
    if document[_MARK] != VERSION or not isinstance(name, str) or not isinstance(settings, dict):
        raise CommandError(
            f"the file begins as an export of version {document[_MARK]}, and this softkv reads version {VERSION}: "
            "read it with the version that wrote it, or leave out its first line"
        )
    return ExportHead(name, {name: settings[name] for name in settings if name in _SETTINGS})


def open_source(path: Path, columns: ColumnNames, ids: Path | None = None) -> DocumentSource:
    """Open the documents of a file by its extension; `-` is NDJSON from standard input.

    Args:
        path: the file.
        columns: the columns of a table.
        ids: for .npy only: a text file with one id per line, or a file of documents in the same order.

    Raises:
        Misused: the extension is unknown.
        CommandError: the content does not match the extension.
    """
    if ids is not None and path.suffix.lower() != ".npy":
        raise Misused(f"--ids names the documents of vectors in a .npy file, and {path} has its own ids: leave it out")
    if str(path) == "-":
        return _open_stream(_read_lines(sys.stdin.buffer))
    match path.suffix.lower():
        case ".ndjson" | ".jsonl":
            return _open_ndjson(path)
        case ".csv":
            return open_csv(path, columns)
        case ".parquet":
            return open_parquet(path, columns)
        case ".npy":
            return _open_npy(path, columns, ids)
    raise Misused(f"{path} ends in none of .ndjson .jsonl .csv .parquet .npy: convert or rename it")


def _read_lines(lines: Iterable[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(BOM_UTF8).strip()
        if content:
            yield Entry(number, content)


def _open_stream(entries: Iterator[Entry]) -> DocumentSource:
    """Open the documents of a stream, such as standard input, which can be read only once.

    Its first line may be the head of an export.
    """
    first = next(entries, None)
    head = None if first is None else read_head(first)
    if head is not None:
        return DocumentSource(None, lambda: entries, head.settings, head.name)
    return DocumentSource(None, lambda: chain([] if first is None else [first], entries))


def _open_ndjson(path: Path) -> DocumentSource:
    def entries() -> Iterator[Entry]:
        with path.open("rb") as file:
            yield from _read_lines(file)

    first = next(entries(), None)
    head = None if first is None else read_head(first)
    total = sum(1 for _ in entries())
    if head is None:
        return DocumentSource(total, entries)
    return DocumentSource(total - 1, lambda: islice(entries(), 1, None), head.settings, head.name)


def _open_npy(path: Path, columns: ColumnNames, ids: Path | None) -> DocumentSource:
    ids_path = ids or path.with_suffix(".ids.txt")
    if not ids_path.is_file():
        raise Misused(f"{path} holds vectors without ids, and {ids_path} is not there: name the file with --ids")
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise CommandError(f"{path} is not an array in .npy format: {error}") from None
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise CommandError(
            f"{path} holds {vectors.dtype} of shape {vectors.shape}: expected one row of numbers per document"
        )
    ids_source = _open_ids(ids_path, columns)
    if ids_source.total != len(vectors):
        raise CommandError(
            f"{path} holds {len(vectors):,} vectors and {ids_path} {ids_source.total:,} ids: they must be as many"
        )

    def entries() -> Iterator[Entry]:
        for row, entry in enumerate(ids_source.entries()):
            document = entry.document
            if document is None:
                raise CommandError(f"{ids_path} line {entry.number} is not a JSON object: write one document a line")
            yield Entry(row + 1, write_document(document | {"key_vector": write_vector(vectors[row])}))

    return DocumentSource(len(vectors), entries)


def _open_ids(path: Path, columns: ColumnNames) -> DocumentSource:
    """Open the file with the documents that belong to the rows of a .npy file: documents, or one id per line."""
    if path.suffix != ".txt":
        return open_source(path, columns)

    def entries() -> Iterator[Entry]:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                yield Entry(number, write_document({"id": line.rstrip("\r\n")}))

    return DocumentSource(sum(1 for _ in entries()), entries)


# A field of a CSV file may be a whole article.
_LARGEST_FIELD = 16 * 2**20
_ROWS = 1024


def open_csv(path: Path, columns: ColumnNames) -> DocumentSource:
    """Open a CSV file with a header, in UTF-8."""
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
    """Return the text of a metadata cell, converted to a number or boolean if it is the JSON of one."""
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
    return value if isinstance(value, bool | int | float) else cell


def open_parquet(path: Path, columns: ColumnNames) -> DocumentSource:
    """Open a Parquet file; this needs pyarrow."""
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
    """Convert a table's row to a document; `metadata.year` and `year` are the same field."""
    document: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    named = {columns.id: "id", columns.key: "key", columns.value: "value", columns.expires: "expires"}
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


_LINES = (".txt", "")


def open_texts(path: Path, key: str) -> DocumentSource:
    """Open a file's texts as documents with a `key`; a plain file has one text per line, and blank lines are skipped.

    Args:
        path: the file, or `-` for standard input.
        key: the column of a table, or the field of an NDJSON document.
    """
    if str(path) == "-":
        return DocumentSource(None, lambda: _lines(sys.stdin.buffer, path))
    if path.suffix.lower() in _LINES:
        return DocumentSource(sum(1 for _ in _read_plain(path)), lambda: _read_plain(path))
    table = open_source(path, ColumnNames(key=key, required=key))
    return DocumentSource(table.total, lambda: _read_texts(table, path, key))


def _read_plain(path: Path) -> Iterator[Entry]:
    with path.open("rb") as file:
        yield from _lines(file, path)


def _lines(file: Iterable[bytes], path: Path) -> Iterator[Entry]:
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise CommandError(f"{path} line {number} is not UTF-8 ({error}): convert the file") from None
        if text:
            yield Entry(number, write_document({"key": text}))


def _read_texts(table: DocumentSource, path: Path, key: str) -> Iterator[Entry]:
    for entry in table.entries():
        document = entry.document
        if document is None:
            raise CommandError(f"{path} line {entry.number} is not a JSON object: write one document a line")
        # The column of a table has become `key` already.
        text = document.get("key" if path.suffix.lower() in (".csv", ".parquet") else key)
        if not isinstance(text, str):
            raise CommandError(f"{path} line {entry.number} has no text in {key!r}: give it one, or name another --key")
        yield Entry(entry.number, write_document(document | {"key": text}))


def write_vector(vector: NDArray[Any]) -> dict[str, str]:
    """Return a vector [d] in its base64 form of the HTTP API, five times shorter than its numbers."""
    return {"base64": base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode("ascii")}


class ArrayFile:
    """A .npy file of float32 [n, d], written batch by batch; n and d are known at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shape = (0, 0)
        self._write_header()

    def append(self, documents: Sequence[dict[str, Any]], vectors: NDArray[np.float32]) -> None:
        """Append the vector of each document as a row."""
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        self._shape = (self._shape[0] + len(documents), vectors.shape[1])

    def finish(self) -> None:
        """Write the shape into the space that the header reserved for it."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)


class LineFile:
    """An NDJSON file of documents, each with its vector as `key_vector`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def append(self, documents: Sequence[dict[str, Any]], vectors: NDArray[np.float32]) -> None:
        """Append a line for each document."""
        for document, vector in zip(documents, vectors, strict=True):
            self._file.write(write_document(document | {"key_vector": vector}) + b"\n")

    def finish(self) -> None:
        """Write buffered lines to the file, which is then complete."""
        self._file.flush()

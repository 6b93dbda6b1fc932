"""Opening a table of any format."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec, cast

from softkv.problems import invalid_value, unexpected_argument
from softkv.table_options import TableOptions, name_options
from softkv.tables import arrow, objects
from softkv.tables.columns import Reading
from softkv.tables.content import (
    Content,
    NumberedRow,
    naming_damage,
    own_file,
    parse_texts,
    unreadable,
)
from softkv.tables.formats import BY_ENDING, read_file
from softkv.tables.packing import CORPUS, File, find_file, opener_of
from softkv.tables.process import open_elsewhere, reader_command
from softkv.tables.shards import describe_omitted, find_shards, join
from softkv.tables.table import Table

P = ParamSpec("P")
_TEXT_ENDINGS = (".txt", "")
IDS_ENDING = ".ids.txt"
"""The ending of the file with the ids of vectors, beside that of the vectors."""


def _with_options(
    record: Callable[P, TableOptions],
) -> Callable[[Callable[..., Table]], Callable[Concatenate[Any, P], Table]]:
    """Return a decorator of `open_table`, whose options are the fields of a record, also for type checkers."""
    return name_options()


@_with_options(TableOptions)
def open_table(source: Any, *, ids: str | Path | None = None, **options: Any) -> Table:
    """Open a file, a DataFrame or an Arrow table as documents, which `upsert` writes.

    docs/reference/commands.md#load-a-file lists the formats and explains each argument.

    Args:
        source: the path of a file or a folder, a pattern such as data/*.parquet, a DataFrame, or an Arrow table.
        ids: for vectors: a .txt file with one id per line, or a table of documents in the same order.
        options: `TableOptions`.

    Returns:
        A `Table`.

    Raises:
        Invalid: the source is not a table, a column does not exist, or a package that reads the format is missing.

    Example:
        >>> collection.upsert(open_table("books.csv", key="title"))
    """
    for name in options:
        if name not in TableOptions._names:
            raise unexpected_argument("open_table", name)
    return open_with(source, Reading(TableOptions(ids=ids, **options)))


def open_with(source: Any, reading: Reading, *, lines: str | None = None) -> Table:
    """Open a table as `open_table` does.

    Another process reads a file, if this one can start others. `lines` names the column that a plain file of lines
    becomes.
    """
    if isinstance(source, str | Path) and str(source) != "-" and reader_command():
        with suppress(OSError):  # this system starts no process
            return open_elsewhere(Path(source), reading, lines=lines)
    return open_here(source, reading, lines=lines)


def open_here(source: Any, reading: Reading, *, lines: str | None) -> Table:
    """Open a table as `open_with` does, and read it in this process."""
    if not isinstance(source, str | Path):
        return Table("the table", _read_object(source, reading), reading)
    ids = reading.options.ids
    path, ids_path = Path(source), None if ids is None else Path(ids)
    content = read_path(path, reading, column=lines)
    if content.numbered and ids_path is None:
        ids_path = own_file(path.parent, path.stem + IDS_ENDING)
    if ids_path is not None:
        content = _beside(content, path, read_path(ids_path, reading.of_ids(), column="id"), ids_path)
    return Table(path.name, content, reading)


def _read_object(source: Any, reading: Reading) -> Content:
    pandas = sys.modules.get("pandas")  # a table's own library is already imported
    if pandas is not None and isinstance(source, pandas.DataFrame):
        return arrow.read_frame(source)
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        return arrow.read_arrow(source, "the table", reading)
    raise invalid_value("", f"wanted the path of a file, a DataFrame or an Arrow table, got {type(source).__name__}")


def read_path(path: Path, reading: Reading, *, column: str | None = None) -> Content:
    """Return the content of a file by its ending, of a folder of BEIR, or of standard input if the path is `-`.

    Args:
        path: the file or the folder.
        reading: how it is read.
        column: the name of the column that a plain file of lines becomes; None if such a file is refused.

    Raises:
        Invalid: the ending is unknown, or the content does not match it, also where its rows reach that place.
    """
    with naming_damage(path):
        content = _read_path(path, reading, column)

    def rows() -> Iterator[NumberedRow]:
        with naming_damage(path):
            yield from content.rows()

    return replace(content, rows=rows)


def _read_path(path: Path, reading: Reading, column: str | None) -> Content:
    if str(path) == "-":
        return _read_standard_input(reading, column)
    if path.is_dir() and (corpus := objects.beir_file(path, "corpus")):
        return objects.read_corpus(opener_of(corpus))
    if shards := find_shards(path):
        content = join(shards, lambda shard: read_path(shard, reading))
        return replace(content, notices=[*content.notices, *(describe_omitted(path, shards) if path.is_dir() else [])])
    if not path.is_file() and not path.is_dir():
        raise unreadable(path, "is not there")
    file = find_file(path, reading, readable=BY_ENDING.keys() - {*_TEXT_ENDINGS})
    if file.name == CORPUS != path.name and reading.options.member is None:
        return objects.read_corpus(file.open)
    if column is not None and file.ending in _TEXT_ENDINGS:
        return _read_texts(file, column)
    return read_file(file)


def _read_texts(file: File, column: str) -> Content:
    def rows() -> Iterator[NumberedRow]:
        with file.open() as lines:
            yield from parse_texts(lines, file.path, column)

    return Content([column], rows, sum(1 for _ in rows()), unit="line")


def _read_standard_input(reading: Reading, column: str | None) -> Content:
    stream = sys.stdin.buffer
    if column is not None:
        return Content([column], lambda: parse_texts(stream, Path("-"), column), unit="line")
    if not reading.names:
        return objects.read_stream_of_json(stream)
    content = stream.read()  # the names of its columns are found in a first pass
    file = File(Path("-"), "-", "", lambda: cast(BinaryIO, io.BytesIO(content)), False, reading)
    return objects.read_lines_of_json(file)


def _beside(vectors: Content, path: Path, documents: Content, ids: Path) -> Content:
    """Return the vectors of one file with the documents of another, which has them in the same order.

    Raises:
        Invalid: the vectors have ids already, or there are not as many documents.
    """
    if not vectors.numbered:
        raise invalid_value("", f"{path} has ids already: leave out the file {ids}")
    total = documents.total if documents.total is not None else sum(1 for _ in documents.rows())
    if total != vectors.total:
        raise invalid_value("", f"{path} holds {vectors.total:,} vectors and {ids} {total:,} ids: they must be as many")

    def rows() -> Iterator[NumberedRow]:
        for (number, vector), (_, cells) in zip(vectors.rows(), documents.rows(), strict=True):
            yield number, cells if isinstance(cells, str) or isinstance(vector, str) else {**cells, **vector}

    columns = None if documents.columns is None else [*documents.columns, *(vectors.columns or ())]
    joined = replace(documents, columns=columns, rows=rows, total=total, unit=vectors.unit, name=None)
    return replace(joined, settings=vectors.settings, notices=(*documents.notices, *vectors.notices))

"""Files of documents: NDJSON, CSV, Parquet, or vectors in .npy beside their ids."""

from __future__ import annotations

import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from service.commands.errors import CommandError, Misused
from service.commands.files.head import read_head
from service.commands.files.source import ColumnNames, DocumentSource, Entry, write_document
from service.commands.files.tables import open_csv, open_parquet


def open_source(path: Path, columns: ColumnNames, ids: Path | None = None) -> DocumentSource:
    """The documents of `path`, by its ending; `-` is NDJSON from standard input.

    `ids` is for .npy only: a text file with one id a line, or a file of documents in the same order.
    Raises `Misused` for another ending, `CommandError` for a file that is not what its ending says.
    """
    if ids is not None and path.suffix.lower() != ".npy":
        raise Misused(f"--ids names the documents of vectors in a .npy file, and {path} has its own ids: leave it out")
    if str(path) == "-":
        return _streamed(_numbered(sys.stdin.buffer))
    match path.suffix.lower():
        case ".ndjson" | ".jsonl":
            return _ndjson(path)
        case ".csv":
            return open_csv(path, columns)
        case ".parquet":
            return open_parquet(path, columns)
        case ".npy":
            return _npy(path, columns, ids)
    raise Misused(f"{path} ends in none of .ndjson .jsonl .csv .parquet .npy: convert or rename it")


def _numbered(lines: Iterable[bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(BOM_UTF8).strip()
        if content:
            yield Entry(number, content)


def _streamed(entries: Iterator[Entry]) -> DocumentSource:
    """Documents of a stream, which is gone through once; its first line may be the head of an export."""
    first = next(entries, None)
    head = None if first is None else read_head(first)
    if head is not None:
        return DocumentSource(None, lambda: entries, head.settings, head.name)
    return DocumentSource(None, lambda: chain([] if first is None else [first], entries))


def _ndjson(path: Path) -> DocumentSource:
    def entries() -> Iterator[Entry]:
        with path.open("rb") as file:
            yield from _numbered(file)

    first = next(entries(), None)
    head = None if first is None else read_head(first)
    total = sum(1 for _ in entries())
    if head is None:
        return DocumentSource(total, entries)
    return DocumentSource(total - 1, lambda: islice(entries(), 1, None), head.settings, head.name)


def _npy(path: Path, columns: ColumnNames, ids: Path | None) -> DocumentSource:
    import numpy as np

    from service.commands.files.vectors import write_vector

    beside = ids or path.with_suffix(".ids.txt")
    if not beside.is_file():
        raise Misused(f"{path} holds vectors without ids, and {beside} is not there: name the file with --ids")
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise CommandError(f"{path} is not an array in .npy format: {error}") from None
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise CommandError(
            f"{path} holds {vectors.dtype} of shape {vectors.shape}: wanted one row of numbers a document"
        )
    named = _names(beside, columns)
    if named.total != len(vectors):
        raise CommandError(
            f"{path} holds {len(vectors):,} vectors and {beside} {named.total:,} ids: they must be as many"
        )

    def entries() -> Iterator[Entry]:
        for row, entry in enumerate(named.entries()):
            document = entry.document
            if document is None:
                raise CommandError(f"{beside} line {entry.number} is not a JSON object: write one document a line")
            yield Entry(row + 1, write_document(document | {"key_vector": write_vector(vectors[row])}))

    return DocumentSource(len(vectors), entries)


def _names(path: Path, columns: ColumnNames) -> DocumentSource:
    """The documents that vectors belong to: a file of documents, or of one id a line."""
    if path.suffix != ".txt":
        return open_source(path, columns)

    def entries() -> Iterator[Entry]:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                yield Entry(number, write_document({"id": line.rstrip("\r\n")}))

    return DocumentSource(sum(1 for _ in entries()), entries)

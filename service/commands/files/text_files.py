"""Files of texts: plain lines, or documents whose keys are the texts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from service.commands.errors import CommandError
from service.commands.files.document_files import open_source
from service.commands.files.source import ColumnNames, DocumentSource, Entry, write_document

_LINES = (".txt", "")


def open_texts(path: Path, key: str) -> DocumentSource:
    """A file's texts as documents with a `key`; a plain file has one a line, blank lines left out.

    `key` names the column of a table, or the field of an NDJSON document.
    """
    if str(path) == "-":
        return DocumentSource(None, lambda: _lines(sys.stdin.buffer, path))
    if path.suffix.lower() in _LINES:
        return DocumentSource(sum(1 for _ in _plain(path)), lambda: _plain(path))
    table = open_source(path, ColumnNames(key=key, required=key))
    return DocumentSource(table.total, lambda: _keyed(table, path, key))


def _plain(path: Path) -> Iterator[Entry]:
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


def _keyed(table: DocumentSource, path: Path, key: str) -> Iterator[Entry]:
    for entry in table.entries():
        document = entry.document
        if document is None:
            raise CommandError(f"{path} line {entry.number} is not a JSON object: write one document a line")
        # A table's column has its name in the documents already.
        text = document.get("key" if path.suffix.lower() in (".csv", ".parquet") else key)
        if not isinstance(text, str):
            raise CommandError(f"{path} line {entry.number} has no text in {key!r}: give it one, or name another --key")
        yield Entry(entry.number, write_document(document | {"key": text}))

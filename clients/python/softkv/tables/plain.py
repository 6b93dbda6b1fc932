"""Plain texts, one on each line: the ids beside a file of vectors, or texts to encode."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from pathlib import Path

from softkv.tables.content import Content, NumberedRow, unreadable
from softkv.tables.files import BinaryOpener

ENDINGS = (".txt", "")


def read_lines(path: Path, open_file: BinaryOpener, column: str) -> Content:
    """Return the texts of a file as a table of one column; blank lines are skipped.

    Raises:
        Invalid: a line is not UTF-8.
    """

    def rows() -> Iterator[NumberedRow]:
        with open_file() as file:
            yield from parse_lines(file, path, column)

    return Content([column], rows, sum(1 for _ in rows()), unit="line")


def parse_lines(lines: Iterable[bytes], path: Path, column: str) -> Iterator[NumberedRow]:
    """Yield the number and the text of each line that is not blank.

    Raises:
        Invalid: a line is not UTF-8.
    """
    for number, line in enumerate(lines, start=1):
        try:
            text = line.removeprefix(BOM_UTF8).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise unreadable(path, f"line {number} is not UTF-8 ({error}): convert the file") from None
        if text.strip():
            yield number, {column: text if column == "id" else text.strip()}

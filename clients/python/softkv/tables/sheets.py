"""Sheets: CSV and TSV as spreadsheets, databases and pandas write them, and the files of spreadsheets themselves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from softkv.problems import invalid_value
from softkv.tables.cells import to_text
from softkv.tables.content import BinaryOpener, Content, NumberedRow, encoding_of, require_reader, unreadable

TEXT_ENDINGS = (".csv", ".tsv", ".tab")
SPREADSHEET_ENDINGS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_DELIMITERS = (",", ";", "\t", "|")
_RECORDS = 20  # the first records decide the delimiter
_LARGEST_FIELD = 16 * 2**20  # a cell may be a whole article


def read_delimited(
    path: Path, open_file: BinaryOpener, *, delimiter: str | None = None, charset: str | None = None
) -> Content:
    """Return the content of cells in a text, whose first record has the names of the columns.

    Args:
        path: the name of the file, for messages.
        open_file: opens the file.
        delimiter: the character between cells; found in the first records if None.
        charset: the encoding; by the mark at the beginning of the file if None, UTF-8 without one.

    Raises:
        Invalid: the file has another encoding, or the charset or the delimiter cannot be.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise invalid_value("", f"wanted a delimiter of one character, such as ; or a tab, got {delimiter!r}")
    with open_file() as file:
        encoding = charset or encoding_of(file.read(4))
    try:
        "".encode(encoding)  # also refuses codecs that are not of texts, such as hex
    except (LookupError, ValueError):
        raise invalid_value("", f"there is no charset {encoding!r}: name one such as utf-16 or windows-1252") from None

    def open_text() -> TextIO:
        return io.TextIOWrapper(open_file(), encoding=encoding, newline="")

    def records() -> Iterator[tuple[int, list[str], bool]]:
        with open_text() as text:
            try:
                yield from _records(_lines(text, path, open_file), chosen)
            except csv.Error as error:
                raise unreadable(path, f"is not CSV: {error}") from None

    with open_text() as text:
        beginning = "".join(islice(_lines(text, path, open_file), _RECORDS * 5))
    chosen = delimiter or _find_delimiter(beginning)
    _, names, _ = next(records(), (0, [], False))
    columns = [name.strip() or str(position) for position, name in enumerate(names, start=1)]

    def rows() -> Iterator[NumberedRow]:
        for line, cells, is_open in islice(records(), 1, None):
            if is_open:
                yield line, "a quotation mark in it is never closed"
            elif len(cells) != len(columns):
                yield (
                    line,
                    (f"it has {len(cells)} cells and the header {len(columns)}: quote cells that hold {chosen!r}"),
                )
            else:
                yield line, dict(zip(columns, cells, strict=True))

    unnamed = [column for column, name in zip(columns, names, strict=True) if not name.strip()]
    notices = [f"{path.name}: column {name} has no name, so its number is its name" for name in unnamed]
    return Content(columns, rows, unit="line", texts=True, notices=notices)


def _lines(text: TextIO, path: Path, open_file: BinaryOpener) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        Invalid: the bytes of a line are not of the encoding.
    """
    number = 0
    try:
        for line in text:
            number += 1
            yield line
    except UnicodeError:
        number = _first_undecodable(open_file) if text.encoding == "utf-8-sig" else number + 1
        advice = "save it as CSV UTF-8, or name its charset, such as windows-1252"
        raise unreadable(path, f"line {number} is not in {text.encoding.removesuffix('-sig')}: {advice}") from None


def _first_undecodable(open_file: BinaryOpener) -> int:
    """Return the number of the first line that is not UTF-8. The text itself is decoded in pieces of many lines."""
    with open_file() as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str], bool]]:
    """Yield the first line of each record, its cells, and whether a quotation mark in it is never closed."""
    ended = False

    def source() -> Iterator[str]:
        nonlocal ended
        yield from lines
        ended = True

    reader = csv.reader(source(), delimiter=delimiter)
    begins = 1
    for cells in reader:
        if cells:
            yield begins, cells, ended
        begins = reader.line_num + 1


def _find_delimiter(beginning: str) -> str:
    """Return the delimiter that splits the first records into the same number of cells, and into most."""

    def judge(delimiter: str) -> tuple[bool, float, int]:
        records = _records(io.StringIO(beginning, newline=""), delimiter)
        widths = [len(cells) for _, cells, _ in islice(records, _RECORDS)]
        width = widths[0] if widths else 1
        return width > 1, widths.count(width) / max(1, len(widths)), width

    return max(_DELIMITERS, key=judge)


def read_spreadsheet(path: Path) -> Content:
    """Return the rows of the first sheet, whose first row has the names of the columns.

    A column with a text among its cells is a column of texts.

    Raises:
        Invalid: it is another file, or python-calamine is not installed.
    """
    calamine = require_reader("python_calamine", "python-calamine", path)
    try:
        book = calamine.CalamineWorkbook.from_path(path)
        sheet = book.get_sheet_by_index(0)
        records = [
            (row, cells) for row, cells in enumerate(sheet.iter_rows(), start=1) if any(_is_filled(c) for c in cells)
        ]
    except (calamine.CalamineError, OSError, IndexError) as error:
        raise unreadable(path, f"is not a spreadsheet: {error}") from None
    header = records[0][1] if records else []
    width = max((i for i, name in enumerate(header, start=1) if _is_filled(name)), default=0)
    width = max([width, *(i for _, cells in records for i, cell in enumerate(cells, start=1) if _is_filled(cell))])
    names = [str(_whole(name)).strip() or str(i) for i, name in enumerate(header[:width], start=1)]
    texts = {
        i for i in range(width) if any(isinstance(cells[i], str) and _is_filled(cells[i]) for _, cells in records[1:])
    }

    def rows() -> Iterator[NumberedRow]:
        for row, cells in records[1:]:
            filled = [(i, cell) for i, cell in enumerate(cells[:width]) if _is_filled(cell)]
            yield row, {names[i]: to_text(_whole(cell)) if i in texts else _whole(cell) for i, cell in filled}

    further_sheets = book.sheet_names[1:]
    notices = [f"{path.name}: only its first sheet is read, not {', '.join(further_sheets)}"] if further_sheets else []
    notices += [
        f"{path.name}: column {i} has no name, so its number is its name"
        for i, name in enumerate(header[:width], start=1)
        if not str(name).strip()
    ]
    return Content(names, rows, max(len(records) - 1, 0), notices=notices)


def _is_filled(cell: Any) -> bool:
    return cell is not None and cell != ""


def _whole(cell: Any) -> Any:
    """Return a number without a fraction as an int: a spreadsheet has only floats."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53 else cell

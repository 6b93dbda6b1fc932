"""Sheets: CSV and TSV as spreadsheets, databases and pandas write them, and the files of spreadsheets themselves."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias
from xml.etree.ElementTree import ParseError

import numpy as np

from softkv.problems import invalid_value
from softkv.tables.cells import NUMBER
from softkv.tables.content import (
    Content,
    MixedColumn,
    NumberedRow,
    count_cells,
    encoding_of,
    require_reader,
    unreadable,
)
from softkv.tables.kinds import are_few, is_missing, say_missing
from softkv.tables.markup import COVERED, FAULTY, read_markup
from softkv.tables.packing import BinaryOpener, File

_DELIMITERS = (",", ";", "\t", "|")
_QUOTING: dict[str, Literal[0, 3]] = {"csv": csv.QUOTE_MINIMAL, "none": csv.QUOTE_NONE}
_NULL = r"\N"
"""A cell without a value, as PostgreSQL, MySQL and Hive write it."""
_NAMES_DELIMITER = re.compile(r'"?sep=([^\w"\r\n])"?[\r\n]*', re.IGNORECASE)
"""A first line that names the delimiter to spreadsheets."""
_RECORDS = 20  # the first records decide the delimiter
_LARGEST_FIELD = 16 * 2**20  # a cell may be a whole article

Record: TypeAlias = tuple[int, list[str], str]
"""The number of a record's first line, its cells, and the reason if it has none, or an empty text."""


def read_delimited(file: File) -> Content:
    """Return the content of cells in a text, whose first record has the names of the columns.

    Without options, the delimiter is found in the first records, the encoding by the mark at the beginning, and a file
    with tabs is quoted if every line allows it.

    Raises:
        Invalid: the file has another encoding, or an option cannot be.
    """
    path, open_file, reading, options = file.path, file.open, file.reading, file.reading.options
    csv.field_size_limit(_LARGEST_FIELD)
    delimiter = "\t" if options.delimiter in ("tab", "\\t") else options.delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise invalid_value("", f"wanted a delimiter of one character, such as ; or tab, got {delimiter!r}")
    if options.quoting not in (None, *_QUOTING):
        raise invalid_value("", f"wanted quoting csv or none, got {options.quoting!r}")
    with open_file() as beginning_of_file:
        encoding = options.charset or encoding_of(beginning_of_file.read(4))
    try:
        "".encode(encoding)  # also refuses codecs that are not of texts, such as hex
    except (LookupError, ValueError):
        raise invalid_value("", f"there is no charset {encoding!r}: name one such as utf-16 or windows-1252") from None

    def open_text() -> TextIO:
        return io.TextIOWrapper(open_file(), encoding=encoding, newline="")

    def lines_of(text: TextIO) -> Iterator[str]:
        """Yield the lines of a text; the one that names its delimiter is empty."""
        for number, line in enumerate(_lines(text, path, open_file)):
            yield "\n" if number == 0 and _NAMES_DELIMITER.fullmatch(line) else line

    with open_text() as text:
        named = _NAMES_DELIMITER.fullmatch(next(_lines(text, path, open_file), ""))
    delimiter = delimiter or (named[1] if named else None)
    with open_text() as text:
        above = (options.header_row or 1) - 1  # titles, which say nothing of the delimiter
        beginning = "".join(islice(lines_of(text), above, above + _RECORDS * 5))
    chosen, quoting, notices = delimiter or _find_delimiter(beginning), options.quoting or "csv", list[str]()
    if chosen == "\t" and options.quoting is None:
        with open_text() as text, open_text() as again:
            unquoted = _find_unquoted(lines_of(text), lines_of(again))
        if unquoted:
            quoting = "none"
            notices.append(
                f"its quotation marks are part of its cells, since line {unquoted} is not quoted; "
                f"{reading.say('quoting', 'csv')} takes them off"
            )

    def records() -> Iterator[Record]:
        with open_text() as text:
            for record in _records(lines_of(text), chosen, quoting):
                if record[0] >= (options.header_row or 1):
                    yield record

    line, first, flaw = next(records(), (0, [], ""))
    if options.header_row and not first:
        raise unreadable(path, f"has no line {options.header_row}: name the one of the header")
    if not first:
        reason = (
            f"cannot be read from line {line} on: {flaw}" if flaw else "has no rows: write the names of the columns"
        )
        raise unreadable(path, reason)
    if not reading.has_header and not options.columns and len(first) > 1 and all(map(_is_number, first)):
        return _read_vectors(records)
    names = first if reading.has_header else reading.header(len(first), path)
    headings = [name.strip() or str(position) for position, name in enumerate(names, start=1)]

    def rows() -> Iterator[NumberedRow]:
        for line, cells, flaw in islice(records(), int(reading.has_header), None):
            if flaw:
                yield line, flaw
            elif len(cells) != len(headings):
                yield (
                    line,
                    (f"it has {len(cells)} cells and the header {len(headings)}: quote cells that hold {chosen!r}"),
                )
            else:
                filled = ["" if cell == _NULL else cell for cell in cells] if _NULL in cells else cells
                yield line, dict(zip(headings, filled, strict=True))

    unnamed = [heading for heading, name in zip(headings, names, strict=True) if not name.strip()]
    notices += _say_unnamed(unnamed)
    decimals = ".," if chosen == ";" else "."
    return Content(
        headings, rows, unit="line", texts=True, decimals=decimals, lacks_names=bool(unnamed), notices=notices
    )


def _read_vectors(records: Callable[[], Iterable[Record]]) -> Content:
    """Return the content of a text without names whose cells are numbers: in each row the vector of a key."""

    def rows() -> Iterator[NumberedRow]:
        for number, (_, cells, flaw) in enumerate(records(), start=1):
            try:
                yield number, flaw or {"key_vector": np.array(cells, np.float32)}
            except ValueError as error:
                yield number, f"it is not a vector of numbers: {error}"

    return Content(["key_vector"], rows, sum(1 for _ in records()), numbered=True)


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell.strip()) is not None


def _say_unnamed(columns: Sequence[str]) -> list[str]:
    """Return the notice about columns without a name; none if all have one."""
    if not columns:
        return []
    plural = f"columns {', '.join(columns)} have no names, so their numbers are their names"
    return [plural if len(columns) > 1 else f"column {columns[0]} has no name, so its number is its name"]


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


def _records(lines: Iterable[str], delimiter: str, quoting: str) -> Iterator[Record]:
    """Yield the first line of each record, its cells, and the reason if it cannot be read, or an empty text."""
    reader = csv.reader(lines, delimiter=delimiter, quoting=_QUOTING[quoting], strict=True)
    begins = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, [], _flaw(str(error))
        else:
            if cells:
                yield begins, cells, ""
        begins = reader.line_num + 1


def _flaw(reason: str) -> str:
    """Return what is wrong with a record, of the reason that `csv` gives."""
    if reason == "unexpected end of data":
        return "a quotation mark in it is never closed"
    if "expected after" in reason:
        return "text follows the quotation mark that ends a cell: write a mark within a cell twice"
    return f"it is not CSV: {reason}"


def _find_unquoted(lines: Iterable[str], again: Iterable[str]) -> int:
    """Return the first line that shows that the cells of a file with tabs are not quoted; 0 without one.

    It is a line that cannot be quoted; or, if every line has the same number of tabs, one whose cell would go on in the
    next line.
    """
    longer, before = 0, 0
    for begins, cells, flaw in _records(lines, "\t", "csv"):
        if flaw:
            return begins
        longer = longer or before
        before = begins if any("\n" in cell or "\r" in cell for cell in cells) else 0
    widths = {line.count("\t") for line in again if line.strip("\r\n")} if longer else {0, 1}
    return longer if len(widths) == 1 else 0


def _find_delimiter(beginning: str) -> str:
    """Return the delimiter that splits the first records into the same number of cells, and into most."""

    def judge(delimiter: str) -> tuple[bool, float, int]:
        records = _records(io.StringIO(beginning, newline=""), delimiter, "csv")
        widths = [len(cells) for _, cells, flaw in islice(records, _RECORDS) if not flaw]
        width = widths[0] if widths else 1
        return width > 1, widths.count(width) / max(1, len(widths)), width

    return max(_DELIMITERS, key=judge)


def read_spreadsheet(file: File) -> Content:
    """Return the rows of a sheet, whose first filled row has the names of the columns.

    A column with a text among its cells is a column of texts, if it is not one of few cells that mark a missing value.

    Raises:
        Invalid: it is another file, there is no such sheet, or python-calamine is not installed.
    """
    path, reading = file.path, file.reading
    calamine = require_reader("python_calamine", "python-calamine", path)
    try:
        book = calamine.CalamineWorkbook.from_path(path)
        name, notices = _choose_sheet(calamine, book.sheets_metadata, file)
        sheet = book.get_sheet_by_name(name)
        left = (sheet.start or (0, 0))[1]
        hidden = {(line, column - left): fact for (line, column), fact in read_markup(path, name).items()}
        records = [(row, _correct(row, cells, hidden)) for row, cells in enumerate(sheet.iter_rows(), start=1)]
    except (calamine.CalamineError, ParseError, OSError, IndexError) as error:
        raise unreadable(path, f"is not a spreadsheet: {error}") from None
    first = file.reading.options.header_row or 1
    records = [(row, cells) for row, cells in records if row >= first and any(map(_is_filled, cells))]
    if not records:
        advice = f" from row {first} on: name an earlier one, or another sheet" if first > 1 else ": name another"
        raise unreadable(path, f"has no cells in its sheet {name!r}{advice} with {reading.say('sheet')}")
    if reading.has_header:
        (start, header), *records = records
    else:
        start, header = 0, reading.header(len(records[0][1]), path)
    filled = {i for _, cells in records for i, cell in enumerate(cells) if _is_filled(cell)}
    headings = {
        i: str(_whole(cell)).strip() or str(i + 1) for i, cell in enumerate(header) if _is_filled(cell) or i in filled
    }
    marks = {i: _find_marks([cells[i] for _, cells in records if _is_filled(cells[i])]) for i in headings}
    mixed = {
        headings[i]: _describe_mixed([(row, cells[i]) for row, cells in records if _is_filled(cells[i])])
        for i, texts in marks.items()
        if texts == []
    }

    def rows() -> Iterator[NumberedRow]:
        for row, cells in records:
            filled_cells = {i: cell for i in headings if _is_filled(cell := cells[i]) and cell not in (marks[i] or ())}
            yield row, {headings[i]: _whole(cell) for i, cell in filled_cells.items()}

    notices += _say_hidden(hidden, headings, start, left, sheet)
    notices += [f"column {headings[i]!r} {say_missing(len(texts), texts[0])}" for i, texts in marks.items() if texts]
    unnamed = [heading for i, heading in headings.items() if not str(header[i]).strip()]
    notices += _say_unnamed(unnamed)
    return Content([*headings.values()], rows, len(records), mixed=mixed, lacks_names=bool(unnamed), notices=notices)


def _correct(row: int, cells: list[Any], hidden: Mapping[tuple[int, int], Any]) -> list[Any]:
    """Return the cells of a row with what its XML says of them."""
    if not hidden:
        return cells
    facts = [hidden.get((row, column)) for column in range(1, len(cells) + 1)]
    return [
        cell if fact is None or fact == COVERED else None if fact == FAULTY else fact[0]
        for cell, fact in zip(cells, facts, strict=True)
    ]


def _say_hidden(
    hidden: Mapping[tuple[int, int], Any], headings: Mapping[int, str], start: int, left: int, sheet: Any
) -> list[str]:
    """Return the notices about cells below the header, in row `start`, that have no value of their own."""
    faulty, covered = Counter[str](), Counter[str]()
    for (row, column), fact in hidden.items():
        if row > start and column - 1 in headings:
            faulty[headings[column - 1]] += fact == FAULTY
            covered[headings[column - 1]] += fact == COVERED
    for (top, first), (bottom, last) in sheet.merged_cell_ranges or ():
        for column in range(first, last + 1):
            if (heading := headings.get(column - left)) is not None:
                covered[heading] += max(0, bottom + 1 - max(top, start)) - (column == first and top >= start)
    notices = []
    if cells := count_cells(faulty):
        notices.append(
            f"cells with an error, or with a formula that has no value, count as empty ({cells}): open the file in a "
            "spreadsheet program and save it"
        )
    if cells := count_cells(covered):
        notices.append(f"of merged cells, only the first has the value, and the others are empty ({cells})")
    return notices


def _choose_sheet(calamine: Any, sheets: Sequence[Any], file: File) -> tuple[str, list[str]]:
    """Return the name of the sheet that is read, and the notice about the others.

    Raises:
        Invalid: there is no such sheet, or no sheet has cells.
    """
    worksheets = {
        sheet.name: "" if sheet.visible == calamine.SheetVisibleEnum.Visible else "hidden"
        for sheet in sheets
        if sheet.typ == calamine.SheetTypeEnum.WorkSheet
    }
    name = file.reading.options.sheet or min(worksheets, key=lambda sheet: bool(worksheets[sheet]), default="")
    kinds = {sheet.name: worksheets.get(sheet.name, "without cells") for sheet in sheets if sheet.name != name}
    listed = ", ".join(f"{sheet} ({kind})" if kind else sheet for sheet, kind in kinds.items())
    if name not in worksheets:
        missing = f"sheet {name!r} with cells" if name else "sheet with cells"
        raise unreadable(file.path, f"has no {missing}, its sheets are {listed or 'none'}")
    if not listed or file.reading.options.sheet is not None:
        return name, []
    return name, [f"only its sheet {name!r} is read, not {listed}; {file.reading.say('sheet')} names another"]


def _find_marks(cells: Sequence[Any]) -> list[str] | None:
    """Return the texts of a column that mark a missing value; none if it has other texts, None if it is of one kind."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    if not texts or len(texts) == len(cells):
        return None
    return texts if all(map(is_missing, texts)) and are_few(len(texts), len(cells)) else []


def _describe_mixed(cells: Sequence[tuple[int, Any]]) -> MixedColumn:
    """Return a text of a column that marks no missing value, with its row, and the kind of its other cells."""
    texts = [(row, cell) for row, cell in cells if isinstance(cell, str)]
    row, example = next(((row, cell) for row, cell in texts if not is_missing(cell)), texts[0])
    values = [cell for _, cell in cells if not isinstance(cell, str)]
    if all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in values):
        return MixedColumn(row, example, "numbers")
    return MixedColumn(row, example, "dates" if all(isinstance(cell, date) for cell in values) else "several")


def _is_filled(cell: Any) -> bool:
    return cell is not None and cell != ""


def _whole(cell: Any) -> Any:
    """Return a number without a fraction as an int: a spreadsheet has only floats."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53 else cell

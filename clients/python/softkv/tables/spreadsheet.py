"""Spreadsheets: .xlsx and the other formats that calamine reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softkv.tables.cells import to_text
from softkv.tables.content import Content, NumberedRow, require_reader, unreadable

ENDINGS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


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

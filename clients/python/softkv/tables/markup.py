"""The cells of .xlsx and .ods of which python-calamine hides something: read here in the XML of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias
from xml.etree.ElementTree import Element, fromstring, iterparse
from zipfile import ZipFile, is_zipfile

FAULTY: Final = "faulty"
"""A cell with a formula that has no stored value, or with an error."""
COVERED: Final = "covered"
"""A cell behind one that was merged with it."""

Cell: TypeAlias = tuple[tuple[int, int], Any]
"""The row and the column of a cell, from 1, and its value, in a list of one; or what it is instead."""

_DURATION = re.compile(r"(-?)P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?")
_SPACE = re.compile(r"[ \t\r\n]+")
_LEFT_OUT = {"annotation", "note", "ruby-text"}
_COLUMNS = 16_384


def read_markup(path: Path, sheet: str) -> dict[tuple[int, int], Any]:
    """Return cells by their row and column, from 1: FAULTY, COVERED, or a list of the value.

    They are errors, and formulas without a stored value. Of .ods, they are also durations, and texts with tabs, line
    breaks or notes. A file of another format has none.
    """
    if not is_zipfile(path):
        return {}
    with ZipFile(path) as archive:
        names = archive.namelist()
        if "content.xml" in names:
            return dict(_cells_of_ods(archive, sheet))
        part = _part_of(archive, sheet) if "xl/workbook.xml" in names else ""
        return dict(_cells_of_xlsx(archive, part)) if part in names else {}


def _part_of(archive: ZipFile, sheet: str) -> str:
    """Return the name of the part of an .xlsx file that has the cells of a sheet."""
    targets = {
        relation.get("Id"): relation.get("Target", "")
        for relation in fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    }
    for element in fromstring(archive.read("xl/workbook.xml")).findall(".//{*}sheet"):
        if element.get("name") == sheet:
            target = targets.get(_attribute(element, "id"), "")
            return target[1:] if target.startswith("/") else f"xl/{target}"
    return ""


def _cells_of_xlsx(archive: ZipFile, part: str) -> Iterator[Cell]:
    row = column = 0
    with archive.open(part) as file:
        for event, element in iterparse(file, ("start", "end")):
            match event, _name(element):
                case "start", "row":
                    row, column = int(element.get("r", row + 1)), 0
                case "end", "c":
                    column = _column_of(element.get("r", "")) or column + 1
                    kind, value = element.get("t"), element.findtext("{*}v")
                    is_formula = element.find("{*}f") is not None
                    if kind == "e" or (is_formula and not value and kind not in ("str", "inlineStr")):
                        yield (row, column), FAULTY
                    element.clear()
                case "end", "row":
                    element.clear()


def _column_of(reference: str) -> int:
    """Return the number of the column that a reference such as AB12 names; 0 for an empty one."""
    number = 0
    for letter in reference.rstrip("0123456789"):
        number = number * 26 + ord(letter.upper()) - ord("A") + 1
    return number


def _cells_of_ods(archive: ZipFile, sheet: str) -> Iterator[Cell]:
    row = column = 0
    is_inside = False
    cells: list[tuple[int, Any]] = []
    with archive.open("content.xml") as file:
        for event, element in iterparse(file, ("start", "end")):
            name = _name(element)
            if (event, name) == ("start", "table"):
                is_inside, row = _attribute(element, "name") == sheet, 0
            elif (event, name) == ("start", "table-row"):
                column, cells = 0, []
            elif event == "end" and name in ("table-cell", "covered-table-cell"):
                repeated = int(_attribute(element, "number-columns-repeated") or 1)
                if is_inside and (cell := COVERED if name[0] == "c" else _cell_of_ods(element)) is not None:
                    cells += [(column + i, cell) for i in range(1, min(repeated, _COLUMNS) + 1)]
                column += repeated
                element.clear()
            elif (event, name) == ("end", "table-row"):
                repeated = int(_attribute(element, "number-rows-repeated") or 1)
                if cells:
                    yield from (((row + i, index), cell) for i in range(1, repeated + 1) for index, cell in cells)
                row += repeated
                element.clear()


def _cell_of_ods(element: Element) -> Any:
    """Return FAULTY, or a list of the value that python-calamine does not return; None of other cells."""
    kinds = [value for attribute, value in element.attrib.items() if attribute.endswith("}value-type")]
    if "error" in kinds or (not kinds and _attribute(element, "formula")):
        return FAULTY
    if "time" in kinds and (duration := _DURATION.fullmatch(_attribute(element, "time-value") or "")):
        days, hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in duration.groups()[1:])
        length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return [-length if duration[1] else length]
    paragraphs = [child for child in element if _name(child) in ("p", "h")]
    is_text = not kinds or "string" in kinds
    return ["\n".join(map(_text_of, paragraphs))] if is_text and any(len(part) for part in paragraphs) else None


def _text_of(element: Element) -> str:
    """Return the text of a paragraph: with its tabs and line breaks, and without notes and readings."""
    texts = [_SPACE.sub(" ", element.text or "")]
    for child in element:
        match _name(child):
            case "s":
                texts.append(" " * min(int(_attribute(child, "c") or 1), _COLUMNS))
            case "tab":
                texts.append("\t")
            case "line-break":
                texts.append("\n")
            case name if name not in _LEFT_OUT:
                texts.append(_text_of(child))
        texts.append(_SPACE.sub(" ", child.tail or ""))
    return "".join(texts)


def _name(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _attribute(element: Element, name: str) -> str | None:
    """Return an attribute of any namespace."""
    return next((value for key, value in element.attrib.items() if key.endswith(f"}}{name}")), None)

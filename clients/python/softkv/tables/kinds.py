"""The type of a column whose cells are texts, and what its reader should hear about it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import product
from typing import Any, Literal, NamedTuple, TypeAlias

from softkv.problems import invalid_value
from softkv.tables.cells import LONGEST_NUMBER, BadCell, force_number, is_number, refuse_constant, shorten

Kind: TypeAlias = Literal["text", "number", "boolean", "json", "date"]
Remark: TypeAlias = Literal["numbers", "text", "decimal", "missing", "dates", "ambiguous", "odd"]
"""The reason of a notice about a column: numbers or dates in another spelling, or cells that keep it text."""

MISSING = frozenset({"n/a", "na", "#n/a", "nan", "null", "-", "–", "—"})  # dashes of typesetters
"""Texts, in small letters, that mark a cell without a value."""
_AMOUNTS = (
    "amount amounts balance budget cost costs discount fare fee fees income pct percent percentage price prices rate "
    "rates revenue salary subtotal tax total totals vat wage anteil betrag gehalt kosten preis preise prozent summe "
    "umsatz % $ € £"
)
AMOUNTS = frozenset(_AMOUNTS.split())
"""Words in the names of columns of amounts, whose trailing zeros say nothing."""
_DIGITS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日")
_NAMED = ("%d %B %Y", "%d. %B %Y", "%d-%B-%Y", "%B %d, %Y", "%B %d %Y")
DATES = tuple(day + time for day, time in product((*_DIGITS, *_NAMED), ("", " %H:%M", " %H:%M:%S")))
"""The formats of dates that are recognised. In %B, months have English names, or at least three letters of them."""
_NAMES = "january february march april may june july august september october november december"
_MONTHS = _NAMES.split()  # of no locale

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,19})")
_UNIT = re.compile(r"([+-]?)([$€£¥]?) ?(\d.*?) ?([%$€£¥]?)")
_GROUPED = {
    mark: re.compile(rf"[+-]?(?:(?:0|[1-9]\d{{0,2}})(?:\{mark}\d{{3}}){{1,5}}|0|[1-9]\d{{0,17}})(?:\{point}\d+)?")
    for mark, point in (",.", ".,")
}
_WORD = re.compile(r"[^\W\d_][^\W\d_A-ZÄÖÜ]*|[%$€£]")
_CAPITALS = re.compile(r"[^\W\d_]+|[%$€£]")
_LIKE = re.compile(r"\(?[+-]?[$€£¥]? ?[+-]?(\d+|\d{1,3}([,.'’ \xa0\u202f]\d{3})+)([.,]\d+)? ?[%$€£¥]?\)?", re.ASCII)
# A-17, 12a, 1234 AB, 2.0b, 12:30, 1.4.1, 01234, and numbers of telephones
_LETTERS = r"[^\W\d_][- ]?\d+\b(?![.,]\d)|(?<![\d.,])\d+ ?[^\W\d_]|\d[a-z]\b"
_CODE = re.compile(rf"{_LETTERS}|\d[-/:]\w|\.\d\d?\.\d|^\+?0\d|^\+[\d ]+$|\d \d[\d ]*$")
_NAME = re.compile(r"(?<![^\W\d_])([A-Za-z]{3,9})\b\.?")
_YEAR = re.compile(r"(?<!%)(?:%%)*%[YyGcx]")
_LONGEST_DATE = 60
_MISSING_SHARE = 100
"""A column of numbers has at least this many cells for each missing one."""


class ColumnType(NamedTuple):
    """The type of a column of texts.

    Attributes:
        kind: what its cells become.
        cells: the number of filled cells that are not missing.
        missing: the number of cells that are one of MISSING, and become null unless the column is text.
        mark: the first of these.
        remark: what its reader should hear.
        example: the cell that is the reason of the remark.
        decimals: the characters that may be the decimal point.
        formats: the formats of its dates; of the remark `ambiguous` all that fit, of others one.
        is_forced: whether a caller has named it as numbers or dates, whatever the form of some cells.
        unit: of numbers that are forced, the unit that they have.
        thousands: the mark between groups of three digits; empty without one.
        line: where the example of `odd` is.
    """

    kind: Kind
    cells: int = 0
    missing: int = 0
    mark: str = ""
    remark: Remark | None = None
    example: str = ""
    decimals: str = "."
    formats: Sequence[str] = ()
    is_forced: bool = False
    unit: str = ""
    thousands: str = ""
    line: int = 0

    def notices(self, column: str, say: Callable[[str, str], str]) -> list[str]:
        """Return what its reader should hear of a column; `say` writes an option with its value."""
        shown, number, remarks = shorten(self.example), say("number", column), list[str]()
        stays = f"stays text, since {shown!r}"
        match self.remark:
            case "numbers":
                stored = f"{shown!r} is stored as {json.dumps(self.read(self.example))}"
                remarks = [f"has {self.cells:,} numbers, and {stored}; {say('text_column', column)} keeps texts"]
            case "text":
                remarks = [f"{stays} would not come back the same as a number; {number} makes it one"]
            case "decimal":
                point = "," if "," in self.example else "."
                remarks = [f"{stays} has another decimal point; {say('decimal', point)} reads it"]
            case "missing":
                has, it = ("has no number", "it") if self.missing == 1 else ("have no numbers", "them")
                cells = f"{self.missing:,} of its cells, such as {shown!r}, {has}"
                remarks = [f"stays text, since {cells}; {number} leaves {it} empty"]
            case "dates":
                stored = f"{shown!r} is stored as {self.read(self.example)}"
                remarks = [f"has {self.cells:,} dates, and {stored}; {say('text_column', column)} keeps texts"]
            case "ambiguous":
                options = " or ".join(say("date", format_) for format_ in self.formats)
                remarks = [f"has dates such as {shown!r}, which filters compare as texts; {options} reads them"]
            case "odd":
                odd = f"{stays} in line {self.line:,} cannot be read as a number along with the others"
                ways = f"{number} refuses such rows, and with {say('odd', 'empty')} leaves such cells empty"
                remarks = [f"{odd}; mend it, or {ways}"]
        if self.kind != "text" and self.missing:
            remarks.append(say_missing(self.missing, self.mark))
        return remarks

    def read(self, text: str) -> Any:
        """Return the JSON value of a cell, and None for a missing one.

        Raises:
            BadCell: a column is named as numbers or dates, and this is another text.
        """
        if self.kind != "text" and self.missing and is_missing(text):
            return None
        match self.kind:
            case "number" if self.is_forced:
                return self._force_number(text)
            case "number":
                number = _with_point(_split_unit(text)[1].replace(self.thousands, ""), self.decimals)
                return int(number) if _INTEGER.fullmatch(number) else float(number)
            case "boolean":
                return text.lower() == "true"
            case "json":
                return json.loads(text)
            case "date":
                if (date := to_date(text, self.formats[0])) is None:
                    raise BadCell(f"wanted a date in the format {self.formats[0]}, got {shorten(text)!r}")
                return date
        return text

    def _force_number(self, text: str) -> int | float:
        """Return the number of a cell, whatever its form, with the unit and the groups of digits that the others have.

        Raises:
            BadCell: it is another text, or has another unit.
        """
        unit, bare = _split_unit(text)
        number = _with_point(bare.replace(self.thousands, "") if self.thousands else bare, self.decimals).strip()
        if not is_number(number):
            raise BadCell(f"wanted a number, got {shorten(text)!r}")
        if unit != self.unit:
            wanted_unit = f"with the unit {self.unit}" if self.unit else "without a unit"
            raise BadCell(f"wanted a number {wanted_unit}, as the others are, got {shorten(text)!r}")
        return force_number(number)


class ColumnOfTexts:
    """The cells of a column of texts: note every filled one, then `decide`.

    Args:
        name: its name.
        decimals: the characters that may be the decimal point: a point, a comma, or both.
        date: the format of its dates; None if dates stay texts.
        is_forced: whether a caller has named it as numbers.
    """

    def __init__(self, name: str, *, decimals: str = ".", date: str | None = None, is_forced: bool = False) -> None:
        self._name, self._decimals, self._date, self._is_forced = name, decimals, date, is_forced
        self._count = self._missing = self._like = self._alike = 0
        self._mark = self._brackets = self._point = self._pointed = ""
        self._kinds: set[Kind] = {"number", "boolean", "json", "date"}
        self._formats = DATES if date is None else (date,)
        self._firsts: list[tuple[str, int]] = []  # the first cell, and the first that is no number like those before
        self._changed = self._flawed = self._grouped = ""
        self._unit: str | None = None
        self._units = Counter[str]()
        self._thousands = set(_GROUPED)
        self._places = set[int]()

    def note(self, cell: str, line: int = 0) -> None:
        """Take a filled cell into account."""
        if is_missing(cell):
            self._missing += 1
            self._mark = self._mark or cell
            return
        self._count += 1
        if self._is_forced:
            self._note_forced(cell)
            return
        self._firsts = self._firsts or [(cell, line)]
        if "number" in self._kinds and not self._note_number(cell):
            self._kinds.discard("number")
            self._firsts.append((cell, line))
        if self._like * 5 > self._count * 4 - 1000:  # it may still be a column of numbers
            text = cell[:_LONGEST_DATE].strip()
            self._alike += _split_unit(text)[0] == self._unit
            self._like += comes_back(text) or (-(1 << 62) if _CODE.search(text) else _LIKE.fullmatch(text) is not None)
        if "boolean" in self._kinds and cell.lower() not in ("true", "false"):
            self._kinds.discard("boolean")
        if "json" in self._kinds:
            self._brackets = self._brackets or cell[0]
            if cell[0] not in "[{" or cell[0] != self._brackets or not _is_json(cell):
                self._kinds.discard("json")
        if "date" in self._kinds:
            is_short = len(cell) <= _LONGEST_DATE
            self._formats = tuple(one for one in self._formats if is_short and to_date(cell, one) is not None)
            if not self._formats:
                self._kinds.discard("date")

    def _note_number(self, cell: str) -> bool:
        """Note the form of a number; return whether the column still looks like numbers."""
        if len(cell) > LONGEST_NUMBER:
            return False
        unit, bare = _split_unit(cell)
        if self._unit not in (None, unit):
            return False
        self._unit = unit
        self._changed = self._changed or (cell if unit else "")
        self._thousands = {mark for mark in self._thousands if _GROUPED[mark].fullmatch(bare)}
        self._note_decimals(cell, bare)
        return bool(self._thousands) or not self._grouped

    def _note_forced(self, cell: str) -> None:
        """Note the form of a number in a column that is named as numbers; pass over another text."""
        unit, bare = _split_unit(cell)
        marks = {mark for mark, pattern in _GROUPED.items() if pattern.fullmatch(bare)}
        if len(cell) <= LONGEST_NUMBER and (marks or is_number(bare.strip())):
            self._units[unit] += 1
            self._thousands &= marks or self._thousands
            self._note_decimals(cell, bare)

    def _note_decimals(self, cell: str, bare: str) -> None:
        """Note the decimals of a number. Of one that cannot be read without its groups of digits, note that."""
        point = "," if "," in bare else "." if "." in bare else ""
        number = bare.replace(",", ".") if "." not in bare else bare
        if (point and self._point not in ("", point)) or not is_number(number.strip()):
            self._grouped = self._grouped or cell
            return
        self._point = self._point or point
        self._pointed = self._pointed or (cell if point else "")
        self._places.add(len(number.partition(".")[2]))
        if not comes_back(number):
            self._changed = self._changed or cell
            if not comes_back(_without_zeros(number)):
                self._flawed = self._flawed or cell

    def decide(self) -> ColumnType:
        """Return the type of the column."""
        if self._is_forced:
            unit = next((unit for unit, _ in self._units.most_common(1)), "")
            groups = self._judge_groups().thousands if self._grouped and self._thousands else ""
            forced = ColumnType("number", self._count, self._missing, self._mark, decimals=self._decimals)
            return forced._replace(is_forced=True, unit=unit, thousands=groups)
        decided = self._judge() if self._count else ColumnType("text")
        if decided.kind == "text" or not self._missing:
            return decided
        if decided.kind == "number" and not are_few(self._missing, self._count + self._missing):
            return ColumnType("text", self._count, self._missing, self._mark, "missing", self._mark)
        return decided._replace(missing=self._missing, mark=self._mark)

    def _judge(self) -> ColumnType:
        """Return the type of the cells that are not missing."""
        kind: Kind = next(iter(self._kinds), "text")
        if kind == "date":
            if self._date is not None:
                return ColumnType("date", self._count, formats=self._formats)
            read = ColumnType("date", self._count, remark="dates", example=self._firsts[0][0], formats=self._formats)
            return read if len(self._formats) == 1 else read._replace(kind="text", remark="ambiguous")
        if kind == "text" and self._like * 5 >= self._count * 4:
            cell, line = self._firsts[0 if self._alike * 2 < self._count else -1]
            return ColumnType("text", self._count, remark="odd", example=cell, line=line)
        if kind != "number":
            return ColumnType(kind, self._count)
        if self._grouped:
            return self._judge_groups()
        if self._point not in self._decimals:
            return ColumnType("text", self._count, remark="decimal", example=self._pointed)
        may_be_versions = {1, 2} <= self._places and max(self._places) == 2  # 1.10 may follow 1.9
        if self._flawed or (self._changed and not self._unit and may_be_versions and not is_amount(self._name)):
            return ColumnType("text", self._count, remark="text", example=self._flawed or self._changed)
        example = self._changed or (self._pointed if self._point == "," else "")
        return ColumnType(
            "number", self._count, remark="numbers" if example else None, example=example, decimals=self._decimals
        )

    def _judge_groups(self) -> ColumnType:
        """Return the type of numbers such as 1,234.50; texts if 1.234 in them may be another number."""
        example = self._grouped
        (mark, *further) = self._thousands
        point = "." if mark == "," else ","
        if further or (mark == "." and "," not in example):  # 192.168.100.200
            return ColumnType("text", self._count, remark="text", example=example)
        if point not in self._decimals:
            return ColumnType("text", self._count, remark="decimal", example=example)
        return ColumnType("number", self._count, 0, "", "numbers", example, self._decimals, thousands=mark)


def is_missing(cell: str) -> bool:
    """Return whether a cell marks that it has no value, such as n/a."""
    return cell.strip().lower() in MISSING


def are_few(missing: int, filled: int) -> bool:
    """Return whether the cells that mark a missing value are few enough for a column of numbers."""
    return missing * _MISSING_SHARE <= filled


def say_missing(cells: int, mark: str) -> str:
    """Return what the reader of a column hears of cells that mark a missing value."""
    count = "1 cell" if cells == 1 else f"{cells:,} cells"
    return f"has {count} without a value, such as {mark!r}, and {'it stays' if cells == 1 else 'they stay'} empty"


def is_amount(column: str) -> bool:
    """Return whether the name of a column says that it holds amounts, such as UnitPrice or rate_2024."""
    words = {*_WORD.findall(column), *_CAPITALS.findall(column)}
    return not AMOUNTS.isdisjoint(word.lower() for word in words)


def comes_back(text: str) -> bool:
    """Return whether a number is written as it would be written again: neither 01234 nor 1.10 nor 1e5 is."""
    if _INTEGER.fullmatch(text):
        return text != "-0" and -(2**63) <= int(text) < 2**64
    return is_number(text) and repr(float(text)) == text and math.isfinite(float(text))


def _without_zeros(number: str) -> str:
    """Return a number without the zeros at the end of its decimals, of which the first stays."""
    integer, point, decimals = number.partition(".")
    return f"{integer}{point}{decimals[:1]}{decimals[1:].rstrip('0')}" if decimals.isdigit() else number


def _split_unit(text: str) -> tuple[str, str]:
    """Return the unit of a number, a percent sign or a currency, and the number without it."""
    sign, before, number, after = match.groups() if (match := _UNIT.fullmatch(text.strip())) else ("", "", text, "")
    return (before + after, sign + number) if before or after else ("", text)


def _with_point(text: str, decimals: str) -> str:
    """Return a number with its decimal comma as a point, if commas may be.

    Raises:
        BadCell: it has a point, and only commas may be.
    """
    if "." in text and "." not in decimals:
        raise BadCell(f"wanted a number with a decimal comma, got {shorten(text)!r}")
    return text.replace(",", ".") if "," in decimals and "." not in text else text


def check_date(format_: str) -> None:
    """Raise Invalid unless a date that is written in a format can be read in it."""
    day = datetime(2024, 9, 17)
    try:
        is_whole = _YEAR.search(format_) is not None and _instant(day.strftime(format_), format_) == day
    except (ValueError, re.error):
        is_whole = False
    if not is_whole:
        raise invalid_value("", f"wanted the format of a date, such as %d.%m.%Y or %m/%d/%Y %H:%M, got {format_!r}")


def to_date(text: str, format_: str) -> str | None:
    """Return a date in ISO 8601, with its time if the format has one; None for another text."""
    try:
        instant = _instant(text.strip(), format_)
    except ValueError:
        return None
    return (instant if "%H" in format_ or "%I" in format_ else instant.date()).isoformat()


def _instant(text: str, format_: str) -> datetime:
    """Return the instant of a text; raise ValueError if it has another format."""
    if "%B" in format_ and (name := _NAME.search(text)):
        numbers = [number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name[1].lower())]
        text = f"{text[: name.start()]}<{numbers[0] if numbers else name[1]}>{text[name.end() :]}"
        format_ = format_.replace("%B", "<%m>")
    return datetime.strptime(text, format_)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True

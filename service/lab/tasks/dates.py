"""Dates as people write them → as ISO 8601 writes them."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from numpy.random import Generator

from service.lab.tasks.task import Example, TextTask

MONTHS = tuple(calendar.month_name)[1:]
SHORT = tuple(name[:3] for name in MONTHS)
SIGNS = (",", ".", "/")
FIRST, LAST = date(1000, 1, 1), date(2999, 12, 31)
FORMS = (
    ("{day}", "{month}", "{year}"),
    ("{month}", "{day}", ",", "{year}"),
    ("{day}", ".", "{month}", "{year}"),
    ("{year}", "{month}", "{day}"),
    ("{day}", "/", "{number}", "/", "{year}"),
)
TOKEN = re.compile(r"\d|[^\W\d]+|[^\w\s]")


def tokens(text: str) -> tuple[str, ...]:
    """Words, signs, and digits one by one; spaces only part."""
    return tuple(TOKEN.findall(text))


def _shown(read: Sequence[str]) -> str:
    """As people write them: digits of one number together, and a space after a word or a comma."""
    text = ""
    for before, token in pairwise(("", *read)):
        close = (before.isdigit() and token.isdigit()) or "/" in (before, token) or token in (",", ".")
        text += token if close or not before else f" {token}"
    return text


def _draw(random: Generator, _: bool) -> Example:
    """A day in one of the forms. Of the year each digit is read from its own, of month and day from all of theirs."""
    day = date.fromordinal(int(random.integers(FIRST.toordinal(), LAST.toordinal() + 1)))
    names = SHORT if random.integers(2) else MONTHS
    told = {"{day}": day.day, "{month}": names[day.month - 1], "{number}": day.month, "{year}": day.year}
    source: tuple[str, ...] = ()
    places: dict[str, tuple[int, ...]] = {}
    for part in FORMS[random.integers(len(FORMS))]:
        read = tokens(str(told.get(part, part)))
        places["{month}" if part == "{number}" else part] = tuple(range(len(source), len(source) + len(read)))
        source += read
    year = [frozenset({at}) for at in places["{year}"]]
    month, of_month, sign = frozenset(places["{month}"]), frozenset(places["{day}"]), frozenset[int]()
    return Example(source, tuple(day.isoformat()), (*year, sign, month, month, sign, of_month, of_month))


DATES = TextTask(
    name="dates",
    source=(*"0123456789", *SIGNS, *dict.fromkeys((*MONTHS, *SHORT))),
    target=(*"0123456789", "-"),
    draw=_draw,
    read=tokens,
    shown=_shown,
    joined="".join,
    longest=12,
    most_written=10,
    reaches=False,
)

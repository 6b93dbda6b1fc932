"""Pages in Markdown: each section is a document, whose key is the path of its headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from softkv.tables.content import Content, NumberedRow, unreadable
from softkv.tables.packing import File

BETWEEN = " > "
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_RULE = "---"
_NO_ANCHOR = re.compile(r"[^\w\- ]")


class Section(NamedTuple):
    """A section of a page.

    Attributes:
        line: the number of its heading's line, or of the first line.
        headings: its heading behind those of the sections around it; empty for a text above the first heading.
        anchor: the anchor of its heading, as GitHub writes it; empty without a heading.
        text: the text up to the next heading.
    """

    line: int
    headings: tuple[str, ...]
    anchor: str
    text: str


def cut(lines: Iterable[str]) -> Iterator[Section]:
    """Yield the sections of a page that have a text.

    Headings are lines that begin with `#`, outside of code. Fields between two lines `---` at the beginning of a page
    are left out.

    Args:
        lines: the lines of the page.
    """
    path, anchors = list[tuple[int, str]](), Counter[str]()
    first, anchor, text = 1, "", list[str]()
    fence, in_front = "", False
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\r\n")
        if line.rstrip() == _RULE and (in_front or number == 1):
            in_front = not in_front
            continue
        if in_front:
            continue
        code = _FENCE.fullmatch(line)
        if code is not None and not fence:
            fence = code[1]
        elif code is not None and code[1].startswith(fence) and not code[2].strip():
            fence = ""
        heading = None if fence or code else _HEADING.fullmatch(line)
        if heading is None:
            text.append(line)
            continue
        if any(map(str.strip, text)):
            yield Section(first, tuple(name for _, name in path), anchor, "\n".join(text).strip("\n"))
        level, name = len(heading[1]), heading[2] or ""
        path = [*(above for above in path if above[0] < level), (level, name)]
        anchor = _NO_ANCHOR.sub("", name.lower()).replace(" ", "-")
        anchors[anchor] += 1
        if anchors[anchor] > 1:
            anchor += f"-{anchors[anchor] - 1}"
        first, text = number, []
    if any(map(str.strip, text)):
        yield Section(first, tuple(name for _, name in path), anchor, "\n".join(text).strip("\n"))


def read_markdown(file: File) -> Content:
    """Return the sections of a page: their ids, the paths of their headings as keys, and their texts as values.

    An id is the name of the file with the anchor of the heading, so several pages are one table. A text above the first
    heading has the name of the file as its key.

    Raises:
        Invalid: the page is not UTF-8.
    """

    def rows() -> Iterator[NumberedRow]:
        with file.open() as stream:
            try:
                lines = stream.read().decode("utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise unreadable(file.path, f"is not UTF-8 ({error}): convert the file") from None
        for section in cut(lines):
            name = f"{file.name}#{section.anchor}" if section.anchor else file.name
            key = BETWEEN.join(filter(None, section.headings)) or file.name
            yield section.line, {"id": name, "key": key, "value": section.text}

    return Content(("id", "key", "value"), rows, sum(1 for _ in rows()), unit="line")

"""JSON as stores of vectors answer it: lists of rows in an answer, bulk requests, and rows with objects in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from softkv.tables.cells import refuse_constant
from softkv.tables.content import Content, NumberedRow, unreadable

_ACTIONS = {"index", "create", "update", "delete"}
_LISTS = {"rows", "points", "objects", "hits", "matches", "vectors", "records", "data"}
"""The names of lists of rows in answers of Milvus, Qdrant, Weaviate, Elasticsearch and Pinecone."""
_AROUND = {"result", "hits", "data"}
_FACTS = {"next_page_offset", "pagination", "total", "totalResults"}
_OF_CHROMA = {
    "ids": "id",
    "documents": "document",
    "metadatas": "metadata",
    "embeddings": "embedding",
    "uris": "uri",
}
"""The columns that chroma's answers name by their plural."""
_DECODER = json.JSONDecoder(parse_constant=refuse_constant)
TEXT_BEHIND = "Extra data"
"""The flaw of a text of JSON that goes on after its first value."""


class RowList(NamedTuple):
    """A list of rows in a text of JSON: its name in the object around it, where it begins, and its number of rows."""

    name: str
    begin: int
    total: int


def page_notices(facts: Mapping[str, Any], total: int) -> list[str]:
    """Return the notice about an answer with these facts that is one page of several; none of another.

    Args:
        facts: the members of an answer, by name.
        total: the number of its rows.
    """
    pages, hits = facts.get("pagination"), facts.get("total", facts.get("totalResults"))
    hits = hits.get("value") if isinstance(hits, dict) else hits
    for name, next_ in (
        ("next_page_offset", facts.get("next_page_offset")),
        ("pagination", pages.get("next") if isinstance(pages, dict) else None),
    ):
        if next_ is not None:
            return [f"is one page of several, since it has a {name}: load the others, too"]
    if isinstance(hits, int) and hits > total:
        return [f"is one page of several, with {total:,} of {hits:,} hits: load the others, too"]
    return []


class Answer:
    """A text of JSON, with the lists of rows in it, also in the objects that are around them in an answer of a store.

    Args:
        text: the text, which is read to its end.

    Attributes:
        lists: the lists.
        facts: what the objects around them say of the answer, by name.

    Raises:
        ValueError: the text is not JSON. The `msg` of the error is TEXT_BEHIND if more follows the first value.
    """

    def __init__(self, text: str) -> None:
        self.lists: list[RowList] = []
        self.facts: dict[str, Any] = {}
        self._text = text
        end = self._skip_space(self._read_value("", self._skip_space(0), may_hold_rows=True))
        if end < len(text):
            raise json.JSONDecodeError(TEXT_BEHIND, text, end)

    def rows(self, rows: RowList) -> Iterator[Any]:
        """Yield the rows of one of the lists."""
        begin = self._skip_space(rows.begin + 1)
        for _ in range(rows.total):
            row, end = _DECODER.raw_decode(self._text, begin)
            yield row
            begin = self._skip_space(self._skip_space(end) + 1)  # behind the comma

    def notices(self, total: int) -> list[str]:
        """Return the notice about an answer that is one page of several; none of another. `total` counts its rows."""
        return page_notices(self.facts, total)

    def _read_value(self, name: str, begin: int, *, may_hold_rows: bool) -> int:
        """Note the lists of rows in the value that begins at a place; return where it ends."""
        opening = self._text[begin : begin + 1]
        if opening == "[" and (may_hold_rows or name in _LISTS):
            total, end = self._count_items(begin)
            self.lists.append(RowList(name, begin, total))
            return end
        if opening == "{" and (may_hold_rows or name in _AROUND):
            return self._read_members(begin)
        value, end = _DECODER.raw_decode(self._text, begin)
        if name in _FACTS:
            self.facts[name] = value
        return int(end)

    def _read_members(self, begin: int) -> int:
        """Note the lists of rows in the members of an object; return where it ends."""
        begin = self._skip_space(begin + 1)
        if self._text[begin : begin + 1] == "}":
            return begin + 1
        while True:
            if self._text[begin : begin + 1] != '"':
                raise json.JSONDecodeError("Expecting property name enclosed in double quotes", self._text, begin)
            name, begin = _DECODER.raw_decode(self._text, begin)
            _, begin = self._take_mark(begin, ":")
            end = self._read_value(name, begin, may_hold_rows=False)
            mark, begin = self._take_mark(end, ",}")
            if mark == "}":
                return begin

    def _count_items(self, begin: int) -> tuple[int, int]:
        """Return the number of the items of a list, and where it ends."""
        begin = self._skip_space(begin + 1)
        if self._text[begin : begin + 1] == "]":
            return 0, begin + 1
        total = 0
        while True:
            _, end = _DECODER.raw_decode(self._text, begin)
            total += 1
            mark, begin = self._take_mark(end, ",]")
            if mark == "]":
                return total, begin

    def _take_mark(self, begin: int, marks: str) -> tuple[str, int]:
        """Return the mark that comes next, and the place of what follows it."""
        begin = self._skip_space(begin)
        mark = self._text[begin : begin + 1]
        if not mark or mark not in marks:
            raise json.JSONDecodeError(f"Expecting {' or '.join(map(repr, marks))}", self._text, begin)
        return mark, self._skip_space(begin + 1)

    def _skip_space(self, begin: int) -> int:
        """Return the first place from `begin` on without a space."""
        while self._text[begin : begin + 1].isspace():
            begin += 1
        return begin


def read_columns(text: str, path: Path) -> Content | None:
    """Return the rows of an object with a list for each column, as `get` of chroma returns it; None for another text.

    Raises:
        Invalid: the lists differ in length.
    """
    columns = json.loads(text, parse_constant=refuse_constant)
    if not isinstance(columns, dict) or not isinstance(columns.get("ids"), list):
        return None
    lists = {name: cells for name, cells in columns.items() if isinstance(cells, list) and name != "included"}
    if len({len(cells) for cells in lists.values()}) > 1:
        counts = ", ".join(f"{name} {len(cells):,}" for name, cells in lists.items())
        raise unreadable(path, f"has lists of different lengths: {counts}")
    names = [_OF_CHROMA.get(name, name) for name in lists]

    def rows() -> Iterator[NumberedRow]:
        for number, cells in enumerate(zip(*lists.values(), strict=True), start=1):
            yield number, {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}

    return Content(names, rows, len(lists["ids"]))


def read_fetched(text: str) -> Content | None:
    """Return the rows of an object with vectors by their ids, as `fetch` of Pinecone returns it; else None."""
    answer = json.loads(text, parse_constant=refuse_constant)
    vectors = answer.get("vectors") if isinstance(answer, dict) else None
    if not isinstance(vectors, dict) or not all(isinstance(vector, dict) for vector in vectors.values()):
        return None
    cells = [{"id": id_, **vector} for id_, vector in vectors.items()]
    return Content(None, lambda: enumerate(cells, start=1), len(cells), notices=page_notices(answer, len(cells)))


def is_action(cells: Mapping[str, Any] | str) -> bool:
    """Return whether a line says what Elasticsearch shall do with the next one."""
    return not isinstance(cells, str) and len(cells) == 1 and any(isinstance(cells.get(one), dict) for one in _ACTIONS)


def bulk_rows(rows: Iterable[NumberedRow]) -> Iterator[NumberedRow]:
    """Yield the documents of a bulk request of Elasticsearch, with the `_id` of the action before each."""
    action: Mapping[str, Any] = {}
    for number, cells in rows:
        if isinstance(cells, str):
            yield number, cells
        elif not action and is_action(cells) and "delete" not in cells:
            action = cells
        elif not action or "update" in action:
            yield number, 'it is not a new document: write one after a line such as {"index": {"_id": "a"}}'
            action = {}
        else:
            (target,) = action.values()
            yield number, {**cells, **({"_id": target["_id"]} if "_id" in target else {})}
            action = {}


def open_objects(content: Content, named: Iterable[str]) -> Content:
    """Return a table in which an object is columns if a caller names a path into it, such as payload.document.

    Its other parts become metadata under their own names.
    """
    paths = {name for name in named if "." in name and name not in (content.columns or ())}
    opened = {path[:end] for path in paths for end, sign in enumerate(path) if sign == "."}
    if not opened or (content.columns is not None and opened.isdisjoint(content.columns)):
        return content

    def parts(cells: Mapping[str, Any], above: str = "") -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name, cell in cells.items():
            path = f"{above}{name}"
            if path in opened and isinstance(cell, Mapping):
                columns |= parts(cell, f"{path}.")
            else:
                column = f"metadata.{name}" if above and path not in paths else path
                columns[path if column in columns else column] = cell
        return columns

    def rows() -> Iterator[NumberedRow]:
        for number, cells in content.rows():
            yield number, cells if isinstance(cells, str) else parts(cells)

    return replace(content, columns=None, rows=rows)


def names_of(rows: Iterable[NumberedRow]) -> list[str]:
    """Return the names that the objects of a table have, in the order in which they come."""
    names: dict[str, None] = {}
    for _, cells in rows:
        if not isinstance(cells, str):
            names |= dict.fromkeys(cells)
    return list(names)

"""JSON as stores of vectors answer it: lists of rows in an answer, bulk requests, and rows with objects in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from softkv.tables.cells import refuse_constant
from softkv.tables.content import Content, NumberedRow, unreadable

_ACTIONS = {"index", "create", "update", "delete"}
_LISTS = {"rows", "points", "objects", "hits", "matches", "vectors", "records", "data"}
"""The names of lists of rows in answers of Milvus, Qdrant, Weaviate, Elasticsearch and Pinecone."""
_AROUND = {"result", "hits", "data"}


def skip_space(text: str, begin: int) -> int:
    """Return the first place from `begin` on without a space."""
    while text[begin : begin + 1].isspace():
        begin += 1
    return begin


def find_list(text: str, begin: int = 0) -> int | None:
    """Return where the array of rows begins, also in the objects that are around it in an answer; None without one.

    Raises:
        ValueError: the text is not JSON.
    """
    begin = skip_space(text, begin)
    if text[begin : begin + 1] == "[":
        return begin
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    sign = "{"
    while text[begin : begin + 1] == sign:
        name, begin = decoder.raw_decode(text, skip_space(text, begin + 1))
        begin, sign = skip_space(text, skip_space(text, begin) + 1), ","
        opening = text[begin : begin + 1]
        if opening == "[" and name in _LISTS:
            return begin
        if opening == "{" and name in _AROUND and (start := find_list(text, begin)) is not None:
            return start
        begin = skip_space(text, decoder.raw_decode(text, begin)[1])
    return None


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
    names = [name.removesuffix("s") for name in lists]

    def rows() -> Iterator[NumberedRow]:
        for number, cells in enumerate(zip(*lists.values(), strict=True), start=1):
            yield number, {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}

    return Content(names, rows, len(lists["ids"]))


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

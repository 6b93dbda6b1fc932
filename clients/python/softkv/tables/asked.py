"""Questions to a store of vectors, from a table: vectors, documents of the store, or texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.problems import invalid_value
from softkv.tables.cells import BadCell, is_empty, parse_json, to_id, to_vector
from softkv.tables.columns import OF_OPEN_TABLE, Columns
from softkv.tables.opening import open_with

F64: TypeAlias = NDArray[np.float64]

_VECTORS = ("vector", "key_vector")


@dataclass(frozen=True)
class Asked:
    """A question, of which one of `vector`, `text` and `document` is set.

    Attributes:
        name: its name in the report.
        place: its line or row in the file, in words.
        vector: float64[d], or None.
        text: the text, or None.
        document: the id of a document whose vector is the question and which is no answer to it, or None.
        condition: the filter of this question alone, or None.
    """

    name: str
    place: str
    vector: F64 | None = None
    text: str | None = None
    document: str | None = None
    condition: Any = None


def read_asked(path: Path) -> list[Asked]:
    """Return the questions of a file: a table of any format, or lines of text.

    A row with `vector` or `key_vector` is a vector, and a row with `query` a text or a vector; `id` is its name. A row
    with `id` alone is a document. `filter` is for this question alone.

    Raises:
        Invalid: the file cannot be read, has no question, or a row is not one.
    """
    table = open_with(path, Columns(needs="rows", text=True, repeats=True, option=OF_OPEN_TABLE), lines="query")
    questions = []
    for number, cells, flaw, _ in table:
        location, name = f"{table.unit} {number} of {path}", f"{table.unit} {number}"
        if cells is None:
            raise invalid_value("", f"{location}: {flaw}")
        try:
            questions.append(_read_row(cells, location, name, is_table=table.columns is not None))
        except BadCell as error:
            raise invalid_value("", f"{location}: {error}") from None
    if not questions:
        raise invalid_value(
            "", f'{path} has no questions: write one on each line, such as {{"vector": […]}}, {{"id": …}} or a text'
        )
    return questions


def _read_row(cells: Mapping[str, Any], location: str, default: str, *, is_table: bool) -> Asked:
    id_ = None if is_empty(cells.get("id")) else to_id(cells["id"])
    condition = None if is_empty(cells.get("filter")) else cells["filter"]
    if is_table and isinstance(condition, str) and condition.lstrip().startswith("{"):
        try:
            condition = parse_json(condition.encode())
        except ValueError as error:
            raise BadCell(f"the filter is not JSON: {error}") from None
    query = cells.get("query")
    vector = next((cells[name] for name in _VECTORS if not is_empty(cells.get(name))), None)
    if vector is None and is_table and isinstance(query, str) and query.lstrip().startswith("["):
        query = to_vector(query)
    if vector is None and query is not None and not isinstance(query, str):
        vector = query
    if vector is not None:
        return Asked(id_ or default, location, vector=_to_numbers(to_vector(vector)), condition=condition)
    if isinstance(query, str) and query.strip():
        return Asked(id_ or query.strip(), location, text=query, condition=condition)
    if id_ is not None:
        return Asked(id_, location, document=id_, condition=condition)
    raise BadCell('it is not a question: expected {"vector": […]}, {"query": "a text"} or {"id": "a document"}')


def _to_numbers(vector: Any) -> F64:
    try:
        numbers = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadCell("the vector is not a list of numbers") from None
    if numbers.ndim != 1 or not len(numbers):
        raise BadCell(f"expected a vector as a list of numbers, got one of shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise BadCell("the vector has a number that is not finite")
    return numbers

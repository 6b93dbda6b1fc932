"""The questions of a check, from a file: vectors, documents of the store, or texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.problems import invalid_value
from softkv.tables import Columns
from softkv.tables.cells import BadCell, is_empty, parse_json, to_id, to_vector
from softkv.tables.opening import read_path

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]

Encode: TypeAlias = Callable[[Sequence[str]], NDArray[Any]]
"""Encodes texts as vectors [n, d]."""

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
    content = read_path(path, Columns(needs="rows"), column="query")
    questions = []
    for number, cells in content.rows():
        place = f"{content.unit} {number} of {path}"
        if isinstance(cells, str):
            raise invalid_value("", f"{place}: {cells}")
        default = str(number - 1) if content.numbered else f"{content.unit} {number}"
        try:
            questions.append(_read_row(cells, place, default, is_table=content.columns is not None))
        except BadCell as error:
            raise invalid_value("", f"{place}: {error}") from None
    if not questions:
        raise invalid_value(
            "", f'{path} has no questions: write one on each line, such as {{"vector": […]}}, {{"id": …}} or a text'
        )
    return questions


def _read_row(cells: Mapping[str, Any], place: str, default: str, *, is_table: bool) -> Asked:
    id_ = None if is_empty(cells.get("id")) else to_id(cells["id"])
    condition = None if is_empty(cells.get("filter")) else cells["filter"]
    if is_table and isinstance(condition, str) and condition.lstrip().startswith("{"):
        try:
            condition = parse_json(condition)
        except ValueError as error:
            raise BadCell(f"the filter is not JSON: {error}") from None
    query = cells.get("query")
    vector = next((cells[name] for name in _VECTORS if not is_empty(cells.get(name))), None)
    if vector is None and is_table and isinstance(query, str) and query.lstrip().startswith("["):
        query = to_vector(query)
    if vector is None and query is not None and not isinstance(query, str):
        vector = query
    if vector is not None:
        return Asked(id_ or default, place, vector=_to_numbers(to_vector(vector)), condition=condition)
    if isinstance(query, str) and query.strip():
        return Asked(id_ or query.strip(), place, text=query, condition=condition)
    if id_ is not None:
        return Asked(id_, place, document=id_, condition=condition)
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


def resolve(
    questions: Sequence[Asked],
    vectors: F32,
    row_of: Mapping[str, int],
    *,
    similarity: str,
    encode: Encode | None,
) -> F64:
    """Return the vector of each question, as float64[q, d].

    Args:
        questions: the questions.
        vectors: float32[n, d], the rows of the store.
        row_of: the row of each id.
        similarity: that of the store.
        encode: the encoder of texts; None if there is none.

    Raises:
        Invalid: a document does not exist, a width is wrong, a vector has length 0, or texts have no encoder.
    """
    width = vectors.shape[1]
    queries = np.empty((len(questions), width))
    texts = [number for number, question in enumerate(questions) if question.text is not None]
    encoded: dict[int, Any] = {}
    if texts:
        if encode is None:
            place = questions[texts[0]].place
            raise invalid_value(
                "", f"{place} is a text: give --url of a service that encodes it as the store's, or vectors"
            )
        encoded = dict(zip(texts, encode([questions[number].text or "" for number in texts]), strict=True))
    for number, question in enumerate(questions):
        if question.document is not None:
            if question.document not in row_of:
                raise invalid_value(
                    "", f"{question.place}: the store has no document {question.document!r} with a vector"
                )
            queries[number] = vectors[row_of[question.document]]
            continue
        vector: Any = encoded.get(number, question.vector)
        if len(vector) != width:
            raise invalid_value(
                "", f"{question.place}: expected a vector of width {width}, as the store's, got {len(vector)}"
            )
        queries[number] = vector
        if similarity == "cosine" and not queries[number].any():
            raise invalid_value("", f"{question.place}: a vector of length 0 has no cosine")
    return queries

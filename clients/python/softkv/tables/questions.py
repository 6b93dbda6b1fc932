"""Labelled questions, as `calibrate` takes them, from a table or from the judgements of a folder of BEIR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softkv.problems import invalid_value
from softkv.tables.beir import is_judgements, read_judgements
from softkv.tables.cells import BadCell, is_empty, to_id
from softkv.tables.columns import Columns
from softkv.tables.content import Cells, unreadable
from softkv.tables.opening import read_path


def read_questions(
    path: Path,
    *,
    query: str = "query",
    id: str = "id",  # noqa: A002  # the field of a question
) -> dict[int, dict[str, Any]]:
    """Return the labelled questions of a file, by the number of their line or row.

    Args:
        path: a table; or a folder of BEIR, or a file in its `qrels`; `-` is NDJSON from standard input.
        query: the column of the questions' texts.
        id: the column of the ids of the documents that answer them; an empty cell says that none does.

    Raises:
        Invalid: the file cannot be read, or a row is not a question.
    """
    if is_judgements(path):
        return dict(read_judgements(path))
    content = read_path(path, Columns())
    if content.columns is not None:
        for option, name in (("query", query), ("id", id)):
            if name not in content.columns:
                names = ", ".join(content.columns) or "none"
                raise unreadable(path, f"has no column {name!r}, its columns are {names}: name the one of {option}")
    questions = {}
    for number, cells in content.rows():
        try:
            questions[number] = _question(cells, query, id, is_table=content.columns is not None)
        except BadCell as error:
            raise invalid_value("", f"{content.unit} {number} of {path}: {error}") from None
    return questions


def _question(cells: Cells | str, query: str, id_column: str, *, is_table: bool) -> dict[str, Any]:
    if isinstance(cells, str):
        raise BadCell(cells)
    if is_empty(cells.get(query)):
        raise BadCell('it is not a question: expected {"query": …, "id": …}')
    answer = cells.get(id_column)
    if is_table:
        return {"query": cells[query], "id": None if is_empty(answer) else to_id(answer)}
    rest = {name: cell for name, cell in cells.items() if name not in (query, id_column)}
    return {"query": cells[query], **rest, **({"id": answer} if id_column in cells else {})}

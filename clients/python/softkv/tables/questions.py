"""Labelled questions, as `calibrate` takes them, from a table or from the judgements of a folder of BEIR."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from softkv.problems import invalid_value
from softkv.table_options import TableOptions
from softkv.tables.cells import BadCell, is_empty, to_id
from softkv.tables.columns import OF_OPEN_TABLE, Reading
from softkv.tables.content import Cells, naming_damage, own_file, unreadable
from softkv.tables.objects import beir_file, parse_lines
from softkv.tables.opening import open_with
from softkv.tables.packing import opener_of

_QRELS = "qrels"


class Questions(NamedTuple):
    """Labelled questions of a file.

    Attributes:
        labelled: the questions by their places, such as "line 3 of labels.csv"; a question may have several.
        left_out: by its place, why a line or row does not count.
        notices: sentences about the table for its reader.
    """

    labelled: dict[str, dict[str, Any]]
    left_out: dict[str, str]
    notices: Sequence[str] = ()


def read_questions(
    path: Path,
    *,
    query: str = "query",
    id: str | None = "id",  # noqa: A002  # the field of a question
) -> Questions:
    """Return the labelled questions of a file.

    Args:
        path: a table; or a folder of BEIR, or a file in its `qrels`; `-` is NDJSON from standard input.
        query: the column of the questions' texts.
        id: the column of the ids of the documents that answer them; an empty cell says that none does. With None, the
            questions have no answers, and a plain file has one in each line.

    Raises:
        Invalid: the file cannot be read, or the folder has several files of judgements.
    """
    if path.is_dir():
        path = _find_judgements(path)
    if path.parent.name == _QRELS and path.suffix == ".tsv":
        with naming_damage(path):
            return _read_judgements(path)
    reading = Reading(TableOptions(text=True), needs="rows", repeats=True, form=OF_OPEN_TABLE)
    table = open_with(path, reading, lines=query if id is None else None)
    if table.columns is not None:
        for option, name in (("query", query), ("id", id)):
            if name is not None and name not in table.columns:
                names = ", ".join(table.columns) or "none"
                raise unreadable(path, f"has no column {name!r}, its columns are {names}: name the one of {option}")
    questions = Questions({}, {}, table.notices)
    for number, cells, flaw, _ in table:
        location = f"{table.unit} {number} of {path}"
        try:
            questions.labelled[location] = _question(cells, flaw, query, id, is_table=table.columns is not None)
        except BadCell as error:
            questions.left_out[location] = str(error)
    return questions


def _question(cells: Cells | None, flaw: str, query: str, id_column: str | None, *, is_table: bool) -> dict[str, Any]:
    if cells is None:
        raise BadCell(flaw)
    if is_empty(cells.get(query)):
        raise BadCell('it is not a question: expected {"query": …, "id": …}')
    if id_column is None:
        return {"query": cells[query]}
    answer = cells.get(id_column)
    if is_table:
        return {"query": cells[query], "id": None if is_empty(answer) else to_id(answer)}
    rest = {name: cell for name, cell in cells.items() if name not in (query, id_column)}
    return {"query": cells[query], **rest, **({"id": answer} if id_column in cells else {})}


def _find_judgements(folder: Path) -> Path:
    judgements = (own_file(folder, f"{_QRELS}/{file.name}") for file in (folder / _QRELS).glob("*.tsv"))
    files = sorted(filter(None, judgements))
    if len(files) != 1:
        names = ", ".join(map(str, files)) or f"none in {folder / _QRELS}"
        raise invalid_value("", f"{folder} must have one file of judgements, or name one of them: {names}")
    return files[0]


def _read_judgements(path: Path) -> Questions:
    """Return a question for each judgement with a score above 0, and one for each text that has none.

    A judgement of one query and document that comes again is the same label.

    Raises:
        Invalid: the folder of BEIR has no queries.
    """
    if (queries := beir_file(path.parent.parent, "queries")) is None:
        raise unreadable(path.parent.parent, "has no queries.jsonl: name a folder as BEIR writes it, or a table")
    texts, labelled, left_out = dict[str, str](), dict[str, dict[str, Any]](), dict[str, str]()
    with opener_of(queries)() as file:
        for number, query in parse_lines(file):
            if isinstance(query, str):
                left_out[f"line {number} of {queries}"] = query
            elif isinstance(content := query.get("text"), str) and content and "_id" in query:
                texts[str(query["_id"])] = content
            else:
                left_out[f"line {number} of {queries}"] = 'it is not a query: expected {"_id": …, "text": …}'
    unanswered, answered, judged = dict[str, str](), set[str | None](), set[tuple[str, str]]()
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        cells = line.strip().split("\t")
        if cells == [""] or (number == 1 and cells[0] in ("query-id", "query_id")):
            continue
        location = f"line {number} of {path}"
        text, score = texts.get(cells[0]), _read_score(cells)
        if text is None or score is None:
            left_out[location] = f"expected a query of {queries.name}, a document and a score, got {line!r}"
        elif score > 0 and (cells[0], cells[-2]) not in judged:
            judged.add((cells[0], cells[-2]))
            labelled[location] = {"query": text, "id": cells[-2]}
        if score is None or score > 0:
            answered.add(text)
        elif text is not None:
            unanswered.setdefault(text, location)
    absent = {location: {"query": text, "id": None} for text, location in unanswered.items() if text not in answered}
    return Questions(labelled | absent, left_out)


def _read_score(cells: list[str]) -> float | None:
    """Return the score of a judgement, such as 1 or 1.0; None for another line, also one with nan or inf."""
    if len(cells) < 3 or not cells[-2]:
        return None
    try:
        score = float(cells[-1])
    except ValueError:
        return None
    return score if math.isfinite(score) else None

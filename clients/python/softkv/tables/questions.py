"""Labelled questions, as `calibrate` takes them, from a table or from the judgements of a folder of BEIR."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softkv.problems import invalid_value
from softkv.tables.cells import BadCell, is_empty, to_id
from softkv.tables.columns import Columns
from softkv.tables.content import Cells, naming_damage, opener_of, unreadable
from softkv.tables.objects import beir_file, parse_lines
from softkv.tables.opening import read_path

_QRELS = "qrels"


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
    if _is_judgements(path):
        with naming_damage(path):
            return dict(_read_judgements(path))
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


def _is_judgements(path: Path) -> bool:
    """Return whether a path is a folder of BEIR, or a file in its `qrels`."""
    return path.is_dir() or (path.parent.name == _QRELS and path.suffix == ".tsv")


def _read_judgements(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the labelled questions of a file of judgements, or of a folder with one such file.

    Each comes with the line of its first judgement. Documents of a score above 0 answer a question.

    Raises:
        Invalid: a file is missing or damaged, or the folder has several files of judgements.
    """
    if path.is_dir():
        files = sorted((path / _QRELS).glob("*.tsv"))
        if len(files) != 1:
            names = ", ".join(map(str, files)) or f"none in {path / _QRELS}"
            raise invalid_value("", f"{path} must have one file of judgements, or name one of them: {names}")
        path = files[0]
    with opener_of(beir_file(path.parent.parent, "queries"))() as file:
        texts = {str(cells["_id"]): cells["text"] for _, cells in parse_lines(file) if not isinstance(cells, str)}
    questions: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        cells = line.split("\t")
        if number == 1 and cells[0] in ("query-id", "query_id"):
            continue
        if len(cells) < 3 or cells[0] not in texts or not cells[-1].strip().lstrip("-").isdecimal():
            raise invalid_value(
                "", f"line {number} of {path}: wanted a query of queries.jsonl, a document and a score, got {line!r}"
            )
        answers = questions.setdefault(cells[0], (number, []))[1]
        if int(cells[-1]) > 0:
            answers.append(cells[-2])
    for query, (number, answers) in questions.items():
        yield number, {"query": texts[query], **({"ids": answers} if answers else {"id": None})}

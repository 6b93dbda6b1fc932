"""Folders of BEIR: corpus.jsonl, queries.jsonl, and qrels/ with the documents that answer each query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softkv.problems import invalid_value
from softkv.tables.content import Content, NumberedRow
from softkv.tables.files import opener_of
from softkv.tables.objects import parse_lines

_CORPUS, _QUERIES, _QRELS = "corpus", "queries", "qrels"


def read_corpus(folder: Path) -> Content:
    """Return the documents of a folder: the key is the title and the text, as BEIR's own models read them.

    Raises:
        Invalid: the folder has no corpus.
    """
    open_file = opener_of(_file(folder, _CORPUS))

    def rows() -> Iterator[NumberedRow]:
        with open_file() as file:
            for number, cells in parse_lines(file):
                if isinstance(cells, str):
                    yield number, cells
                    continue
                rest = {name: cell for name, cell in cells.items() if name not in ("_id", "text")}
                key = f"{cells.get('title') or ''} {cells.get('text') or ''}".strip()
                yield number, {"id": cells.get("_id"), "key": key, **rest}

    return Content(["id", "key", "title", "metadata"], rows, sum(1 for _ in rows()), unit="line")


def is_judgements(path: Path) -> bool:
    """Return whether a path is a folder of BEIR, or a file in its `qrels`."""
    return path.is_dir() or (path.parent.name == _QRELS and path.suffix == ".tsv")


def read_judgements(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
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
    with opener_of(_file(path.parent.parent, _QUERIES))() as file:
        texts = {str(cells["_id"]): cells["text"] for _, cells in parse_lines(file) if not isinstance(cells, str)}
    questions: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        cells = line.split("\t")
        if number == 1 and cells[0] in ("query-id", "query_id"):
            continue
        if len(cells) < 3 or cells[0] not in texts or not cells[-1].strip().lstrip("-").isdecimal():
            raise invalid_value(
                "", f"line {number} of {path}: wanted a query of {_QUERIES}.jsonl, a document and a score, got {line!r}"
            )
        answers = questions.setdefault(cells[0], (number, []))[1]
        if int(cells[-1]) > 0:
            answers.append(cells[-2])
    for query, (number, answers) in questions.items():
        yield number, {"query": texts[query], **({"ids": answers} if answers else {"id": None})}


def _file(folder: Path, name: str) -> Path:
    for ending in (".jsonl", ".jsonl.gz"):
        if (path := folder / f"{name}{ending}").is_file():
            return path
    raise invalid_value("", f"{folder} has no {name}.jsonl: name a folder as BEIR writes it, or a file")

"""Folders of BEIR: corpus.jsonl, queries.jsonl, and qrels/ with the documents that answer each query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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


def read_questions(qrels: Path) -> list[tuple[int, dict[str, object]]]:
    """Return the labelled questions of a file in qrels/ or of a folder with one such file, as `calibrate` takes them.

    Each has the line at which its first judgement stands. Documents of a score above 0 answer the question.

    Raises:
        Invalid: a file is missing, or the folder has several files of judgements.
    """
    if qrels.is_dir():
        files = sorted((qrels / _QRELS).glob("*.tsv"))
        if len(files) != 1:
            names = ", ".join(str(file) for file in files) or f"none in {qrels / _QRELS}"
            raise invalid_value("", f"{qrels} has several splits or none: name one file of judgements: {names}")
        qrels = files[0]
    with opener_of(_file(qrels.parent.parent, _QUERIES))() as file:
        texts = {str(cells["_id"]): cells["text"] for _, cells in parse_lines(file) if not isinstance(cells, str)}
    questions: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(qrels.read_text(encoding="utf-8-sig").splitlines(), start=1):
        query, *_, document, score = (*line.split("\t"), "", "", "")[:4] if line.count("\t") == 3 else _pad(line)
        if not line.strip() or (number == 1 and not score.lstrip("-").isdecimal()):
            continue
        if query not in texts:
            raise invalid_value("", f"{qrels} line {number}: there is no query {query!r} in {_QUERIES}.jsonl")
        answers = questions.setdefault(query, (number, []))[1]
        if int(score) > 0:
            answers.append(document)
    return [
        (number, {"query": texts[query], **({"ids": answers} if answers else {"id": None})})
        for query, (number, answers) in questions.items()
    ]


def is_folder(folder: Path) -> bool:
    """Return whether a folder has a corpus of BEIR."""
    return folder.is_dir() and any((folder / f"{_CORPUS}{ending}").is_file() for ending in (".jsonl", ".jsonl.gz"))


def _file(folder: Path, name: str) -> Path:
    for ending in (".jsonl", ".jsonl.gz"):
        if (path := folder / f"{name}{ending}").is_file():
            return path
    raise invalid_value("", f"{folder} has no {name}.jsonl: name a folder as BEIR writes it, or a file")


def _pad(line: str) -> tuple[str, str, str]:
    query, document, score = (*line.split("\t"), "", "", "")[:3]
    return query, document, score

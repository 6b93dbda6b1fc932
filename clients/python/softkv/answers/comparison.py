"""One question, asked in four ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from softkv.answers.answer import Answer
from softkv.answers.info import Background, background
from softkv.answers.match import Match, match
from softkv.record import Record


class Found(Record):
    """What SQL found: the statement as it was run, and the rows that the database answered."""

    statement: str
    parameters: Mapping[str, Any]
    rows: list[Mapping[str, Any]]
    took_ms: float


class Nearest(Record):
    """The nearest documents by similarity, without weights: always some."""

    matches: list[Match]
    documents: int
    took_ms: float


class Comparison(Record):
    """One question, asked four ways of one version of the documents."""

    sql: Found
    full_text: Found
    top_k: Nearest
    attention: Answer
    background: Background | None


def comparison(content: Mapping[str, Any], question: str, request_id: str | None) -> Comparison:
    """A comparison from the wire."""
    nearest = content["top_k"]
    return Comparison(
        Found.read(content["sql"]),
        Found.read(content["full_text"]),
        Nearest.read(nearest, matches=_matches(nearest["matches"])),
        Answer(content["attention"], question=question, request_id=request_id),
        background(content["background"]),
    )


def _matches(given: Sequence[Mapping[str, Any]]) -> list[Match]:
    return [match(each) for each in given]

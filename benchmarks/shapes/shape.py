"""A shape of data, and what all generators share."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

WORDS = Path(__file__).parent / "words"
OFF_TOPIC = 150

T = TypeVar("T")


@dataclass(frozen=True)
class Shape:
    """A collection and its questions.

    Attributes:
        name: of the shape.
        keys: the documents' texts, by id.
        present: questions, each with the ids of all documents that answer it.
        near: questions about the subject whose answer is missing.
        off: questions about something else.
    """

    name: str
    keys: dict[str, str]
    present: list[tuple[str, tuple[str, ...]]]
    near: list[str]
    off: list[str]

    @classmethod
    def of(
        cls,
        name: str,
        rows: Iterable[str],
        present: Iterable[tuple[str, Iterable[int]]],
        near: Iterable[str],
        *,
        without: Sequence[str] = (),
        limit: int = 400,
    ) -> Shape:
        """Make a shape of rows and the row numbers that answer each question.

        Args:
            name: of the shape.
            rows: the documents' texts; equal ones are kept.
            present: questions and the numbers of the rows that answer them; of an equal question all of them count.
            near: questions without an answer.
            without: off-topic topics that this shape's rows touch.
            limit: the number of questions of each kind to draw, if there are more.
        """
        answers = dict[str, set[int]]()
        for question, numbers in present:
            answers.setdefault(question, set()).update(numbers)
        absent = [question for question in dict.fromkeys(near) if question not in answers]
        pairs = [(text, tuple(f"{number:04}" for number in sorted(numbers))) for text, numbers in answers.items()]
        return cls(
            name,
            {f"{number:04}": row for number, row in enumerate(rows)},
            sample(name, pairs, limit),
            sample(name, absent, min(limit, 300)),
            sample(name, off_topic(without), OFF_TOPIC),
        )


def lines(name: str) -> list[list[str]]:
    """Return the lines of a word list, each split into its fields."""
    return [line.split("|") for line in (WORDS / f"{name}.txt").read_text(encoding="utf-8").splitlines()]


def sample(seed: str, of: Sequence[T], limit: int) -> list[T]:
    """Draw at most `limit` of a sequence; the same every time."""
    return random.Random(seed).sample(of, min(limit, len(of)))


def off_topic(without: Sequence[str]) -> list[str]:
    """Return every question of every topic but some."""
    return [
        template.format(thing)
        for topic, templates, things in lines("topics")
        for template in templates.split(";")
        for thing in things.split(";")
        if topic not in without
    ]

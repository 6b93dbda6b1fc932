"""Questions and texts about things that have nothing to do with each other, written for softkv.

They stand in topics.jsonl, one pair a line. A question and a text of two different lines are an unrelated pair, a
question and its own text a related one: `background` measures the former, `temperature` sets both against each
other. Short and long, plain and technical are mixed, as they are in a collection; the order means nothing. Each topic
has a name of one word, too, since short texts that have nothing to do with each other are more similar than sentences
are. A change there moves the null level of every collection with an encoder.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple


class Topic(NamedTuple):
    """One topic: a question about it, a text that belongs to it, and a word for it."""

    question: str
    text: str
    name: str


def _lines(name: str) -> tuple[Topic, ...]:
    with resources.files("service.encoding").joinpath(name).open(encoding="utf-8") as file:
        return tuple(Topic(**json.loads(line)) for line in file)


TOPICS: tuple[Topic, ...] = _lines("topics.jsonl")

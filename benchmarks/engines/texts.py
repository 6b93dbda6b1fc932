"""The texts to encode: questions, passages and a mixture, from the project's own texts; the same every time.

The pieces are texts of `service.encoding.background` and the keys of the demo collections, among them docstrings of the
standard library.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice

from service.datasets import DEMOS
from service.encoding.background import TOPICS

PIECES = (5, 6, 7, 8)  # of one passage after another: about 145 tokens
MOST_PIECES = 12  # of a text of the mixture: 300 tokens, of which the model reads 256
DOCSTRINGS = 2_000


@dataclass(frozen=True)
class Column:
    """A column of the table: texts, and the number of texts per call."""

    name: str
    texts: Sequence[str]
    at_a_time: int


def questions() -> list[str]:
    """Return questions of about ten tokens, all different."""
    return [topic.question for topic in TOPICS]


@cache
def pieces() -> Sequence[str]:
    """Return pieces of about 25 tokens each, in an arbitrary order."""
    keys = [str(document["key"]) for name in ("library", "videos") for document in DEMOS[name].documents()]
    docstrings = [str(document["key"]) for document in islice(DEMOS["python"].documents(), DOCSTRINGS)]
    unique = list(dict.fromkeys([topic.text for topic in TOPICS] + keys + docstrings))
    random.Random(0).shuffle(unique)
    return unique


def passages(count: int) -> list[str]:
    """Return passages of about 145 tokens each, some of 80 and some of 200."""
    return in_turns(PIECES, count)


def mixture(count: int) -> list[str]:
    """Return texts from one piece up to more than the model reads."""
    return in_turns(range(1, MOST_PIECES + 1), count)


def in_turns(sizes: Sequence[int], count: int) -> list[str]:
    """Return `count` texts with these numbers of pieces in turns; the pieces repeat in a cycle."""
    following = cycle(pieces())
    return [" ".join(islice(following, sizes[position % len(sizes)])) for position in range(count)]


def columns() -> list[Column]:
    """One query (another one each call), 64, one passage, 64."""
    question_texts, written = questions()[:64], passages(64)
    return [
        Column("one query", question_texts, 1),
        Column("64 queries", question_texts, 64),
        Column("one passage", written[:8], 1),
        Column("64 passages", written, 64),
    ]

"""Labelled questions over `python` and `unicode`, made at run time: half of them have no answer any more.

What is asked of `python` is a sentence of a docstring that is not its first one, which is the key; of `unicode` a name
in other words, one of them left out. Of half of the questions every right document is taken out of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from xxhash import xxh3_64_intdigest

from service.datasets import DEMOS

WORDS = (6, 40)  # a sentence of fewer says too little, one of more is no question
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n")
_OTHER_WORDS = {
    "small": "lowercase",
    "capital": "uppercase",
    "latin": "roman",
    "letter": "character",
    "sign": "symbol",
    "digit": "numeral",
    "with": "and",
    "leftwards": "pointing left",
    "rightwards": "pointing right",
    "upwards": "pointing up",
    "downwards": "pointing down",
    "black": "filled",
    "white": "hollow",
    "heavy": "thick",
    "double": "twofold",
    "above": "on top",
    "below": "underneath",
    "reversed": "mirrored",
    "turned": "upside down",
    "circled": "in a circle",
    "squared": "in a square",
    "modifier": "spacing",
    "combining": "joined",
    "mathematical": "maths",
    "face": "emoji",
    "musical": "music",
}


@dataclass(frozen=True)
class Labelled:
    """A question, and the ids that answer it; none where they were taken out."""

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A collection without what was taken out, and the questions to it."""

    name: str
    documents: list[dict[str, Any]]
    questions: list[Labelled]


def asked(name: str, most: int) -> Asked:
    """Questions to `python` or `unicode`, at most so many, and what is left of it; the same every time."""
    documents = list(DEMOS[name].documents())
    answers = dict[str, list[str]]()
    used = set[str]()
    pairs = {"python": _sentences, "unicode": _other_names}[name](documents)
    right = _by_question(pairs)
    for question in sorted(right, key=_order):
        # A document answers one question, so that one's absence takes no other's answer.
        if len(answers) < most and not used.intersection(right[question]):
            answers[question] = right[question]
            used.update(right[question])
    gone = {id_ for question, ids in answers.items() if _order(f"gone {question}") % 2 for id_ in ids}
    return Asked(
        name,
        [document for document in documents if document["id"] not in gone],
        [Labelled(question, () if set(ids) <= gone else tuple(ids)) for question, ids in answers.items()],
    )


def _by_question(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """All that a question is right for: a docstring's sentence stands in those of many methods."""
    found = dict[str, list[str]]()
    for question, identity in pairs:
        found.setdefault(question, []).append(identity)
    return {question: ids for question, ids in found.items() if len(ids) <= 8}


def _sentences(documents: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for document in documents:
        _, _, docstring = document["value"].partition("\n\n")
        first = document["key"].partition(": ")[2].removesuffix("…").strip()
        for sentence in _SENTENCES.split(docstring):
            text = " ".join(sentence.split())
            few, many = WORDS
            if (
                few <= len(text.split()) <= many
                and text[:40] not in first
                and first[:40] not in text
                and "…" not in text
            ):
                yield text, document["id"]


def _other_names(documents: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    keys = {document["key"] for document in documents}
    for document in documents:
        words = document["key"].split()
        if len(words) < 3:
            continue
        left_out = _order(document["id"]) % len(words)
        text = " ".join(_OTHER_WORDS.get(word, word) for i, word in enumerate(words) if i != left_out)
        if text not in keys:
            yield text, document["id"]


def _order(text: str) -> int:
    return int(xxh3_64_intdigest(text.encode()))

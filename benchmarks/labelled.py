"""Labelled questions over `python` and `unicode`, made at run time: half of them have no answer any more.

What is asked of `python` is a sentence of a docstring that is not its first one, which is the key; of `unicode` a name
in other words, one of them left out. Of half of the questions every right document is taken out of the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from xxhash import xxh3_64_intdigest

from service.datasets import DEMOS

WORDS = (6, 40)  # a shorter sentence is too vague, and a longer one is not a question
SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n")
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


class Pair(NamedTuple):
    """A document, and what is asked of it; the empty text where nothing is."""

    id: str
    key: str
    question: str


@dataclass(frozen=True)
class Labels:
    """A set of documents and questions.

    Attributes:
        keys: of the documents, by id; no two are alike.
        right: by question, the ids of all documents that answer it.
    """

    keys: dict[str, str]
    right: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Labels:
        """Make labels from pairs; of equal keys, the first counts."""
        documents = {pair.key: pair for pair in reversed(list(pairs)) if pair.key}
        questions = _by_question((pair.question, pair.id) for pair in documents.values() if pair.question)
        return cls({pair.id: key for key, pair in documents.items()}, questions)

    def apart(self, salt: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
        """Questions in an order that means nothing, with their answers, which answer no other of them."""
        used = set[str]()
        for question in sorted(self.right, key=lambda question: order_of(f"{salt}{question}")):
            if not used.intersection(self.right[question]):
                used.update(self.right[question])
                yield question, self.right[question]


@dataclass(frozen=True)
class Labelled:
    """A question, and the ids that answer it; empty if these were removed."""

    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A collection without what was taken out, and the questions to it."""

    name: str
    documents: list[dict[str, Any]]
    questions: list[Labelled]


def asked(name: str, limit: int) -> Asked:
    """Return at most `most` questions to `python` or `unicode`, and the remaining documents; the same every time."""
    documents = list(DEMOS[name].documents())
    # A document answers one question, so that one's absence takes no other's answer.
    answers = dict(islice(labels_of(name, documents).apart(), limit))
    gone = {id_ for question, ids in answers.items() if order_of(f"gone {question}") % 2 for id_ in ids}
    return Asked(
        name,
        [document for document in documents if document["id"] not in gone],
        [Labelled(question, () if set(ids) <= gone else ids) for question, ids in answers.items()],
    )


def labels_of(name: str, documents: Iterable[dict[str, Any]]) -> Labels:
    """All questions to the documents of `python` or `unicode`."""
    documents = list(documents)
    pairs = {"python": _sentences, "unicode": _other_names}[name](documents)
    return Labels({document["id"]: document["key"] for document in documents}, _by_question(pairs))


def _by_question(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """All that a question is right for: a docstring's sentence stands in those of many methods."""
    answers = dict[str, list[str]]()
    for question, identity in pairs:
        answers.setdefault(question, []).append(identity)
    return {question: tuple(ids) for question, ids in answers.items() if len(ids) <= 8}


def _sentences(documents: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for document in documents:
        _, _, docstring = document["value"].partition("\n\n")
        first = document["key"].partition(": ")[2].removesuffix("…").strip()
        for sentence in SENTENCES.split(docstring):
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
        left_out = order_of(document["id"]) % len(words)
        text = " ".join(_OTHER_WORDS.get(word, word) for i, word in enumerate(words) if i != left_out)
        if text not in keys:
            yield text, document["id"]


def order_of(text: str) -> int:
    """Return a text's position in an arbitrary order, which is the same everywhere."""
    return int(xxh3_64_intdigest(text.encode()))

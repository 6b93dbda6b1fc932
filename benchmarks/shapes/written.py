"""Collections with questions that people would ask: three that are never changed, and the demo collections.

The three were written by hand, before anything was run on them:

    office    an FAQ of a city's offices
    coffee    the manual of a coffee machine
    outdoor   the catalogue of a shop

A line of `written/NAME.txt` is a key with its id, or a question. Questions of the kind `present` are in a layman's
words, with the ids that answer them; those of the kind `near` are about the subject, and no key answers them. The demo
collections are asked in the words of `benchmarks/questions.jsonl`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from pathlib import Path

from benchmarks.asking import Collection
from benchmarks.contenders.documents import QUESTIONS
from benchmarks.shapes.shape import OFF_TOPIC, Shape, off_topic, sample
from softkv_service.datasets import DEMOS

FOLDER = Path(__file__).parent / "written"
COMMIT = "99b77dc2"
"""The commit with which the questions were written; nothing had been run on them."""
TOUCHED = {"office": ("politics",), "coffee": ("cooking",), "outdoor": ("cooking",)}
"""Off-topic topics that a collection touches."""


def written() -> list[Shape]:
    """Return the three collections, the same every time."""
    return [_read(name, without) for name, without in TOUCHED.items()]


def _read(name: str, without: tuple[str, ...]) -> Shape:
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line.split("|") for line in text.splitlines()]
    return Shape(
        name,
        {identity: key for kind, identity, key in lines if kind == "key"},
        [(question, tuple(ids.split())) for kind, ids, question in lines if kind == "present"],
        [question for kind, _, question in lines if kind == "near"],
        sample(name, off_topic(without), OFF_TOPIC),
    )


TOUCHED_BY_DEMO = {
    "library": ("history", "space", "dinosaurs", "novels", "cooking", "medicine", "mathematics", "physics", "religion"),
    "videos": ("cooking", "health", "trees"),
    "python": ("mathematics", "spelling"),
    "unicode": ("weather", "mathematics", "religion", "wildlife"),
}
"""Off-topic topics that a collection touches."""


@cache
def demos() -> dict[str, list[Collection]]:
    """Return each demo collection twice, by name: whole, and without the documents that answer a question."""
    asked = defaultdict[str, list[tuple[str, tuple[str, ...]]]](list)
    for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        asked[fields["collection"]].append((fields["question"], tuple(fields["answers"])))
    collections = {}
    for name, questions in asked.items():
        keys = {document["id"]: document["key"] for document in DEMOS[name].documents()}
        answering = {identity for _, answers in questions for identity in answers}
        others = {identity: key for identity, key in keys.items() if identity not in answering}
        collections[name] = [Collection(keys, questions, []), Collection(others, [], [text for text, _ in questions])]
    return collections


def off_topic_of(name: str) -> list[str]:
    """Return off-topic questions to a demo collection."""
    return sample(name, off_topic(TOUCHED_BY_DEMO[name]), OFF_TOPIC)

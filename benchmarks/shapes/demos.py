"""The demo collections, asked in the words of `benchmarks/questions.jsonl`, which people would use."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache

from benchmarks.asking import Collection
from benchmarks.contenders.documents import QUESTIONS
from benchmarks.shapes.shape import OFF_TOPIC, off_topic, sample
from service.datasets import DEMOS

TOUCHED = {
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
    return sample(name, off_topic(TOUCHED[name]), OFF_TOPIC)

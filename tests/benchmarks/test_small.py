"""The benchmark of small collections: each is on one subject, and half of the subject's documents are missing."""

from __future__ import annotations

import pytest

from benchmarks.asking import Vectors
from benchmarks.labelled import Labels
from benchmarks.small import HEAVIER, LINES, NULLS, rates
from service.encoding import load_encoder

THINGS = {
    "cat": "a small animal that purrs",
    "dog": "an animal that barks at strangers",
    "horse": "an animal on which people ride",
    "cow": "an animal that gives milk",
    "violin": "an instrument with four strings and a bow",
    "piano": "an instrument with black and white keys",
    "trumpet": "an instrument of brass that is blown",
    "drum": "an instrument that is beaten with sticks",
}
ANIMALS = {"cat", "dog", "horse", "cow"}
KEYS = {name: f"{name}, an animal" if name in ANIMALS else f"{name}, a musical instrument" for name in THINGS}
LABELS = Labels(KEYS, {text: (name,) for name, text in THINGS.items()})


@pytest.fixture(scope="module")
def vectors():
    return Vectors(load_encoder("all-MiniLM-L6-v2"))


def test_every_null_key_answers_every_question(vectors):
    results = rates(LABELS, 2, 16, ["what is the capital of France"], vectors)
    assert len(results) == len(LINES) == len(NULLS) + len(HEAVIER)
    for result in results:
        assert len(result.present.verdicts) == len(result.right) == len(result.absent.verdicts) == 16
        assert len(result.off_topic.verdicts) == 8
        assert sum(result.answered) == pytest.approx(1)
    nones = [result.absent.share("none") for result in results[3 : len(NULLS)]]
    assert nones == sorted(nones)

"""The benchmark of small collections: each is on one subject, and half of the subject's documents are missing."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.asking import Said, Vectors
from benchmarks.labelled import Labels
from benchmarks.small import HEAVIER, LINES, NULLS, Rates, rates, subjects
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


def test_a_collection_is_half_of_a_subject(vectors):
    collections = list(subjects(LABELS, 2, 16, vectors))
    assert len(collections) == 8
    for collection in collections:
        missing = {name for text in collection.absent for name in LABELS.right[text]}
        assert {answers for _, answers in collection.present} == {(name,) for name in collection.keys}
        assert len(collection.keys) == len(missing) == 2
        assert not missing & collection.keys.keys()
        assert missing | collection.keys.keys() in (ANIMALS, THINGS.keys() - ANIMALS)
    assert collections == list(subjects(LABELS, 2, 16, vectors))


def test_a_set_without_enough_documents_makes_no_collection(vectors):
    assert list(subjects(LABELS, 5, 10, vectors)) == []
    assert rates(LABELS, 5, 10, [], vectors) == []


def test_every_null_key_answers_every_question(vectors):
    results = rates(LABELS, 2, 16, ["what is the capital of France"], vectors)
    assert len(results) == len(LINES) == len(NULLS) + len(HEAVIER)
    for result in results:
        assert len(result.present.verdicts) == len(result.right) == len(result.absent.verdicts) == 16
        assert len(result.off_topic.verdicts) == 8
        assert sum(result.answered) == pytest.approx(1)
    nones = [result.absent.share("none") for result in results[3 : len(NULLS)]]
    assert nones == sorted(nones)


def said(verdicts, weights):
    weights = np.array(weights)
    return Said(np.array(verdicts), np.array(["x"] * len(weights)), weights, 1 - weights, weights)


def test_the_rates_are_counted():
    present = said(["one", "one", "several", "none"], [0.9, 0.7, 0.4, 0.1])
    near = said(["one", "none", "none", "none"], [0.8, 0.1, 0.2, 0.1])
    result = Rates(present, np.array([True, False, True, False]), near, None)
    assert result.answered == [0.25, 0.25, 0.25, 0.25]
    assert result.by_verdict == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert result.by_weight == 1.0
    heavier = result.demand(0.7)
    assert heavier.answered == [0.25, 0, 0.5, 0.25]
    assert heavier.absent.share("one") == 0.25

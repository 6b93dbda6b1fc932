"""Answers whose weight near copies share: whatever is requested, and only if they have more than half of it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from softkv_service.retrieval.queries import sweep_collection
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.records import DocumentRecord
from tests.service.retrieval.making import attend

AXES = np.eye(32, dtype=np.float32)
QUERY, OTHER_QUERY, MIDDLE = AXES[0], AXES[20], AXES[20] + AXES[21]
ORIGINAL = {"field": "metadata.wording", "operator": "==", "value": 0}


def near(count, first=0):
    """Return float32[count, d], wordings of one text: their cosines with each other are 0.98."""
    return AXES[first] + 0.15 * AXES[first + 1 : first + 1 + count]


def documents(name, keys, *others):
    """Return a document for each of these keys, with a second key from each of `others`."""
    return [
        DocumentRecord(f"{name}{i}", None, name, np.stack([key, *more]), metadata={"wording": i})
        for i, (key, *more) in enumerate(zip(keys, *others, strict=True))
    ]


@pytest.fixture
def made(create):
    """Return a function that makes a collection of documents; its temperature is 0.05."""

    def make(*batches, **settings):
        written = [document for batch in batches for document in batch]
        return create(written, **{"similarity": "cosine", "temperature": 0.05, "null": 0.3} | settings)

    return make


def ask(collection, *queries, **options):
    return [(result.verdict.stands, result.alike) for result in attend(collection, *queries, **options)]


@pytest.fixture
def faq(made):
    """A collection with five wordings of one text, and two texts that differ."""
    return made(documents("same", near(5)), documents("apart", AXES[20:22]), documents("away", AXES[24:31]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 0},
        {"top_k": 1},
        {"top_p": 0.1},
        {"temperature": "auto", "effective_documents": 5.0},
        {"temperature": 0.01, "filter": {"operator": "NOT", "conditions": [ORIGINAL]}},
        {"normaliser": "entmax15", "temperature": 0.3},
        {"allow_missing": True, "include": []},
    ],
    ids=str,
)
def test_five_wordings_of_one_text_are_alike_whatever_is_requested(faq, options):
    assert ask(faq, QUERY, **options) == [("several", True)]


def test_no_other_answers_are_alike(faq):
    assert ask(faq, MIDDLE, OTHER_QUERY, QUERY) == [("several", False), ("one", False), ("several", True)]
    assert ask(faq, QUERY, null=2.0) == [("none", False)]
    assert ask(faq, QUERY, filter=ORIGINAL) == [("one", False)]
    assert ask(faq, QUERY, temperature=100.0, null=False) == [("several", False)]


def test_each_temperature_of_a_sweep_is_judged(faq):
    swept = asyncio.run(sweep_collection(faq, QUERY, [0.0, 0.05, 100.0], CollectionQuestion(top_k=1)))
    assert [step.alike for step in swept.temperatures] == [True, True, False]


def test_documents_of_several_keys_are_compared_by_their_heaviest(made):
    same = documents("same", AXES[24:29], near(5))
    assert ask(made(same, documents("away", AXES[8:20])), QUERY, top_k=1) == [("several", True)]


def test_copies_by_distance_are_equal(made):
    """Their cosine is 1, and their distance says nothing about their being near."""
    numbers = [[1000.0], [1000.5]]
    collection = made(documents("n", np.array(numbers * 2, np.float32)), similarity="gaussian")
    assert ask(collection, np.array([1000.25]), null=-1.0) == [("several", False)]
    assert ask(collection, np.array([1000.0]), null=-1.0) == [("several", True)]

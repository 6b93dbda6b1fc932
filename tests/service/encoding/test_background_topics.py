"""The pairs that a background and a temperature are measured on."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

from service.encoding.background import TOPICS, is_short
from service.encoding.encoder import LocalEncoder
from service.encoding.registry import DEFAULT_MEASUREMENTS


@pytest.fixture(scope="module")
def vectors(encoder):
    """The topics' questions and texts, float32 [n, d]."""
    questions = encoder.encode([topic.question for topic in TOPICS], "query")
    texts = encoder.encode([topic.text for topic in TOPICS], "document")
    assert not questions.truncated.any()
    assert not texts.truncated.any()
    return questions.vectors, texts.vectors


def test_they_are_many_and_different():
    assert len(TOPICS) >= 150
    assert len({topic.question for topic in TOPICS}) == len({topic.text for topic in TOPICS}) == len(TOPICS)
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert all(is_short(topic.name) for topic in TOPICS)


def test_each_line_of_the_file_is_a_pair():
    with resources.files("service.encoding").joinpath("topics.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert [(line["question"], line["text"], line["name"]) for line in lines] == list(TOPICS)
    assert all(set(line) == {"question", "text", "name"} and all(map(str.strip, line.values())) for line in lines)


@pytest.mark.thorough
def test_no_question_is_related_to_another_topics_text(vectors):
    questions, texts = vectors
    similarity = questions @ texts.T
    np.fill_diagonal(similarity, -1)
    question, text = np.unravel_index(similarity.argmax(), similarity.shape)
    assert similarity.max() < 0.45, (TOPICS[question].question, TOPICS[text].text)
    for name, column in (("question", questions), ("text", texts)):
        among = column @ column.T
        np.fill_diagonal(among, -1)
        first, second = np.unravel_index(among.argmax(), among.shape)
        assert among.max() < 0.55, (getattr(TOPICS[first], name), getattr(TOPICS[second], name))


@pytest.mark.thorough
def test_most_questions_are_nearest_to_their_own_text(vectors):
    questions, texts = vectors
    assert ((questions @ texts.T).argmax(axis=1) == np.arange(len(TOPICS))).mean() > 0.85


@pytest.mark.thorough
def test_the_order_means_nothing(vectors):
    questions, texts = vectors
    next_ones = np.sum(questions * np.roll(texts, -1, axis=0), axis=1).mean()
    unrelated = (questions @ texts.T)[~np.eye(len(TOPICS), dtype=bool)]
    assert next_ones == pytest.approx(unrelated.mean(), abs=4 * unrelated.std() / np.sqrt(len(TOPICS)))


@pytest.mark.thorough
def test_the_background_is_that_of_every_unrelated_pair(encoder, vectors):
    questions, texts = vectors
    unrelated = (questions @ texts.T)[~np.eye(len(TOPICS), dtype=bool)]
    assert encoder.background.mean == pytest.approx(unrelated.mean(), abs=1e-6)
    assert encoder.background.deviation == pytest.approx(unrelated.std(), abs=1e-6)
    # Another choice of topics, less than a third as many, gave 0.038 and 0.077.
    assert encoder.background.mean == pytest.approx(0.038, abs=0.008)
    assert encoder.background.deviation == pytest.approx(0.077, abs=0.008)


@pytest.mark.thorough
def test_the_default_model_is_measured_as_the_stored_figures_say(encoder):
    assert encoder.measure() is DEFAULT_MEASUREMENTS
    measured = LocalEncoder(encoder.name, encoder.network, encoder.declaration).measure()
    for background, stored in zip(measured.backgrounds, DEFAULT_MEASUREMENTS.backgrounds, strict=True):
        assert (background.mean, background.deviation) == pytest.approx((stored.mean, stored.deviation), abs=1e-6)
    assert measured[1:] == DEFAULT_MEASUREMENTS[1:]

"""The pairs that a background and a temperature are measured on."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

from softkv_service.encoding.background import TOPICS, is_short
from softkv_service.encoding.encoder import LocalEncoder
from softkv_service.encoding.registry import DEFAULT_MODEL, PACKAGED, load_encoder

PINNED = PACKAGED[DEFAULT_MODEL].measured


def test_each_line_of_the_file_is_another_pair():
    assert all(len(set(column)) == len(TOPICS) >= 150 for column in zip(*TOPICS, strict=True))
    assert all(is_short(topic.name) for topic in TOPICS)
    with resources.files("softkv_service.encoding").joinpath("topics.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert [(line["question"], line["text"], line["name"]) for line in lines] == list(TOPICS)
    assert all(set(line) == {"question", "text", "name"} and all(map(str.strip, line.values())) for line in lines)


@pytest.mark.thorough
def test_the_background_is_that_of_every_unrelated_pair(encoder):
    questions = encoder.encode([topic.question for topic in TOPICS], "query")
    texts = encoder.encode([topic.text for topic in TOPICS], "document")
    assert not questions.truncated.any()
    assert not texts.truncated.any()
    unrelated = (questions.vectors @ texts.vectors.T)[~np.eye(len(TOPICS), dtype=bool)]
    assert encoder.background.mean == pytest.approx(unrelated.mean(), abs=1e-6)
    assert encoder.background.deviation == pytest.approx(unrelated.std(), abs=1e-6)
    # Another choice of topics, less than a third as many, gave 0.038 and 0.077.
    assert encoder.background.mean == pytest.approx(0.038, abs=0.008)
    assert encoder.background.deviation == pytest.approx(0.077, abs=0.008)


@pytest.mark.thorough
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("int16", 1e-4)])
def test_the_default_model_is_measured_as_the_stored_figures_say(precision, tolerance):
    encoder = load_encoder(DEFAULT_MODEL, precision=precision)
    assert encoder.measure() is PINNED
    measured = LocalEncoder(encoder.name, encoder.network, encoder.declaration).measure()
    for background, stored in zip(measured.backgrounds, PINNED.backgrounds, strict=True):
        assert (background.mean, background.deviation) == pytest.approx((stored.mean, stored.deviation), abs=tolerance)
    assert measured[1:] == PINNED[1:]

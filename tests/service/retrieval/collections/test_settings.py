"""The temperature of a collection where nothing was said."""

from __future__ import annotations

import math

import pytest

from softkv_service.encoding.temperature import Temperature
from softkv_service.retrieval.collections.settings import default_temperature

MEASURED = {"cosine": Temperature(0.02, "measured"), "dot": Temperature(5.0, "model card")}


@pytest.mark.parametrize(
    ("similarity", "expected"), [("cosine", 0.02), ("dot", 5), ("scaled_dot", 5 / math.sqrt(13)), ("gaussian", 1)]
)
def test_with_an_encoder_it_is_the_encoders(similarity, expected):
    assert default_temperature(similarity, encoder=MEASURED, dimension=13) == pytest.approx(expected)


def test_a_makers_distance_has_a_temperature_too():
    by_distance = MEASURED | {"gaussian": Temperature(0.5, "measured")}
    assert default_temperature("gaussian", encoder=by_distance, dimension=13) == 0.5


@pytest.mark.parametrize(("similarity", "expected"), [("cosine", 0.05), ("dot", 1), ("scaled_dot", 1), ("gaussian", 1)])
def test_without_an_encoder_the_temperature_is_the_usual_one_of_the_similarity(similarity, expected):
    assert default_temperature(similarity, encoder=None, dimension=13) == expected

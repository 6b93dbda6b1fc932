"""The encoder of a collection, and its temperature where nothing was said."""

from __future__ import annotations

import math

import pytest

from softkv_service.encoding import Encoder, Encoders, LoadingEncoder, ModelUnusable
from softkv_service.encoding.temperature import Temperature
from softkv_service.retrieval.collections.settings import default_temperature, find_encoder
from softkv_service.storage.records import CollectionSettings

MEASURED = {"cosine": Temperature(0.02, "measured"), "dot": Temperature(5.0, "model card")}


def refuse() -> Encoder:
    raise ModelUnusable("there is none")


def test_a_collection_finds_its_encoder_by_name_and_model() -> None:
    small, large = (LoadingEncoder(name, refuse, model=model) for name, model in (("small", "m-1"), ("large", "m-2")))
    encoders = Encoders([small, large], "large")

    def find(name: str | None, model: str | None) -> LoadingEncoder | None:
        return find_encoder(encoders, CollectionSettings("cosine", 0.05, encoder=name, encoder_model=model))

    assert find("small", "m-1") is small
    assert find("small", None) is small  # an earlier version did not record the model
    assert find("renamed", "m-2") is large
    assert find("m-1", None) is small  # made by a service whose only encoder had the model's name
    assert find("small", "m-2") is large  # the name has moved, the model counts
    assert find("small", "m-3") is None
    assert find(None, None) is None


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

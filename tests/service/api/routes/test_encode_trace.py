"""A look into the model over HTTP."""

from __future__ import annotations

import base64

import numpy as np
import pytest

DOG = "The dog chased the cat across the street"
ALL = ["logits", "query", "key", "value", "changes"]


def trace(client, text=DOG, **fields):
    answer = client.post("/v1/trace", json={"text": text, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_layer_and_head_has_weights_that_sum_to_one(client):
    traced = trace(client, layers=[0, 1, 2, 3, 4, 5])
    assert (traced["layers"], traced["heads"]) == ([0, 1, 2, 3, 4, 5], list(range(12)))
    np.testing.assert_allclose(np.sum(traced["attention"], axis=-1), 1, atol=1e-5)


def test_the_last_layer_is_shown_where_none_is_named(client):
    assert trace(client)["layers"] == [5]
    assert trace(client)["attention"] == trace(client, layers=[-1])["attention"]
    chosen = trace(client, layers=[3, 0], heads=[-1, 4])
    assert (chosen["layers"], chosen["heads"]) == ([3, 0], [11, 4])
    assert np.shape(chosen["attention"]) == (2, 2, 10, 10)


def test_tokens_are_places_in_their_texts(client):
    pair = "the 猫 unbelievably"
    traced = trace(client, "A dog", pair=pair, layers=[0, 5])
    texts = {0: "A dog", 1: pair}
    assert [token["sequence"] for token in traced["tokens"]] == [None, 0, 0, None, *[1] * 7, None]
    for token in traced["tokens"]:
        if token["sequence"] is None:
            assert (token["start"], token["end"]) == (0, 0)
        else:
            assert token["text"] == texts[token["sequence"]][token["start"] : token["end"]] != ""


def test_base64_is_the_same(client):
    numbers, coded = (trace(client, include=ALL, vector_format=form) for form in ("numbers", "base64"))
    for name in ("attention", "logits", "query", "key", "value"):
        array = np.frombuffer(base64.b64decode(coded[name]["base64"]), dtype="<f4").reshape(coded[name]["shape"])
        np.testing.assert_array_equal(array, np.asarray(numbers[name], dtype=np.float32))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"text": "word " * 255}, "257 tokens"),
        ({"text": "word " * 200, "pair": "word " * 100}, "303 tokens"),
        ({"text": "a" * 65_536, "pair": "b"}, "65537 characters"),
        ({"text": "word " * 200, "layers": [0, 1, 2, 3, 4, 5]}, "numbers"),
        ({"text": "word " * 200, "include": ["logits", "query"]}, "numbers"),
    ],
)
def test_more_than_a_trace_takes_is_a_413(client, options, reason):
    answer = client.post("/v1/trace", json=options)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_much"
    assert reason in answer.json()["detail"]

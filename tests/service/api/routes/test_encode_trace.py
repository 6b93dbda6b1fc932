"""A look into the model over HTTP."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch

from service.encoding.registry import default_checkpoint

DOG = "The dog chased the cat across the street"
ALL = ["logits", "query", "key", "value", "changes"]


def trace(client, text=DOG, **fields):
    answer = client.post("/v1/trace", json={"text": text, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def reference():
    """Hugging Face's own attention weights of every layer, [layer, head, i, j]."""
    from transformers import AutoModel, AutoTokenizer

    directory = default_checkpoint()
    model = AutoModel.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)

    def weights(*texts):
        with torch.inference_mode():
            attentions = model(**tokenizer(*texts, return_tensors="pt"), output_attentions=True).attentions
        return torch.cat(attentions).numpy()

    return weights


def test_every_layer_and_head_is_the_librarys(client, reference):
    traced = trace(client, layers=[0, 1, 2, 3, 4, 5])
    np.testing.assert_allclose(traced["attention"], reference(DOG), atol=1e-5)
    assert traced["layers"] == [0, 1, 2, 3, 4, 5]
    assert traced["heads"] == list(range(12))
    np.testing.assert_allclose(np.sum(traced["attention"], axis=-1), 1, atol=1e-5)


def test_the_row_of_dog(client, reference):
    traced = trace(client, layers=[2], heads=[0])
    assert [token["text"] for token in traced["tokens"]] == ["[CLS]", *DOG.split(), "[SEP]"]
    row = traced["attention"][0][0][2]
    np.testing.assert_allclose(row, reference(DOG)[2, 0, 2], atol=1e-5)
    assert traced["model"] == "all-MiniLM-L6-v2"


def test_the_last_layer_is_shown_where_none_is_named(client):
    assert trace(client)["layers"] == [5]
    assert trace(client)["attention"] == trace(client, layers=[-1])["attention"]
    chosen = trace(client, layers=[3, 0], heads=[-1, 4])
    assert (chosen["layers"], chosen["heads"]) == ([3, 0], [11, 4])
    assert np.shape(chosen["attention"]) == (2, 2, 10, 10)


def test_tokens_are_places_in_their_texts(client, reference):
    pair = "the 猫 unbelievably"
    traced = trace(client, "A dog", pair=pair, layers=[0, 5])
    texts = {0: "A dog", 1: pair}
    assert [token["sequence"] for token in traced["tokens"]] == [None, 0, 0, None, *[1] * 7, None]
    for token in traced["tokens"]:
        if token["sequence"] is None:
            assert (token["start"], token["end"]) == (0, 0)
        else:
            assert token["text"] == texts[token["sequence"]][token["start"] : token["end"]] != ""
    np.testing.assert_allclose(traced["attention"], reference("A dog", pair)[[0, 5]], atol=1e-5)


def test_the_parts_make_the_whole(client):
    traced = trace(client, include=ALL, layers=[1, 4])
    query, key = np.asarray(traced["query"]), np.asarray(traced["key"])
    assert query.shape == key.shape == np.shape(traced["value"]) == (2, 12, 10, 32)
    logits = np.asarray(traced["logits"])
    np.testing.assert_allclose(query @ key.swapaxes(-1, -2) / 32**0.5, logits, atol=1e-4)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(weights / weights.sum(axis=-1, keepdims=True), traced["attention"], atol=1e-5)
    assert len(traced["changes"]) == 2
    for changes in traced["changes"]:
        assert changes.keys() == {"attention", "feed_forward", "layer"}
        assert all(np.shape(change) == (10,) and min(change) > 0 for change in changes.values())


def test_a_causal_trace_looks_back_only(client):
    traced = trace(client, causal=True, include=["logits"], layers=[0])
    weights = np.asarray(traced["attention"])
    assert (weights[..., *np.triu_indices(10, 1)] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert traced["logits"][0][0][0][1] is None


def test_base64_is_the_same(client):
    numbers, coded = (trace(client, include=ALL, vector_format=form) for form in ("numbers", "base64"))
    for name in ("attention", "logits", "query", "key", "value"):
        array = np.frombuffer(base64.b64decode(coded[name]["base64"]), dtype="<f4").reshape(coded[name]["shape"])
        np.testing.assert_array_equal(array, np.asarray(numbers[name], dtype=np.float32))


@pytest.mark.parametrize("text", ["", " \n\t", "猫", "\x00", "مرحبا بالعالم", "x" * 65_536])
def test_every_text_has_a_trace(client, text):
    traced = trace(client, text)
    assert [token["text"] for token in traced["tokens"]][:: len(traced["tokens"]) - 1] == ["[CLS]", "[SEP]"]


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


def test_the_longest_text_that_is_read_fits(client):
    assert np.shape(trace(client, "word " * 254)["attention"]) == (1, 12, 256, 256)

"""Every number of a trace of a question, against torch in float64 from the model's file."""

from __future__ import annotations

import base64
import math
from importlib.metadata import files
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn.functional import gelu, layer_norm

QUESTION = "which animal sleeps on top of the"
LAYERS, HEADS, D_K = [0, 5], 12, 32
EVERYTHING = ["logits", "query", "key", "value", "written", "hidden_states", "neurons", "vector", "without_head"]
TOLERANCE = 1e-5


class Layer(NamedTuple):
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    logits: torch.Tensor
    attention: torch.Tensor
    written: torch.Tensor
    hidden_states: torch.Tensor
    scores: torch.Tensor
    activations: torch.Tensor
    shares: torch.Tensor


def file_of_the_model(name):
    return str(next(file for file in files("softkv-model-minilm") or [] if file.name == name).locate())


@pytest.fixture(scope="module")
def tensors():
    return {name: tensor.double() for name, tensor in load_file(file_of_the_model("model.safetensors")).items()}


def embed(tensors, ids):
    x = tensors["embeddings.word_embeddings.weight"][ids]
    x = x + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + tensors["embeddings.token_type_embeddings.weight"][0]
    return layer_norm(
        x, x.shape[-1:], tensors["embeddings.LayerNorm.weight"], tensors["embeddings.LayerNorm.bias"], 1e-12
    )


def run_layer(tensors, number, x, without=None):
    """Compute a layer as its paper has it; `without` is a head whose output is zeros."""

    def of(name):
        prefix = f"encoder.layer.{number}.{name}"
        return tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"]

    def linear(name, y):
        weight, bias = of(name)
        return y @ weight.T + bias

    n = len(x)
    query, key, value = (
        linear(f"attention.self.{name}", x).view(n, HEADS, D_K).transpose(0, 1) for name in ("query", "key", "value")
    )
    logits = query @ key.transpose(1, 2) / math.sqrt(D_K)
    attention = torch.softmax(logits, dim=-1)
    outputs = attention @ value
    if without is not None:
        outputs[without] = 0
    rows_of_heads = of("attention.output.dense")[0].T.reshape(HEADS, D_K, -1)
    written = outputs @ rows_of_heads
    added = written.sum(dim=0) + of("attention.output.dense")[1]
    middle = layer_norm(x + added, x.shape[-1:], *of("attention.output.LayerNorm"), 1e-12)
    scores = linear("intermediate.dense", middle)
    activations = gelu(scores)
    fed = linear("output.dense", activations)
    output = layer_norm(middle + fed, x.shape[-1:], *of("output.LayerNorm"), 1e-12)
    shares = activations * (fed @ of("output.dense")[0]) / (fed * fed).sum(dim=-1, keepdim=True)
    states = torch.stack([x, added, middle, fed, output])
    return Layer(query, key, value, logits, attention, written, states, scores, activations, shares)


def run(tensors, ids, without=(None, None)):
    x, layers = embed(tensors, ids), []
    for number in range(6):
        layers.append(run_layer(tensors, number, x, without[1] if without[0] == number else None))
        x = layers[-1].hidden_states[-1]
    return layers, x.mean(dim=0)


@pytest.fixture(scope="module")
def ids():
    tokenizer = Tokenizer.from_file(file_of_the_model("tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer.encode(QUESTION).ids


@pytest.fixture(scope="module")
def traced(client):
    answer = client.post(
        "/v1/trace", json={"text": QUESTION, "purpose": "query", "layers": LAYERS, "include": EVERYTHING}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def near(actual, expected):
    np.testing.assert_allclose(np.asarray(actual, np.float64), expected.numpy(), atol=TOLERANCE, rtol=TOLERANCE)


def test_every_number_of_two_layers_is_that_of_torch(tensors, ids, traced):
    assert len(traced["tokens"]) == len(ids) == 9
    layers, _ = run(tensors, ids)
    for i, number in enumerate(LAYERS):
        expected = layers[number]
        for name in ("query", "key", "value", "logits", "attention", "written", "hidden_states"):
            near(traced[name][i], getattr(expected, name))


def test_the_strongest_neurons_are_those_of_torch(tensors, ids, traced):
    layers, _ = run(tensors, ids)
    for i, number in enumerate(LAYERS):
        expected, index = layers[number], torch.tensor(np.asarray(traced["neurons"]["index"][i], np.int64))
        strongest = expected.shares.abs().sort(dim=-1, descending=True).values[:, : index.shape[-1]]
        near(np.abs(traced["neurons"]["share"][i]), strongest)
        for name, of_all in (
            ("score", expected.scores),
            ("activation", expected.activations),
            ("share", expected.shares),
        ):
            near(traced["neurons"][name][i], of_all.gather(1, index))


def test_the_vector_is_that_of_torch_and_nearly_the_one_searched_with(client, tensors, ids, traced):
    _, pooled = run(tensors, ids)
    near(traced["vector"]["pooled"], pooled)
    near(traced["vector"]["embedding"], pooled / pooled.norm())
    encoded = client.post("/v1/encode", json={"texts": [QUESTION], "purpose": "query"}).json()["embeddings"][0]
    assert traced["vector"]["searched"] == encoded
    missed = np.linalg.norm(np.subtract(traced["vector"]["embedding"], encoded))
    assert missed < 2e-2  # int16, or bfloat16 where it is faster


def test_the_weights_of_its_vector_are_those_of_attend(client, tensors, ids, traced):
    texts = ["a cat naps", "a sofa", "the sea", "a dog on a roof"]
    rows = [{"id": str(i), "key": text} for i, text in enumerate(texts)]
    client.put("/v1/collections/zoomed", json={"null": False})
    try:
        client.post("/v1/collections/zoomed/documents", json={"documents": rows})
        path, options = "/v1/collections/zoomed/attend", {"include": ["key", "key_vector"], "rerank": None}
        asked = client.post(path, json={"query": QUESTION, **options}).json()
        weights = {match["id"]: match["weight"] for match in asked["matches"]}
        searched = client.post(path, json={"query": traced["vector"]["searched"], **options}).json()
        assert {match["id"]: match["weight"] for match in searched["matches"]} == pytest.approx(weights, abs=1e-6)
        stepwise = client.post(path, json={"query": traced["vector"]["embedding"], **options}).json()
        _, pooled = run(tensors, ids)
        for match in stepwise["matches"]:
            key = torch.tensor(match["key_vector"], dtype=torch.float64)
            assert match["similarity"] == pytest.approx(float(pooled / pooled.norm() @ key / key.norm()), abs=TOLERANCE)
        logits = np.array([match["similarity"] for match in stepwise["matches"]]) / stepwise["temperature"]
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        np.testing.assert_allclose([match["weight"] for match in stepwise["matches"]], expected, atol=TOLERANCE)
    finally:
        client.delete("/v1/collections/zoomed")


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (2, 7), (5, 11)])
def test_a_head_that_is_left_out_writes_zeros(tensors, ids, traced, layer, head):
    _, pooled = run(tensors, ids, (layer, head))
    near(traced["without_head"][layer][head], pooled / pooled.norm())
    assert np.shape(traced["without_head"]) == (6, 12, 384)


def test_base64_has_the_same_numbers(client, traced):
    body = {"text": QUESTION, "purpose": "query", "layers": LAYERS, "include": EVERYTHING, "vector_format": "base64"}
    coded = client.post("/v1/trace", json=body).json()
    for name in ("written", "hidden_states", "without_head"):
        array = np.frombuffer(base64.b64decode(coded[name]["base64"]), dtype="<f4").reshape(coded[name]["shape"])
        np.testing.assert_array_equal(array, np.asarray(traced[name], dtype=np.float32))


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        ({"pair": "cats", "include": ["vector"]}, 422, "leave out pair and causal, or vector"),
        ({"causal": True, "include": ["without_head"]}, 422, "leave out pair and causal, or without_head"),
        ({"text": "word " * 63, "include": ["without_head"]}, 413, "65 tokens, without_head takes 64"),
        ({"text": "word " * 100, "layers": [0, 1, 2, 3, 4, 5], "include": ["hidden_states"]}, 413, "1924128 numbers"),
    ],
)
def test_a_text_without_such_numbers_is_refused(client, options, status, reason):
    answer = client.post("/v1/trace", json={"text": QUESTION, **options})
    assert answer.status_code == status
    assert reason in answer.text


def test_one_request_takes_the_vectors_without_each_head(client, traced):
    """Such a request has more than 64 KiB, and so is validated in a thread."""
    client.put("/v1/collections/left-out", json={"null": False})
    try:
        client.post("/v1/collections/left-out/documents", json={"documents": [{"id": "a", "key": "a cat naps"}]})
        queries = [vector for heads in traced["without_head"][:3] for vector in heads]
        answer = client.post("/v1/collections/left-out/attend", json={"queries": queries, "rerank": None})
        assert answer.status_code == 200, answer.text
        assert [result["matches"][0]["weight"] for result in answer.json()["results"]] == [1] * 36
    finally:
        client.delete("/v1/collections/left-out")

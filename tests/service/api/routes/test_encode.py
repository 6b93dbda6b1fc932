"""Texts → vectors over HTTP."""

from __future__ import annotations

import base64
import json
import threading

import numpy as np
import pytest

MIXED = ["relational databases", "", " \n\t", "猫 😺", "word " * 300, "مرحبا", "a\x00b", "x" * 100_000]
NDJSON = {"accept": "application/x-ndjson"}


def encode(client, texts, **fields):
    answer = client.post("/v1/encode", json={"texts": texts, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def read(sent):
    return np.frombuffer(base64.b64decode(sent["base64"]), dtype="<f4").reshape(sent["shape"])


def test_encode_returns_a_vector_and_counts_for_each_text(client):
    answer = encode(client, MIXED)
    assert (answer["model"], answer["dimension"]) == ("all-MiniLM-L6-v2", 384)
    assert np.shape(answer["embeddings"]) == (len(MIXED), 384)
    np.testing.assert_allclose(np.linalg.norm(answer["embeddings"], axis=1), 1, atol=1e-6)
    assert answer["token_counts"] == [4, 2, 2, 4, 302, *answer["token_counts"][5:]]
    assert answer["truncated"] == [False] * 4 + [True] + [False] * 3
    assert answer["unknown_tokens"][3] == 2
    assert "tokens" not in answer


def test_base64_is_the_same_float32(client):
    numbers = np.asarray(encode(client, MIXED)["embeddings"], dtype=np.float32)
    sent = encode(client, MIXED, vector_format="base64")["embeddings"]
    assert sent["shape"] == [len(MIXED), 384]
    np.testing.assert_array_equal(read(sent), numbers)


@pytest.mark.parametrize("model", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", None])
def test_the_model_goes_by_its_names(client, model):
    assert encode(client, ["a"], model=model)["model"] == "all-MiniLM-L6-v2"


def test_tokens_are_pieces_of_the_text(client):
    text = "An unbelievable 猫, and e\u0301tude"
    (tokens,) = encode(client, [text], tokens=True)["tokens"]
    assert [tokens[0], tokens[-1]] == [{"text": name, "start": 0, "end": 0} for name in ("[CLS]", "[SEP]")]
    assert [token["text"] for token in tokens[1:6]] == ["An", "unbelievable", "猫", ",", "and"]
    for token in tokens[1:-1]:
        assert token["text"] == text[token["start"] : token["end"]] != ""


@pytest.mark.parametrize("vector_format", ["numbers", "base64"])
def test_a_stream_has_a_line_a_text_in_order(client, vector_format):
    texts = [f"{'several words ' * (i % 5)}and line {i}" for i in range(150)] + ["word " * 300]
    whole = encode(client, texts)
    body = {"texts": texts, "vector_format": vector_format, "tokens": True}
    with client.stream("POST", "/v1/encode", json=body, headers=NDJSON) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
        *lines, end = [json.loads(line) for line in answer.iter_lines()]
    assert end == {"done": True, "model": "all-MiniLM-L6-v2", "dimension": 384, "encoded": 151}
    assert [line["index"] for line in lines] == list(range(151))
    vectors = [line["embedding"] for line in lines]
    if vector_format == "base64":
        vectors = [np.frombuffer(base64.b64decode(vector["base64"]), dtype="<f4") for vector in vectors]
    np.testing.assert_allclose(vectors, whole["embeddings"], rtol=0, atol=1e-6)
    assert [line["token_count"] for line in lines] == whole["token_counts"]
    assert [line["truncated"] for line in lines] == whole["truncated"]
    assert [len(line["tokens"]) for line in lines] == [min(count, 256) for count in whole["token_counts"]]


def test_the_first_lines_come_while_the_last_texts_wait(service, client, monkeypatch):
    texts = [f"{'a text that is long enough to take a moment ' * 2} {i}" for i in range(128)]
    encoder = service.app.state.parts.catalogue.encoders.default.encoder
    encoded, came, real = [], threading.Event(), encoder.encode

    def behind_the_first(some_texts, purpose):
        assert len(encoded) < len(texts) / 2 or came.wait(60), "no line came while texts were waiting"
        encoded.extend(some_texts)
        return real(some_texts, purpose)

    monkeypatch.setattr(encoder, "encode", behind_the_first)
    with client.stream("POST", "/v1/encode", json={"texts": texts}, headers=NDJSON) as answer:
        lines = answer.iter_lines()
        next(lines)
        came.set()
        assert sum(1 for _ in lines) == 128
    assert len(encoded) == 128


@pytest.mark.parametrize("headers", [{}, NDJSON])
def test_a_lone_surrogate_is_pointed_at(client, headers):
    headers = {"content-type": "application/json"} | headers
    answer = client.post("/v1/encode", content=rb'{"texts": ["fine", "ab\ud83d"]}', headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/texts/1"

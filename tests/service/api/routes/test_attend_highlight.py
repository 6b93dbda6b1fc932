"""The sentence of each match that is most similar to the query, over HTTP with the real encoder."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_service.retrieval.queries.readers.highlight import MAX_SENTENCES

LONG = "The harbour opens at six. Cats purr when they are content. Tickets cost four euros."
OTHER = "Bread is baked at night. The oven is hot. 猫在睡觉。"
KEYS = {"long": LONG, "one": "a cat sleeps all day", "other": OTHER, "none": None}
QUERY = "why does my kitten make that sound?"


@pytest.fixture(scope="module")
def path(client):
    path = "/v1/collections/highlights"
    client.put(path, json={})
    ones = client.post("/v1/encode", json={"texts": ["pets"]}).json()["embeddings"][0]
    documents = [
        {"id": identity, "key": key, "metadata": {"kind": identity[0]}} | ({"key_vector": ones} if key is None else {})
        for identity, key in KEYS.items()
    ]
    repeated = " ".join([LONG, "Rain falls on the hills. Sheep graze there."] * 6)
    split = {"id": "split", "key": repeated, "split": {"tokens": 32}}
    answer = client.post(f"{path}/documents", json={"documents": [*documents, split]})
    assert answer.status_code == 200, answer.text
    yield path
    client.delete(path)


def attend(client, path, **fields):
    answer = client.post(f"{path}/attend", json={"query": QUERY, "include": ["key", "highlight"], **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def encode(client, texts, purpose):
    return np.array(client.post("/v1/encode", json={"texts": texts, "purpose": purpose}).json()["embeddings"])


def shown(match):
    span = match["highlight"]
    return None if span is None else match["key"][span["start"] : span["end"]]


def test_the_sentence_most_similar_to_the_query_is_shown(client, path):
    matches = attend(client, path)["matches"]
    assert {match["id"] for match in matches} == {*KEYS, "split"}
    texts = {match["id"]: shown(match) for match in matches}
    assert texts["long"] == texts["split"] == "Cats purr when they are content."
    assert texts["one"] == KEYS["one"]
    assert texts["none"] is None


def test_a_vector_several_queries_and_groups_have_it(client, path):
    of_text = {match["id"]: match["highlight"] for match in attend(client, path)["matches"]}
    vector = encode(client, [QUERY], "query")[0].tolist()
    body = {"queries": [vector, "what does a ticket cost?"], "include": ["highlight", "key"]}
    first, second = client.post(f"{path}/attend", json=body).json()["results"]
    assert {match["id"]: match["highlight"] for match in first["matches"]} == of_text
    assert next(shown(match) for match in second["matches"] if match["id"] == "long") == "Tickets cost four euros."
    grouped = attend(client, path, group_by={"field": "metadata.kind"})["group_by"]["groups"]
    assert {match["id"]: match["highlight"] for group in grouped for match in group["matches"]} == of_text


def test_too_many_sentences_are_refused(client, path):
    key = " ".join(f"Sentence {i} is here." for i in range(MAX_SENTENCES + 1))
    client.put(f"{path}/documents/huge", json={"key": key})
    refused = client.post(f"{path}/attend", json={"query": "Sentence", "include": ["highlight"], "top_k": 100})
    client.delete(f"{path}/documents/huge")
    assert refused.status_code == 422
    assert "a request highlights among 1,000" in refused.json()["detail"]

"""A projection maps every query of a collection, text or vector, and nothing else."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.encoding import TOPICS
from tests.oracle import similarities
from tests.service.api.routes.test_calibrate import N, labelled, vectors

D = 5
KEYS = np.random.default_rng(0).normal(size=(40, D))
STORED = KEYS.astype(np.float32)
DOWN, UP = np.random.default_rng(1).normal(size=(2, 3, D))
REPORT = {"pairs": 280, "held_out": 120, "mrr_before": 0.25, "mrr_after": 0.75, "error": 0.04}


def body(down: np.ndarray = DOWN, up: np.ndarray = UP) -> dict[str, Any]:
    return {"down": down.tolist(), "up": up.tolist()}


def mapped(query: np.ndarray) -> np.ndarray:
    matrix = np.eye(D) + UP.T @ DOWN
    return np.asarray(matrix @ query)


def answered(client: httpx.Client, path: str, query: Any, **options: Any) -> Any:
    answer = client.post(f"{path}/attend", json={"query": query, "top_k": 40, "include": [], **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_id(answer: Any) -> list[float]:
    return [match["similarity"] for match in sorted(answer["matches"], key=lambda match: int(match["id"]))]


@pytest.fixture(params=["cosine", "dot", "scaled_dot", "gaussian"])
def similarity(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(client, collection, similarity):
    documents = [{"id": f"{i}", "key_vector": key.tolist()} for i, key in enumerate(KEYS)]
    return collection(documents, encoder=None, similarity=similarity, temperature=0.5, null="auto")


def test_a_vector_is_mapped_and_a_document_that_a_query_names_is_not(client, path, similarity):
    query = np.random.default_rng(2).normal(size=D)
    before, liked = answered(client, path, query.tolist()), answered(client, path, [{"id": "7"}])
    assert by_id(before) == pytest.approx(similarities(similarity, query, STORED), abs=1e-5)
    stored = client.put(f"{path}/projection", json=body())
    assert stored.status_code == 200, stored.text
    assert stored.json() == {"rank": 3, "at": stored.json()["at"], "trained": None, "drops": []}
    after = answered(client, path, query.tolist())
    assert by_id(after) == pytest.approx(similarities(similarity, mapped(query), STORED), abs=1e-5)
    assert by_id(answered(client, path, [{"id": "7"}])) == by_id(liked)
    total = np.array([mapped(query), KEYS[7]])
    if similarity == "cosine":
        total /= np.linalg.norm(total, axis=1, keepdims=True)
    summed = answered(client, path, [{"vector": query.tolist()}, {"id": "7"}])
    assert by_id(summed) == pytest.approx(similarities(similarity, total.sum(axis=0), STORED), abs=1e-5)
    swept = client.post(f"{path}/sweep", json={"query": query.tolist(), "temperatures": [0.5], "top_k": 40}).json()
    assert by_id(swept) == by_id(after)
    assert client.patch(path, json={"projection": None}).json()["projection"] is None
    removed = answered(client, path, query.tolist())
    assert [removed[part] for part in ("matches", "evidence")] == [before[part] for part in ("matches", "evidence")]


def test_the_background_of_the_keys_is_that_of_mapped_ones(client, path, similarity):
    before = client.get(path).json()["background"]
    client.put(f"{path}/projection", json=body())
    background = client.get(path).json()["background"]
    assert (background["of"], background["pairs"]) == ("keys", 2 * before["pairs"])
    keys = KEYS.astype(np.float32).astype(np.float64)
    table = np.array([similarities(similarity, mapped(key), STORED) for key in keys])
    lengths = np.linalg.norm(keys, axis=1)
    unrelated = keys @ keys.T < 0.8 * lengths[:, None] * lengths
    both = table[unrelated]
    assert background["mean"] == pytest.approx(both.mean(), abs=1e-5)
    assert background["deviation"] == pytest.approx(both.std(), abs=1e-5)
    assert background["deviation"] != pytest.approx(before["deviation"], abs=1e-4)
    client.patch(path, json={"projection": None})
    assert client.get(path).json()["background"] == before


@pytest.mark.parametrize("similarity", ["cosine"], indirect=True)
def test_a_stored_projection_is_read_back_and_described(client, path):
    assert client.get(f"{path}/projection").json() == {"projection": None}
    assert client.get(path).json()["projection"] is None
    client.put(f"{path}/projection", json=body() | {"trained": REPORT})
    stored = client.get(f"{path}/projection").json()["projection"]
    described = {name: stored.pop(name) for name in ("rank", "at", "trained")}
    assert client.get(path).json()["projection"] == described
    assert described["trained"] == REPORT
    assert np.array(stored["down"], np.float32).tolist() == DOWN.astype(np.float32).tolist()
    encoded = client.get(f"{path}/projection", params={"vector_format": "base64"}).json()["projection"]
    assert base64.b64decode(encoded["up"][2]["base64"]) == UP[2].astype("<f4").tobytes()
    again = client.put(f"{path}/projection", json={name: encoded[name] for name in ("down", "up")})
    assert again.status_code == 200
    assert client.get(f"{path}/projection").json()["projection"]["up"] == stored["up"]


@pytest.mark.parametrize("similarity", ["cosine"], indirect=True)
@pytest.mark.parametrize(
    ("sent", "pointer", "detail"),
    [
        (body(DOWN[:2]), "/up", "2 vectors came in down and 3 in up"),
        (body(DOWN[:, :4]), "/down/0", "the vector has width 4, the keys of"),
        (body(UP, 1e7 * DOWN), "/up", "may lengthen a query by a factor of"),
    ],
    ids=["number", "width", "length"],
)
def test_a_projection_that_does_not_fit_is_refused(client, path, sent, pointer, detail):
    answer = client.put(f"{path}/projection", json=sent)
    assert answer.status_code == 422, answer.text
    (flaw, *_) = answer.json()["errors"]
    assert flaw["pointer"] == pointer
    assert detail in flaw["detail"]


def test_a_collection_without_keys_has_no_width_for_a_projection(client, collection):
    path = collection(encoder=None)
    answer = client.put(f"{path}/projection", json=body())
    assert answer.status_code == 422, answer.text
    assert "has no keys, so no width yet: write documents first" in answer.json()["detail"]
    assert client.get(f"{path}/projection").json() == {"projection": None}


@pytest.mark.parametrize("similarity", ["cosine"], indirect=True)
def test_a_query_without_a_direction_after_the_map_is_refused(client, path):
    one = np.eye(D)[:1]
    client.put(f"{path}/projection", json=body(one, -one))
    answer = client.post(f"{path}/attend", json={"query": one[0].tolist()})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query"
    longest = client.post(f"{path}/attend", json={"query": [1e38, 3e38, 0, 0, 0]})
    assert longest.status_code == 200, "it is scaled to length one"
    client.put(f"{path}/projection", json=body(one, 100 * one))
    answer = client.post(f"{path}/attend", json={"query": [1e38, 0, 0, 0, 0]})
    assert "beyond float32" in answer.json()["errors"][0]["detail"]


def test_texts_are_mapped_like_their_vectors_and_unrelated_questions_get_none(client, collection):
    texts = [topic.text for topic in TOPICS[:60]]
    path = collection([{"id": f"{i}", "key": text} for i, text in enumerate(texts)])
    random = np.random.default_rng(3)
    towards = random.normal(size=384)
    # Every query moves towards one direction by as much as it is long, so unrelated texts are less similar.
    (seen,) = client.post("/v1/encode", json={"texts": ["steam engines"], "purpose": "query"}).json()["embeddings"]
    down, up = np.array([seen]), np.array([towards / np.linalg.norm(towards)])
    before = client.get(path).json()
    stored = client.put(f"{path}/projection", json=body(down, up) | {"encoder": before["encoder"]})
    assert stored.status_code == 200, stored.text
    after = client.get(path).json()
    assert after["background"]["of"] == "both"
    assert after["background"] != before["background"]
    question = "how do steam engines work?"
    encoded = client.post("/v1/encode", json={"texts": [question], "purpose": "query"}).json()["embeddings"][0]
    by_text, by_vector = (answered(client, path, query, null="lenient") for query in (question, encoded))
    assert by_id(by_text) == pytest.approx(by_id(by_vector), abs=1e-6)
    compared = client.post(f"{path}/compare", json={"query": question, "top_k": 40, "null": "lenient"}).json()
    assert compared["attention"]["matches"][0]["similarity"] == pytest.approx(
        by_text["matches"][0]["similarity"], abs=1e-6
    )
    # The background of the encoder is that of mapped questions and unrelated texts.
    questions = [topic.question for topic in TOPICS]
    parts = [
        np.array(client.post("/v1/encode", json={"texts": batch, "purpose": purpose}).json()["embeddings"])
        for batch, purpose in ((questions, "query"), ([topic.text for topic in TOPICS], "document"))
    ]
    moved = parts[0] + (parts[0] @ down.T) @ up
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    table = moved @ parts[1].T
    unrelated = table[~np.eye(len(table), dtype=bool)]
    client.patch(path, json={"null": "lenient"})
    lenient = client.get(path).json()["background"]
    assert (lenient["mean"], lenient["deviation"]) == pytest.approx((unrelated.mean(), unrelated.std()), abs=1e-5)


def test_a_calibration_is_dropped_with_its_temperature_and_null(client, collection):
    path = collection(encoder=None, null=0.3, temperature=0.05)
    documents = [{"id": f"{i}", "key_vector": key.tolist()} for i, key in enumerate(vectors(N, 0))]
    client.post(f"{path}/documents", json={"documents": documents})
    questions = labelled(240)
    calibrated = client.post(f"{path}/calibrate", json={"questions": questions, "apply": True}).json()
    assert calibrated["applied"], calibrated["reason"]
    assert client.get(path).json()["null"] == "calibrated"
    plain = np.eye(12)[:1]
    stored = client.put(f"{path}/projection", json=body(plain, 0.1 * plain)).json()
    assert stored["drops"] == ["calibration"]
    now = client.get(path).json()
    assert (now["calibration"], now["null"], now["temperature"]) == (None, 0.3, 0.05)
    assert client.post(f"{path}/calibrate", json={"questions": questions, "apply": True}).json()["applied"]
    removed = client.patch(path, json={"projection": None}).json()
    assert (removed["projection"], removed["calibration"], removed["null"]) == (None, None, 0.3)

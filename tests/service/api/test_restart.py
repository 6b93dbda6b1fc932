"""What a service finds when it starts on data that another one wrote."""

from __future__ import annotations

import pytest

from tests.running import RunningService

ASKED = {"query": "why does my pet purr?", "include": ["value"], "top_k": 2}
BOOKS = [{"id": "cats", "key": "the behaviour of house cats"}, {"id": "bread", "key": "baking bread at home"}]


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    """A data directory with a collection in it, and what the collection answered."""
    directory = tmp_path_factory.mktemp("left")
    with RunningService(data_dir=directory) as running, running.client() as client:
        running.wait_until_ready()
        client.put("/v1/collections/books", json={"temperature": 0.1})
        client.post("/v1/collections/books/documents", json={"documents": BOOKS})
        return directory, client.post("/v1/collections/books/attend", json=ASKED).json()["matches"]


def test_it_answers_as_before(left_behind):
    directory, before = left_behind
    with RunningService(data_dir=directory) as running, running.client() as client:
        running.wait_until_ready()
        assert client.post("/v1/collections/books/attend", json=ASKED).json()["matches"] == before
        assert client.get("/v1/collections/books").json()["temperature"] == 0.1


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"precision": "bfloat16"}, "PRECISION=float32"), ({"encoder": "none"}, "without an encoder")],
)
def test_texts_are_not_mixed_with_another_encoders_and_vectors_still_work(left_behind, settings, says):
    directory, _ = left_behind
    with RunningService(data_dir=directory, **settings) as running, running.client() as client:
        running.wait_until_ready()
        refused = client.post("/v1/collections/books/attend", json=ASKED)
        assert refused.status_code == 422
        assert says in refused.json()["detail"]
        written = client.put("/v1/collections/books/documents/new", json={"key": "a text"})
        assert written.status_code == 422
        asked = {"query": [1.0] + [0.0] * 383, "null": False}
        assert len(client.post("/v1/collections/books/attend", json=asked).json()["matches"]) == 2

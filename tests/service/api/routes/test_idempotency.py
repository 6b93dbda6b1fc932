"""Idempotency-Key: a write sent again is done once, and answered as it was the first time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.service.api.repeats import Write, new, same

TWO = [{"id": "a", "key_vector": [1, 0], "metadata": {"x": 1}}, {"id": "b", "key_vector": [0, 1]}]
VECTOR = {"key_vector": [3, 4]}
ALL = {"field": "id", "operator": "!=", "value": ""}


PUT_BACK = Write("POST", "/documents", {"documents": TWO})
GONE = Write("DELETE", "")
# The call, the status of its answer, and the event before it is sent again.
WRITES = {
    "put_document, new": (Write("PUT", "/documents/c", VECTOR), 201, Write("DELETE", "/documents/c")),
    "put_document": (Write("PUT", "/documents/a", VECTOR), 200, PUT_BACK),
    "patch_document": (Write("PATCH", "/documents/a", {"metadata": {"x": 2}}), 200, PUT_BACK),
    "delete_document": (Write("DELETE", "/documents/a"), 204, PUT_BACK),
    "post_documents": (Write("POST", "/documents", {"documents": [{"id": "a", **VECTOR}]}), 200, PUT_BACK),
    "post_documents, skip": (
        Write("POST", "/documents", {"documents": [{"id": "c", **VECTOR}, *TWO], "mode": "skip"}),
        200,
        Write("POST", "/documents/delete", {"ids": ["a", "c"]}),
    ),
    "update_documents": (Write("POST", "/documents/update", {"filter": ALL, "patch": {"value": 7}}), 200, PUT_BACK),
    "delete_documents": (Write("POST", "/documents/delete", {"filter": ALL}), 200, PUT_BACK),
    "patch_collection": (Write("PATCH", "", {"temperature": 3}), 200, Write("PATCH", "", {"temperature": 2})),
    "delete_collection": (GONE, 204, Write("PUT", "", {"encoder": None})),
    "put_document, deleted": (Write("PUT", "/documents/c", VECTOR), 201, GONE),
}


@pytest.fixture
def path(client, collection) -> Iterator[str]:
    made = collection(encoder=None, temperature=1)
    PUT_BACK.send(client, made)
    yield made
    client.delete(f"{made}-other")


def state(client: httpx.Client, path: str) -> list[Any]:
    """Return everything that is stored of a collection."""
    listed = client.post(f"{path}/documents/query", json={"include": ["key", "value", "metadata", "key_vector"]})
    return [client.get(path).json(), listed.json()]


@pytest.mark.parametrize("name", WRITES)
def test_a_repeat_is_answered_alike_and_does_nothing(client, path, name):
    write, status, meanwhile = WRITES[name]
    before, key = state(client, path), new()
    first = write.send(client, path, key)
    assert first.status_code == status, first.text
    assert state(client, path) != before
    assert meanwhile.send(client, path).status_code < 300
    left = state(client, path)
    for _ in range(2):
        same(write.send(client, path, key), first)
    assert state(client, path) == left


def test_a_collection_that_was_made_is_described_as_it_was(client, path):
    write, key = Write("PUT", "-other", {"encoder": None, "temperature": 2}), new()
    first = write.send(client, path, key)
    assert first.status_code == 201
    client.put(f"{path}-other/documents/a", json=VECTOR)
    same(write.send(client, path, key), first)
    client.delete(f"{path}-other")
    same(write.send(client, path, key), first)
    assert client.get(f"{path}-other").status_code == 404
    assert write.send(client, path, new()).status_code == 201


def test_without_a_key_or_with_another_it_is_done_again(client, path):
    write = Write("PUT", "/documents/c", VECTOR)
    answers = [write.send(client, path, key) for key in (new(), new(), None, None)]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200]
    assert all("idempotency-replayed" not in answer.headers for answer in answers)


@pytest.mark.parametrize(
    "other",
    [
        Write("PUT", "/documents/c", {"key_vector": [4, 3]}),
        Write("PUT", "/documents/d", VECTOR),
        Write("PATCH", "/documents/c", VECTOR),
        Write("PUT", "/documents/c?x=1", VECTOR),
        Write("PUT", "/documents/c", {"no such field": 1}),
    ],
    ids=str,
)
def test_another_write_under_the_same_key_is_refused(client, path, other):
    key = new()
    assert Write("PUT", "/documents/c", VECTOR).send(client, path, key).status_code == 201
    left = state(client, path)
    refused = other.send(client, path, key)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert key in refused.json()["detail"]
    assert "idempotency-replayed" not in refused.headers
    assert state(client, path) == left


@pytest.mark.parametrize(
    ("write", "status", "mend"),
    [
        (
            Write("POST", "/documents", {"documents": [{"id": "a", **VECTOR}], "mode": "create"}),
            409,
            Write("DELETE", "/documents/a"),
        ),
        (Write("PUT", "", {"similarity": "dot"}), 409, GONE),
    ],
    ids=str,
)
def test_a_refusal_is_not_kept(client, path, write, status, mend):
    key = new()
    for _ in range(2):
        refused = write.send(client, path, key)
        assert refused.status_code == status
        assert "idempotency-replayed" not in refused.headers
    assert mend.send(client, path).status_code < 300
    done = write.send(client, path, key)
    assert done.status_code < 300
    same(write.send(client, path, key), done)


@pytest.mark.parametrize(
    "name",
    [
        "put_document, new",
        "post_documents",
        "delete_document",
        "patch_document",
        "update_documents",
        "delete_collection",
        "put_collection",
    ],
)
def test_one_of_many_concurrent_repeats_writes_and_all_get_its_answer(service, client, path, name):
    """None of them finds an answer before the writer is theirs: it is held until all of them wait for it."""
    creating = Write("PUT", "-other", {"encoder": None}), 201, None
    write, status, _ = WRITES.get(name, creating)
    key, answers = new(), list[httpx.Response]()

    def send() -> None:
        with service.client() as own_client:
            answers.append(write.send(own_client, path, key))

    threads = [threading.Thread(target=send) for _ in range(6)]
    with service.app.state.parts.catalogue.store.writing():
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert not answers
    for thread in threads:
        thread.join()
    assert {(answer.status_code, answer.content) for answer in answers} == {(status, answers[0].content)}
    assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", *["true"] * 5]


@pytest.mark.parametrize("key", ["", "x" * 256, "clé".encode(), b"a\tb"])
@pytest.mark.parametrize("name", WRITES)
def test_a_malformed_key_is_refused(client, path, name, key):
    left = state(client, path)
    refused = WRITES[name][0].send(client, path, key)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_content")
    assert "header.Idempotency-Key: wanted 1 to 255 characters of printable ASCII" in refused.json()["detail"]
    assert state(client, path) == left


def test_several_keys_are_refused(client, path):
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    refused = client.put(f"{path}/documents/c", json=VECTOR, headers=headers)
    assert refused.status_code == 422
    assert "several Idempotency-Key headers" in refused.json()["detail"]


def test_a_stream_takes_no_key(client, path):
    headers = {"idempotency-key": new(), "content-type": "application/x-ndjson"}
    left = state(client, path)
    refused = client.post(f"{path}/documents", content=json.dumps({"id": "c", **VECTOR}), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_content")
    assert "a stream of NDJSON takes no Idempotency-Key" in refused.json()["detail"]
    assert state(client, path) == left

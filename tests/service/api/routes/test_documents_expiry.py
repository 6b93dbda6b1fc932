"""`expires` of documents and `expire_after` of collections, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

NDJSON = {"content-type": "application/x-ndjson"}
PAST, FUTURE = "2001-01-01T00:00:00Z", "2126-11-26T12:00:00Z"


@pytest.fixture
def memory(client: httpx.Client) -> Iterator[httpx.Client]:
    """A client of a collection with a document that has expired, one that will, and one that never does."""
    client.put("/v1/collections/memory", json={"encoder": None, "dimension": 2})
    documents = [
        {"id": "past", "key_vector": [1, 0], "expires": PAST},
        {"id": "future", "key_vector": [1, 1], "expires": FUTURE},
        {"id": "never", "key_vector": [0, 1]},
    ]
    assert client.post("/v1/collections/memory/documents", json={"documents": documents}).json()["upserted"] == 3
    yield client
    client.delete("/v1/collections/memory")


def put(client: httpx.Client, **fields) -> httpx.Response:
    return client.put("/v1/collections/memory/documents/x", json={"key_vector": [1, 0], **fields})


def expires(client: httpx.Client) -> str | None:
    return client.get("/v1/collections/memory/documents/x").json().get("expires")


def test_an_expired_document_is_absent_from_every_answer(memory):
    attended = memory.post("/v1/collections/memory/attend", json={"query": [1, 0], "top_k": 10}).json()
    assert [match["id"] for match in attended["matches"]] == ["future", "never"]
    listed = memory.post("/v1/collections/memory/documents/query", json={"count": True}).json()
    assert [document["id"] for document in listed["documents"]] == ["future", "never"]
    assert listed["count"] == 2
    assert memory.get("/v1/collections/memory/documents/past").status_code == 404
    assert memory.patch("/v1/collections/memory/documents/past", json={"value": 1}).status_code == 404
    assert memory.delete("/v1/collections/memory/documents/past").status_code == 404
    described = memory.get("/v1/collections/memory").json()
    assert (described["documents"], described["keys"]) == (2, 2)
    assert described["expired"] in (0, 1)  # the sweep may have deleted it by now


def test_an_instant_of_expiry_is_returned_with_its_document(memory):
    listed = memory.post("/v1/collections/memory/documents/query", json={}).json()["documents"]
    assert [document.get("expires") for document in listed] == [FUTURE, None]
    (match, other) = memory.post("/v1/collections/memory/attend", json={"query": [1, 0]}).json()["matches"]
    assert (match["expires"], "expires" in other) == (FUTURE, False)
    only_ids = memory.post("/v1/collections/memory/documents/query", json={"include": []}).json()["documents"]
    assert only_ids == [{"id": "future"}, {"id": "never"}]


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("2126-11-26t14:00:00.25+02:00", "2126-11-26T12:00:00.250000Z"),
        ("2126-12-31T23:59:60Z", "2127-01-01T00:00:00Z"),
        (4951636800.5, "2126-11-29T14:40:00.500000Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z"),
        (None, None),
    ],
)
def test_an_instant_is_a_text_or_seconds(memory, sent, answered):
    assert put(memory, expires=sent).status_code == 201
    assert expires(memory) == answered


def test_a_write_replaces_it_and_a_patch_keeps_it(memory):
    put(memory, expires=FUTURE)
    memory.patch("/v1/collections/memory/documents/x", json={"value": "other"})
    assert expires(memory) == FUTURE
    memory.patch("/v1/collections/memory/documents/x", json={"expires": None})
    assert expires(memory) is None
    update = {"ids": ["x", "never"], "patch": {"expires": FUTURE}}
    assert memory.post("/v1/collections/memory/documents/update", json=update).json() == {"updated": 2}
    assert expires(memory) == FUTURE
    put(memory)
    assert expires(memory) is None


def test_a_collection_gives_new_documents_an_expiry(memory):
    assert memory.get("/v1/collections/memory").json()["expire_after"] is None
    changed = memory.patch("/v1/collections/memory", json={"expire_after": "30d"}).json()
    assert changed["expire_after"] == 30 * 86_400
    before = datetime.now(UTC)
    put(memory)
    lives = datetime.fromisoformat(expires(memory) or "") - timedelta(days=30)
    assert before <= lives <= datetime.now(UTC)
    put(memory, expires=None)
    assert expires(memory) is None
    memory.patch("/v1/collections/memory", json={"expire_after": None})
    put(memory)
    assert expires(memory) is None


@pytest.mark.parametrize(("duration", "seconds"), [("30d", 30 * 86_400), ("1.5h", 5400)])
def test_a_duration_counts_from_the_arrival_of_a_document_or_line(memory, duration, seconds):
    before, line = datetime.now(UTC).replace(microsecond=0), {"id": "x", "key_vector": [1, 0], "expires": duration}
    uploaded = {"json": {"documents": [line]}}, {"content": json.dumps(line), "headers": NDJSON}
    for body in uploaded:
        assert memory.post("/v1/collections/memory/documents", **body).status_code == 200
        lives = datetime.fromisoformat(expires(memory) or "") - timedelta(seconds=seconds)
        assert before <= lives <= datetime.now(UTC)

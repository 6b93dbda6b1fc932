"""An answer in events: parts that are true of all documents, and last what is answered without a stream."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attention.lookup import Limits

RNG = np.random.default_rng(31)
KEYS = RNG.normal(size=(300, 4)).astype(np.float32)
QUERY = RNG.normal(size=4).astype(np.float32)


@pytest.fixture
def shelf(service, client, collection, monkeypatch):
    """Three hundred documents of one to three keys, in blocks of 48 rows; `client` asks for parts of them."""
    limits = Limits(block_rows=48, min_prefix_rows=100)
    monkeypatch.setattr(service.app.state.parts.catalogue, "limits", limits)
    return filled(client, collection)


def filled(client, collection):
    """Make a collection of the documents, and return its path."""
    path = collection(encoder=None, similarity="dot", temperature=1.0, null=0.2)
    documents = [
        {"id": f"d{i:03}", "key_vectors": (key * np.arange(1, 2 + i % 3)[:, None]).tolist(), "metadata": {"i": i}}
        for i, key in enumerate(KEYS)
    ]
    for first in range(0, 300, 50):
        sent = client.post(f"{path}/documents", json={"documents": documents[first : first + 50]})
        assert sent.status_code == 200
    return path


def streamed(client, path, **body):
    """(event, data) of each event."""
    answer = client.post(f"{path}/attend", json={"query": QUERY.tolist(), "stream": True, **body})
    assert answer.headers["content-type"].startswith("text/event-stream")
    parts = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        parts.append((lines["event"], json.loads(lines["data"])))
    return parts


def test_parts_come_first_and_the_last_is_the_answer(client, shelf):
    below = {"field": "metadata.i", "operator": "<", "value": 200}
    body = {"temperature": 3.0, "top_k": 300, "include": ["metadata", "output"], "filter": below}
    for _ in range(2):  # before and after the sums are there
        *parts, (name, last) = streamed(client, shelf, **body)
        assert name == "answer"
        whole = client.post(f"{shelf}/attend", json={"query": QUERY.tolist(), **body}).json()
        assert {**last, "took_ms": 0} == {**whole, "took_ms": 0}
        assert [streamed_part for streamed_part, _ in parts] == ["partial"] * len(parts)
        assert parts
        bounds = [part["certificate"]["total_variation"] for _, part in parts]
        assert bounds == sorted(bounds, reverse=True)
        for _, part in parts:
            assert part["coverage"]["documents"] < part["coverage"]["total"] == 300


def test_a_client_that_hangs_up_frees_its_slot(client, shelf):
    sent = {"query": QUERY.tolist(), "stream": True, "top_k": 300}
    for _ in range(5):
        with client.stream("POST", f"{shelf}/attend", json=sent) as answer:
            assert next(answer.iter_lines()) == "event: partial"
    assert client.post(f"{shelf}/attend", json={"query": QUERY.tolist()}).json()["documents"] == 300

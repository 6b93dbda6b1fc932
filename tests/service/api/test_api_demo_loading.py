"""A demo collection that is being loaded: every call about it is a 503 with that reason, until all of it is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from softkv_service.datasets import DEMOS, Demo
from tests.running import RunningService
from tests.service.api.calls import first
from tests.service.api.contract import Contract, checked_in
from tests.service.api.middleware.test_access_scopes import ROUTES
from tests.waiting import until

DESCRIBED = Contract(checked_in())


class Slow:
    """Documents that come when the test lets them."""

    def __init__(self) -> None:
        self.door = threading.Event()

    def __call__(self) -> Iterator[dict[str, Any]]:
        assert self.door.wait(60), "the test never opened the door"
        yield {"id": "a", "key_vector": np.array([1, 0], np.float32), "value": "x"}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setitem(DEMOS, "slow", Demo("slow", "for a test", {"similarity": "dot"}, slow))
    yield slow
    slow.door.set()


OF_A_COLLECTION = [name for name, route in ROUTES.items() if route.reach == "collection" and route.include_in_schema]


def test_every_call_about_a_loading_collection_is_refused_with_a_time_to_retry(tmp_path, slow) -> None:
    with RunningService(data_dir=tmp_path, encoder="none", demo=("slow",)) as running, running.client() as client:
        assert {"attend", "put_collection", "get_collection", "delete_collection", "put_document"} <= set(
            OF_A_COLLECTION
        )
        for name in OF_A_COLLECTION:
            operation = DESCRIBED.operations[name]
            call = first(DESCRIBED, operation)
            refused = type(call)(name, call.body, {**call.values, "name": "slow"}, call.query).send(client, DESCRIBED)
            assert (refused.status_code, refused.json()["code"]) == (503, "collection_loading"), name
            assert int(refused.headers["retry-after"]) > 0
            assert "the demo collection 'slow' is being loaded" in refused.json()["detail"]
        lines = client.post(
            "/v1/collections/slow/documents", content=b"{}", headers={"content-type": "application/x-ndjson"}
        )
        assert lines.json()["code"] == "collection_loading"
        assert client.put("/v1/collections/other", json={}).status_code == 201
        assert client.get("/readyz").json()["loading"] != []
        slow.door.set()
        until(lambda: client.get("/v1/collections/slow").status_code == 200)
        response = client.post("/v1/collections/slow/attend", json={"query": [1, 0]}).json()
        assert [match["id"] for match in response["matches"]] == ["a"]
        assert all(collection["ready"] for collection in client.get("/v1/collections").json()["collections"])


def test_every_call_about_a_collection_is_described_so() -> None:
    for name in OF_A_COLLECTION:
        refused = DESCRIBED.operations[name].described["responses"]["503"]
        assert "collection_loading" in refused["content"]["application/problem+json"]["examples"], name

"""What a collection costs, as its description and /metrics tell it; and to whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from softkv_service.api.keyring import line_of
from softkv_service.api.metrics import MAX_LABELLED
from softkv_service.storage import SQLiteStore
from softkv_service.storage.records import CollectionSettings
from tests.running import RunningService
from tests.service.api.test_metrics import samples, value
from tests.service.retrieval.making import numbered

COLLECTIONS, LOADED = 200, 20


def test_the_description_of_a_collection_has_its_costs(client, collection):
    path = collection(encoder=None)
    assert client.get(path).json()["costs"] == {"memory_bytes": 0, "disk_bytes": 0, "asked": 0, "p99_ms": None}
    client.put(f"{path}/documents/a", json={"key_vector": [1, 2], "value": "a text"})
    client.post(f"{path}/attend", json={"query": [1, 2]}).raise_for_status()
    client.post(f"{path}/attend", json={"queries": [[1, 2]] * 7}).raise_for_status()
    client.post(f"{path}/attend", json={"query": [1, 2, 3]})  # is refused
    costs = client.get(path).json()["costs"]
    assert costs["asked"] == 8
    assert costs["memory_bytes"] >= 2 * 4
    assert 100 < costs["disk_bytes"] < 1000
    assert 0 < costs["p99_ms"] < 180_000


def test_names_of_collections_are_for_callers_that_may_list_them(tmp_path):
    lines = [line_of("all", "read", "", "key-all"), line_of("some", "read", "c", "key-some")]
    (tmp_path / "keys").write_text("".join(f"{line}\n" for line in lines))
    settings = {"data_dir": tmp_path / "data", "encoder": "none", "keys_file": tmp_path / "keys", "api_keys": ("w",)}
    with RunningService(**settings) as running, running.client(headers={"x-api-key": "w"}) as client:
        client.put("/v1/collections/c", json={"encoder": None})
        client.put("/v1/collections/c/documents/a", json={"key_vector": [1, 2]})
        client.post("/v1/collections/c/attend", json={"query": [1, 2]}).raise_for_status()
        shown = {}
        for key in ("w", "key-all", "key-some", "not a key", None):
            headers = {} if key is None else {"x-api-key": key}
            with running.client(headers=headers) as caller:
                shown[key] = 'collection="c"' in caller.get("/metrics").text
        assert shown == {"w": True, "key-all": True, "key-some": False, "not a key": False, None: False}


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("many")
    with SQLiteStore.open(directory) as store, store.writing() as writer:
        for i in range(COLLECTIONS):
            writer.upsert(writer.create_collection(f"agent-{i}", CollectionSettings("dot", 0.25)).id, numbered(i))
    return directory


def test_a_hundred_collections_have_series_of_their_own_and_the_others_share_one(many):
    settings = {"data_dir": many, "encoder": "none", "max_loaded_collections": LOADED}
    with RunningService(**settings) as running, running.client() as client:
        running.wait_until_ready()
        for i in (0, *range(COLLECTIONS)):
            client.post(f"/v1/collections/agent-{i}/attend", json={"query": [1, 2]}).raise_for_status()
        series = samples(client)
        assert value(series, "collections") == value(series, "documents") == COLLECTIONS
        assert value(series, "collections_loaded") == LOADED
        labels = [dict(about)["collection"] for name, about in series if name == "softkv_collection_questions"]
        assert len(labels) == MAX_LABELLED + 1
        assert "agent-0" in labels  # it was asked twice
        assert value(series, "collection_questions", collection="*") == COLLECTIONS - MAX_LABELLED

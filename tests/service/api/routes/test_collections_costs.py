"""What a collection costs, as its description and /metrics tell it; and to whom."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import active_count

import pytest

from service.api.keyring import line_of
from service.api.routes.service import MAX_LABELLED
from service.storage import CollectionSettings, SQLiteStore
from tests.running import RunningService
from tests.service.api.routes.test_service_metrics import samples, value
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


def test_changes_and_lists_tell_no_costs(client, collection):
    path = collection(encoder=None)
    assert client.put(path, json={}).json()["costs"] is None
    assert client.patch(path, json={"temperature": 0.5}).json()["costs"] is None
    assert {described["costs"] for described in client.get("/v1/collections").json()["collections"]} == {None}


def test_metrics_have_the_collections_with_the_most_questions(client, collection):
    path = collection(encoder=None)
    name = path.rpartition("/")[2]
    client.put(f"{path}/documents/a", json={"key_vector": [1, 2], "value": "a text"})
    assert value(samples(client), "collection_keys", collection=name) == 0
    client.post(f"{path}/attend", json={"query": [1, 2]}).raise_for_status()
    series, costs = samples(client), client.get(path).json()["costs"]
    for label, field in (("questions", "asked"), ("memory_bytes", "memory_bytes"), ("disk_bytes", "disk_bytes")):
        assert value(series, f"collection_{label}", collection=name) == costs[field] > 0
    assert value(series, "collection_p99_seconds", collection=name) == pytest.approx(costs["p99_ms"] / 1e3)
    assert value(series, "collection_keys", collection=name) == 1
    client.delete(path)
    assert not [labels for _, labels in samples(client) if ("collection", name) in labels]


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


def test_a_service_with_many_collections_opens_few_and_answers_of_all(many):
    settings = {"data_dir": many, "encoder": "none", "max_loaded_collections": LOADED}
    with RunningService(**settings) as running, running.client() as client:
        running.wait_until_ready()
        before = samples(client)  # of the warm-up, which asks one
        assert value(before, "collections_loaded") <= 1
        client.post("/v1/collections/agent-0/attend", json={"query": [1, 2]}).raise_for_status()
        files, threads = len(os.listdir("/proc/self/fd")), active_count()
        for i in range(COLLECTIONS):
            answer = client.post(f"/v1/collections/agent-{i}/attend", json={"query": [1, 2]}).json()
            assert [match["id"] for match in answer["matches"]] == [f"{i:03}"]
        series = samples(client)
        assert value(series, "collections") == value(series, "documents") == value(series, "document_keys") == 200
        assert value(series, "collections_loaded") == LOADED
        assert len(os.listdir("/proc/self/fd")) <= files + 1
        assert active_count() <= threads + 8  # of pools that are as large as before
        # A hundred have series of their own, and the others share one.
        labels = [dict(about)["collection"] for name, about in series if name == "softkv_collection_questions"]
        assert len(labels) == MAX_LABELLED + 1
        assert "agent-0" in labels  # it was asked twice
        assert value(series, "collection_questions", collection="*") == COLLECTIONS - MAX_LABELLED
        asked = [
            sum(number for (name, _), number in each.items() if name == "softkv_collection_questions")
            for each in (before, series)
        ]
        assert asked[1] - asked[0] == COLLECTIONS + 1
        unloaded = client.get("/v1/collections/agent-1").json()
        assert (unloaded["ready"], unloaded["keys"], unloaded["costs"]["memory_bytes"]) == (True, 1, 0)
        lines = [json.dumps({"id": f"more-{i}", "key_vector": [i, 1], "value": i}) for i in range(3)]
        client.post(
            "/v1/collections/agent-1/documents",
            content="\n".join(lines),
            headers={"content-type": "application/x-ndjson"},
        )
        assert client.get("/v1/collections/agent-1").json()["documents"] == 4

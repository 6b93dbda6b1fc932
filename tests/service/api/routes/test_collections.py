"""PUT, PATCH, GET and DELETE of collections."""

from __future__ import annotations

from http.client import HTTPConnection
from itertools import product

import pytest

import softkv
from tests.running import RunningService


def test_a_new_collection_takes_the_services_encoder_and_its_defaults(client, collection):
    path = collection()
    body = client.get(path).json()
    background = body.pop("background")
    assert background.keys() == {"mean", "deviation", "of", "pairs", "at_most", "short", "at_least", "fades_from"}
    assert isinstance(body.pop("null_similarity"), float)
    assert body == {
        "name": path.rpartition("/")[2],
        "similarity": "cosine",
        "dimension": 384,
        "value_dimension": None,
        "encoder": "all-MiniLM-L6-v2",
        "precision": "int16",
        "value_from": "value",
        "temperature": 0.05,
        "null": "auto",
        "calibration": None,
        "projection": None,
        "defaults": None,
        "expire_after": None,
        "late": True,
        "words": {"kept": 0, "waiting": 0},
        "values": {"encoded": 0, "waiting": 0, "failed": 0},
        "documents": 0,
        "keyless": 0,
        "keys": 0,
        "expired": 0,
        "ready": True,
        "costs": {"memory_bytes": 0, "disk_bytes": 0, "asked": 0, "p99_ms": None},
        "re_encode": None,
        "notice": None,
    }


def test_put_confirms_equal_settings_and_refuses_others(client, collection):
    path = collection(similarity="dot")
    assert client.put(path, json={}).status_code == 200
    assert client.put(path, json={"similarity": "dot", "temperature": 0.05}).status_code == 200
    refused = client.put(path, json={"similarity": "cosine"})
    assert refused.status_code == 409
    assert refused.json()["code"] == "collection_conflict"
    assert 'similarity is "dot", not "cosine"' in refused.json()["detail"]


def test_null_false_is_not_null_zero(client, collection):
    path = collection(encoder=None, null=0)
    assert client.put(path, json={"null": False}).status_code == 409
    assert client.get(path).json()["null"] == 0


def test_a_temperature_of_minus_zero_is_zero(client, collection):
    path = collection(encoder=None, temperature=-0.0)
    assert str(client.get(path).json()["temperature"]) in ("0", "0.0")
    assert client.patch(path, json={"temperature": -0.0, "null": -0.0}).status_code == 200


@pytest.mark.parametrize("name", ["-a", ".a", "a" * 129, "ü", "a b"])
def test_names_are_checked(client, name):
    assert client.put(f"/v1/collections/{name}", json={}).status_code == 422


@pytest.mark.parametrize("name", ["a-..", "a..b", "a..", "0.", "A_.-"])
def test_a_name_with_dots_arrives_by_every_client(client, name):
    with softkv.Client(str(client.base_url), retries=0) as ours:
        ours.collection(name).create(encoder=None, dimension=2)
        ours.collection(name).upsert([{"id": "x", "key_vector": [1, 2]}])
        assert client.get(f"/v1/collections/{name}").json()["documents"] == 1
        assert raw_status(client, "GET", f"/v1/collections/{name}/documents/x") == 200
    assert raw_status(client, "DELETE", f"/v1/collections/{name}") == 204


@pytest.mark.parametrize(
    "segment", [".", "..", "%2e", "%2E%2e", ".%2E", "-a", "_a", "a%2Fb", "a%00", "a%0a", "a%20", "%61%2e%2e%2f", "..;a"]
)
def test_a_name_that_a_client_would_change_on_its_way_is_refused(client, segment):
    before = client.get("/v1/collections").json()
    assert raw_status(client, "PUT", f"/v1/collections/{segment}") in (400, 404, 405, 422)
    assert raw_status(client, "PUT", f"/v1/aliases/{segment}") in (400, 404, 405, 422)
    assert client.get("/v1/collections").json() == before


def raw_status(client, method, target):
    """Send a request with this target as it is, and return the status of the answer."""
    connection = HTTPConnection(client.base_url.host, client.base_url.port)
    try:
        body = b'{"encoder": null}' if method == "PUT" else None
        connection.request(method, target, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def named(tmp_path):
    """A client of a service with collections of these names and no others."""
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        for name in NAMED:
            client.put(f"/v1/collections/{name}", json={})
        yield client


NAMED = ("b", "a.2", "a-1", "B", "a_3", "a")
BY_NAME = ["B", "a", "a-1", "a.2", "a_3", "b"]


def names(answer):
    return [collection["name"] for collection in answer.json()["collections"]]


def test_pages_of_collections_meet_without_gap_or_overlap(named):
    for prefix, limit in product(["", "a", "a-1", "b", "none", "ü%", "a_"], range(1, 8)):
        seen, parameters = [], {"prefix": prefix, "limit": limit}
        while len(seen) <= len(BY_NAME):
            page = named.get("/v1/collections", params=parameters)
            assert len(names(page)) <= limit
            seen += names(page)
            if (cursor := page.json()["next_cursor"]) is None:
                break
            assert len(names(page)) == limit
            parameters["cursor"] = cursor
        assert seen == [name for name in BY_NAME if name.startswith(prefix)], parameters


def test_a_page_goes_on_behind_a_collection_that_is_gone(named):
    cursor = named.get("/v1/collections", params={"limit": 2}).json()["next_cursor"]
    named.delete("/v1/collections/a")
    named.put("/v1/collections/A", json={})
    assert names(named.get("/v1/collections", params={"limit": 2, "cursor": cursor})) == ["a-1", "a.2"]

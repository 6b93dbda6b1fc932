"""Every status of every call that /openapi.json documents is provoked here, and no other comes."""

from __future__ import annotations

import gzip
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from softkv_service.retrieval.documents import documents as merge_patch
from tests.running import RunningService
from tests.service.api.calls import Call, first
from tests.service.api.contract import Operation
from tests.service.api.refused import (
    CONFLICTS,
    GUARDED,
    KEEPS,
    NEEDS_ROOM,
    NEEDS_THE_ENCODER,
    NEEDS_THE_FILE,
    NEEDS_THE_KEYS,
    NEEDS_THE_LIBRARY,
    NOTHING_TO_DELETE,
    RE_ENCODING,
    WRITES,
)
from tests.service.api.test_openapi import DESCRIBED, OPERATIONS
from tests.service.api.troubles import (
    busy,
    overwritten,
    prepare,
    small_disk,
    still_reading,
    without_its_encoder,
    without_its_library,
)

WITH_A_BODY = {
    "open_room",
    "put_room_row",
    "ask_room",
    "put_guess",
    "decode_source",
}  # which may find no memory
JSON = {"content-type": "application/json"}
# Statuses that a call answers for reasons of its own; the others have one reason for all calls.
OWN = {200, 201, 202, 204, 409, 501, 503, 507}
GENERAL = {400, 401, 403, 404, 413, 415, 422, 429}


def documenting(status: int) -> list[Operation]:
    return [operation for operation in OPERATIONS if status in operation.statuses]


def each(status: int) -> Any:
    """Parametrize a test with every call that documents the status."""
    return pytest.mark.parametrize("operation", documenting(status), ids=lambda operation: operation.id)


def send(client: httpx.Client, operation: Operation, **headers: str) -> httpx.Response:
    """The call's first example."""
    return replace(first(DESCRIBED, operation), headers=headers).send(client, DESCRIBED)


def refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    DESCRIBED.keeps(answer)


@pytest.fixture(scope="module")
def keyed(service_of: Callable[..., RunningService]) -> Iterator[httpx.Client]:
    with service_of(api_keys=("w",), read_keys=("r",)).client() as client:
        yield client


@pytest.fixture(scope="module")
def tight(service_of: Callable[..., RunningService]) -> RunningService:
    """A service that takes one request at a time, and 4,096 bytes in each."""
    return service_of(max_body_bytes=4096, max_queue=1)


@pytest.mark.parametrize(
    "operation",
    [described for described in OPERATIONS if "application/json" in described.contents],
    ids=lambda each: each.id,
)
@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff", b'{"a": 1} {}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_a_400(client, operation, body):
    path = operation.to(name="library", alias="current", id="a", code="NONE", encoder="none")
    refused(client.request(operation.method, path, content=body, headers=JSON), 400)


@each(401)
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "x"}, {"authorization": "Bearer x"}])
def test_without_a_key_it_is_a_401(keyed, operation, headers):
    refused(send(keyed, operation, **headers), 401)


@each(403)
def test_a_foreign_host_is_a_403(client, operation):
    refused(send(client, operation, host="evil.example"), 403)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_a_key_that_reads_writes_nothing(keyed, operation):
    answer = send(keyed, operation, **{"x-api-key": "r"})
    guarded = operation.id in GUARDED.keys() | {"train_model"}
    assert (answer.status_code == 403) == guarded
    if guarded:
        refused(answer, 403)


@each(404)
def test_a_missing_resource_is_a_404(client, operation):
    call = first(DESCRIBED, operation)
    if "model" in (*DESCRIBED.resolved(call_schema(operation))[1].get("properties", ()), *(call.body or ())):
        call = replace(call, body={**call.body, "model": "another"})
    missing = {"name": "none", "id": "none", "alias": "none", "code": "NONE", "encoder": "none"}
    refused(replace(call, values=missing).send(client, DESCRIBED), 404)


def call_schema(operation: Operation) -> dict[str, Any]:
    schema: dict[str, Any] = operation.contents.get("application/json", {}).get("schema", {})
    return schema


@each(413)
def test_too_many_bytes_are_a_413(tight, operation):
    with tight.client() as client:
        path = operation.to(name="library", alias="current", id="a", code="NONE", encoder="none")
        refused(client.request(operation.method, path, json={"x": "a" * 8000}), 413)


@each(415)
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_another_media_type_is_a_415(client, operation, kind):
    path = operation.to(name="library", alias="current", id="a", code="NONE", encoder="none")
    refused(client.request(operation.method, path, content=b"{}", headers={"content-type": kind}), 415)


@each(415)
def test_a_compressed_body_is_a_415(client, operation):
    path = operation.to(name="library", alias="current", id="a", code="NONE", encoder="none")
    headers = {"content-encoding": "gzip"}
    refused(client.request(operation.method, path, content=gzip.compress(b"{}"), headers=JSON | headers), 415)


TAKES_OTHER_FIELDS = {"rerank": "/query", "rerank_as_cohere": "/query", "score": "/text_1"}
"""Calls whose clients send fields of other services, and a required field of each."""


@each(422)
def test_wrong_content_is_a_422(client, operation):
    takes_json = "application/json" in operation.contents
    if takes_json:
        path, body = (
            operation.to(name="library", alias="current", id="a", code="NONE", encoder="none"),
            {"no such field": 1},
        )
    else:
        path, body = operation.to(name="-", alias="-", id="a", code="-", encoder="-"), None
    params = None if takes_json or "{" in operation.path else {"limit": "-1"}
    answer = client.request(operation.method, path, json=body, params=params)
    refused(answer, 422)
    expected = TAKES_OTHER_FIELDS.get(operation.id, "/no such field") if body else ""
    assert expected in {flaw["pointer"] for flaw in answer.json()["errors"]}


def test_a_call_over_the_queue_is_a_429(tight):
    with tight.full(), tight.client() as client:
        for operation in documenting(429):
            refused(send(client, operation), 429)


@pytest.mark.parametrize("name", CONFLICTS)
def test_an_existing_resource_is_a_409(client, name):
    client.put("/v1/collections/taken", json={"encoder": None})
    client.put("/v1/aliases/alias", json={"collection": "taken"})
    client.put("/v1/collections/taken/documents/a", json={"key_vector": [1]})
    secret = {"X-Room-Secret": client.post("/v1/rooms", json={"code": "MATH"}).json()["secret"]}
    client.post("/v1/rooms/MATH/questions", json={"query": "pets"}, headers=secret)
    refused(replace(CONFLICTS[name], headers=secret).send(client, DESCRIBED), 409)
    client.delete("/v1/rooms/MATH", headers=secret)
    client.delete("/v1/collections/taken")


def test_a_patch_that_others_keep_overtaking_is_a_409(service, client, monkeypatch):
    monkeypatch.setattr(merge_patch, "ATTEMPTS", 1)
    path = "/v1/collections/contended"
    client.put(path, json={"encoder": None})
    client.put(f"{path}/documents/a", json={"key_vector": [1]})
    stop = threading.Event()

    def overtake() -> None:
        with service.client() as client_of_thread:
            for i in itertools.count():
                if stop.is_set():
                    return
                client_of_thread.put(f"{path}/documents/a", json={"key_vector": [1], "metadata": {"i": i}})

    threads = [threading.Thread(target=overtake) for _ in range(2)]
    for other in threads:
        other.start()
    try:
        patches = (client.patch(f"{path}/documents/a", json={"metadata": {"x": 1}}) for _ in range(1000))
        refused(next(answer for answer in patches if answer.status_code != 200), 409)
    finally:
        stop.set()
        for other in threads:
            other.join()
        client.delete(path)


def test_a_second_training_is_a_409(client):
    body = {"task": "copy", "seconds": 100}
    with client.stream("POST", "/v1/lab/train", json=body) as first:
        heard = first.iter_raw()
        next(heard)
        refused(client.post("/v1/lab/train", json=body), 409)
    while client.get("/v1/lab").json()["training"]:  # or the next training could be refused
        pass


@pytest.mark.parametrize(
    ("missing", "calls"),
    [
        (without_its_encoder, NEEDS_THE_ENCODER),
        (still_reading, NEEDS_THE_KEYS),
        (busy, WRITES | KEEPS),
        (overwritten, NEEDS_THE_FILE),
    ],
)
def test_an_unavailable_part_is_a_503(tmp_path, missing: Callable[..., Any], calls):
    with missing(tmp_path) as client:
        for call in calls.values():
            refused(call.send(client, DESCRIBED), 503)


def test_a_missing_library_is_a_501(tmp_path, monkeypatch):
    with without_its_library(tmp_path, monkeypatch) as client:
        (failed,) = client.get("/readyz").json()["failed"]
        assert "has no sentence_transformers" in failed
        for call in NEEDS_THE_LIBRARY.values():
            refused(call.send(client, DESCRIBED), 501)
        assert client.get("/v1/collections/library/documents/qa76").status_code == 200


def test_a_full_disk_is_a_507_for_every_write_and_reads_go_on(tmp_path):
    with small_disk(tmp_path) as fill:
        prepare(tmp_path / "data", None)
        with RunningService(data_dir=tmp_path / "data", encoder="none") as running, running.client() as client:
            (tmp_path / "data" / "softkv.ballast").unlink()  # so that even deletions have no room
            fill()
            for name, call in NEEDS_ROOM.items():
                if name not in RE_ENCODING.keys() | NOTHING_TO_DELETE:
                    refused(call.send(client, DESCRIBED), 507)
            assert client.get("/v1/collections/library/documents/qa76").status_code == 200
            (tmp_path / "ballast").unlink()
            assert WRITES["put_document"].send(client, DESCRIBED).status_code == 200


def test_no_page_left_is_a_507(tmp_path):
    prepare(tmp_path, None)
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        connection = running.app.state.parts.catalogue.store._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        big = {"value": "x" * 100_000, "key_vector": [1, 2]}
        for call in (
            Call("put_document", big),
            Call("post_documents", {"documents": [{"id": "a", **big}]}),
            Call("patch_document", big),
        ):
            refused(call.send(client, DESCRIBED), 507)


def test_every_documented_status_is_provoked_above():
    provoked = {
        503: NEEDS_THE_ENCODER.keys()
        | (WRITES | RE_ENCODING | NEEDS_THE_FILE).keys()
        | {"attend_arrays"}
        | TAKES_OTHER_FIELDS.keys()  # routes/test_rerank.py
        | {"read_table"}  # routes/test_tables.py
        | WITH_A_BODY,
        501: NEEDS_THE_LIBRARY.keys() | TAKES_OTHER_FIELDS.keys() | {"get_backup", "read_table"},
        507: NEEDS_ROOM.keys() | {"read_table"},  # of both, routes/test_tables.py
        409: CONFLICTS.keys() | RE_ENCODING.keys() | {"calibrate", "patch_document", "train_model"},
        201: {"put_collection", "put_document", "put_alias"},
    }
    for status, names in provoked.items():
        assert {operation.id for operation in documenting(status)} == names, status
    assert {status for operation in OPERATIONS for status in operation.statuses} == OWN | GENERAL


@each(201)
def test_a_created_resource_is_a_201_and_an_existing_one_a_200(client, operation):
    path = "/v1/collections/library"
    if operation.id != "put_collection":
        client.put(path, json={})
    assert [send(client, operation).status_code for _ in range(2)] == [201, 200]
    client.delete(path)

"""Refusals: each with its status and a message that helps."""

from __future__ import annotations

import socket

import pytest

from tests.running import RunningService

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"NaN", b'{"temperature": NaN}', b'{"a": Infinity}', b"\xff", b"[" * 100_000]
)
def test_what_is_not_json_is_a_400(client, body):
    answer = client.put("/v1/collections/refused", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_a_415(client, kind):
    answer = client.put("/v1/collections/refused", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


def test_a_body_that_is_no_object_is_a_422(client):
    answer = client.put("/v1/collections/refused", json=[])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == ""


def test_a_number_beyond_float64_is_a_422(client, collection):
    path = collection(encoder=None)
    answer = client.put(f"{path}/documents/a", content=b'{"key_vector": [1e400]}', headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/key_vector"


def test_unknown_places_and_methods(client):
    assert client.get("/v1/nothing").status_code == 404
    assert client.get("/v1/collections/none").json()["code"] == "collection_not_found"
    wrong = client.post("/v1/collections/none", json={})
    assert wrong.status_code == 405
    assert wrong.headers["content-type"] == "application/problem+json"
    assert "PUT" in wrong.headers["allow"]


def test_a_body_over_the_limit_is_a_413_declared_or_streamed(tmp_path):
    with (
        RunningService(data_dir=tmp_path, encoder="none", max_body_bytes=2048) as running,
        running.client() as client,
    ):
        big = b'{"x": "' + b"a" * 4096 + b'"}'
        assert client.put("/v1/collections/a", content=big, headers=JSON).status_code == 413
        streamed = client.put("/v1/collections/a", content=iter([big[:2000], big[2000:]]), headers=JSON)
        assert streamed.status_code == 413
        assert streamed.json()["code"] == "body_too_large"


def test_a_content_length_that_is_none_does_not_get_through(service):
    with socket.create_connection(("127.0.0.1", service.port)) as raw:
        raw.sendall(b"PUT /v1/collections/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n{}")
        assert raw.recv(100).split()[1] in (b"400", b"411")

"""Requests that two readers could understand differently: refused from every caller, without any effect."""

from __future__ import annotations

import socket
from urllib.parse import quote

import httpx
import pytest

from softkv_service.api.middleware.requests import require_unambiguous
from softkv_service.api.problems.errors import MalformedPath
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED, OPERATIONS

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
CHUNKED = b"2\r\n{}\r\n0\r\n\r\n"
PUT_A = b"PUT /v1/collections/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PUT_B = PUT_A.replace(b"smuggled", b"after") + b"Content-Length: 2\r\n\r\n{}"
TWO_LENGTHS = [
    b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n",
    b"transfer-encoding: Chunked\r\ncontent-length: 2\r\n",
    b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
]


def exchange(service: RunningService, sent: bytes) -> bytes:
    """Return all bytes until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw:
        raw.sendall(sent)
        return b"".join(iter(lambda: raw.recv(65536), b""))


def read(raw: bytes, method: str, path: str) -> httpx.Response:
    """The one answer in these bytes."""
    head, _, content = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    request = httpx.Request(method, f"http://localhost{path}")
    return httpx.Response(int(status.split()[1]), headers=headers, content=content, request=request)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
@pytest.mark.parametrize("lengths", TWO_LENGTHS)
def test_two_lengths_are_a_400_and_end_the_connection(service, operation, lengths):
    path = operation.to(name="library", alias="current", id="a", code="NONE", encoder="none")
    head = f"{operation.method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    answer = read(exchange(service, head + lengths + b"\r\n" + CHUNKED + PUT_B), operation.method, path)
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")
    assert b"HTTP/1.1" not in answer.content  # the request behind it has no answer
    DESCRIBED.keeps(answer)
    assert "ambiguous_length" in answer.text


def test_one_length_of_either_kind_keeps_the_connection(service, client):
    chunked = PUT_A + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED
    last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = exchange(service, chunked + PUT_B + last)
    assert answers.count(b"HTTP/1.1 201") == 2
    assert answers.count(b"HTTP/1.1 200") == 1
    for name in ("smuggled", "after"):
        assert client.delete(f"/v1/collections/{name}").status_code == 204


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"{ord(control):02x}")
def test_a_control_character_in_a_path_is_a_400(client, control):
    for path in (f"/v1/collections/a{control}b", f"/v1/nothing{control}", f"/{control}", f"/v1{control}/collections"):
        answer = client.get(quote(path))
        assert answer.status_code == 400
        assert answer.json()["code"] == "malformed_path"
        assert f"U+{ord(control):04X}" in answer.json()["detail"]


@pytest.mark.parametrize(
    "operation", [described for described in OPERATIONS if "{" in described.path], ids=lambda each: each.id
)
def test_a_malformed_name_is_a_documented_400_of_every_call_with_one(client, operation):
    for name in ("a\nb", "a\x85", "a\n"):
        path = operation.to(name=name, alias=name, id=name, code=name, encoder=name)
        answer = client.request(operation.method, path, json={} if operation.contents else None)
        assert answer.status_code == 400
        DESCRIBED.keeps(answer)


@pytest.mark.parametrize("bytes_", ["%FF", "%80", "%C3", "%ED%A0%80", "%F8%88%80%80%80", "%c0%af"])
def test_a_path_that_is_not_utf_8_is_a_400(client, bytes_):
    answer = client.put(f"/v1/collections/a/documents/x{bytes_}", json={"key_vector": [1, 2]})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_path")


@pytest.mark.parametrize("target", [b"/\xff", b"/%FF", b"/a%20\xff"])
def test_a_target_that_is_not_utf8_is_refused_percent_encoded_or_not(target):
    scope = {"state": {}, "path": "/", "raw_path": target, "http_version": "1.1", "headers": []}
    with pytest.raises(MalformedPath, match="not UTF-8"):
        require_unambiguous(scope)

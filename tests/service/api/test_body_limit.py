"""Size limits of a request: no media type lifts another's limit, and a stream of lines has a limit per line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import httpx
import pytest

from tests.running import RunningService
from tests.service.api.contract import Operation
from tests.service.api.test_openapi import OPERATIONS

MOST = 4096
NDJSON = ("application/x-ndjson", "Application/X-NDJSON ; charset=utf-8")
FILE = "application/octet-stream"
# media type → what a call that takes JSON says to a body of it that is too long and does not say how long
REFUSED = {
    "application/json": 413,
    "application/json; charset=utf-8": 413,
    'application/json; x="application/x-ndjson"': 413,
    "application/x-ndjson+json": 413,
    "application/x-ndjson-x+json": 413,
    "application/vnd.x+json": 413,
    **dict.fromkeys(NDJSON, 415),
    "application/x-ndjsonx": 415,
    "application/x-ndjson, application/json": 415,
    "text/plain": 415,
    None: 415,
}


@pytest.fixture(scope="module")
def small(service_of: Callable[..., RunningService]) -> Iterator[httpx.Client]:
    """A service that takes little, with a collection."""
    with service_of(max_body_bytes=MOST).client() as client:
        client.put("/v1/collections/library", json={"dimension": 2})
        client.put("/v1/collections/library/documents/qa76", json={"key_vector": [1, 2]})
        yield client


def documents(size: int) -> bytes:
    """Return a document of `size` bytes."""
    empty = json.dumps({"documents": [{"id": "big", "key_vector": [1, 2], "value": ""}]})
    body = empty.replace('""', '"' + "x" * (size - len(empty)) + '"').encode()
    assert len(body) == size
    return body


def send(client: httpx.Client, operation: Operation, kind: str | None, content: bytes | Iterable[bytes]) -> int:
    path = operation.to(name="library", alias="current", id="qa76", code="NONE", encoder="none")
    headers = {} if kind is None else {"content-type": kind}
    return client.request(operation.method, path, content=content, headers=headers).status_code


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_a_body_just_above_the_limit_is_refused_whatever_it_says_it_is(small, operation):
    body, before = documents(MOST + 1), small.get("/v1/collections").json()
    streams = NDJSON if operation.id == "post_documents" else ()
    for kind in REFUSED.keys() - set(streams):
        assert send(small, operation, kind, body) == 413
        if operation.contents:
            expected = 415 if FILE in operation.contents else REFUSED[kind]
            assert send(small, operation, kind, iter([body[:1000], body[1000:]])) == expected, kind
    assert small.get("/v1/collections").json() == before


@pytest.mark.parametrize("kind", NDJSON)
def test_a_line_just_above_the_limit_is_refused(small, kind):
    line = documents(MOST + 1)
    for body in (line, iter([line[:1000], line[1000:]])):
        answer = small.post("/v1/collections/library/documents", content=body, headers={"content-type": kind})
        problem = json.loads(answer.text)
        assert (problem["upserted"], problem["problem"]["status"]) == (0, 413)


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson+json", "application/vnd.x+json; v=1"])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_as_long_as_the_limit_is_taken(small, kind, chunked):
    body, path = documents(MOST), "/v1/collections/library/documents"
    answer = small.post(path, content=iter([body]) if chunked else body, headers={"content-type": kind})
    assert answer.json()["upserted"] == 1
    assert small.delete(f"{path}/big").status_code == 204


@pytest.mark.parametrize("kind", NDJSON)
def test_many_lines_are_taken_whatever_their_sum(small, kind):
    line = json.dumps({"id": "a", "key_vector": [1, 2], "value": "x" * 1000}).encode()
    lines = b"\n".join(line.replace(b'"a"', b'"a%d"' % i) for i in range(20))
    path = "/v1/collections/library/documents"
    for body in (lines, iter([lines])):
        answer = small.post(path, content=body, headers={"content-type": kind})
        assert json.loads(answer.text.splitlines()[-1]) == {"done": True, "upserted": 20, "refused": 0}
    assert small.post(f"{path}/delete", json={"ids": [f"a{i}" for i in range(20)]}).json() == {"deleted": 20}

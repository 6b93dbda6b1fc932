"""The media type of a body: one reading of it for everyone, and no type that lifts the limit of another."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Iterator
from email.message import Message

import httpx
import pytest
from starlette.datastructures import Headers

from service.api.media_type import media_type
from tests.running import RunningService
from tests.service.api.contract import Operation
from tests.service.api.test_openapi import OPERATIONS

MOST = 4096
NDJSON = ("application/x-ndjson", "Application/X-NDJSON ; charset=utf-8")
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


def read(*declared: str) -> str:
    return media_type(Headers(raw=[(b"content-type", each.encode("latin-1")) for each in declared]))


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("application/json", "application/json"),
        ("APPLICATION/Json", "application/json"),
        ("application/json;charset=utf-8", "application/json"),
        ("application/json ; charset=utf-8 ; a=b", "application/json"),
        ('application/json; a="b; \\" c"; d=e', "application/json"),
        ("application/json;", "application/json"),
        ("application/json;;\t; a=b", "application/json"),
        (" application/x-ndjson ", "application/x-ndjson"),
        ("application/x-ndjson+json", "application/x-ndjson+json"),
    ],
)
def test_what_is_well_formed_is_read_without_parameters_and_case(declared, kind):
    assert read(declared) == kind


@pytest.mark.parametrize(
    "declared",
    [
        "", "json", "application", "application/", "/json", "application/json/x", "application /json",
        "application/ json", "application/json charset=utf-8", "application/json, application/json",
        "application/json; charset", "application/json; charset=", "application/json; =utf-8",
        "application/json; a = b", 'application/json; a="b', 'application/json; a="b"c', "application/jsön",
        "application/json\x00", "application/json\nx", "*/ *", "application/json; a=(b)",
    ],
)  # fmt: skip
def test_what_is_malformed_is_none(declared):
    assert read(declared) == ""


def test_several_declarations_are_none():
    assert read("application/json", "application/json") == read("application/json", "application/x-ndjson") == ""
    assert read() == ""


def test_a_long_header_is_read_in_linear_time():
    started = time.perf_counter()
    assert read("application/json" + ";   " * 20_000 + "@") == ""
    assert read("application/json" + "; a=b" * 20_000 + "@") == ""
    assert time.perf_counter() - started < 1


def test_the_framework_reads_the_same_type_where_there_is_one():
    """FastAPI asks the standard library whether a body is JSON, after we did."""
    pieces = [
        "application",
        "/",
        "json",
        "x-ndjson",
        "+json",
        ";",
        " ",
        "\t",
        "charset",
        "=",
        "utf-8",
        '"',
        "\\",
        "JSON",
    ]
    made, well_formed = random.Random(5), 0
    for _ in range(20_000):
        declared = "application/json" * made.randint(0, 1) + "".join(made.choices(pieces, k=made.randint(1, 9)))
        if kind := read(declared):
            message = Message()
            message["content-type"] = declared
            assert message.get_content_type() == kind, declared
            well_formed += 1
    assert well_formed > 500


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that takes little, with a collection."""
    data = tmp_path_factory.mktemp("small")
    with RunningService(data_dir=data, encoder="none", max_body_bytes=MOST) as running, running.client() as client:
        client.put("/v1/collections/library", json={"dimension": 2})
        client.put("/v1/collections/library/documents/qa76", json={"key_vector": [1, 2]})
        yield client


def documents(size: int) -> bytes:
    """A document of so many bytes."""
    empty = json.dumps({"documents": [{"id": "big", "key_vector": [1, 2], "value": ""}]})
    body = empty.replace('""', '"' + "x" * (size - len(empty)) + '"').encode()
    assert len(body) == size
    return body


def send(client: httpx.Client, operation: Operation, kind: str | None, content: bytes | Iterable[bytes]) -> int:
    path = operation.to(name="library", id="qa76")
    headers = {} if kind is None else {"content-type": kind}
    return client.request(operation.method, path, content=content, headers=headers).status_code


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_a_body_just_above_the_limit_is_refused_whatever_it_says_it_is(small, operation):
    body, before = documents(MOST + 1), small.get("/v1/collections").json()
    streams = NDJSON if operation.id == "post_documents" else ()
    for kind in REFUSED.keys() - set(streams):
        assert send(small, operation, kind, body) == 413
        if operation.contents:
            assert send(small, operation, kind, iter([body[:1000], body[1000:]])) == REFUSED[kind], kind
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


def test_two_declarations_are_a_415(small):
    headers = [("content-type", "application/x-ndjson"), ("content-type", "application/json")]
    for pair in (headers, headers[::-1]):
        answer = small.post("/v1/collections/library/documents", content=documents(300), headers=pair)
        assert answer.status_code == 415
        assert "application/x-ndjson" in answer.json()["detail"]

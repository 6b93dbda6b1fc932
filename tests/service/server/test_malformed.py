"""Malformed requests are answered with a problem, end their connection, and change nothing."""

from __future__ import annotations

import json

import httpx
import pytest

from softkv_service.server.malformed import MAX_HEAD_BYTES, PIECE_BYTES
from tests.running import RunningService
from tests.service.server.wire import HOST, LAST, answers, sent

PUT = b"PUT /v1/collections/made HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"PUT /v1/collections/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SMUGGLED += b"Content-Length: 2\r\n\r\n{}"
CHUNKS = b"\r\n2\r\n{}\r\n0\r\n\r\n"

LENGTHS = [
    PUT + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n" + CHUNKS,
    PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n" + CHUNKS,
    PUT + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    PUT + b"Content-Length: 2, 3\r\n\r\n{}",
    *(
        PUT + b"Content-Length: " + length + b"\r\n\r\n{}"
        for length in (b"+2", b"-2", b"two", b"", b" ", b"0x2", b"2 2", b"2_0", b"2\x0b")
    ),
    PUT + b"Content-Length: 999999999999999999999999\r\n\r\n{}",
    *(
        PUT + b"Transfer-Encoding: " + coding + b"\r\n" + CHUNKS
        for coding in (b"gzip, chunked", b"chunked, gzip", b"gzip", b"chunked, chunked", b"xchunked", b"identity", b"")
    ),
    CHUNKED + b"Transfer-Encoding: chunked\r\n" + CHUNKS,
    CHUNKED + b"Transfer-Encoding: identity\r\n" + CHUNKS,
    CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKS,
]
HEADS = [
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",  # TLS
    b"hello\r\n\r\n",
    b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    b" GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /\xe4 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    b"GET / HTTP/0.9\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\n " + HOST + b"\r\n",
    PUT + b"Content-Length : 2\r\n\r\n{}",
    PUT + b"\x00: a\r\n\r\n",
    PUT + b": a\r\n\r\n",
    PUT + b"no header\r\n\r\n",
    PUT + b"A(b: c\r\n\r\n",
    PUT + b"A: b\x00c\r\n\r\n",
    PUT + b"A: b\rc\r\n\r\n",
    PUT + b"Transfer-Encoding: \x0bchunked\r\n" + CHUNKS,
]
HOSTS = [
    b"GET /v1 HTTP/1.1\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    b"GET /v1 HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    b"GET /v1 HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
]
BODIES = [
    CHUNKED + b"\r\n" + chunks
    for chunks in (
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
        b"1" * 40 + b"\r\n{}\r\n0\r\n\r\n",
        b"two\r\n{}\r\n0\r\n\r\n",
    )
]


@pytest.fixture
def nothing_made(service: RunningService):
    yield
    for name in ("made", "smuggled"):
        head = f"GET /v1/collections/{name} HTTP/1.1\r\nConnection: close\r\n".encode()
        (answer,) = answers(sent(service, head + HOST + b"\r\n"))
        assert answer.status == 404


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize("ahead", [0, 2], ids=["first", "third"])
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        *((item, "ambiguous_length") for item in LENGTHS),
        *((item, "malformed_request") for item in HEADS + BODIES),
        *((item, "malformed_host") for item in HOSTS),
    ],
)
def test_a_malformed_request_is_a_problem_in_its_turn_and_ends_the_connection(service, request_, code, ahead):
    before = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * ahead
    *good, refused = answers(sent(service, before + request_ + SMUGGLED))
    assert [answer.status for answer in good] == [200] * ahead
    problem = json.loads(refused.content)
    assert (refused.status, problem["status"], problem["code"]) == (400, 400, code)
    assert (problem["type"], problem["title"]) == ("about:blank", "Bad Request")
    assert len(problem["detail"]) > 40
    assert refused.headers["connection"] == "close"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in refused.headers
    assert refused.headers["x-request-id"]


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize("request_", [LENGTHS[2], LENGTHS[3], HEADS[12], HEADS[-1], BODIES[0], BODIES[4]])
def test_a_malformed_request_is_refused_alike_in_any_pieces(service, request_):
    whole = answers(sent(service, request_))
    pieces = [request_[i : i + 7] for i in range(0, len(request_), 7)]
    parts = answers(sent(service, *pieces))
    assert [json.loads(item.content) for item in parts] == [json.loads(item.content) for item in whole]


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize(
    "request_",
    [
        PUT + b"A: b\r\n c\r\nContent-Length: 2\r\n\r\n{",  # obsolete folding
        PUT.replace(b"\r\n", b"\n") + b"\n",
        PUT + b"A: b\nContent-Length: 2\r\n\r\n{",
        CHUNKED + b"\r\n2\n{}\r\n0\r\n\r\n",
        CHUNKED + b"\r\n2 \r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"\r\n2;a\n{}\r\n0\r\n\r\n",
        b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_requests_that_other_parsers_accept_leniently_are_refused(service, request_):
    (refused,) = answers(sent(service, request_))
    assert json.loads(refused.content)["code"] == "malformed_request"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/models/a"])
def test_on_the_paths_of_openai_a_length_is_refused_in_its_words(service, path):
    method = b"POST" if path.endswith("s") else b"GET"
    head = method + f" {path} HTTP/1.1\r\nX-Request-ID: mine\r\n".encode() + HOST
    (refused,) = answers(sent(service, head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n" + CHUNKS))
    assert json.loads(refused.content)["error"]["code"] == "ambiguous_length"
    assert (refused.status, refused.headers["x-request-id"]) == (400, "mine")


@pytest.mark.parametrize("where", ["path", "header", "headers", "name", "unended"])
def test_a_head_has_a_bound(service, where):
    def head(size: int) -> bytes:
        start, end = b"GET /livez?", b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
        padding = b"a" * (size - len(start) - len(end))
        if where == "path":
            return start + padding + end
        if where == "headers":
            padding = b"a:b\r\n" * (len(padding) // 5)
        more = {"header": b"A: " + padding[5:] + b"\r\n", "headers": padding, "name": padding[3:] + b":\r\n"}.get(
            where, padding
        )
        return start + end[:-2] + more + (b"" if where == "unended" else b"\r\n")

    if where != "unended":
        (answer,) = answers(sent(service, head(MAX_HEAD_BYTES)))
        assert answer.status == 200
    (refused,) = answers(sent(service, head(MAX_HEAD_BYTES + 2 * PIECE_BYTES)))
    problem = json.loads(refused.content)
    assert (refused.status, problem["code"]) == (431, "head_too_large")
    assert str(MAX_HEAD_BYTES) in problem["detail"]
    assert refused.headers["connection"] == "close"


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize("padding", [b"2;" + b"a" * 100_000, b"2\r\n{}\r\n0\r\nA: " + b"a" * 100_000])
def test_extensions_and_trailers_of_chunks_are_bounded(service, padding):
    (refused,) = answers(sent(service, CHUNKED + b"\r\n" + padding))
    assert refused.status in (400, 431)


def test_an_answer_that_has_begun_is_not_followed_by_another(service):
    httpx.put(f"{service.url}/v1/collections/lines", json={"encoder": None}, timeout=60)
    line = b'{"id": "a", "key_vector": [1, 2]}\n' * 1000
    head = b"POST /v1/collections/lines/documents HTTP/1.1\r\nContent-Type: application/x-ndjson\r\n" + HOST
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    received = sent(service, head + b"%x\r\n" % len(line) + line + b"\r\n", b"no chunk\r\n\r\n" + LAST)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b'"done"' not in received


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        (b"http://localhost/v1/collections?limit=0", 200, '"collections":[]'),
        (b"HTTPS://127.0.0.1:8000/v1/collections?limit=0", 200, '"collections":[]'),
        (b"http://localhost/v1/collections/%6eone", 404, "no collection 'none'"),
        (b"http://localhost", 200, "<html"),
        (b"http://evil.example/v1/collections", 403, "'evil.example'"),
        (b"http://a@localhost/v1/collections", 400, "'a@localhost'"),
        (b"http://localhost/v1/collections/%E4", 400, "not UTF-8"),
        (b"ftp://localhost/v1/collections", 404, "ftp://localhost"),
    ],
)
def test_a_whole_address_is_its_path_and_its_host(service, target, status, text):
    (answer,) = answers(sent(service, b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"))
    assert answer.status == status
    assert text in answer.content.decode()


def test_the_host_of_an_address_counts_and_not_the_header(service):
    target = b"GET http://localhost/v1/collections HTTP/1.1\r\nConnection: close\r\n"
    (answer,) = answers(sent(service, target + b"Host: evil.example\r\n\r\n"))
    assert answer.status == 200
    (refused,) = answers(sent(service, target + b"\r\n"))
    assert json.loads(refused.content)["code"] == "malformed_host"

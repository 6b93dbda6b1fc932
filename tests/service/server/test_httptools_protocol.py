"""Connections: pipelined requests, upgrades to other protocols, HTTP/1.0, and clients that disconnect."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from fastapi import Response
from fastapi.responses import StreamingResponse

from softkv_service.api.routing import requires
from tests.running import RunningService
from tests.service.server.wire import HOST, LAST, Answer, answers, sent

PUT = b"PUT /v1/collections/c/documents/a HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
LIVEZ = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
DOCUMENT = b'{"key_vector": [1, 2]}'


@pytest.fixture(scope="module", autouse=True)
def _collection(service: RunningService) -> None:
    with service.client() as client:
        client.put("/v1/collections/c", json={"encoder": None, "dimension": 2})


def asked(service: RunningService, *pieces: bytes, methods: str = "") -> list[Answer]:
    return answers(sent(service, *pieces), methods)


def nowhere(number: int) -> bytes:
    return b"GET /v1/nothing/%d HTTP/1.1\r\n" % number + HOST + b"\r\n"


def chunked(body: bytes, size: int = 3) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("number", [3, 1000])
def test_pipelined_requests_are_answered_in_their_order(service, number):
    replies = asked(service, b"".join(map(nowhere, range(number))) + LAST)
    details = [json.loads(answer.content)["detail"] for answer in replies[:-1]]
    assert [int(detail.split("/")[3].split(":")[0]) for detail in details] == list(range(number))
    assert replies[-1].status == 200


def test_pipelined_bodies_are_separated(service):
    lengths = PUT + b"Content-Length: %d\r\n\r\n" % len(DOCUMENT) + DOCUMENT
    chunks = PUT + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(DOCUMENT)
    replies = asked(service, (lengths + chunks) * 10 + LAST)
    assert [answer.status for answer in replies] == [replies[0].status, *[200] * 20]


@pytest.mark.parametrize("body", [b"length", b"chunks"])
def test_a_large_body_arrives_as_it_is(service, body):
    document = b'{"key_vector": [1, 2], "value": "%b"}' % (b"0123456789abcdef" * 20_000)
    if body == b"length":
        request = PUT + b"Content-Length: %d\r\n\r\n" % len(document) + document
    else:
        request = PUT + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(document, 40_001)
    get = b"GET /v1/collections/c/documents/a HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    _, replies = asked(service, request + get)
    assert json.loads(replies.content)["value"] == "0123456789abcdef" * 20_000


def test_blanks_around_the_value_of_a_header_do_not_count(service):
    """RFC 9110, section 5.5; the bodies of the requests must still end where they end."""
    put = PUT.replace(b"localhost\r", b"localhost \t\r").replace(b"application/json\r", b"application/json\t \r")
    lengths = put + b"Content-Length: \t %d \t\r\n\r\n" % len(DOCUMENT) + DOCUMENT
    chunks = put + b"Transfer-Encoding: \tchunked \r\n\r\n" + chunked(DOCUMENT)
    replies = asked(service, (lengths + chunks) * 3 + LAST.replace(b"close", b"close \t"))
    assert [answer.status for answer in replies] == [replies[0].status, *[200] * 6]


def test_bytes_after_the_last_request_are_not_answered(service):
    assert len(asked(service, LAST + LIVEZ * 5)) == 1
    assert len(asked(service, LIVEZ.replace(b"HTTP/1.1", b"HTTP/1.0") + LIVEZ * 5)) == 1
    assert len(asked(service, LAST + b"\x00\x00 no request")) == 1


def test_no_cache_may_keep_the_answer_for_an_application_that_gave_none(tmp_path):
    """`answers` checks it. A task that the application awaits may be cancelled."""
    with RunningService(data_dir=tmp_path, encoder="none") as running:

        @running.app.get("/v1/cancelled", dependencies=[requires("none")])
        async def cancelled() -> None:
            raise asyncio.CancelledError

        running.app.router.routes.insert(0, running.app.router.routes.pop())
        (answer,) = asked(running, b"GET /v1/cancelled HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (answer.status, answer.content) == (500, b"Internal Server Error")


def test_trailers_are_not_headers(service):
    trailers = b"Authorization: Bearer x\r\nX-Request-ID: trailed\r\nIdempotency-Key: trailed\r\n\r\n"
    chunks = PUT + b"Transfer-Encoding: chunked\r\nTrailer: X-Request-ID\r\n\r\n" + chunked(DOCUMENT)[:-2] + trailers
    replies = asked(service, chunks + LAST)
    assert [answer.status // 100 for answer in replies] == [2, 2]
    assert replies[0].headers["x-request-id"] != "trailed"


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"a, b"])
@pytest.mark.parametrize("pieces", [1, 2, 9])
def test_a_request_for_another_protocol_is_answered_in_http_1_1(service, protocol, pieces):
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AAMAAABk\r\n"
    upgrade += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    plain = LIVEZ[:-2] + upgrade + b"\r\n"
    length = PUT + upgrade + b"Content-Length: %d\r\n\r\n" % len(DOCUMENT) + DOCUMENT
    chunks = PUT + upgrade + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(DOCUMENT)
    sent_ = plain + length + chunks + plain + LAST
    size = -(-len(sent_) // pieces)
    replies = asked(service, *(sent_[i : i + size] for i in range(0, len(sent_), size)))
    assert [answer.status for answer in replies] in ([200, 201, 200, 200, 200], [200, 200, 200, 200, 200])
    assert all("upgrade" not in answer.headers for answer in replies)


def test_a_body_behind_an_upgrade_is_not_a_request(service):
    smuggled = b"DELETE /v1/collections/c HTTP/1.1\r\n" + HOST + b"\r\n"
    upgrade = LIVEZ[:-2].replace(b"GET /livez", b"POST /v1/nothing") + b"Connection: upgrade\r\nUpgrade: h2c\r\n"
    replies = asked(service, upgrade + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled + LAST)
    assert [answer.status for answer in replies] == [404, 200]
    with service.client() as client:
        assert client.get("/v1/collections/c").status_code == 200


def test_a_tunnel_is_not_made(service):
    replies = asked(service, b"CONNECT localhost:80 HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n" + LIVEZ)
    assert [answer.status // 100 for answer in replies] == [4]


@pytest.mark.parametrize(
    ("target", "status"),
    [(b"/livez", 200), (b"/livez?a=b?c", 200), (b"/%6Civez", 200), (b"*", 404), (b"//livez", 404), (b"/livez#a", 404)],
)
def test_a_target_is_a_path(service, target, status):
    (answer,) = asked(service, LAST.replace(b"/livez", target))
    assert answer.status == status


def test_head_has_no_body(service):
    head = LIVEZ.replace(b"GET", b"HEAD")
    replies = asked(service, head + nowhere(1).replace(b"GET", b"HEAD") + LAST, methods="HHG")
    assert [answer.status for answer in replies] == [200, 404, 200]
    assert int(replies[0].headers["content-length"]) > 0


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_client_that_expects_100_continue_gets_it_in_1_1(service, version):
    head = PUT.replace(b"HTTP/1.1", b"HTTP/" + version) + b"Expect: 100-continue\r\nConnection: close\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(DOCUMENT)
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw:
        raw.sendall(head)
        interim = raw.recv(1000) if version == b"1.1" else b""
        raw.sendall(DOCUMENT)
        replies = answers(interim + b"".join(iter(lambda: raw.recv(65536), b"")))
    assert [answer.status // 100 for answer in replies] == ([1, 2] if version == b"1.1" else [2])


def test_a_request_refused_for_its_head_gets_no_100_continue(service):
    head = PUT.replace(b"application/json", b"text/plain") + b"Expect: 100-continue\r\nContent-Length: 99\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw:
        raw.sendall(head)
        (answer,) = answers(raw.recv(65536))
    assert answer.status == 415


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_stream_comes_in_chunks_in_1_1_and_ends_with_the_connection_in_1_0(service, version):
    head = b"POST /v1/collections/c/documents HTTP/" + version + b"\r\nContent-Type: application/x-ndjson\r\n" + HOST
    line = b"".join(b'{"id": "%d", "key_vector": [1, 2]}\n' % i for i in range(2000))
    request = head + b"Content-Length: %d\r\n\r\n" % len(line) + line
    first, *others = asked(service, request + (LAST if version == b"1.1" else b""))
    assert first.headers.get("transfer-encoding") == ("chunked" if version == b"1.1" else None)
    assert json.loads(first.content.splitlines()[-1]) == {"done": True, "upserted": 2000, "refused": 0}
    assert [answer.status for answer in others] == [200] * (version == b"1.1")


def test_empty_lines_before_a_request_are_nothing(service):
    assert [answer.status for answer in asked(service, b"\r\n" + LIVEZ + b"\r\n" + LAST)] == [200, 200]


def test_endless_pipelined_bytes_are_not_buffered(service, tmp_path):
    """While a request is being answered the service stops reading, and so its caller has to stop sending."""
    answer_now = threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        while not answer_now.is_set():
            await asyncio.sleep(0.01)
        yield b"late"

    async def late() -> Response:
        return StreamingResponse(parts())

    running = RunningService(data_dir=tmp_path, encoder="none")
    running.app.router.add_api_route("/late", late, dependencies=[requires("none")])
    running.app.router.routes.insert(0, running.app.router.routes.pop())
    limit = 64 << 20
    with running, socket.create_connection(("127.0.0.1", running.port)) as raw:
        raw.sendall(LIVEZ.replace(b"/livez", b"/late"))
        raw.settimeout(1)
        sent_, ahead = 0, LIVEZ * 10_000
        with suppress(TimeoutError):
            while sent_ < limit:
                sent_ += raw.send(ahead[sent_ % len(LIVEZ) :])
        assert sent_ < limit
        answer_now.set()
        raw.settimeout(60)
        received = b""
        while received.count(b"HTTP/1.1 200") < 1000:
            received += raw.recv(1 << 20)
        assert received.index(b"late") < received.index(b"alive")


def test_a_client_that_hangs_up_ends_its_request(service):
    with service.client() as client, socket.create_connection(("127.0.0.1", service.port)) as raw:
        before = under_way(client)
        raw.sendall(PUT + b"Content-Length: 100\r\n\r\n{")
        while under_way(client) == before:
            time.sleep(0.01)
        raw.close()
        while under_way(client) != before:
            time.sleep(0.01)


def under_way(client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("softkv_http_requests_in_progress "))

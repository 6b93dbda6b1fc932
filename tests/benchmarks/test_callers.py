"""Callers count what is answered, what is refused and what is lost; servers of a few lines, and no time is judged."""

from __future__ import annotations

import re
import socketserver
import threading
import time
from contextlib import contextmanager

import pytest

from benchmarks.callers import Http, Span, body_of, call, request_of
from benchmarks.contenders.wrk import call_with_wrk, is_installed

BRIEFLY = Span(0.2, least=60)
"""Wait for this number of answers and refusals, however busy the machine is."""


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def requests(count: int) -> list[bytes]:
    return [request_of(("host", 1), "/path", str(number).encode()) for number in range(count)]


@contextmanager
def serving(reply):
    """Serve `reply(body)` for each request, or hang up if it returns nothing; yield the address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            received = b""
            while data := self.request.recv(1 << 16):
                received += data
                head = received.find(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", received[:head], re.IGNORECASE)
                if head > 0 and length and len(received) >= head + 4 + int(length[1]):
                    answered = reply(body_of(received))
                    if not answered:
                        return
                    self.request.sendall(answered)
                    received = b""

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads, request_queue_size = True, True, 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()


def test_every_request_has_its_turn_and_its_own_answer():
    sent_requests = []

    def reply(body):
        sent_requests.append(body)
        return answer(b"to " + body)

    with serving(reply) as address:
        calls = call(address, Http(), requests(5), 3, BRIEFLY, first=3)
    assert {number: body_of(answer) for number, answer in calls.answers.items()} == {
        position: f"to {position}".encode() for position in range(5)
    }
    counts = [sent_requests.count(str(number).encode()) for number in range(5)]
    assert max(counts) - min(counts) <= 1
    assert calls.next == (3 + len(sent_requests)) % 5
    assert calls.errors == 0


def test_answers_in_the_span_are_counted_and_later_ones_waited_for():
    sent_requests = []

    def reply(body):
        sent_requests.append(time.perf_counter())
        time.sleep(0.05)
        return answer(body)

    with serving(reply) as address:
        calls = call(address, Http(), requests(1), 4, Span(0.2, settling=0.1))
        under_way = len(sent_requests)
        time.sleep(0.1)
    assert len(sent_requests) == under_way  # nothing is sent any more
    assert 0 < calls.answered <= len(calls.milliseconds) <= under_way
    assert min(calls.milliseconds) >= 50
    assert calls.seconds >= 0.2
    assert calls.a_second == calls.answered / calls.seconds


def test_refusals_are_counted_with_their_message():
    def reply(body):
        return answer(b"busy", "503 Service Unavailable") if int(body) % 3 == 0 else answer(body)

    with serving(reply) as address:
        calls = call(address, Http(), requests(6), 2, BRIEFLY)
    assert set(calls.answers) == {1, 2, 4, 5}
    assert calls.errors > 0
    assert abs(calls.errors / (calls.errors + len(calls.milliseconds)) - 1 / 3) < 0.1
    assert calls.error.startswith("HTTP/1.1 503")


def test_a_lost_connection_is_an_error_and_is_made_anew():
    with serving(lambda body: b"" if body == b"1" else answer(body)) as address:
        calls = call(address, Http(), requests(3), 2, BRIEFLY)
    assert set(calls.answers) == {0, 2}
    assert calls.errors > 1
    assert calls.error == "the connection was lost: the server closed it"


def test_a_missing_answer_is_an_error(monkeypatch):
    monkeypatch.setattr("benchmarks.callers.PATIENCE", 0.2)
    with serving(lambda body: b"HTTP/1.1 200 OK\r\n") as address:
        calls = call(address, Http(), requests(1), 3, Span(0.05, least=3, most=0.1))
    assert (calls.answered, calls.errors, calls.error) == (0, 3, "no answer in 0 s")


@pytest.mark.skipif(not is_installed(), reason="wrk is not installed")
def test_wrk_sends_the_same_requests_in_rounds():
    answered, seconds = 0, 0.2
    while answered < 20:  # wrk calls for a time, in which a busy machine may answer nothing
        sent_requests = []

        def reply(body, sent_requests=sent_requests):
            sent_requests.append(body)
            return answer(body, "503 Service Unavailable" if body == b"2" else "200 OK")

        with serving(reply) as address:
            calls = call_with_wrk(address, requests(5), 2, seconds, first=3)
        answered, seconds = calls.answered, 2 * max(1.0, seconds)
    counts = [sent_requests.count(str(number).encode()) for number in range(5)]
    assert sent_requests[0] in (b"3", b"4")  # of two connections
    assert max(counts) - min(counts) <= 1
    assert sum(counts) - 2 <= calls.answered + calls.errors <= sum(counts)
    assert counts[2] - 2 <= calls.errors <= counts[2]
    assert calls.a_second == calls.answered / calls.seconds
    assert 0 < calls.milliseconds_of(0.5) <= calls.milliseconds_of(0.99)

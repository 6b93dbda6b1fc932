"""Callers count what is answered, what is refused and what is lost; servers of a few lines, and no time is judged."""

from __future__ import annotations

import socketserver
import threading
import time
from contextlib import contextmanager

import pytest

from benchmarks.callers import CallRefused, Calls, Span, ask, call
from benchmarks.contenders.bare import answering
from benchmarks.contenders.rounds import Cell, callers
from benchmarks.contenders.server import free_port
from benchmarks.contenders.store import Way
from benchmarks.contenders.wire import Http, body_of, request_of

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
                if Http().asked(received):
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


def test_requests_begin_at_the_given_turn():
    sent_requests = []

    def reply(body):
        sent_requests.append(int(body))
        return answer(body)

    with serving(reply) as address:
        call(address, Http(), requests(5), 1, Span(0.05, least=6), first=3)  # several callers may overtake each other
    assert sent_requests[:6] == [3, 4, 0, 1, 2, 3]


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


def test_slow_answers_are_waited_for_up_to_a_limit():
    def late(seconds):
        def reply(body):
            time.sleep(seconds)
            return answer(body)

        return reply

    with serving(late(0.3)) as address:
        patient = call(address, Http(), requests(1), 2, Span(0.05, least=2))
    with serving(late(1.5)) as address:  # of which a busy machine may take most
        hasty = call(address, Http(), requests(1), 2, Span(0.05, least=2, most=0.1))
    assert patient.answered >= 2
    assert patient.seconds >= 0.25
    assert hasty.answered == 0
    assert len(hasty.milliseconds) == 2  # sent in that time, answered later


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


def test_an_answer_in_pieces_is_one_answer():
    whole = answer(b"0123456789")
    assert [Http().verdict(whole[:end]) for end in range(len(whole))] == [None] * len(whole)
    assert Http().verdict(whole) == ""
    assert "length" in Http().verdict(b"HTTP/1.1 200 OK\r\n\r\n")


def test_an_address_without_a_server_is_refused():
    with pytest.raises(CallRefused, match="cannot be called"):
        call(("127.0.0.1", free_port()), Http(), requests(1), 1, BRIEFLY)


def test_a_bare_server_gives_the_same_bytes_to_all():
    canned = answer(b"x" * 5000)
    with answering(Http(), canned) as address:
        assert ask(address, Http(), requests(1)[0]) == canned
        calls = call(address, Http(), requests(4), 16, BRIEFLY)
    assert set(calls.answers.values()) == {canned}
    assert calls.errors == 0
    assert calls.answered > 16


def test_rounds_have_a_cell_for_each_way_filter_and_number_of_connections(monkeypatch):
    monkeypatch.setattr("benchmarks.contenders.rounds.SLOW", 1e6)  # no cell is left out, however busy the machine is
    both = {None: requests(4), 50: requests(2)}
    with answering(Http(), answer(b"good")) as good, answering(Http(), answer(b"no", "500 Oh")) as bad:
        ways = [
            Way("good", good, Http(), both, lambda _: []),
            Way("bad", bad, Http(), {None: both[None]}, lambda _: []),
        ]
        with callers(0.05, rounds=2) as calling:
            measured = calling.measure(ways, [1, 3])
    assert set(measured.cells) == {
        *(("good", below, count) for below in (None, 50) for count in (1, 3)),
        *(("bad", None, count) for count in (1, 3)),
    }
    cell = measured.cells["good", None, 3]
    assert len(cell.a_second) == len(cell.p50) == 2
    assert cell.errors == 0
    assert set(measured.answers["good", 50]) == {0, 1}
    assert measured.cells["bad", None, 1].rate == 0
    assert measured.cells["bad", None, 1].errors > 0
    assert measured.answers["bad", None] == {}
    assert set(measured.error) == {("bad", None)}


def test_a_cell_has_the_quantiles_of_its_rounds():
    calls = call_of(list(range(101)), seconds=2.0)
    cell = Cell()
    cell.add(calls, 2.5)
    assert (cell.p50, cell.p99, cell.a_second) == ([50.0], [99.0], [50.5])
    cell.add(call_of([1.0], seconds=1.0), 1.5)
    cell.add(call_of([], seconds=1.0), None)
    assert cell.rate == 1.0
    assert cell.p50 == [50.0, 1.0]
    assert cell.cost == [2.5, 1.5]


def call_of(milliseconds, seconds):
    return Calls([float(duration) for duration in milliseconds], len(milliseconds), seconds)

"""Four kills of `python -m benchmarks replicas`, and some of its questions; its model sees what it has to."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from benchmarks.either import KEY, Acknowledged, Either
from benchmarks.failover import KINDS, Failover, pair
from benchmarks.following import TOGETHER, Following, Group
from tests.postgres import PostgresServer, running
from tests.thorough import thorough


@pytest.mark.postgres
def test_nothing_acknowledged_is_lost_whatever_is_killed_under_writers(tmp_path: Path) -> None:
    with running(durable=True) as server, Failover(tmp_path, server, random.Random(8), most_seconds=0.8) as failover:
        for kind in KINDS[1:]:
            failover.once(kind)
        failover.check_rows()
        assert failover.acknowledged > 30, failover.report()


@pytest.mark.postgres
@pytest.mark.parametrize("questions", [200, thorough(1000)])
def test_a_read_through_the_other_replica_sees_every_write(
    tmp_path: Path, postgres: PostgresServer, questions: int
) -> None:
    with ExitStack() as stack:
        following = Following(
            [stack.enter_context(replica_service) for replica_service in pair(tmp_path, postgres.database())]
        )
        following.run(questions, 8)
    assert (following.missed, following.mixed) == ([], [])
    assert sum(following.asked.values()) == questions
    assert following.beside > 0.9 * questions


def matches(*numbers: int) -> list[dict[str, object]]:
    return [{"value": number, "metadata": {"number": number}} for number in numbers]


def test_an_answer_of_two_writes_or_of_half_of_one_is_seen() -> None:
    group = Group("g")
    for deletes in (False, False, True, False):
        group.begin(deletes=deletes)
        group.end()
    assert (group.begun, group.acknowledged) == (4, 4)
    for found_numbers, since, until in ((4, 4, 4), (2, 2, 4), (4, 2, 4), (1, 0, 4)):
        assert group.refused(matches(*[found_numbers] * TOGETHER), since, until=until) is None
    assert group.refused([], 0, until=0) is None
    assert group.refused([], 2, until=3) is None
    for numbers, since, until, why in (
        ([4, 4, 4, 4, 2], 2, 4, "a mixture of the writes"),
        ([4] * (TOGETHER - 1), 4, 4, "4 of 5 documents"),
        ([4] * (TOGETHER + 1), 4, 4, "6 of 5 documents"),
        ([2] * TOGETHER, 3, 4, "where 3 to 4 could be seen"),  # an older one
        ([3] * TOGETHER, 2, 4, "where 2 to 4 could be seen"),  # a deletion left nothing
        ([5] * TOGETHER, 4, 4, "where 4 to 4 could be seen"),  # not written yet
        ([], 4, 4, "nothing, where 4 to 4"),
    ):
        assert why in str(group.refused(matches(*numbers), since, until=until))


@contextmanager
def replica(status: int, log: list[str], *, again: bool = True) -> Iterator[str]:
    """Serve this status, and log the idempotency key of each request."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            log.append(self.headers.get(KEY, ""))
            self.send_response(status)
            if status == 503 and again:
                self.send_header("Retry-After", "2")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_deferred_write_is_sent_to_the_other_replica_under_its_key() -> None:
    messages, done = list[str](), list[Acknowledged]()
    with replica(503, messages) as down, replica(200, messages) as up:
        either = Either([down, up], random.Random(1), done, threading.Event(), repeats=True)
        with httpx.Client(transport=either, base_url=down) as client:
            for _ in range(8):
                assert client.post("/", json={}).status_code == 200
    assert [acknowledged.replica for acknowledged in done] == [1] * 8
    assert either.repeated == len(messages) - 8 > 0
    assert len(set(messages)) == 8
    assert "" not in messages


def test_without_repeats_a_deferred_write_is_unanswered_but_a_refusal_is_an_answer() -> None:
    messages, done = list[str](), list[Acknowledged]()
    with replica(503, messages) as down:
        either = Either([down], random.Random(1), done, threading.Event(), repeats=False)
        with httpx.Client(transport=either, base_url=down) as client, pytest.raises(httpx.TransportError):
            client.post("/", json={})
    with replica(503, messages, again=False) as broken:
        either = Either([broken], random.Random(1), done, threading.Event(), repeats=True)
        with httpx.Client(transport=either, base_url=broken) as client:
            assert client.post("/", json={}).status_code == 503
    assert messages[0] == ""
    assert done == []

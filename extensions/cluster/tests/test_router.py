"""One query to several servers, some of which are lost, slow, or lack shards."""

from __future__ import annotations

import time
from concurrent.futures import Future
from threading import Timer
from typing import Any

import pytest

from softkv_cluster.lookup import of_bytes, to_bytes
from softkv_cluster.router import AVOID_SECONDS, CollectionVersion
from softkv_cluster.service import Roster, Router, ServerLost, ServerReport, ShardsLost, VersionGone, shard_starts
from softkv_service.storage.records import ClusterPlan

NAMES = ("softkv-0", "softkv-1", "softkv-2")
A, B, C = NAMES
FIRST_ROWS = list(shard_starts(3 * 4096))


class Servers:
    """A transport and a store, of servers that hold given shards and give fixed answers.

    Attributes:
        held: the first rows of the shards that each server reports; a server that is not in it answers nothing.
        answers: what a server answers in place of its name: "lost", "silent", or fields; or these and a delay.
        asked: the server and the shards of every message.
    """

    def __init__(self, held: dict[str, list[int]] | None = None, **answers: Any) -> None:
        self.held = {A: FIRST_ROWS, B: FIRST_ROWS, C: FIRST_ROWS[2:]} if held is None else held
        self.answers = {name.replace("_", "-"): answer for name, answer in answers.items()}
        self.asked = list[tuple[str, tuple[int, ...]]]()
        self.now = 0.0

    def cluster_plan(self) -> ClusterPlan:
        return ClusterPlan(1, (A, B, C), 2)

    def report(self, server: str) -> Future[bytes]:
        reply: Future[bytes] = Future()
        if server in self.held and self.answers.get(server) != "lost":
            ready = frozenset((1, row) for row in self.held[server])
            reply.set_result(ServerReport(server, server, 1, ready, versions={}).to_bytes())
        else:
            reply.set_exception(ServerLost(f"{server} is lost"))
        return reply

    def send(self, server: str, message: bytes) -> Future[bytes]:
        fields, _ = of_bytes(message)
        self.asked.append((server, tuple(fields["ranges"])))
        answer = self.answers.get(server, {"server": server})
        answer, delay = answer if isinstance(answer, tuple) else (answer, 0.0)
        reply: Future[bytes] = Future()

        def give() -> None:
            if answer == "lost":
                reply.set_exception(ServerLost(f"{server} is lost"))
            elif answer != "silent":
                reply.set_result(to_bytes(answer, {}))

        if delay:
            timer = Timer(delay, give)
            timer.daemon = True
            timer.start()
        else:
            give()
        return reply

    def router(self, **options: Any) -> Router:
        return Router(self, Roster(self, self), **options)  # type: ignore[arg-type]


def ask(router: Router, first_rows: list[int] = FIRST_ROWS) -> dict[int, str]:
    """Return the server that answered for each shard."""
    replies = router.ask(CollectionVersion(1, 7), first_rows, lambda _: ({"call": "x"}, {}))
    assert sorted(row for rows, _ in replies for row in rows) == first_rows  # each once
    return {row: fields["server"] for rows, (fields, _) in replies for row in rows}


def test_each_shard_is_covered_by_one_answer_of_a_server_that_holds_it() -> None:
    servers = Servers({A: FIRST_ROWS[:1], B: FIRST_ROWS[1:], C: []})
    assert ask(servers.router()) == {FIRST_ROWS[0]: A, FIRST_ROWS[1]: B, FIRST_ROWS[2]: B}
    assert len(servers.asked) == 2  # one message for all shards of a server


def test_a_server_beyond_the_plan_is_queried_while_it_alone_holds_a_shard() -> None:
    servers = Servers({A: FIRST_ROWS[:1], B: FIRST_ROWS[:1], "softkv-3": FIRST_ROWS[1:]})
    router = Router(servers, Roster(servers, servers, ["softkv-3"]))  # type: ignore[arg-type]
    leaving = dict.fromkeys(FIRST_ROWS[1:], "softkv-3")
    assert {**ask(router), FIRST_ROWS[0]: A} == {FIRST_ROWS[0]: A, **leaving}
    servers.answers = {"softkv-3": "lost"}  # for one round of reports
    router.roster.refresh()
    servers.answers = {}
    router.roster.refresh()
    assert {**ask(router), FIRST_ROWS[0]: A} == {FIRST_ROWS[0]: A, **leaving}


@pytest.mark.parametrize("answer", ["lost", {"missing": [0]}, {"behind": 6}, {"failed": "no memory"}])
def test_the_other_copy_is_queried_if_a_server_is_lost_or_refuses(answer: Any) -> None:
    assert set(ask(Servers(softkv_0=answer).router(seconds=0.5)).values()) <= {B, C}


def test_the_other_copy_is_queried_if_a_server_is_slow_and_then_preferred_for_a_while() -> None:
    servers = Servers(softkv_0="silent")
    router = servers.router(seconds=4.5)
    assert set(ask(router).values()) <= {B, C}
    assert router.is_avoided(A)
    servers.asked.clear()
    ask(router)
    assert A not in [server for server, _ in servers.asked]
    until = time.monotonic() + AVOID_SECONDS
    router.clock = lambda: until
    assert not router.is_avoided(A)


def test_a_version_that_is_gone_is_an_error_of_its_own() -> None:
    with pytest.raises(VersionGone):
        ask(Servers(softkv_0={"gone": True}, softkv_1={"gone": True}).router())


def test_if_no_copy_answers_the_error_says_why_at_once() -> None:
    began = time.monotonic()
    servers = Servers(softkv_0=("lost", 0.01), softkv_1={"failed": "no memory"}, softkv_2=("lost", 0.01))
    with pytest.raises(ShardsLost, match=r"softkv-0 is lost.*softkv-1: failed no memory|no memory.*is lost"):
        ask(servers.router(seconds=30.0))
    assert time.monotonic() - began < 5


def test_a_query_ends_as_soon_as_one_shard_has_no_server_left() -> None:
    # After a second, B and C are asked beside A, which is slow. Then A and B are lost, and C answers for one shard.
    answers = {"softkv_0": ("lost", 1.3), "softkv_1": ("lost", 0.5), "softkv_2": ({"server": C}, 0.8)}
    router = Servers({A: FIRST_ROWS[:2], B: FIRST_ROWS[:1], C: FIRST_ROWS[1:2]}, **answers).router(seconds=4.0)
    began = time.monotonic()
    with pytest.raises(ShardsLost, match=r"softkv-. is lost"):
        ask(router, FIRST_ROWS[:2])
    assert time.monotonic() - began < 3.5


def test_a_lost_shard_stays_lost_until_a_later_report_shows_it_held() -> None:
    servers = Servers({A: FIRST_ROWS[:1]}, softkv_0="lost", softkv_1="lost", softkv_2="lost")
    router = servers.router()
    with pytest.raises(ShardsLost):
        ask(router, FIRST_ROWS[:1])
    router.roster.refresh()
    assert router.find_lost_shards(1) == {0}
    servers.answers = {}
    router.roster.refresh()  # may have begun before the loss, if the servers were lost a moment later
    router.roster.refresh()
    servers.asked.clear()
    assert router.find_lost_shards(1) == set()
    assert servers.asked == []  # it took no query to learn that
    assert ask(router, FIRST_ROWS[:1]) == {0: A}

"""One server at a time: what it waits for, refuses, and keeps; and the handover of shards between servers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from extensions.cluster.tests.local_servers import LocalServers
from softkv_cluster.server.server import HAND_OVER_SECONDS, MAX_SCANS, RETRY_SECONDS
from softkv_cluster.service import ShardServer
from softkv_postgres.reader import Reader
from tests.service.storage.making import collection, document
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("shards_of_16_rows")]
A, B, C = "softkv-0", "softkv-1", "softkv-2"
FROM_3 = {"field": "metadata.seed", "operator": ">=", "value": 3}


class Stepped:
    """Servers that sync on command, and a collection whose row 1 + i is document i, written in one version."""

    def __init__(self, run_servers: Any, count: int = 0, *plan: int, **options: Any) -> None:
        self.now = 0.0
        self.servers: LocalServers = run_servers(*plan, clock=lambda: self.now, **options)
        self.store = self.servers.store
        self.number = collection(self.store, [document(f"{i}", i) for i in range(count)])

    def write(self, *numbers: int) -> int:
        """Write documents again, or for the first time; return the new version."""
        with self.store.writing() as writer:
            writer.upsert(self.number, [document(f"{i}", i) for i in numbers])
        return self.version

    def delete(self, *numbers: int) -> int:
        with self.store.writing() as writer:
            writer.delete_ids(self.number, [f"{i}" for i in numbers])
        return self.version

    @property
    def version(self) -> int:
        return self.store.extent(self.number)[1].version

    def ask(self, version: int, *first_rows: int, server: str = A, **options: Any) -> Any:
        return self.servers.ask(server, self.number, version, first_rows or (0,), **options)

    def step(self, *names: str, seconds: float = HAND_OVER_SECONDS) -> None:
        self.now += seconds
        self.servers.step(*names)


def test_a_server_answers_from_exactly_the_requested_version(run_servers: Any) -> None:
    stepped = Stepped(run_servers, 3, 1, 1)
    stepped.step()
    stepped.write(3, 4)
    assert stepped.ask(2) == {"behind": 1}
    stepped.delete(0)
    stepped.step()
    assert [stepped.ask(version) for version in (1, 2, 3)] == [[1, 2, 3], [1, 2, 3, 4, 5], [2, 3, 4, 5]]
    assert stepped.ask(0) == {"gone": True}
    assert stepped.ask(3, 0, 16) == {"missing": [16]}
    assert [stepped.ask(version, condition=FROM_3) for version in (1, 2, 3)] == [[], [4, 5], [4, 5]]
    assert "InvalidCondition" in stepped.ask(3, condition={"field": 1})["failed"]
    with stepped.store._connection() as connection:
        connection.execute("UPDATE softkv.changes SET at = at - interval '11 minutes'")
    stepped.write(5)
    while stepped.store._collect_garbage():
        pass
    assert stepped.ask(1) == [1, 2, 3]  # from memory alone
    assert stepped.ask(1, condition={"field": "id", "operator": ">=", "value": "1"}) == {"gone": True}
    stepped.servers.servers[A]._respond = lambda *_: {}["nothing"]
    assert stepped.ask(3) == {"failed": "KeyError: 'nothing'"}


def test_a_server_waits_for_a_version_and_syncs_at_once(run_servers: Any) -> None:
    servers = run_servers(1, 1)
    number = collection(servers.store, [document("a")])
    assert servers.ask(A, number, 1, seconds=20.0) == [1]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(servers.ask, A, number, 2, seconds=20.0)
        time.sleep(0.2)
        assert not answer.done()
        with servers.store.writing() as writer:
            writer.upsert(number, [document(f"{i}") for i in range(20)])
        assert servers.ask(A, number, 2, [0, 16], seconds=20.0) == [*range(1, 22)]  # also a shard that has only begun
        assert answer.result() == [*range(1, 16)]
    began = time.monotonic()
    assert servers.ask(A, number, 3, seconds=0.4) == {"behind": 2}
    assert time.monotonic() - began > 0.3
    assert servers.ask(A, number, 2, [160], seconds=60.0) == {"missing": [160]}  # which it does not wait for
    assert time.monotonic() - began < 30


def test_close_waits_for_the_sync_that_is_under_way(run_servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, ended = threading.Event(), threading.Event(), []

    def sync(self: ShardServer) -> int:
        begun.set()
        assert go.wait(60)
        ended.append(True)
        return 0

    monkeypatch.setattr(ShardServer, "_sync", sync)
    servers = run_servers(1, 1)
    assert begun.wait(60)
    threading.Timer(0.1, go.set).start()
    servers.kill(A)
    assert ended


def test_a_report_lists_loaded_shards_and_those_to_load(run_servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped = Stepped(run_servers, 20, 1, 1)
    report = stepped.servers.servers[A].report
    assert (report.plan, report.ready, report.coming) == (0, frozenset(), 1)  # before it knows its shards
    with monkeypatch.context() as patched:

        def vectors(*_: Any, **__: Any) -> Any:
            raise MemoryError("none left")

        patched.setattr(Reader, "vectors", vectors)
        stepped.step()
        assert stepped.ask(1) == {"missing": [0]}
        report = stepped.servers.servers[A].report
        assert (report.coming, report.trouble) == (2, "MemoryError: none left")
    stepped.step(seconds=RETRY_SECONDS / 2)
    assert stepped.servers.servers[A].report.coming == 2
    stepped.step(seconds=RETRY_SECONDS)
    report = stepped.servers.servers[A].report
    assert (report.rows, report.coming, report.trouble) == (20, 0, None)
    assert (report.ready, report.versions) == ({(stepped.number, 0), (stepped.number, 16)}, {stepped.number: 1})
    assert type(report).of_bytes(report.to_bytes()) == report


def test_a_damaged_document_is_named_until_it_is_deleted(run_servers: Any) -> None:
    stepped = Stepped(run_servers, 3, 1, 1)
    with stepped.store._connection() as connection:
        flipped = "set_bit(key_vector, 9, 1 - get_bit(key_vector, 9))"
        flip = f"UPDATE softkv.vectors SET key_vector = {flipped} WHERE document = 2"
        connection.execute(flip)
    stepped.step()
    assert "row 2 is damaged" in stepped.ask(1)["failed"]
    stepped.delete(1)
    stepped.step()
    assert stepped.ask(1) == {"gone": True}  # no server knows the rows of this version
    assert stepped.ask(2) == [1, 3]


def test_servers_that_join_take_their_shards_and_nothing_is_held_longer_than_needed(run_servers: Any) -> None:
    stepped = Stepped(run_servers, 300, 1, 2)
    for count in (1, 2, 3, 5, 4, 2, 3, 1):
        stepped.servers.deploy(count, 2)
        for _ in range(8):
            stepped.step()
            replicas = stepped.servers.held()
            for shard in {shard for shards in replicas.values() for shard in shards}:
                assert sum(shard in shards for shards in replicas.values()) >= min(count, 2)
        assert stepped.servers.held() == stepped.servers.placed()
        assert sum(len(shards) for shards in stepped.servers.held().values()) == min(count, 2) * 19


def test_a_shard_is_kept_until_its_new_holder_follows_the_same_plan(run_servers: Any) -> None:
    """By an older plan the new holder may be about to drop the shard."""
    stepped = Stepped(run_servers, 300, 2, 1)
    stepped.step()
    held = stepped.servers.held()
    stepped.servers.deploy(1, 1)
    stepped.step(B)  # which may drop all, once A holds it
    assert stepped.servers.held() == held
    stepped.step(A)
    assert stepped.servers.servers[A].report.ready == held[A] | held[B]
    stepped.servers.deploy(2, 1)
    stepped.servers.deploy(1, 1)
    for _ in range(8):
        stepped.step(B)  # A has all shards, and reports them under a plan of another number
        assert stepped.servers.held()[B] == held[B]
    for _ in range(8):
        stepped.step()
    assert stepped.servers.held()[B] == set()


def test_scans_take_turns_and_nothing_is_scanned_after_its_deadline(run_servers: Any) -> None:
    go, begun = threading.Event(), list[str]()

    def respond(views: Any, mask: Any, view: Any, fields: Any, arrays: Any, bias: Any = None) -> Any:
        begun.append(fields["call"])
        if fields["call"] == "gather":
            assert go.wait(60)
        return {}, {}

    stepped = Stepped(run_servers, 3, 1, 1, respond=respond)
    stepped.step()
    with ThreadPoolExecutor(MAX_SCANS + 1) as threads:
        scans = [threads.submit(stepped.ask, 1, call="gather", seconds=60.0) for _ in range(MAX_SCANS)]
        until(lambda: len(begun) == MAX_SCANS)
        assert "ScanTimeout" in stepped.ask(1, call="gather", seconds=0.05)["failed"]
        assert "failed" not in stepped.ask(1, call="owners")  # reads a few rows only
        next_scan = threads.submit(stepped.ask, 1, call="gather", seconds=60.0)
        go.set()
        assert all("failed" not in scan.result(60) for scan in (*scans, next_scan))
    assert sorted(begun) == ["gather"] * (MAX_SCANS + 1) + ["owners"]

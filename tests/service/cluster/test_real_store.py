"""Slots over a real PostgreSQL, each with threads and connections of its own, while others write."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from attention.lookup import of_bytes, respond, to_bytes
from service.cluster import SHARD_ROWS, Node, place_shard, shard_starts
from service.storage import CollectionMissing, SharedStore, open_shared, parse_condition
from tests.postgres import PostgresServer, running
from tests.service.storage.making import collection, document

pytestmark = pytest.mark.postgres

SECONDS = 6.0
COPIES = 2
LARGE = {"field": "metadata.seed", "operator": ">=", "value": 500}
NAMED = {"field": "id", "operator": ">=", "value": "15"}
FILTERS = [None, LARGE, NAMED, {"operator": "NOT", "conditions": [LARGE]}]


def told(views, mask, view, message, arrays, bias=None):
    """Return the expected rows if a message requests them, else the lookup's answer."""
    if message["call"] != "rows":
        return respond(views, mask, view, message, arrays, bias)
    owners = [segment.owners if passing is None else segment.owners[passing] for segment, passing in view.passing(mask)]
    return {}, {"rows": np.unique(np.concatenate([np.empty(0, np.int64), *owners]))}


class Cluster:
    """Three slots, and a store of the test's own."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.opened: list[SharedStore] = []
        self.store = self.open()
        self.shards: dict[str, Node] = {}
        for name in "abc":
            self.join(name)

    def open(self) -> SharedStore:
        self.opened.append(open_shared(self.address))
        return self.opened[-1]

    def join(self, name: str) -> None:
        self.shards[name] = Node(name, f"node {name}", self.open(), COPIES, respond=told)
        self.shards[name].start()

    def close(self) -> None:
        for shard in self.shards.values():
            shard.close()
        for store in self.opened:
            store.close()

    def ask(
        self, slot: str, number: int, version: int, ranges: list[int], condition: Any = None, call: str = "rows"
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        reply = {"collection": number, "version": version, "ranges": ranges, "seconds": 10.0, "call": call}
        sent = to_bytes({**reply, "condition": None if condition is None else json.dumps(condition)}, {})
        return of_bytes(self.shards[slot].answer(sent))

    def wanted(self, number: int, version: int, ranges: list[int], condition: Any) -> list[int]:
        """Return the rows by SQL."""
        with self.store.reading_at(version) as reader:
            parsed = None if condition is None else parse_condition(condition)
            rows = reader.rows_where(number, parsed)
            reader.version(number)
            return [row for row in rows.tolist() if row - row % SHARD_ROWS in ranges]

    def settled(self) -> bool:
        """Return whether exactly the assigned slots hold each range."""
        members = self.store.nodes.members()
        expected = {
            (number, first_row, name)
            for number, extent in self.store.extents().items()
            for first_row in shard_starts(extent.next_row)
            for name in place_shard(number, first_row, members, COPIES)
        }
        return expected == {
            (holder.collection, holder.first_row, holder.node.name) for holder in self.store.nodes.holders()
        }

    def settle(self) -> None:
        deadline = time.monotonic() + 30
        while not self.settled():
            assert time.monotonic() < deadline, self.store.nodes.holders()
            time.sleep(0.05)


@pytest.fixture
def cluster(address: str) -> Iterator[Cluster]:
    made = Cluster(address)
    yield made
    made.close()


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.database()


def skip(store: Any, number: int, rows: int) -> None:
    """Skip row numbers as if that many rows had been written and removed."""
    with store._connection() as connection:
        connection.execute("UPDATE collections SET next_row = next_row + %s WHERE id = %s", (rows, number))


def beside(works: list[Callable[[], None]]) -> None:
    """Run each in a thread; raise the error of any."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_every_answer_is_of_its_version_whoever_writes(cluster: Cluster) -> None:
    numbers = [collection(cluster.store, [document(f"{i}", i) for i in range(40)], name) for name in ("c", "d")]
    skip(cluster.store, numbers[0], SHARD_ROWS)
    until, counts = time.monotonic() + SECONDS, {"answered": 0, "refused": 0}

    def write(seed: int) -> None:
        chosen, store = random.Random(seed), cluster.open()
        while time.monotonic() < until:
            number = chosen.choice(numbers)
            with store.writing(collection=number) as writer:
                ids = {str(chosen.randrange(40)) for _ in range(chosen.randint(1, 4))}
                keys = np.ones((chosen.choice([1, 1, 3]), 3), np.float32)
                writer.upsert(
                    number, [document(identity, chosen.randrange(1000), keys=keys) for identity in sorted(ids)]
                )
                if chosen.random() < 0.5:
                    writer.delete_ids(number, [str(chosen.randrange(40))])
            if chosen.random() < 0.05:
                skip(store, number, SHARD_ROWS // 2)

    def make_and_delete() -> None:
        store = cluster.open()
        while time.monotonic() < until:
            number = collection(store, [document("x", 1)], "short")
            reply, arrays = cluster.ask("a", number, 1, [0])
            assert arrays["rows"].tolist() == [1] if arrays else reply == {"missing": [0]}
            with store.writing() as writer:
                writer.delete_collection("short")

    def ask(seed: int) -> None:
        chosen = random.Random(seed)
        while time.monotonic() < until:
            number, condition = chosen.choice(numbers), chosen.choice(FILTERS)
            _, extent = cluster.store.extent(number)
            version = extent.version - chosen.choice([0, 0, 1, 3])
            members = cluster.store.nodes.members()
            first_rows = list(shard_starts(extent.next_row))
            slot = chosen.choice("abc")
            ranges = [first_row for first_row in first_rows if slot in place_shard(number, first_row, members, COPIES)]
            reply, arrays = cluster.ask(slot, number, version, ranges, condition)
            if "rows" in arrays:
                assert arrays["rows"].tolist() == cluster.wanted(number, version, ranges, condition)
                counts["answered"] += 1
            else:
                assert reply.keys() & {"gone", "missing"}, reply
                counts["refused"] += 1

    beside([lambda: write(1), lambda: write(2), make_and_delete, lambda: ask(3), lambda: ask(4), lambda: ask(5)])
    assert counts["answered"] > 20 * (1 + counts["refused"]) or counts["answered"] > 200
    cluster.settle()
    for number in numbers:
        _, extent = cluster.store.extent(number)
        for first_row in shard_starts(extent.next_row):
            for slot in place_shard(number, first_row, cluster.store.nodes.members(), COPIES):
                reply, arrays = cluster.ask(slot, number, extent.version, [first_row], LARGE)
                assert arrays["rows"].tolist() == cluster.wanted(number, extent.version, [first_row], LARGE), reply
                n = cluster.ask(slot, number, extent.version, [first_row], call="facts")[0]
                assert n


def test_a_slot_more_and_one_less_while_questions_are_answered(cluster: Cluster) -> None:
    number = collection(cluster.store, [document(f"{i}", i) for i in range(20)])
    for i in range(12):
        skip(cluster.store, number, SHARD_ROWS)
        with cluster.store.writing() as writer:
            writer.upsert(number, [document(f"more {i}", i)])
    cluster.settle()
    stop, failed, count = threading.Event(), list[Any](), [0]

    def ask() -> None:
        chosen = random.Random(1)
        while not stop.is_set():
            _, extent = cluster.store.extent(number)
            holding: dict[int, list[str]] = {}
            for holder in cluster.store.nodes.holders(number):
                holding.setdefault(holder.first_row, []).append(holder.node.name)
            for first_row in shard_starts(extent.next_row):
                if len(holding.get(first_row, ())) < COPIES:
                    failed.append((first_row, holding))
                    continue
                rows: list[Any] = []
                for slot in chosen.sample(
                    holding[first_row], len(holding[first_row])
                ):  # the slot that gave it up reports that
                    reply, arrays = cluster.ask(slot, number, extent.version, [first_row])
                    rows = [arrays["rows"].tolist()] if "rows" in arrays else []
                    if rows:
                        break
                if rows != [cluster.wanted(number, extent.version, [first_row], None)]:
                    failed.append((first_row, reply))
                count[0] += 1

    asking = threading.Thread(target=ask)
    asking.start()
    cluster.join("d")
    time.sleep(1.0)
    cluster.settle()
    cluster.shards["a"].leave()
    deadline = time.monotonic() + 30
    while not cluster.shards["a"].left:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    stop.set()
    asking.join()
    assert failed == []
    assert count[0] > 30
    cluster.store.nodes.remove("a")
    assert {holder.node.name for holder in cluster.store.nodes.holders()} == {"b", "c", "d"}


def test_a_server_that_is_gone_is_waited_for() -> None:
    with running(durable=True) as server:
        cluster = Cluster(server.database())
        number = collection(cluster.store, [document("a"), document("b")])
        cluster.settle()
        slot = cluster.store.nodes.holders(number)[0].node.name
        assert cluster.ask(slot, number, 1, [0])[1]["rows"].tolist() == [1, 2]
        server.kill()
        deadline = time.monotonic() + 20
        while cluster.shards[slot].report.trouble is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert cluster.ask(slot, number, 1, [0])[1]["rows"].tolist() == [1, 2]  # of what it has it answers
        server.start()
        with cluster.store.writing() as writer:
            writer.upsert(number, [document("c")])
        assert cluster.ask(slot, number, 2, [0])[1]["rows"].tolist() == [1, 2, 3]
        with cluster.store.writing() as writer:
            writer.delete_collection("c")
        with pytest.raises(CollectionMissing):
            cluster.wanted(number, 2, [0], None)
        cluster.settle()
        cluster.close()

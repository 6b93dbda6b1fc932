"""Servers over a real PostgreSQL, each with threads and connections of its own, while others write."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Any

import numpy as np
import pytest

from extensions.cluster.tests.local_servers import LocalServers
from softkv_cluster.service import place_shard, shard_start, shard_starts
from softkv_service.storage import open_shared
from softkv_service.storage.conditions import parse_condition
from softkv_service.storage.errors import CollectionMissing
from tests.postgres import running
from tests.service.storage.making import collection, document
from tests.waiting import until

pytestmark = pytest.mark.postgres
ANSWERS = 40  # under each plan
LARGE = {"field": "metadata.seed", "operator": ">=", "value": 500}
NAMED = {"field": "id", "operator": ">=", "value": "15"}
FILTERS = [None, LARGE, NAMED, {"operator": "NOT", "conditions": [LARGE]}]


def expected_rows(store: Any, number: int, version: int, first_rows: list[int], condition: Any) -> list[int]:
    """Return the rows of the documents that pass, by SQL."""
    parsed = None if condition is None else parse_condition(condition)
    with store.reading_at(version) as reader:
        owners = [row for row in reader.rows_where(number, parsed).tolist() if shard_start(row) in first_rows]
        batches = list(reader.vectors(number, documents=np.array(owners, np.int64)))
        reader.version(number)
    return sorted(row for batch in batches for row in batch.numbers.tolist())


def skip_rows(store: Any, number: int, rows: int) -> None:
    """Skip row numbers as if that many rows had been written and removed."""
    with store._connection() as connection:
        connection.execute("UPDATE softkv.collections SET next_row = next_row + %s WHERE id = %s", (rows, number))


def test_every_answer_is_of_one_version_during_writes(run_servers: Any, address: str) -> None:
    servers = run_servers(3, 2)
    numbers = [collection(servers.store, [document(f"{i}", i) for i in range(40)], name) for name in ("c", "d")]
    skip_rows(servers.store, numbers[0], 4096)
    answered, done = list[str](), Event()

    def write(seed: int) -> None:
        chosen = random.Random(seed)
        with closing(open_shared(address)) as store:
            while not done.is_set():
                number = chosen.choice(numbers)
                with store.writing(collection=number) as writer:
                    keys = np.ones((chosen.choice([1, 1, 3]), 3), np.float32)
                    ids = sorted({str(chosen.randrange(40)) for _ in range(chosen.randint(1, 4))})
                    writer.upsert(number, [document(name, chosen.randrange(1000), keys=keys) for name in ids])
                    if chosen.random() < 0.5:
                        writer.delete_ids(number, [str(chosen.randrange(40))])
                if chosen.random() < 0.05:
                    skip_rows(store, number, 3000)

    def create_and_delete() -> None:
        with closing(open_shared(address)) as store:
            while not done.is_set():
                number = collection(store, [document("x", 1)], "short")
                plan = servers.store.cluster_plan()
                reply = servers.ask(place_shard(number, 0, plan.names, 2)[0], number, 1, seconds=10.0)
                assert reply in ([1], {"missing": [0]})
                with store.writing() as writer:
                    writer.delete_collection("short")

    def resize() -> None:
        for size in (4, 2, 3):
            until_answered()
            servers.deploy(size, 2)
        until_answered()

    def until_answered() -> None:
        enough = len(answered) + ANSWERS
        until(lambda: len(answered) >= enough or done.is_set(), 300)

    def ask(seed: int) -> None:
        chosen = random.Random(seed)
        while not done.is_set():
            number, condition = chosen.choice(numbers), chosen.choice(FILTERS)
            _, extent = servers.store.extent(number)
            version, plan = extent.version - chosen.choice([0, 0, 1, 3]), servers.store.cluster_plan()
            name, starts = chosen.choice(plan.names), shard_starts(extent.next_row)
            first_rows = [row for row in starts if name in place_shard(number, row, plan.names, plan.copies)]
            reply = servers.ask(name, number, version, first_rows, condition=condition, seconds=10.0)
            if isinstance(reply, list):
                assert reply == expected_rows(servers.store, number, version, first_rows, condition)
                answered.append(name)
            else:
                assert reply.keys() & {"gone", "missing"}, reply

    with ThreadPoolExecutor(7) as pool:
        works = [pool.submit(write, 1), pool.submit(write, 2), pool.submit(create_and_delete), pool.submit(resize)]
        works += [pool.submit(ask, seed) for seed in (3, 4, 5)]
        for work in works:
            work.add_done_callback(lambda _: done.set())  # of the resizing, or of one that failed
        for work in works:
            work.result()
    servers.settle()
    for name, shards in servers.held().items():
        for number, first_row in shards:
            _, extent = servers.store.extent(number)
            for condition in FILTERS:
                reply = servers.ask(name, number, extent.version, [first_row], condition=condition, seconds=10.0)
                assert reply == expected_rows(servers.store, number, extent.version, [first_row], condition)


def test_servers_answer_while_the_database_is_away_and_follow_it_again() -> None:
    with running(durable=True) as database, closing(LocalServers(database.database(), 3, 2)) as servers:
        number = collection(servers.store, [document("a"), document("b")])
        servers.settle()
        name = next(name for name, shards in servers.held().items() if shards)
        assert servers.ask(name, number, 1, seconds=10.0) == [1, 2]
        database.kill()
        until(lambda: servers.servers[name].report.trouble, 20)
        assert servers.ask(name, number, 1) == [1, 2]
        database.start()
        with servers.store.writing() as writer:
            writer.upsert(number, [document("c")])
        assert servers.ask(name, number, 2, seconds=10.0) == [1, 2, 3]
        with servers.store.writing() as writer:
            writer.delete_collection("c")
        with pytest.raises(CollectionMissing):
            expected_rows(servers.store, number, 2, [0], None)
        servers.settle()
        assert servers.ask(name, number, 2) == {"missing": [0]}

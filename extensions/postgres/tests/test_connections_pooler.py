"""The store behind PgBouncer in transaction mode, where two statements may run in two sessions of the database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import psycopg
import pytest

from extensions.postgres.tests.pooler import Pooler
from softkv_postgres.connections import IDLE_SECONDS, Connections, parse_address, work_memory
from softkv_service.storage import IdempotentWrite, inspect_shared, open_shared
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.errors import StoreRefused, StoreUnavailable, WriteAnswered
from softkv_service.storage.records import WriteAnswer, WriteRequest
from tests.postgres import PostgresServer, running
from tests.running import RunningService
from tests.service.storage.making import collection, document

REQUEST = WriteRequest("caller", "a key", b"a request", at=1_000_000)


@pytest.fixture
def pooler(postgres: PostgresServer) -> Iterator[Pooler]:
    with closing(Pooler(postgres, postgres.database())) as started:
        yield started


def test_a_store_needs_no_session_of_its_own(pooler: Pooler) -> None:
    """Another client leaves its settings behind in each session, as PgBouncer lets it."""
    with ExitStack() as stack:
        for _ in range(2):
            rude = stack.enter_context(psycopg.connect(pooler.address))
            rude.execute("SET search_path = elsewhere; SET work_mem = '64kB'; PREPARE _pg3_0 AS SELECT 1")
        # Each of them holds a session until here.
    with closing(open_shared(pooler.address)) as store:
        number = collection(store, [document(str(i), i) for i in range(20)])
        once = IdempotentWrite(REQUEST, lambda change: WriteAnswer(200, b"{}"))
        with store.writing(once, collection=number) as writer:
            writer.keep_answer(once, writer.upsert(number, [document("0", 100)]))
        with pytest.raises(WriteAnswered):
            store.refuse_answered(REQUEST)
        with store.writing() as writer:
            assert len(writer.delete_where(number, Comparison("metadata.seed", "<", 5))) == 4
        record, version = store.latest(number)
        assert record.documents == 16
        assert store.changes_since(number, version - 1).removed.tolist() == [2, 3, 4, 5]
        seed_is_7 = Comparison("metadata.seed", "==", 7)
        with store.reading() as now, store.reading_at(version - 1) as before:
            for reader, count in ((now, 16), (before, 20)):
                assert reader.count(number) == reader.count(number, condition=Comparison("id", "!=", "")) == count
                assert [one.id for one in reader.page(number, condition=seed_is_7)] == ["7"]
                assert [row.id for row in reader.search(number).equal("key 7", 5).rows] == ["7"]
                assert len(reader.search(number).full_text("key", 50, seed_is_7).rows) == 1
                assert sum(len(keys.numbers) for keys in reader.vectors(number)) == count
                assert len(reader.column(number, "seed").present) == 21
                assert reader.field_facts(number, ["seed"])[0].count == count
        assert store.set_cluster_plan(["a"], 1) == store.cluster_plan()
        assert list(store.check()) == []


def test_threads_share_sessions_and_versions_have_no_gap(pooler: Pooler) -> None:
    with closing(open_shared(pooler.address)) as one, closing(open_shared(pooler.address)) as other:
        number = collection(one)
        errors: list[BaseException] = []

        def write(store: Any, name: str) -> None:
            try:
                for turn in range(10):
                    with store.writing(collection=number) as writer:
                        writer.upsert(number, [document(f"{name}{turn}", metadata={"seen": writer.count(number)})])
                    record, version = store.latest(number)
                    with store.reading_at(version) as reader:
                        assert reader.count(number, condition=Comparison("id", "!=", "")) == record.documents == version
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(store, f"{i}-")) for i, store in enumerate([one, other] * 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        with other.reading() as reader:
            by_row = sorted(reader.page(number, limit=100), key=lambda document: document.row)
        assert [document.metadata["seen"] for document in by_row] == list(range(60))
        assert list(one.check()) == []


def test_two_services_follow_each_other_through_one_session(postgres: PostgresServer) -> None:
    """No thread waits for a second session while it has one, else these would wait for each other."""
    with ExitStack() as stack:
        pooler = stack.enter_context(closing(Pooler(postgres, postgres.database(), sessions=1)))
        one, other = (stack.enter_context(RunningService(store=pooler.address, encoder="none")) for _ in range(2))
        first, second = (stack.enter_context(service.client()) for service in (one, other))
        one.wait_until_ready()
        other.wait_until_ready()
        path = "/v1/collections/c"
        assert first.put(path, json={"dimension": 4}).status_code == 201
        for turn in range(12):
            writer, asker = (first, second) if turn % 2 else (second, first)
            vector = [float(i == turn % 4) for i in range(4)]
            body = {"key": f"text {turn}", "value": turn, "key_vector": vector, "metadata": {"turn": turn}}
            assert_ok(writer.put(f"{path}/documents/{turn % 4}", json=body))
            seen_now = {"field": "metadata.turn", "operator": "==", "value": turn}
            question = {"query": vector, "temperature": 0, "filter": seen_now}
            matches = assert_ok(asker.post(f"{path}/attend", json=question))["matches"]
            assert [(match["id"], match["value"]) for match in matches] == [(str(turn % 4), turn)]
        assert_ok(first.put(f"{path}/documents/last", json={"key_vector": vector}))
        described = assert_ok(second.get(path))
        assert (described["documents"], described["keys"]) == (5, 5)
        assert first.get("/readyz").status_code == 200


def assert_ok(response: httpx.Response) -> dict[str, Any]:
    assert response.is_success, response.text
    return response.json()  # type: ignore[no-any-return]


def test_refusals_of_pgbouncer_differ_from_its_absence() -> None:
    with running() as server, closing(Pooler(server, server.database())) as pooler:
        assert inspect_shared(pooler.address).schema_version == 0
        with closing(open_shared(pooler.address)) as store:
            with pytest.raises(StoreRefused, match="no such database"):
                open_shared(pooler.address + "_missing")
            with pytest.raises(StoreRefused, match="unsupported startup parameter: options"):
                open_shared(pooler.address + "?options=-c%20work_mem%3D1MB")
            server.crash()
            with pytest.raises(StoreUnavailable) as raised, store.reading():
                pass
            assert not isinstance(raised.value, StoreRefused)
            with pytest.raises(StoreUnavailable) as raised:
                open_shared(pooler.address)
            assert not isinstance(raised.value, StoreRefused)


def test_memory_for_sorting_is_set_for_one_transaction(address: str) -> None:
    def shown(connection: Any) -> str:
        return str(connection.execute("SHOW work_mem").fetchone()[0])

    with psycopg.connect(address, autocommit=True) as connection:
        usual = shown(connection)
        with work_memory(connection):
            assert shown(connection) == "64MB" != usual
        assert shown(connection) == usual
        with connection.transaction():
            with work_memory(connection):
                pass
            assert shown(connection) == "64MB"
        assert shown(connection) == usual


def test_connections_that_were_idle_for_long_are_closed(address: str) -> None:
    now = 0.0
    pool = Connections(parse_address(address), "a store", clock=lambda: now)
    with pool.acquire() as first, pool.acquire() as second:
        assert first is not second
    for _ in range(3):
        now += 0.7 * IDLE_SECONDS
        with pool.acquire() as used:
            assert used is first  # returned last
    assert second.closed
    assert not first.closed
    pool.close()
    assert first.closed

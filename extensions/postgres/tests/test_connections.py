"""Sessions that somebody ends, locks of others, and settings of a user: calls are answered rightly, or with a 503."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from extensions.postgres.tests.pooler import Pooler
from softkv_postgres.connections import LOCK_SECONDS, Connections, parse_address
from softkv_service.storage import open_shared
from tests.postgres import PostgresServer
from tests.running import RunningService
from tests.service.storage.making import collection, document
from tests.waiting import until

PATH = "/v1/collections/c"
ONLY_A = {"field": "id", "operator": "==", "value": "a"}
READS: dict[str, tuple[str, str, Any]] = {
    "get": ("GET", f"{PATH}/documents/a?include=key", None),
    "page": ("POST", f"{PATH}/documents/query", {"filter": {"field": "id", "operator": "!=", "value": ""}}),
    "fields": ("POST", f"{PATH}/documents/fields", {}),
    "attend": ("POST", f"{PATH}/attend", {"query": [1, 0], "include": ["value"]}),
    "filtered": ("POST", f"{PATH}/attend", {"query": [1, 0], "filter": ONLY_A}),
    "vote": ("POST", f"{PATH}/attend", {"query": [1, 0], "read": {"field": "metadata.n", "as": "vote"}}),
    "list": ("GET", "/v1/collections?prefix=c", None),
}


@contextmanager
def serving(address: str) -> Iterator[tuple[RunningService, httpx.Client]]:
    """Run a service with a collection of three documents."""
    with RunningService(store=address, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        assert client.put(PATH, json={"dimension": 2}).status_code == 201
        documents = [
            {"id": name, "key": "cats", "key_vector": [1, n], "metadata": {"n": n}} for n, name in enumerate("abc")
        ]
        assert client.post(f"{PATH}/documents", json={"documents": documents}).status_code == 200
        yield running, client


class Admin:
    """Another session of the database, whose transaction makes sessions of the service wait for its locks."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._locking = psycopg.connect(address)

    def lock(self, table: str) -> None:
        self._locking.execute(f"LOCK TABLE softkv.{table} IN ACCESS EXCLUSIVE MODE")  # type: ignore[arg-type]

    def execute(self, statement: str) -> None:
        self._locking.execute(statement)  # type: ignore[arg-type]

    def end_waiting(self) -> int:
        """End the sessions that wait for a lock, also those of threads in the background; return their number."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            return connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
            ).rowcount

    def end_all(self) -> None:
        """End all other sessions, and do not wait until they have noticed."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> ALL (%s)",
                ([connection.info.backend_pid, self._locking.info.backend_pid],),
            )

    def release(self) -> None:
        self._locking.rollback()

    def close(self) -> None:
        self._locking.close()


@pytest.fixture(scope="module", params=["direct", "pooled"])
def served(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[tuple[httpx.Client, Admin]]:
    database = postgres.database()
    with ExitStack() as stack:
        address = database
        if request.param == "pooled":
            address = stack.enter_context(closing(Pooler(postgres, database, sessions=8))).address
        _, client = stack.enter_context(serving(address))
        yield client, stack.enter_context(closing(Admin(database)))


def interrupted(call: Callable[[], httpx.Response], admin: Admin, *, once: bool) -> httpx.Response:
    """Make a call, end its session while it waits for a lock, and again if it waits again; return the response.

    Args:
        once: release the lock after the first time.
    """
    with ThreadPoolExecutor(1) as thread:
        response = thread.submit(call)
        try:
            until(lambda: (admin.end_waiting() and once) or response.done())
        finally:
            admin.release()
        return response.result()


@pytest.mark.parametrize(
    ("name", "table"),
    [*((name, "state") for name in READS), *((name, "documents") for name in READS if name != "list")],
)
def test_a_read_whose_session_ends_is_answered(served: tuple[httpx.Client, Admin], name: str, table: str) -> None:
    """Whether that happens in its first statement, or in the middle of it."""
    client, admin = served
    method, path, body = READS[name]
    expected = client.request(method, path, json=body)
    admin.lock(table)
    response = interrupted(lambda: client.request(method, path, json=body), admin, once=True)
    assert response.status_code == expected.status_code == 200, response.text
    if "took_ms" not in expected.text:
        assert response.json() == expected.json()


@pytest.mark.parametrize("table", ["state", "documents", "vectors", "fields"])
def test_a_write_whose_session_ends_can_be_sent_again(served: tuple[httpx.Client, Admin], table: str) -> None:
    client, admin = served
    body = {"key": "dogs", "key_vector": [1, 5], "metadata": {"n": 5}}

    def write() -> httpx.Response:
        return client.put(f"{PATH}/documents/{table}", json=body)

    admin.lock(table)
    response = interrupted(write, admin, once=table == "state")
    if table == "state":  # read before a write begins
        assert response.status_code == 201, response.text
        return
    assert (response.status_code, response.json()["code"]) == (503, "store_unavailable"), response.text
    assert "was lost" in response.json()["detail"]
    assert int(response.headers["Retry-After"]) > 0
    assert write().status_code == 201


def test_a_write_whose_session_ends_in_the_middle_of_its_data_can_be_sent_again(
    served: tuple[httpx.Client, Admin],
) -> None:
    """PgBouncer ends a COPY with two errors, at which psycopg raises a ValueError."""
    client, admin = served
    admin.execute(
        "INSERT INTO softkv.documents SELECT collection, 10000, 'same', key, value, metadata, keys, id_hash, checksum,"
        " folded_id, folded_key, born, died, expires FROM softkv.documents WHERE id = 'a'"
    )

    def write() -> httpx.Response:
        return client.put(f"{PATH}/documents/same", json={"key_vector": [1, 5]})

    response = interrupted(write, admin, once=False)
    assert (response.status_code, response.json()["code"]) == (503, "store_unavailable"), response.text
    assert write().status_code == 201


def test_the_next_call_after_all_sessions_ended_is_answered(served: tuple[httpx.Client, Admin]) -> None:
    client, admin = served
    for _ in range(2):
        for method, path, body in READS.values():
            with ThreadPoolExecutor(4) as threads:  # so that several sessions are idle
                busy = [threads.submit(client.request, method, path, json=body) for _ in range(4)]
            assert {response.result().status_code for response in busy} == {200}
            admin.end_all()
            response = client.request(method, path, json=body)
            assert response.status_code == 200, response.text
        admin.end_all()
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
def test_a_statement_that_a_setting_ends_is_a_503_that_names_it(postgres: PostgresServer, setting: str) -> None:
    database = postgres.database()
    with serving(database) as (_, client), closing(Admin(database)) as admin:
        set_for_all(database, **{setting: "200"})
        admin.end_all()
        admin.lock("documents")
        for call in (lambda: client.get(f"{PATH}/documents/a"), lambda: client.put(f"{PATH}/documents/d", json={})):
            response = call()
            assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
            reason = f"ended a statement (canceling statement due to {setting.replace('_', ' ')}"
            assert reason in response.json()["detail"]
            assert ("raise statement_timeout" in response.json()["detail"]) == (setting == "statement_timeout")
            assert int(response.headers["Retry-After"]) > 0
        assert client.get("/readyz").status_code == 200
        admin.release()
        assert client.get(f"{PATH}/documents/a").status_code == 200


def test_a_database_that_takes_no_writes_is_named_read_only(postgres: PostgresServer) -> None:
    database = postgres.database()
    with serving(database) as (_, client), closing(Admin(database)) as admin:
        set_for_all(database, default_transaction_read_only="on")
        admin.end_all()
        response = client.put(f"{PATH}/documents/d", json={})
        assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
        assert "takes no writes now" in response.json()["detail"]
        assert client.get(f"{PATH}/documents/a").status_code == 200


def test_waiting_for_a_lock_has_a_limit_that_a_pooler_keeps_for_no_one_else(postgres: PostgresServer) -> None:
    def shown(address: str) -> str:
        with closing(Connections(parse_address(address), "a store")) as pool, pool.acquire() as connection:
            return str(connection.execute("SELECT current_setting('lock_timeout')").fetchone()[0])  # type: ignore[index]

    database = postgres.database()
    assert shown(database) == f"{LOCK_SECONDS}s"
    assert shown(f"{database}?options=-c%20lock_timeout%3D7s") == "7s"
    with closing(Pooler(postgres, database)) as pooler:
        assert shown(pooler.address) == "0"


def set_for_all(database: str, **settings: str) -> None:
    """Give the sessions of a database that begin from now on these settings."""
    with psycopg.connect(database, autocommit=True) as connection:
        for name, setting in settings.items():
            statement = f"ALTER DATABASE {connection.info.dbname} SET {name} = '{setting}'"
            connection.execute(statement)  # type: ignore[arg-type]


SETTINGS = {
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-10",
    "bytea_output": "escape",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "array_nulls": "off",
    "backslash_quote": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "transform_null_equals": "on",
    "xmloption": "document",
    "row_security": "off",
    "search_path": "elsewhere",
    "lc_numeric": "C",
    "default_text_search_config": "pg_catalog.german",
    "plan_cache_mode": "force_generic_plan",
    "jit_above_cost": "0",
    "enable_seqscan": "off",
}
TEXTS = ["İstanbul", "中文 und mehr", "back\\slash 'quoted' \"", "NULL", "emoji 🐈 é", "{a,b}", "%s 100%"]


def answers(client: httpx.Client) -> list[Any]:
    """Make one call of each kind to an empty service, and return all answers that both stores give alike."""

    def ask(method: str, path: str, body: Any = None) -> Any:
        response = client.request(method, path, json=body)
        assert response.is_success, (path, response.text)
        return without_times(response.json()) if response.content else None

    documents = [
        {
            "id": f"{text}-{n}",
            "key": text,
            "value": {"text": text, "n": n},
            "key_vector": [1, n / 7],
            "metadata": {
                "text": text,
                f"field {text}": n,
                "n": n // 2 if n % 2 else n / 2,
                "third": n / 3,
                "list": [text, n, None],
                "day": f"2024-01-0{n + 1}T00:00:00+05:45",
                "big": 10**17 + n,
            },
        }
        for n, text in enumerate(TEXTS)
    ]
    options = {"dimension": 2, "temperature": 0.1 + 0.2, "null": 0.12345678901234567, "expire_after": "30d"}
    made = [
        ask("PUT", PATH, options),
        ask("POST", f"{PATH}/documents", {"documents": documents}),
        ask("PUT", "/v1/aliases/other", {"collection": "c"}),
        ask("GET", PATH),
        ask("POST", f"{PATH}/documents/fields", {"values": True, "limit": 50}),
        ask("POST", f"{PATH}/documents/query", {"count": True}),
        ask("POST", f"{PATH}/documents/query", {"order_by": {"field": "metadata.third", "direction": "descending"}}),
    ]
    for text in TEXTS:
        for operator in ("==", "contains", "<", "!=", ">="):
            for field in ("key", "metadata.text", "metadata.list" if operator == "contains" else "id"):
                condition = {"field": field, "operator": operator, "value": text}
                made.append(ask("POST", f"{PATH}/documents/query", {"filter": condition, "include": []}))
    for value in (3, 1 / 3, 10**17 + 1, {"datetime": "2024-01-03T00:00:00Z"}):
        for operator in ("==", "<=") if not isinstance(value, dict) else ("<", ">"):
            field = "day" if isinstance(value, dict) else "third" if value == 1 / 3 else "big" if value > 9 else "n"
            condition = {"field": f"metadata.{field}", "operator": operator, "value": value}
            made.append(ask("POST", f"{PATH}/documents/query", {"filter": condition, "include": []}))
    for how in ({"as": "mean"}, {"as": "vote"}):
        for field in ("n", "text", "third"):
            read = {"field": f"metadata.{field}", **how}
            made.append(ask("POST", f"{PATH}/attend", {"query": [1, 0.5], "read": read, "include": ["key_vector"]}))
    made.append(ask("POST", f"{PATH}/attend", {"query": [1, 0.5], "group_by": {"field": "metadata.n"}}))
    made.append(ask("PATCH", f"{PATH}/documents/NULL-3", {"metadata": {"n": None, "new": "中"}}))
    judgement = {"query": [1, 0.1], "id": "NULL-3", "right": True}
    made.append(ask("POST", f"{PATH}/feedback", {"feedback": [judgement]}))
    made.append(ask("GET", f"{PATH}/feedback"))
    made.append(ask("DELETE", f"{PATH}/documents/%7Ba,b%7D-5"))
    made.append(ask("POST", f"{PATH}/documents/query", {}))
    return made


def without_times(content: Any) -> Any:
    """Return content that can be compared."""
    if isinstance(content, dict):
        times = ("took_ms", "at", "expires")
        return {name: without_times(value) for name, value in content.items() if name not in times}
    if isinstance(content, list):
        return [without_times(item) for item in content]
    if type(content) is int:
        return str(content)  # 1 is not 1.0
    return pytest.approx(content, rel=1e-12) if isinstance(content, float) else content


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
def test_no_setting_of_a_session_changes_an_answer(
    postgres: PostgresServer, tmp_path: Path, pooled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres.database()
    set_for_all(database, **SETTINGS)
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with ExitStack() as stack:
        address = stack.enter_context(closing(Pooler(postgres, database))).address if pooled else database
        services = [RunningService(data_dir=tmp_path, encoder="none"), RunningService(store=address, encoder="none")]
        clients = [stack.enter_context(stack.enter_context(service).client()) for service in services]
        for service in services:
            service.wait_until_ready()
        of_sqlite, of_postgres = (answers(client) for client in clients)
        for expected, actual in zip(of_sqlite, of_postgres, strict=True):
            assert actual == expected


def test_full_text_finds_all_documents_although_indexes_may_leave_rows_out(postgres: PostgresServer) -> None:
    database = postgres.database()
    with closing(open_shared(database)) as store:
        number = collection(store, [document(f"{n}", n) for n in range(3000)])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE softkv.documents")  # into the index
    set_for_all(database, gin_fuzzy_search_limit="5", enable_seqscan="off", enable_indexscan="off")
    with closing(open_shared(database)) as store, store.reading() as reader:
        assert len(reader.search(number).full_text("key", 5000).rows) == 3000
        assert len(reader.search(number).ranks("key")[0]) == 3000

"""The store in PostgreSQL: its schema, its refusals, its log, and its errors without a server."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from softkv_service.storage import inspect_shared, open_shared
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.errors import (
    CollectionMissing,
    DatabaseTooNew,
    DatabaseTooOld,
    DocumentDamaged,
    StorageError,
    StorageFailed,
    StoreClosed,
    StoreRefused,
    StoreUnavailable,
)
from tests.postgres import PostgresServer, running
from tests.service.storage.making import collection, document
from tests.waiting import until


def execute(store: Any, statement: str, *parameters: Any) -> None:
    with store.writing() as writer:
        for part in statement.split("; "):  # PostgreSQL takes one statement with parameters
            writer._connection.execute(part, parameters)


def test_several_processes_create_the_tables_of_a_new_database_once(address: str) -> None:
    opened: list[Any] = []
    threads = [threading.Thread(target=lambda: opened.append(open_shared(address))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    number = collection(opened[0], [document("a")])
    for opened_store in opened:
        with opened_store.reading() as reader:
            assert [one.id for one in reader.page(number)] == ["a"]
        opened_store.close()
        with pytest.raises(StoreClosed), opened_store.reading():
            pass


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        ("UPDATE softkv.state SET schema_version = 99", DatabaseTooNew, "has schema version 99"),
        (
            "ALTER TABLE softkv.state RENAME schema_version TO migrations; UPDATE softkv.state SET migrations = 6",
            DatabaseTooOld,
            "has schema version 6, of a build before the first release",
        ),
    ],
    ids=["later", "unreleased"],
)
def test_tables_of_another_version_are_left_as_they_are(
    address: str, statement: str, kind: type[StorageError], message: str
) -> None:
    with open_shared(address) as store:  # type: ignore[attr-defined]
        execute(store, statement)
        for _ in range(2):
            with pytest.raises(kind, match=message):
                open_shared(address)
        with pytest.raises(kind, match=message):
            inspect_shared(address)


def test_an_invalid_or_unreachable_address_is_refused_without_its_secret(address: str) -> None:
    with pytest.raises(StorageFailed, match="postgresql://user@host"):
        open_shared("postgresql://%%%")
    with pytest.raises(StoreUnavailable) as refused:
        open_shared("postgresql://somebody:a-secret@127.0.0.1:1/nowhere")
    assert "a-secret" not in str(refused.value)
    with pytest.raises(StoreUnavailable) as unknown:
        open_shared("postgresql://somebody:a-secret@no-such-host.invalid/nowhere")
    assert not isinstance(unknown.value, StoreRefused)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:a-sec%ret@host/database",
        "postgresql://user:a-sec/ret@host/database",
        "postgresql://user:a@sec@ret@host/database",
        "postgresql://user:a-sec@ret@host/database",
        "postgresql://user:123/a-sec@ret@host/database",
        "postgresql://user:a@sec?ret@host/database",
        "postgresql://user:a-secret/database",
    ],
)
def test_an_invalid_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(StorageFailed, match="%40 for @") as raised:
        open_shared(address)
    assert not re.search("sec|ret@", str(raised.value))


@pytest.fixture(scope="module")
def strict() -> Iterator[PostgresServer]:
    """Yield a server that asks for passwords."""
    import psycopg

    with running() as server:
        database = server.database()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE ROLE reader LOGIN PASSWORD 'right'")
            connection.execute("CREATE ROLE nobody PASSWORD 'right'")
            connection.execute("CREATE ROLE busy LOGIN PASSWORD 'right' CONNECTION LIMIT 0")
            connection.execute("CREATE DATABASE closed")
            connection.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        server.require_passwords("reader,nobody,busy")
        until(lambda: "no pg_hba.conf entry" in refusal(database))
        yield server


def refusal(address: str) -> str:
    """Return the text of the error with which the store at an address cannot be opened; empty without an error."""
    try:
        open_shared(address).close()
    except StorageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("user", "database", "reason"),
    [
        ("reader:wrong", "postgres", "password authentication failed"),
        ("reader", "postgres", "no password supplied"),
        ("nobody:right", "postgres", "not permitted to log in"),
        ("stranger:right", "postgres", "no pg_hba.conf entry"),
        ("reader:right", "missing", 'database "missing" does not exist'),
        ("reader:right", "closed", "permission denied"),
        ("reader:right", "postgres?sslmode=require", "SSL was required"),
        ("reader:right", "postgres?sslmode=maybe", "invalid sslmode"),
        ("reader:right", "postgres?options=-c%20no_such_setting%3D1", "unrecognized configuration parameter"),
    ],
)
def test_a_refusing_server_differs_from_an_unreachable_one(
    strict: PostgresServer, user: str, database: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with pytest.raises(StoreRefused, match=reason) as raised:
        open_shared(f"postgresql://{user}@127.0.0.1:{strict.port}/{database}")
    assert "refuses softkv" in str(raised.value)
    assert "correct the user, password or database" in str(raised.value)
    assert "right" not in str(raised.value)
    assert "wrong" not in str(raised.value)


def test_a_server_without_a_free_connection_refuses_only_for_now(strict: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable, match="too many connections") as raised:
        open_shared(f"postgresql://busy:right@127.0.0.1:{strict.port}/postgres")
    assert not isinstance(raised.value, StoreRefused)


def test_a_refusal_in_another_language_is_recognised_by_the_requested_password() -> None:
    """PostgreSQL translates its messages, and libpq hands on no code of such an error."""
    import psycopg

    from softkv_postgres.connections import translate_errors

    for used_password, kind in ((True, StoreRefused), (False, StoreUnavailable)):
        connection: Any = SimpleNamespace(used_password=used_password)
        text = "connection failed: FATAL:  Passwort-Authentifizierung fehlgeschlagen"
        error = psycopg.OperationalError(text, pgconn=connection)
        with pytest.raises(StoreUnavailable) as raised, translate_errors("postgresql://host/database"):
            raise error
        assert type(raised.value) is kind


def test_without_psycopg_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("softkv_postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageFailed, match=r"\(.*psycopg.*\): install `softkv\[postgres\]`"):
        open_shared("postgresql://somewhere/else")


def test_texts_longer_than_an_index_takes_and_words_longer_than_full_text_takes(store: Any) -> None:
    long, other = "x" * 9000, "x" * 8999 + "y"
    many = " ".join(chr(0x4E00 + i) for i in range(20_000)) + " " + " ".join(f"{i:06}" for i in range(200_000))
    number = collection(
        store,
        [
            document("a", key=long, metadata={"t": long, long: 1}),
            document("b", key=other, metadata={"t": other}),
            document("c", key=many),
        ],
    )
    with store.reading() as reader:
        for how, value, expected in [("==", other, "b"), ("<", other, "a"), (">", long, "b"), ("in", [long], "a")]:
            for field in ("key", "metadata.t"):
                condition = Comparison(field, how, value)
                assert expected in [document.id for document in reader.page(number, condition=condition)], (field, how)
        assert [document.id for document in reader.page(number, condition=Comparison(f"metadata.{long}", "==", 1))] == [
            "a"
        ]
        assert [row.id for row in reader.search(number).equal(many, 5).rows] == ["c"]
        assert [row.id for row in reader.search(number).full_text("000007", 5).rows] == ["c"]
        assert reader.search(number).full_text(long, 5).rows == []  # told in docs/operate/stores.md of this wall


def test_a_reader_of_a_version_sees_that_one_whatever_is_written(store: Any) -> None:
    number = collection(store, [document("a", 1), document("b", 1)])
    _, first = store.latest(number)
    with store.writing() as writer:
        writer.upsert(number, [document("a", 2), document("c", 2)])
        writer.delete_ids(number, ["b"])
    record, last = store.latest(number)
    assert (record.documents, last) == (2, first + 2)
    for version, expected in [(first, {"a": 1, "b": 1}), (last, {"a": 2, "c": 2})]:
        with store.reading_at(version) as reader:
            assert {document.id: document.metadata["seed"] for document in reader.page(number)} == expected
            assert reader.count(number) == len(expected)
            assert reader.count(number, condition=Comparison("metadata.seed", "==", 1)) == (
                2 if version == first else 0
            )
            assert [row.id for row in reader.search(number).full_text("key", 9).rows] == sorted(expected)
    done = store.changes_since(number, first)
    assert (done.version, done.documents, done.removed.tolist()) == (last, 2, [1, 2])
    assert store.changes_since(number, last) is None


def test_old_changes_are_deleted_and_a_reader_too_far_behind_is_refused(store: Any) -> None:
    number = collection(store, [document(str(i)) for i in range(5)])
    for seed in range(3):
        with store.writing() as writer:
            writer.upsert(number, [document("0", seed)])
    execute(store, "UPDATE softkv.changes SET at = at - interval '1 hour'")
    with store.writing() as writer:
        writer.delete_ids(number, ["1"])
    while store._collect_garbage():
        pass
    with store.reading() as reader:
        rows = reader._all('SELECT "row", died FROM softkv.documents ORDER BY "row"')
        vectors = reader._all("SELECT count(*) FROM softkv.vectors")
        assert len(list(reader.page(number))) == 4
    assert [row for row, died in rows if died is not None] == [2]  # gone a moment ago
    assert vectors == [(len(rows),)]
    assert store.changes_since(number, 0) is None
    assert store.changes_since(number, 4).removed.tolist() == [2]


def test_a_row_that_was_changed_is_not_given_out(store: Any) -> None:
    number = collection(store, [document("a"), document("b")])
    execute(store, "UPDATE softkv.documents SET value = '1' WHERE id = 'a'")
    execute(store, 'UPDATE softkv.vectors SET key_vector = value_vector WHERE "row" = 2')
    with store.reading() as reader:
        for identity in ("a", "b"):
            with pytest.raises(DocumentDamaged):
                reader.document(number, identity)
        assert [error.id for _, error in reader.check_texts(None, 10)[1]] == ["a"]
        damaged: list[DocumentDamaged] = []
        assert [vector.numbers.tolist() for vector in reader.vectors(number, damaged=damaged.append)] == [[1]]
        assert [error.row for error in damaged] == [2]


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_writers_of_one_collection_take_turns_and_versions_have_no_gap(
    postgres: PostgresServer, isolation: str
) -> None:
    """Whatever the isolation is that the database sets."""
    import psycopg

    address = postgres.database()
    with psycopg.connect(address, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")  # type: ignore[arg-type]
    store, other = (open_shared(address) for _ in range(2))
    number = collection(store)

    def write(into: Any, name: str) -> None:
        for i in range(15):
            with into.writing(collection=number) as writer:
                writer.upsert(number, [document(f"{name}{i}", metadata={"seen": writer.count(number)})])

    threads = [threading.Thread(target=write, args=(into, f"{i}-")) for i, into in enumerate([store, other] * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as reader:
        by_row = sorted(reader.page(number, limit=100), key=lambda each: each.row)
    assert [row.metadata["seen"] for row in by_row] == list(range(60))
    assert [row.row for row in by_row] == list(range(1, 61))
    assert store.latest(number)[1] == 60
    store.close()
    other.close()


def test_a_reader_of_a_deleted_collection_learns_that_it_is_missing(store: Any) -> None:
    number = collection(store, [document("a")])
    _, version = store.latest(number)
    with store.reading_at(version) as reader:
        with store.writing() as writer:
            writer.delete_collection("c")
        with pytest.raises(CollectionMissing):
            reader.texts(number, np.array([1]))
    with pytest.raises(CollectionMissing):
        store.latest(number)


def test_a_killed_server_is_unavailable_and_keeps_acknowledged_writes() -> None:
    with running(durable=True) as server:
        store = open_shared(server.database())
        number = collection(store)
        acknowledged: set[str] = set()
        stop = threading.Event()

        def write() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                try:
                    with store.writing(collection=number) as writer:
                        writer.upsert(number, [document(f"{turn:05}")])
                except StoreUnavailable:
                    continue
                acknowledged.add(f"{turn:05}")

        thread = threading.Thread(target=write)
        thread.start()
        for _ in range(3):
            before = len(acknowledged)
            deadline = time.monotonic() + 60
            while len(acknowledged) < before + 20:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            server.kill()
            time.sleep(0.5)
            server.start()
        stop.set()
        thread.join()
        store.close()
        store = open_shared(server.database().rpartition("/")[0] + "/" + store.name.rpartition("/")[2])
        with store.reading() as reader:
            stored_documents = {document.id for document in reader.page(number, limit=10**6)}
            assert acknowledged <= stored_documents
            assert sum(len(vector.numbers) for vector in reader.vectors(number)) == len(stored_documents)
        store.close()

"""Connections of blocking and asynchronous callers, and the collection of a store."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

import softkv
from softkv import Client, Document
from softkv.calls import documents
from softkv.calls.call import Plan
from softkv.integrations import CollectionSource, Connection, async_store_method, collect_pages, sync_store_method


def test_a_connection_is_opened_while_a_thread_is_in_the_middle_of_opening_another():
    """So it can be opened in a process that was forked then, which has no such thread to wait for."""
    opening, done = Event(), Event()

    def open_slowly():
        opening.set()
        assert done.wait(60)
        return Connection("http://one.test")

    slow, other = CollectionSource("c", open_slowly), CollectionSource("c", lambda: Connection("http://other.test"))
    with ThreadPoolExecutor(2) as threads:
        slow_connection = threads.submit(lambda: slow.connection)
        assert opening.wait(60)
        assert threads.submit(lambda: other.connection).result(30).url == "http://other.test"
        done.set()
        assert slow_connection.result() is slow.connection


async def asked(connection):
    return await connection.async_client.info()


def test_a_client_without_a_key_gives_no_key_of_the_environment_to_the_other(service, monkeypatch):
    monkeypatch.setenv("SOFTKV_KEY", "of another service")
    connection = Connection(client=Client(service.url, key=""))
    assert "Authorization" not in connection.async_client._sender.connections.headers


def test_one_async_client_serves_each_event_loop(service):
    connection = Connection(service.url)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        for runner in (first, second, first):
            assert runner.run(asked(connection)).version


def test_the_async_client_has_the_key_and_options_of_the_client(monkeypatch):
    monkeypatch.setenv("SOFTKV_KEY", "of the environment")
    connection = Connection(client=Client("http://127.0.0.1:9", key="own", timeout=3, retries=0))
    made = connection.async_client
    assert made._sender.connections.headers["Authorization"] == "Bearer own"
    assert str(made._sender.connections.url).rstrip("/") == "http://127.0.0.1:9"
    assert (made._sender.options.timeout, made._sender.options.retry_policy.retries) == (3, 0)


def test_a_local_service_is_reached_by_both():
    with Client.local(encoder=None) as client:
        connection = Connection(client=client)
        client.collection("notes").create(similarity="dot")

        async def listed():
            return [item.name async for item in connection.async_client.collections()]

        assert asyncio.run(listed()) == ["notes"]
        assert asyncio.run(listed()) == ["notes"]
        assert client.alive()


def all_ids(source: CollectionSource, /, *, page: int = 2) -> Plan[list[str]]:
    """The ids of all documents."""
    yield from source.info()
    pages = yield from collect_pages(documents.find(source.place, page=page))
    return [document.id for document in pages]


class Shelf:
    def __init__(self, source):
        self._source = source

    ids = sync_store_method(all_ids)
    aids = async_store_method(all_ids)


@pytest.fixture
def client(service):
    with Client(service.url) as client:
        yield client


@pytest.fixture
def source(client):
    source = CollectionSource(
        "integrations-source", lambda: Connection(client=client), {"encoder": None, "similarity": "dot"}
    )
    yield source
    if source._info is not None:
        client.collection("integrations-source").drop()


def test_a_missing_collection_is_created_and_queried_in_both_ways(source):
    shelf = Shelf(source)
    assert shelf.ids() == asyncio.run(shelf.aids()) == []
    assert source.run(source.info()).similarity == "dot"
    rows = [Document(f"n{n}", metadata={"n": n}) for n in range(5)]
    assert asyncio.run(source.run_async(source.write(rows))).upserted == 5
    assert shelf.ids(page=2) == asyncio.run(shelf.aids(page=3)) == ["n0", "n1", "n2", "n3", "n4"]
    assert list(inspect.signature(shelf.ids).parameters) == ["page"]
    assert shelf.ids.__doc__ == "The ids of all documents."


def test_an_existing_collection_is_used_unless_settings_differ(source, client):
    source.run(source.info())
    same = CollectionSource("integrations-source", lambda: Connection(client=client))
    assert same.run(same.info()).encoder is None
    other = CollectionSource("integrations-source", lambda: Connection(client=client), {"similarity": "cosine"})
    with pytest.raises(softkv.Conflict, match="integrations-source"):
        other.run(other.info())


def test_a_large_batch_is_written_in_parts(service_of):
    with Client(service_of(max_body_bytes=300_000).url) as client:
        source = CollectionSource("parts", lambda: Connection(client=client), {"encoder": None})
        rows = [Document(f"l{n}", "x" * 40_000) for n in range(9)]
        written = source.run(source.write(rows, "skip"))
        assert (written.upserted, written.skipped) == (9, [])
        assert sorted(source.run(source.write(rows, "skip")).skipped) == [row.id for row in rows]
        with pytest.raises(softkv.TooLarge, match="document 'one' was refused: the body has"):
            source.run(source.write([Document("one", "x" * 400_000)]))


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"key": "a\0"}, "the key holds a NUL"),
        ({"key": "\ud83d"}, "/key: wanted Unicode text, got a lone surrogate"),
        ({"metadata": {"at": ["\udc00"]}}, "/metadata/at/0: wanted Unicode text, got a lone surrogate"),
        ({"key_vector": [1, 0, 0]}, "key_vector has width 3"),
        ({"metadata": {"n": float("nan")}}, "/metadata/n: wanted JSON, which has no NaN"),
    ],
)
def test_a_refused_batch_names_the_document_and_its_field(source, fields, detail):
    with pytest.raises(softkv.Invalid) as refused:
        source.run(source.write([Document("good", key_vector=[1, 0]), Document("bad", **fields)]))
    assert str(refused.value).startswith(f"document 'bad' was refused: {detail}")
    assert refused.value.errors[0].pointer.startswith("/documents/1/")
    assert source.run(documents.count(source.place)) == 0


def test_a_refused_batch_names_each_of_its_documents(source):
    with pytest.raises(softkv.Invalid) as refused:
        source.run(source.write([Document(id_, "\0") for id_ in ("bad", "worse")]))
    for id_ in ("bad", "worse"):
        assert f"document '{id_}' was refused: the key holds a NUL" in str(refused.value)


def test_made_anew_it_holds_nothing_and_takes_other_vectors(source):
    source.run(source.write([Document("a", key_vector=[1, 0])]))
    source.run(source.recreate())
    source.run(source.write([Document("a", key_vector=[1, 0, 0])]))
    assert source.run(documents.count(source.place)) == 1
    source.run(source.recreate())
    assert source.run(documents.count(source.place)) == 0


def test_settings_that_no_collection_has_are_refused():
    with pytest.raises(softkv.Invalid, match=r"not encoders, metric"):
        CollectionSource("a", lambda: Connection(), {"encoders": None, "metric": "l2"})

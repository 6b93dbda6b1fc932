"""Clients, collections and lists in a pickle, in a copy, and in processes that were started afresh."""

from __future__ import annotations

import asyncio
import copy
import itertools
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cloudpickle
import httpx2
import pytest

from softkv import AsyncClient, AsyncCollection, Client, Collection

IDS = [f"d{n}" for n in range(12)]
SPAWN = multiprocessing.get_context("spawn")
names = (f"pickled-{n}" for n in itertools.count())


def _through(pickling: Any, thing: Any) -> Any:
    return pickling.loads(pickling.dumps(thing))


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": partial(_through, pickle),
    "cloudpickle": partial(_through, cloudpickle),
    "deepcopy": copy.deepcopy,
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def notes(service) -> Iterator[Collection]:
    """A collection of a client that has open connections, and so locks and sockets."""
    with Client(service.url) as client:
        notes = client.collection(next(names))
        notes.create(encoder=None, similarity="dot")
        notes.upsert({"id": id_, "key_vector": [n, 1], "value": n} for n, id_ in enumerate(IDS))
        yield notes
        notes.drop()


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@each_way
def test_a_copy_has_the_address_the_key_and_the_options(way, kind, monkeypatch):
    def facts(client: Client | AsyncClient) -> list[Any]:
        sender = client._sender
        http = sender.connections.http
        limits = http._transport._pool._max_connections
        return [
            str(http.base_url),
            dict(http.headers),
            limits,
            sender.options.timeout,
            sender.options.retry_policy.retries,
        ]

    monkeypatch.setenv("SOFTKV_KEY", "of-this-process")
    original = kind("http://127.0.0.1:9/below", timeout=7.5, retries=4, connections=3)
    expected = facts(original)
    monkeypatch.setenv("SOFTKV_KEY", "another")
    monkeypatch.setenv("SOFTKV_URL", "http://127.0.0.1:8/")
    copied = way(original)
    assert type(copied) is kind
    assert facts(copied) == expected
    assert expected[1]["authorization"] == "Bearer of-this-process"
    assert copied._sender.options.retry_policy.jitter is original._sender.options.retry_policy.jitter
    other = way(original.with_options(timeout=1, retries=0))
    assert facts(other)[3:] == [1, 0]


@each_way
def test_a_copy_connects_anew(way, service, notes):
    with Client(service.url) as client:
        client.info()
        copied, collection = way((client, notes))
        assert copied.info() == client.info()
        assert copied._sender.connections.http is not client._sender.connections.http
        copied.close()
        assert client.alive()
    assert collection.get("d3").value == 3
    assert collection.attend([1.0, 0.0], top_k=1).ids == notes.attend([1.0, 0.0], top_k=1).ids
    together, client = way([notes, Client(service.url)])
    assert together.count() == client.collection(notes.name).count() == len(IDS)


@each_way
def test_a_local_service_and_a_transport_are_refused_with_advice(way, local_client):
    stub = httpx2.MockTransport(lambda _: httpx2.Response(200))
    transported = [Client("http://service", transport=stub), AsyncClient("http://service", transport=stub)]
    for thing in (
        local_client,
        local_client.collection("a"),
        local_client.collections(),
        local_client.with_options(retries=0),
        AsyncClient.local(),
        *transported,
    ):
        with pytest.raises(
            TypeError, match=r"belongs to this process: make a client where you need it, .*Client\(url\)"
        ):
            way(thing)
    assert local_client.alive()


def ask(client: Client, collection: Collection, awaited: AsyncCollection, id_: str) -> list[Any]:
    async def value() -> Any:
        return (await awaited.get(id_)).value

    return [client.alive(), collection.get(id_).value, collection.exists("missing"), asyncio.run(value())]


def test_workers_that_are_spawned_have_connections_of_their_own(service, notes):
    asking = partial(ask, Client(service.url), notes, AsyncClient(service.url).collection(notes.name))
    with SPAWN.Pool(2) as pool:
        assert pool.map(asking, IDS) == [[True, n, False, n] for n in range(len(IDS))]
        assert [document.value for document in pool.map(notes.get, IDS)] == list(range(len(IDS)))

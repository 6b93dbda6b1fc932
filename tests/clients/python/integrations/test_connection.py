"""One connection for blocking and asynchronous callers in any event loop."""

from __future__ import annotations

import asyncio
import gc

import pytest

import softkv
from softkv import AsyncClient, Client
from softkv.integrations import Connection


def test_both_clients_reach_the_service(service):
    connection = Connection(service.url)
    assert connection.url == service.url
    assert asyncio.run(asked(connection)) == connection.client.info()


async def asked(connection):
    return await connection.async_client.info()


def test_each_event_loop_has_a_client_of_its_own(service):
    connection = Connection(service.url)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        for runner in (first, second, first):
            assert runner.run(asked(connection)).version

        async def own():
            return connection.async_client

        assert first.run(own()) is first.run(own())
        assert first.run(own()) is not second.run(own())


def test_a_client_s_key_and_options_are_those_of_the_other_too(monkeypatch):
    monkeypatch.setenv("SOFTKV_KEY", "of the environment")
    connection = Connection(client=Client("http://127.0.0.1:9", key="own", timeout=3, retries=0))

    async def other():
        return connection.async_client

    made = asyncio.run(other())
    assert made._sender.http.headers["Authorization"] == "Bearer own"
    assert str(made._sender.http.base_url).rstrip("/") == "http://127.0.0.1:9"
    assert (made._sender.options.timeout, made._sender.options.retry_policy.retries) == (3, 0)


def test_of_an_awaited_client_follows_one_that_is_waited_for(service):
    async_client = AsyncClient(service.url, key="own")
    connection = Connection(async_client=async_client)
    assert connection.async_client is async_client
    assert connection.client._sender.http.headers["Authorization"] == "Bearer own"
    assert connection.url == service.url


def test_a_local_service_is_reached_by_both():
    with Client.local(encoder=None) as client:
        connection = Connection(client=client)
        client.collection("notes").create(similarity="dot")

        async def listed():
            return [item.name async for item in connection.async_client.collections()]

        assert asyncio.run(listed()) == ["notes"]
        assert asyncio.run(listed()) == ["notes"]
        assert client.alive()


def test_what_is_no_address_is_refused_at_once():
    with pytest.raises(softkv.Invalid, match="not an http address"):
        Connection("nowhere")


def test_what_it_gave_outlives_it(service):
    """A store that only needs the name of its collection opens no connection."""
    client = Connection(service.url).client
    gc.collect()
    assert client.info().version

"""Server-sent events: written as browsers read them, silence broken, ended when the service stops or by a problem."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from fastapi import Request

from softkv_service.api import events
from softkv_service.api.events import Event, Events
from softkv_service.api.problems.errors import QueueFull
from softkv_service.api.shutdown import Shutdown


async def sent(told: AsyncGenerator[Event], draining: Shutdown, body: bytearray | None = None) -> bytes:
    """The body of an answer of events, as it grows in `body`."""
    body = bytearray() if body is None else body

    async def send(message: dict) -> None:
        body.extend(message.get("body", b""))

    app = SimpleNamespace(state=SimpleNamespace(shutdown=draining))
    await Events(told, Request({"type": "http", "app": app}))({"type": "http"}, None, send)
    return bytes(body)


def test_events_are_sent_one_by_one():
    async def told() -> AsyncGenerator[Event]:
        yield Event("step", {"loss": np.float32([0.5, np.nan])})
        yield Event("said", "two\nlines", id="7")

    body = asyncio.run(sent(told(), Shutdown()))
    assert body == b'event: step\ndata: {"loss":[0.5,null]}\n\nevent: said\ndata: "two\\nlines"\nid: 7\n\n'


def test_silence_is_broken_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)
    so_far = bytearray()

    async def told() -> AsyncGenerator[Event]:
        while so_far.count(b"ping") < 3:
            await asyncio.sleep(0.001)
        yield Event("step", 1)

    body = asyncio.run(sent(told(), Shutdown(), so_far))
    assert body.startswith(b": ping\n\n")
    assert body.endswith(b": ping\n\nevent: step\ndata: 1\n\n")


@pytest.mark.parametrize(("stops", "code"), [(True, "stopping"), (False, "queue_full")])
def test_an_error_is_the_last_event(stops: bool, code: str):
    closed = []

    async def told(draining: Shutdown) -> AsyncGenerator[Event]:
        try:
            yield Event("step", 1)
            if not stops:
                raise QueueFull("so many listen: try again")
            draining.begin()
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    async def run() -> bytes:
        draining = Shutdown()
        async with asyncio.timeout(30):
            return await sent(told(draining), draining)

    first, last = asyncio.run(run()).removesuffix(b"\n\n").split(b"\n\n")
    assert first == b"event: step\ndata: 1"
    assert last.startswith(b"event: problem\ndata: ")
    assert orjson.loads(last.partition(b"data: ")[2])["code"] == code
    assert closed


@pytest.mark.parametrize("error", [StopAsyncIteration, QueueFull("too late")])
async def test_a_client_that_hangs_up_during_the_last_event_hears_nothing_more(
    error: type[StopAsyncIteration] | QueueFull,
):
    """Like the end of a generator: the work to cancel ends or fails instead."""
    closed = []

    class Told:
        async def __anext__(self) -> Event:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise error from None
            raise AssertionError("nobody listens any more")

        async def aclose(self) -> None:
            closed.append(True)

    answering = asyncio.ensure_future(sent(Told(), Shutdown()))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert closed

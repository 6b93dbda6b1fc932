"""Listeners: each hears everything, only a slow one is dropped, and their number is limited."""

from __future__ import annotations

import asyncio

import pytest

from softkv_workshop.rooms import ListenersFull, Update
from softkv_workshop.rooms.listeners import Listener, Listeners


async def heard(listener: Listener) -> list[int]:
    """Return the versions of all events until no more come."""
    updates = []
    async with asyncio.timeout(60):
        while (update := await listener.next()) is not None:
            updates.append(update.version)
    return updates


def publish(listeners: Listeners, *versions: int) -> None:
    for version in versions:
        listeners.publish(Update("row", {}, version))


def test_each_hears_all_in_order_and_the_end():
    async def run() -> list[list[int]]:
        listeners = Listeners(3, 10)
        hearing = [asyncio.create_task(heard(listeners.add())) for _ in range(3)]
        await asyncio.sleep(0)
        publish(listeners, 1, 2)
        await asyncio.sleep(0)
        publish(listeners, 3)
        listeners.end()
        assert not listeners
        return await asyncio.gather(*hearing)

    assert asyncio.run(run()) == [[1, 2, 3]] * 3


def test_only_a_slow_listener_is_dropped():
    async def run() -> None:
        listeners = Listeners(2, 4)
        slow, quick = listeners.add(), listeners.add()
        hearing = asyncio.create_task(heard(quick))
        for version in range(5):
            publish(listeners, version)
            await asyncio.sleep(0)
        assert len(listeners) == 1
        assert await heard(slow) == []
        listeners.end()
        assert await hearing == [0, 1, 2, 3, 4]

    asyncio.run(run())


def test_one_too_many_is_refused_until_one_leaves():
    async def run() -> None:
        listeners = Listeners(1, 4)
        first = listeners.add()
        with pytest.raises(ListenersFull, match="1 listen to this room, the most"):
            listeners.check()
        listeners.remove(first)
        listeners.remove(first)
        listeners.add()

    asyncio.run(run())

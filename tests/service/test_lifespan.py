"""In what order a service loads its parts."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from service import lifespan
from service.lifespan import load_keys_first

PATIENCE = 30


def test_others_begin_when_the_keys_are_there():
    happened = []

    async def part(name):
        happened.append(f"{name} begins")
        await asyncio.sleep(0)
        happened.append(f"{name} ends")

    asyncio.run(load_keys_first(*(partial(part, name) for name in ("keys", "encoder"))))
    assert happened == ["keys begins", "keys ends", "encoder begins", "encoder ends"]


def test_others_wait_for_many_keys_no_longer_than_a_while(monkeypatch):
    monkeypatch.setattr(lifespan, "KEYS_FIRST_SECONDS", 0.01)
    begun = asyncio.Event()

    async def keys():
        await asyncio.wait_for(begun.wait(), PATIENCE)  # for ever, if the others waited for the keys

    async def encoder():
        begun.set()

    asyncio.run(load_keys_first(keys, encoder))


def test_others_are_loaded_where_the_keys_cannot_be():
    begun = asyncio.Event()

    async def keys():
        raise RuntimeError("unreadable")

    async def encoder():
        begun.set()

    async def both():
        with pytest.raises(RuntimeError, match="unreadable"):
            await load_keys_first(keys, encoder)
        await asyncio.wait_for(begun.wait(), PATIENCE)

    asyncio.run(both())

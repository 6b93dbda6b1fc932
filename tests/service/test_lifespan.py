"""In what order a service loads its parts."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from service import lifespan
from service.lifespan import load_keys_first
from service.retrieval.collections import MachineCode
from tests.running import RunningService
from tests.waiting import until

PATIENCE = 30


def test_others_begin_when_the_keys_are_there():
    happened = []

    async def part(name):
        happened.append(f"{name} begins")
        await asyncio.sleep(0)
        happened.append(f"{name} ends")

    asyncio.run(load_keys_first(*(partial(part, name) for name in ("keys", "encoder", "machine code"))))
    assert happened == [
        *("keys begins", "keys ends"),
        *("encoder begins", "machine code begins", "encoder ends", "machine code ends"),
    ]


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


def test_a_demo_collection_answers_while_machine_code_is_made(tmp_path, monkeypatch):
    made, made_or_loaded = threading.Event(), MachineCode.load

    def load(self):
        assert made.wait(PATIENCE), "the test never let it be made"
        made_or_loaded(self)

    monkeypatch.setattr(MachineCode, "load", load)
    asking = {"query": "pets that purr", "top_k": 1}
    try:
        with RunningService(data_dir=tmp_path, demo=("library",)) as running, running.client() as client:
            until(lambda: client.post("/v1/collections/library/attend", json=asking).status_code == 200)
            body = client.post("/v1/collections/library/attend", json=asking).json()
            assert body["matches"][0]["id"] == "old-possums-book-of-practical-cats"
            assert body["documents"] == 110
            assert client.get("/readyz").json() == {"status": "loading", "loading": ["machine code"], "failed": []}
            made.set()
            running.wait_until_ready()
    finally:
        made.set()

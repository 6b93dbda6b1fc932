"""The one worker: kinds of work and collections take turns, and none starves behind uploads or a slow encoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from softkv_service.encoding import Encoder, EncodingError
from softkv_service.retrieval.documents import SentDocument, Worker
from softkv_service.scheduling import CALLER
from softkv_service.storage import SQLiteStore, Store
from softkv_service.storage.errors import StorageFailed
from tests.service.retrieval.documents.test_backfill_values import count
from tests.service.retrieval.documents.test_re_encoding import (
    TEXTS,
    Service,
    ended,
    filled,
    folder,
    is_exact,
    models,
    running,
    text,
    write,
)

__all__ = ["folder", "models"]  # fixtures


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with SQLiteStore.open(tmp_path / "data") as opened:
        yield opened


@asynccontextmanager
async def working(service: Service, **options: Any) -> AsyncIterator[None]:
    """Let a worker of its own run in the block."""
    task = asyncio.create_task(Worker(service.catalogue, **options).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def with_values(service: Service, name: str, n: int, encoder: str = "new") -> Any:
    """Return a new collection with n documents whose values wait."""
    await service.catalogue.create(name, {"encoder": encoder})
    collection = service.catalogue.collection(name)
    await write(collection, [SentDocument(f"{i}", text(i), f"value {i} of {name}") for i in range(n)])
    return collection


async def test_collections_take_turns(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models, jobs=False) as service:
        big, few = await with_values(service, "big", 1000), await with_values(service, "few", 10)
        real, seen = Worker._step, list[tuple[int, int]]()

        async def step(self: Worker, *arguments: Any) -> bool:
            more = await real(self, *arguments)
            seen.append((count(big)[0], count(few)[0]))
            return more

        monkeypatch.setattr(Worker, "_step", step)
        await Worker(service.catalogue).finish()
        assert seen[:2] == [(744, 10), (744, 0)]
        assert seen[-1] == (0, 0)


async def test_a_long_move_lets_values_have_their_turns(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models, jobs=False) as service:
        await filled(service, 600)
        await service.jobs.start(service.collection(), "new")
        values = await with_values(service, "values", 600)
        moving = list[bool]()
        real = Worker._step

        async def step(self: Worker, *arguments: Any) -> bool:
            waiting = count(values)[0]
            more = await real(self, *arguments)
            if waiting and not count(values)[0]:
                moving.append(service.last_job().job.active)
            return more

        monkeypatch.setattr(Worker, "_step", step)
        await Worker(service.catalogue).finish()
        assert moving == [True]
        assert service.last_job().job.state == "done"


async def test_steady_uploads_do_not_starve_a_move(store: Store, models: dict[str, Encoder]) -> None:
    async with running(store, models, jobs=False) as service:
        await filled(service, 300)
        loading = service.encoders.find("new")
        queue = None if loading is None else await loading.ready()
        assert queue is not None

        async def upload(caller: int) -> None:
            CALLER.set(f"uploader {caller}")
            for i in range(10**6):
                await queue.encode([f"{text(i)} {caller} {j}" for j in range(64)], "document")

        uploads = [asyncio.create_task(upload(caller)) for caller in range(3)]
        await service.jobs.start(service.collection(), "new")
        try:
            async with working(service, patience_seconds=0.2):
                assert (await ended(service)).job.state == "done"
        finally:
            for task in uploads:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        assert is_exact(await service.attend(text(7)), models["new"], text(7), TEXTS)


async def test_a_slow_encoder_holds_up_no_other(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models, jobs=False) as service:
        await filled(service)
        values = await with_values(service, "values", 10, "old")
        opened, real = Event(), models["new"].encode

        def encode(texts: Any, purpose: Any) -> Any:
            assert opened.wait(60)
            return real(texts, purpose)

        monkeypatch.setattr(models["new"], "encode", encode)
        await service.jobs.start(service.collection(), "new")
        try:
            async with working(service), asyncio.timeout(60):
                while count(values)[0]:
                    await asyncio.sleep(0.01)
                assert service.last_job().job.active
                opened.set()
                assert (await ended(service)).job.state == "done"
        finally:
            opened.set()


async def test_an_error_is_tried_again_and_holds_up_no_other_collection(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models, jobs=False) as service:
        failing = await with_values(service, "failing", 10)
        other = await with_values(service, "other", 10)
        real, errors = models["new"].encode, [EncodingError("the provider is down"), ValueError("an error of the code")]

        def encode(texts: Any, purpose: Any) -> Any:
            if errors and any("failing" in text for text in texts):
                raise errors.pop()
            return real(texts, purpose)

        monkeypatch.setattr(models["new"], "encode", encode)
        await Worker(service.catalogue).finish()
        assert (count(failing)[0], count(other)[0]) == (10, 0)
        async with working(service), asyncio.timeout(60):
            while count(failing)[0]:
                await asyncio.sleep(0.01)
        assert not errors


async def test_an_error_of_the_store_does_not_end_the_worker(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models, jobs=False) as service:
        values = await with_values(service, "values", 10)
        real, errors = Worker._lease, [StorageFailed("the disk is slow")]

        def lease(self: Worker, numbers: Any) -> set[int]:
            if errors:
                raise errors.pop()
            return real(self, numbers)

        monkeypatch.setattr(Worker, "_lease", lease)
        async with working(service, interval_seconds=0.1), asyncio.timeout(60):
            while count(values)[0]:
                await asyncio.sleep(0.01)

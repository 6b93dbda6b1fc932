"""Words that keys lack are made in the background, after a kill as well, and never for a text that is gone."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softkv_service.encoding import DEFAULT_MODEL, Encoder, Encoders, LoadingEncoder, load_encoder
from softkv_service.retrieval.collections import Catalogue, Collection, SharedCatalogue
from softkv_service.retrieval.documents import SentDocument, Split, Worker, upsert
from softkv_service.retrieval.documents.work import Slices
from softkv_service.scheduling import CALLER
from softkv_service.storage import SQLiteStore, Store
from softkv_service.storage.errors import StoreUnavailable
from softkv_service.storage.records import KeptWords
from tests.service.retrieval.documents.test_re_encoding import text

LONG = " ".join(text(i) for i in range(40))


@pytest.fixture(scope="module")
def model() -> Encoder:
    return load_encoder(DEFAULT_MODEL)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with SQLiteStore.open(tmp_path / "data") as opened:
        yield opened


@asynccontextmanager
async def serving(store: Store, model: Encoder) -> AsyncIterator[Catalogue]:
    encoders = Encoders([LoadingEncoder(DEFAULT_MODEL, lambda: model)])
    is_shared = not isinstance(store, SQLiteStore)
    catalogue: Any = SharedCatalogue(store, encoders) if is_shared else Catalogue(store, encoders)  # type: ignore[arg-type]
    await encoders.start()
    await asyncio.to_thread(catalogue.rebuild)
    try:
        yield catalogue
    finally:
        await encoders.close()


async def filled(catalogue: Catalogue, n: int) -> Collection:
    """Return a collection that keeps words since its documents were written: n of one key, and one of several."""
    await catalogue.create("c", {"value_from": "key", "late": False})
    collection = catalogue.collection("c")
    documents = [SentDocument(f"{i:03}", text(i)) for i in range(n)]
    documents.append(SentDocument("long", LONG, split=Split(60, 5)))
    await upsert(collection, documents, [f"/{i}" for i in range(len(documents))])
    catalogue.change("c", {"late": True})
    return collection


def count(collection: Collection) -> KeptWords:
    with collection.store.reading() as reader:
        return reader.count_words(collection.record.id)


def read(collection: Collection) -> dict[str, list[bytes | None]]:
    with collection.store.reading() as reader:
        words = dict[str, list[bytes | None]]()
        for one in reader.page(collection.record.id):
            rows = np.arange(one.row or 0, (one.row or 0) + one.rows)
            kept = reader.words(collection.record.id, rows)
            words[one.id] = [kept.get(row) for row in rows.tolist()]
    return words


async def encode(catalogue: Catalogue, texts: list[str]) -> list[bytes]:
    encoder = catalogue.encoders.default
    queue = None if encoder is None else encoder.words()
    assert queue is not None
    return [words.vectors.tobytes() for words in (await queue.encode(texts, "document")).read_words()]


async def test_they_are_those_of_each_text_and_part(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await filled(catalogue, 70)
        with collection.store.reading() as reader:
            (long,) = reader.page(collection.record.id, ids=["long"])
        keys = 70 + long.n_keys
        assert count(collection) == KeptWords(0, keys)
        await Worker(catalogue).finish()
        assert count(collection) == KeptWords(keys, 0)
        words = read(collection)
        expected = await encode(catalogue, [text(i) for i in range(70)])
        assert [words[f"{i:03}"] for i in range(70)] == [[one] for one in expected]
        assert words["long"] == await encode(catalogue, [LONG[start:end] for start, end in long.parts])


async def test_a_text_that_changes_meanwhile_wins(
    store: Store, model: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(store, model) as catalogue:
        collection = await filled(catalogue, 5)
        real = Slices.encode

        async def change_then_encode(self: Slices, *arguments: Any, **options: Any) -> Any:
            words = await real(self, *arguments, **options)
            await upsert(collection, [SentDocument("001", "another text")], ["/0"])
            await asyncio.to_thread(collection.delete, ids=["002"])
            return words

        monkeypatch.setattr(Slices, "encode", change_then_encode)
        await Worker(catalogue).finish()
        assert read(collection)["001"] == await encode(catalogue, ["another text"])
        assert count(collection).waiting == 0
        assert "002" not in read(collection)
        assert list(store.check()) == []  # type: ignore[attr-defined]


async def test_steady_uploads_do_not_starve_them(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await filled(catalogue, 20)
        encoder = catalogue.encoders.default
        queue = None if encoder is None else encoder.words()
        assert queue is not None

        async def upload(caller: int) -> None:
            CALLER.set(f"uploader {caller}")
            for round_number in range(10_000):
                await queue.encode([f"{text(i)} {caller} {round_number}" for i in range(64)], "document")

        uploads = [asyncio.create_task(upload(caller)) for caller in range(3)]
        try:
            async with asyncio.timeout(60):
                await Worker(catalogue, patience_seconds=0.2).finish()
        finally:
            for task in uploads:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        assert count(collection).waiting == 0


async def test_an_unreachable_store_does_not_end_it(
    store: Store, model: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(store, model) as catalogue:
        collection = await filled(catalogue, 5)
        real, away = Worker._find, iter([True])

        def find(self: Worker) -> Any:
            if next(away, False):
                raise StoreUnavailable("the database restarts")
            return real(self)

        monkeypatch.setattr(Worker, "_find", find)
        running = asyncio.create_task(Worker(catalogue, interval_seconds=0.01).run())
        try:
            async with asyncio.timeout(60):
                while count(collection).waiting:
                    assert not running.done()
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        assert next(away, None) is None


async def test_nothing_is_made_without_the_setting(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await filled(catalogue, 5)
        catalogue.change("c", {"late": False})
        await Worker(catalogue).finish()
        assert count(collection).kept == 0


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from softkv_service.encoding import DEFAULT_MODEL, load_encoder
from softkv_service.retrieval.documents import Worker
from softkv_service.storage import SQLiteStore
from softkv_service.storage.sqlite.writer import Writer
from tests.service.retrieval.documents.test_backfill import serving

directory, method, instant = sys.argv[1:]
batches = 0

def write(self, *arguments, real=getattr(Writer, method)):
    global batches
    real(self, *arguments)
    batches += 1
    if batches == 2:
        kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
        self.after_commit(kill) if instant == "after" else kill()

setattr(Writer, method, write)

async def fill():
    with SQLiteStore.open(Path(directory)) as store:
        async with serving(store, load_encoder(DEFAULT_MODEL)) as catalogue:
            await Worker(catalogue).finish()

asyncio.run(fill())
"""


def fill_until_killed(directory: Path, method: str, instant: str = "after") -> None:
    """Encode what rows lack in a process that kills itself at its second batch.

    Args:
        directory: that of the store.
        method: the method of a writer that stores a batch.
        instant: "within" the transaction of the batch, or "after" it is on disk.
    """
    script = [sys.executable, "-c", KILLED, str(directory), method, instant]
    assert subprocess.run(script, timeout=120, check=False).returncode == -signal.SIGKILL


@pytest.mark.kill
async def test_after_a_kill_the_next_start_goes_on(tmp_path: Path, model: Encoder) -> None:
    data = tmp_path / "data"
    with SQLiteStore.open(data) as store:
        async with serving(store, model) as catalogue:
            await filled(catalogue, 150)
    fill_until_killed(data, "write_words")
    with SQLiteStore.open(data) as store:
        async with serving(store, model) as catalogue:
            collection = catalogue.collection("c")
            assert count(collection).kept == 128
            await Worker(catalogue).finish()
            assert count(collection).waiting == 0
            assert list(store.check()) == []

"""A collection moves to another encoder while callers use it; every answer is of one encoder."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from softkv_service.encoding import Encoder, Encoders, EncodingError, LoadingEncoder, load_encoder
from softkv_service.retrieval import CollectionNotFound
from softkv_service.retrieval.collections import Catalogue, Collection, SharedCatalogue
from softkv_service.retrieval.documents import (
    JobStatus,
    ReEncodings,
    SentDocument,
    Worker,
    patch_document,
    read_last_job,
    update_documents,
    upsert,
)
from softkv_service.retrieval.documents.re_encoding import _Move
from softkv_service.retrieval.documents.work import LOOK_SECONDS
from softkv_service.retrieval.errors import ReEncodingNotFound, ReEncodingOver
from softkv_service.retrieval.queries import attend_collection
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage import SQLiteStore, Store
from softkv_service.storage.errors import ReEncodingActive
from tests.checkpoints import write_static
from tests.waiting import until

WORDS = ("sun", "moon", "river", "stone", "bread", "salt", "paper", "window", "garden", "engine", "letter", "winter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two static models with random vectors, of different widths."""
    folder = tmp_path_factory.mktemp("models")
    for name, width in (("old", 32), ("new", 48)):
        (folder / name).mkdir()
        write_static(folder / name, width)
    return folder


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Encoder]:
    """The two models."""
    made = dict[str, Encoder]()
    for name in ("old", "new"):
        made[name] = load_encoder(str(folder / name))
        made[name].measure()
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with SQLiteStore.open(tmp_path / "data") as opened:
        yield opened


class Service:
    """A catalogue with two encoders, and its jobs."""

    def __init__(self, store: Store, models: dict[str, Encoder], names: tuple[str, ...] = ("old", "new")) -> None:
        def load(name: str) -> Encoder:
            return models[name]

        self.encoders = Encoders([LoadingEncoder(name, lambda name=name: load(name)) for name in names])  # type: ignore[misc]
        shared = not isinstance(store, SQLiteStore)
        self.catalogue: Catalogue = (
            SharedCatalogue(store, self.encoders) if shared else Catalogue(store, self.encoders)  # type: ignore[arg-type]
        )
        self.jobs, self.worker = ReEncodings(self.catalogue), Worker(self.catalogue, grace_seconds=0.2)

    def collection(self) -> Collection:
        return self.catalogue.collection("c")

    def last_job(self, name: str = "c") -> JobStatus:
        with self.catalogue.store.reading() as reader:
            status = read_last_job(name, reader)
        assert status is not None
        return status

    async def attend(self, text: str) -> Any:
        await self.catalogue.refresh()
        (result,) = await attend_collection(
            self.collection(), [text], CollectionQuestion(null=False, top_k=20), ["/query"]
        )
        return result


@asynccontextmanager
async def running(
    store: Store, models: dict[str, Encoder], *, jobs: bool = True, **options: Any
) -> AsyncIterator[Service]:
    service = Service(store, models, **options)
    await service.encoders.start()
    await asyncio.to_thread(service.catalogue.rebuild)
    task = asyncio.create_task(service.worker.run()) if jobs else None
    try:
        yield service
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await service.encoders.close()


async def ended(service: Service, name: str = "c") -> Any:
    async with asyncio.timeout(60):
        while (status := await asyncio.to_thread(service.last_job, name)).job.active:
            await asyncio.sleep(0.01)
    return status


def text(i: int) -> str:
    chosen = random.Random(i)
    return " ".join(chosen.choice(WORDS) for _ in range(4)) + f" {i}"


def sent(*numbers: int, **fields: Any) -> list[SentDocument]:
    return [SentDocument(f"{i:05}", text(i), **fields) for i in numbers]


async def write(collection: Collection, documents: list[SentDocument]) -> None:
    await upsert(collection, documents, [f"/{i}" for i in range(len(documents))])


async def filled(service: Service, n: int = 200, **settings: Any) -> None:
    await service.catalogue.create("c", {"encoder": "old", **settings})
    await write(service.collection(), sent(*range(n)))


def is_exact(result: Any, model: Encoder, query: str, texts: dict[str, str]) -> bool:
    """Return whether every similarity of a result is the one that a model gives."""
    assert result.matches
    (vector,) = model.encode([query], "query").vectors
    keys = model.encode([texts[match.id] for match in result.matches], "document").vectors
    return [match.similarity for match in result.matches] == pytest.approx((keys @ vector).tolist(), abs=1e-5)


FAR = 4 * 10**15  # microseconds: an instant in 2096
TEXTS = {f"{i:05}": text(i) for i in range(2000)}


async def test_a_collection_moves(store: Store, models: dict[str, Encoder]) -> None:
    async with running(store, models) as service:
        await filled(service)
        await write(service.collection(), sent(199, expires=FAR))
        assert is_exact(await service.attend(text(7)), models["old"], text(7), TEXTS)
        before = service.collection()
        status = await service.jobs.start(before, "new")
        job = status.job
        assert (job.state, job.encoder, job.to, status.documents) == ("running", "old", "new", 200)
        status = await ended(service)
        assert (status.job.state, status.documents, status.done) == ("done", 200, 200)
        assert is_exact(await service.attend(text(7)), models["new"], text(7), TEXTS)
        after = service.collection().record
        assert (after.documents, after.settings.encoder, after.settings.dimension) == (200, "new", 48)
        assert after.settings.temperature == models["new"].temperatures["cosine"].value
        with service.collection().reading() as (record, reader):
            (moved,) = reader.page(record.id, ids=["00199"])
        assert (moved.expires, after.first_expiry) == (FAR, FAR)
        assert [record.name for record in service.catalogue.collections()] == ["c"]
        # A call that began before the move reads the old one.
        (result,) = await attend_collection(before, [text(7)], CollectionQuestion(null=False, top_k=20), ["/query"])
        assert is_exact(result, models["old"], text(7), TEXTS)


async def test_a_job_that_its_service_left_is_ended_by_the_next_one(store: Store, models: dict[str, Encoder]) -> None:
    async with running(store, models, jobs=False) as first:
        await filled(first)
        await first.jobs.start(first.collection(), "new")
    async with running(store, models) as second:
        assert (await ended(second)).job.state == "done"
        assert is_exact(await second.attend(text(7)), models["new"], text(7), TEXTS)


async def test_no_answer_mixes_encoders_while_callers_write(store: Store, models: dict[str, Encoder]) -> None:
    """Callers ask while one writes, changes and deletes; afterwards both hold what was written, and only that."""
    async with running(store, models) as service:
        await filled(service)
        texts, stop, seen = dict(TEXTS), False, set[str]()

        async def ask(seed: int) -> None:
            chosen = random.Random(seed)
            while not stop:
                query = text(chosen.randrange(2000))
                result = await service.attend(query)
                (encoder,) = [name for name in models if is_exact(result, models[name], query, texts)]
                seen.add(encoder)

        written, deleted = set(range(200)), set[int]()

        async def change() -> None:
            for i in range(200, 280):
                await write(service.collection(), sent(i))
                written.add(i)
                if i % 3 == 0:
                    await write(service.collection(), sent(i - 130))
                    gone = i - 160
                    await asyncio.to_thread(service.collection().delete, ids=[f"{gone:05}"])
                    deleted.add(gone)
                if i % 10 == 0:
                    await patch_document(service.collection(), f"{i:05}", {"metadata": {"i": i}})
                    await update_documents(service.collection(), {"value": "other"}, ids=[f"{i - 5:05}"])

        askers = [asyncio.create_task(ask(seed)) for seed in range(2)]
        writer = asyncio.create_task(change())
        await asyncio.sleep(0.05)
        await service.jobs.start(service.collection(), "new")
        status = await ended(service)
        assert status.job.state == "done"
        await writer
        stop = True
        await asyncio.gather(*askers)
        assert "new" in seen
        collection = service.collection()
        expected = {f"{i:05}" for i in written - deleted}
        assert collection.ids() == expected
        with collection.reading() as (record, reader):
            stored = reader.documents(record.id, reader.rows_where(record.id))
        keys = models["new"].encode([document.key or "" for document in stored], "document").vectors
        np.testing.assert_allclose(np.concatenate([document.keys for document in stored]), keys, atol=1e-6)


async def move(service: Service, documents: int) -> None:
    """Move a collection of twenty documents, and check how many it has then."""
    await service.jobs.start(service.collection(), "new")
    assert (await ended(service)).job.state == "done"
    await service.catalogue.refresh()
    with service.collection().reading() as (record, _):
        assert record.documents == documents


async def test_writes_go_on_while_the_last_documents_are_encoded(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, rounds = _Move._encode, list[int]()

    async def encode_after_a_write(run: _Move, *arguments: Any, **options: Any) -> Any:
        documents = arguments[2]
        rounds.append(len(documents))
        if len(rounds) < 4:
            # A transaction that held up other writes would never see this one end.
            await write(run._catalogue.collection("c"), [SentDocument(f"new{len(rounds)}", "stone paper", None)])
        return await encode(run, *arguments, **options)

    async with running(store, models) as service:
        await filled(service, 20)
        monkeypatch.setattr(_Move, "_encode", encode_after_a_write)
        await move(service, 23)
    assert rounds == [20, 1, 1, 1]


async def test_a_slow_encoder_holds_up_no_write_and_one_that_is_fast_ends_the_job(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document is written in every round, between the look and the last transaction."""
    finish, tried = _Move._finish, list[bool]()

    def finish_after_a_write(run: _Move, shadow: Collection, ready: Any, encode: Any) -> bool:
        tried.append(encode is not None)
        upserted = SentDocument(f"new{len(tried)}", "garden salt", None)
        asyncio.run_coroutine_threadsafe(write(run._catalogue.collection("c"), [upserted]), loop[0]).result(30)
        return finish(run, shadow, ready, encode)

    loop = list[asyncio.AbstractEventLoop]()
    loop.append(asyncio.get_running_loop())
    async with running(store, models) as service:
        await filled(service, 20)
        monkeypatch.setattr(_Move, "_finish", finish_after_a_write)
        await move(service, 28)
    assert tried == [False] * 7 + [True]


async def test_a_job_is_cancelled(store: Store, models: dict[str, Encoder]) -> None:
    async with running(store, models, jobs=False) as service:
        await filled(service)
        with pytest.raises(ReEncodingNotFound):
            service.jobs.cancel("c")
        await service.jobs.start(service.collection(), "new")
        with pytest.raises(ReEncodingActive):
            await service.jobs.start(service.collection(), "new")
        status = await asyncio.to_thread(service.jobs.cancel, "c")
        assert (status.job.state, status.documents) == ("cancelled", 200)
        with pytest.raises(ReEncodingOver):
            service.jobs.cancel("c")
        assert is_exact(await service.attend(text(7)), models["old"], text(7), TEXTS)
        task = asyncio.create_task(service.worker.run())
        await hidden_gone(service)
        assert (await asyncio.to_thread(service.last_job)).job.state == "cancelled"
        await service.jobs.start(service.collection(), "new")
        assert (await ended(service)).job.state == "done"
        await hidden_gone(service)
        task.cancel()


async def hidden_gone(service: Service) -> None:
    """Wait until nothing is left of shadows and replaced collections."""
    async with asyncio.timeout(60):
        while True:
            with service.catalogue.store.reading() as reader:
                if not reader.list_hidden():
                    return
            service.worker.wake()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("turns", range(5))
def test_a_cancellation_that_comes_as_it_is_woken_ends_it(tmp_path: Path, turns: int) -> None:
    async def scenario(store: SQLiteStore) -> None:
        worker = Worker(Catalogue(store, Encoders([])))
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(2 * LOOK_SECONDS)  # it waits until it is woken
        worker.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=60)
        assert task.cancelled()

    with SQLiteStore.open(tmp_path / "data") as store:
        asyncio.run(scenario(store))


async def test_a_failing_encoder_pauses_it(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models) as service:
        await filled(service)
        real, failing = models["new"].encode, True

        def encode(texts: Any, purpose: Any) -> Any:
            if failing:
                raise EncodingError("the provider is down")
            return real(texts, purpose)

        monkeypatch.setattr(models["new"], "encode", encode)
        await service.jobs.start(service.collection(), "new")
        async with asyncio.timeout(60):
            while (await asyncio.to_thread(service.last_job)).job.reason != "the provider is down":
                await asyncio.sleep(0.01)
        assert (await asyncio.to_thread(service.last_job)).job.state == "paused"
        failing = False
        assert (await ended(service)).job.state == "done"


def begin_at_the_swap(
    service: Service, monkeypatch: pytest.MonkeyPatch, *calls: Callable[[], object]
) -> list[Future[object]]:
    """Let calls begin within the transaction that replaces the collection; it commits when all of them wait for it."""
    threads, begun = ThreadPoolExecutor(len(calls)), list[Future[object]]()
    real, store = service.catalogue.replace_collection, service.catalogue.store

    def replace_collection(*arguments: Any) -> None:
        real(*arguments)
        together = Barrier(len(calls) + 1)

        def call(work: Callable[[], object]) -> object:
            together.wait()
            return work()

        begun.extend(threads.submit(call, work) for work in calls)
        threads.shutdown(wait=False)
        together.wait()
        if not isinstance(store, SQLiteStore):
            until(lambda: count_waiting(store) == len(calls))

    monkeypatch.setattr(service.catalogue, "replace_collection", replace_collection)
    return begun


def count_waiting(store: Store) -> int:
    """Return how many transactions of this database wait for another one."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with store.reading() as reader:
        return int(reader._all(statement)[0][0])  # type: ignore[attr-defined]


async def test_writes_and_aliases_at_the_moment_of_the_swap_are_of_the_new_one(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models) as service:
        await filled(service)
        await service.catalogue.create("other", {"encoder": "old"})
        catalogue, aliases, before = service.catalogue, service.catalogue.aliases, service.collection()
        aliases.put("to", "other", bool)
        aliases.put("away", "c", bool)
        aliases.put("stays", "c", bool)
        loop = asyncio.get_running_loop()
        begun = begin_at_the_swap(
            service,
            monkeypatch,
            lambda: aliases.put("to", "c", bool),
            lambda: aliases.put("away", "other", bool),
            lambda: catalogue.change("c", {"temperature": 0.7}),
            lambda: before.delete(ids=["00000"]),
            lambda: asyncio.run_coroutine_threadsafe(write(before, sent(201)), loop).result(60),
        )
        await service.jobs.start(before, "new")
        assert (await ended(service)).job.state == "done"
        await asyncio.gather(*map(asyncio.wrap_future, begun))
        await catalogue.refresh()
        assert service.collection().ids() == {f"{i:05}" for i in [*range(1, 200), 201]}
        assert service.collection().record.settings.temperature == 0.7
        assert is_exact(await service.attend(text(201)), models["new"], text(201), TEXTS)
        expected = {"away": "other", "stays": "c", "to": "c"}
        with store.reading() as reader:
            assert {record.alias: record.collection for record in reader.aliases()} == expected
        assert {alias: aliases.find(alias, bool) for alias in expected} == expected
        await hidden_gone(service)


async def test_a_collection_that_is_deleted_at_the_moment_of_the_swap_is_gone(
    store: Store, models: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(store, models) as service:
        await filled(service)
        begun = begin_at_the_swap(service, monkeypatch, lambda: service.catalogue.delete("c"))
        await service.jobs.start(service.collection(), "new")
        await asyncio.to_thread(until, lambda: bool(begun))
        await asyncio.gather(*map(asyncio.wrap_future, begun))
        await service.catalogue.refresh()
        with pytest.raises(CollectionNotFound):
            service.collection()
        await hidden_gone(service)
        await filled(service, 10)
        assert is_exact(await service.attend(text(7)), models["old"], text(7), TEXTS)

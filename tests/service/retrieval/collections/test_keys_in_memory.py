"""Collections whose keys leave memory while no call uses them, and come back with the next call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest

from softkv_attention.lookup import Memory, Question, answers
from softkv_service.retrieval import CollectionLoading, CollectionNotFound
from softkv_service.retrieval.collections import Catalogue, Collection
from softkv_service.retrieval.collections import collection as module
from softkv_service.retrieval.collections.keys_in_memory import LoadedCollections
from softkv_service.retrieval.errors import CollectionUnsound
from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import StoreClosed
from softkv_service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord
from softkv_service.storage.sqlite.connections import connect
from tests.service.retrieval.making import ODD, ids, numbered

COLLECTIONS = 200
LIMIT = 20
SETTINGS = CollectionSettings("dot", 0.25, null=0.5)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A store of many collections of three documents each."""
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        for i in range(COLLECTIONS):
            writer.upsert(writer.create_collection(name(i), SETTINGS).id, numbered(i, i + 1, i + 2))
    return tmp_path


@pytest.fixture
def catalogue(directory: Path) -> Iterator[Catalogue]:
    """Its collections, of which some may be in memory."""
    with SQLiteStore.open(directory) as store:
        made = Catalogue(store, None, max_loaded=LIMIT)
        made.rebuild()
        yield made


def name(number: int) -> str:
    return f"agent-{number:03}"


def loaded(catalogue: Catalogue) -> list[str]:
    return [collection.name for collection in catalogue.collections() if collection.loaded]


def ask(collection: Collection) -> tuple[list[str], list[float], list[str]]:
    """The best documents, the weights of all, and the documents that pass a filter."""
    with collection.snapshot() as snapshot:
        local = snapshot.local_view
        assert local is not None
        (answer,) = answers(local, [Question(np.array([0.5, 0.25], np.float32), 0.25, top_k=3)])
        assert snapshot.view.documents == snapshot.reader.count(snapshot.record.id) == snapshot.record.documents
        return snapshot.reader.ids(snapshot.record.id, answer.numbers), answer.weights.tolist(), ids(snapshot, ODD)


def test_a_start_with_many_collections_reads_the_keys_of_none_and_answers_of_all(catalogue: Catalogue) -> None:
    assert catalogue.loading() == catalogue.failures() == loaded(catalogue) == []
    assert ask(catalogue.collection(name(150)))[2] == ["151"]
    assert loaded(catalogue) == [name(150)]
    files = len(os.listdir("/proc/self/fd"))
    for collection in catalogue.collections():
        assert collection.size == collection.keys == 3
        assert len(ask(collection)[1]) == 3
    assert loaded(catalogue) == [name(number) for number in range(COLLECTIONS - LIMIT, COLLECTIONS)]
    assert len(catalogue.loaded) == LIMIT
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_start_with_few_reads_all(directory: Path) -> None:
    with SQLiteStore.open(directory) as store:
        made = Catalogue(store, None, max_loaded=COLLECTIONS)
        assert len(made.loading()) == COLLECTIONS
        with pytest.raises(CollectionLoading):
            ask(made.collection(name(0)))
        made.rebuild()
        assert len(loaded(made)) == COLLECTIONS


def test_a_start_reads_keys_while_there_is_room_and_answers_of_all(directory: Path) -> None:
    with SQLiteStore.open(directory) as store:
        every = Catalogue(store, None, max_loaded=COLLECTIONS)
        every.rebuild()
        size = every.collection(name(0)).memory_bytes or 0
        made = Catalogue(store, None, max_loaded=COLLECTIONS, max_loaded_bytes=LIMIT * size)
        made.rebuild()
        assert made.loading() == made.failures() == []
        assert 0.9 * LIMIT <= len(loaded(made)) <= LIMIT
        for number in range(COLLECTIONS):
            assert made.collection(name(number)).count_keys() == 3
            assert ask(made.collection(name(number))) == ask(every.collection(name(number)))
        assert 0 < len(loaded(made)) <= LIMIT


def test_bytes_that_writes_add_are_counted(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path) as store:
        made = Catalogue(store, None, max_loaded=COLLECTIONS, max_loaded_bytes=30_000)
        for number in range(40):
            collection, _ = asyncio.run(
                made.create(name(number), {"similarity": "dot", "temperature": 0.25, "encoder": None})
            )
            collection.write(numbered(*range(100)))
        sizes = [made.collection(one).memory_bytes or 0 for one in loaded(made)]
        assert 0 < sum(sizes) <= 30_000


def test_a_large_collection_is_read_at_the_start_and_stays(
    catalogue: Catalogue, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNLOADED_DOCUMENTS", 2)
    asked = catalogue.collection(name(7))
    ask(asked)
    assert len(catalogue.loaded) == 0
    assert not asked.unload()
    assert asked.loaded


def test_a_collection_returns_to_memory_unchanged(catalogue: Catalogue) -> None:
    collection = catalogue.collection(name(3))
    catalogue.change(name(3), {"null": 0.75, "temperature": 0.5})
    collection.write([*numbered(90), replace(*numbered(91), keys=np.array([[3, -1]], np.float32))])
    collection.delete(ids=["003"])
    before, record, keys = ask(collection), collection.record, collection.keys
    own = background_of(collection)
    assert own is not None
    with collection.reading() as (_, reader):
        documents = [document.id for document in reader.page(record.id)]
    assert collection.unload()
    assert not collection.loaded
    assert (collection.ready, collection.size, collection.keys) == (True, 4, keys)
    catalogue.change(name(3), {"temperature": 0.75})  # a setting needs no keys
    assert not collection.loaded
    assert ask(collection) == before
    assert background_of(collection) == own
    assert collection.record == replace(record, settings=replace(record.settings, temperature=0.75))
    assert collection.unload()
    collection.write(numbered(92))
    with collection.reading() as (_, reader):
        assert [document.id for document in reader.page(record.id)] == [*documents, "092"]
    ask(collection)
    assert collection.size == 5


def background_of(collection: Collection) -> object:
    with collection.snapshot() as snapshot:
        return snapshot.own()


def test_an_open_snapshot_keeps_its_keys(catalogue: Catalogue) -> None:
    collection = catalogue.collection(name(3))
    with collection.snapshot() as snapshot:
        assert collection.unload()
        collection.write(numbered(90))
        assert snapshot.view.documents == 3
        assert ids(snapshot, ODD) == ["003", "005"]
    assert collection.size == 4


def test_keys_stay_while_a_write_is_under_way(catalogue: Catalogue) -> None:
    collection, store = catalogue.collection(name(3)), catalogue.store
    began, waiting = Barrier(2), Barrier(2)

    def changed(document: DocumentRecord) -> DocumentRecord:
        if document.id == "003":
            began.wait(60)
            waiting.wait(60)
        return replace(document, value="changed")

    writer = Thread(target=lambda: collection.update(changed, ids=["003"]))
    writer.start()
    began.wait(60)
    assert not collection.unload()
    waiting.wait(60)
    writer.join()
    assert collection.unload()
    with store.reading() as reader:
        document = reader.document(collection.record.id, "003")
        assert document is not None
        assert document.value == "changed"


def test_readers_and_writers_see_every_write_while_collections_come_and_go(directory: Path) -> None:
    """Two may be in memory, and eight are written and asked by six threads."""
    with SQLiteStore.open(directory) as store:
        made = Catalogue(store, None, max_loaded=2)
        collections = [made.collection(name(number)) for number in range(8)]

        def write(thread: int) -> None:
            for turn in range(40):
                collection = collections[(turn + 3 * thread) % len(collections)]
                added = numbered(1000 * (thread + 1) + turn)
                collection.write(added)
                assert added[0].id in ask_all(collection), "an acknowledged write was not seen"
                if turn % 3 == 0:
                    assert collection.delete(ids=[added[0].id]) == 1
                    assert added[0].id not in ask_all(collection), "a deleted document was seen"

        def read(thread: int) -> None:
            for turn in range(200):
                ask(collections[(turn * (thread + 1)) % len(collections)])

        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(work, thread) for work in (write, read) for thread in range(3)]
        for call in calls:
            call.result()
        # A collection that was in use when another one came stays until the next call.
        ask(collections[0])
        ask(collections[1])
        assert len(made.loaded) <= 2
        for collection in collections:
            ask(collection)


def ask_all(collection: Collection) -> set[str]:
    """The ids of all documents that have a weight."""
    with collection.snapshot() as snapshot:
        local = snapshot.local_view
        assert local is not None
        assert local.documents == snapshot.reader.count(snapshot.record.id)
        (answer,) = answers(local, [Question(np.array([0.5, 0.25], np.float32), 0.25, top_k=1000)])
        return set(snapshot.reader.ids(snapshot.record.id, answer.numbers))


def test_threads_that_need_the_same_keys_read_them_once(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, together = list[str](), Barrier(4)
    read = module.load_memory

    def noted(record: CollectionRecord, *rest: Any) -> Memory:
        reads.append(record.name)
        return read(record, *rest)

    monkeypatch.setattr(module, "load_memory", noted)

    def question(_: int) -> None:
        together.wait(60)
        ask(catalogue.collection(name(9)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(question, range(4)))
    assert reads == [name(9)]


def test_a_deleted_collection_does_not_come_back(catalogue: Catalogue) -> None:
    unread, asked = catalogue.collection(name(1)), catalogue.collection(name(2))
    ask(asked)
    for collection in (unread, asked):
        catalogue.delete(collection.name)
        with pytest.raises(CollectionNotFound):
            ask(collection)
        with pytest.raises(CollectionNotFound):
            collection.write(numbered(1))
    assert len(catalogue.loaded) == 0
    asyncio.run(catalogue.create(name(1), {"similarity": "dot"}))
    assert catalogue.collection(name(1)).size == 0


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE vectors SET key_vector = zeroblob(8) WHERE document = 4", CollectionUnsound),
        ("DELETE FROM documents WHERE id = '002' AND collection = 2", CollectionLoading),
    ],
    ids=["damaged", "unreadable"],
)
def test_keys_that_cannot_be_read_are_found_though_no_call_reads_them(
    directory: Path, statement: str, error: type[Exception]
) -> None:
    with connect(directory / "softkv.sqlite3") as connection:
        connection.execute(statement)
    with SQLiteStore.open(directory) as store:
        made = Catalogue(store, None, max_loaded=LIMIT)
        made.check_keys()
        assert loaded(made) == []
        for _ in range(2):
            with pytest.raises(error):
                ask(made.collection(name(1)))
        assert [line.partition(":")[0] for line in made.failures()] == ["collection agent-001"]
        ask(made.collection(name(2)))


def test_a_check_of_keys_ends_with_the_store_and_blames_no_collection(directory: Path) -> None:
    with SQLiteStore.open(directory) as store:
        made = Catalogue(store, None, max_loaded=LIMIT)
    made.check_keys()
    assert [line for line in made.failures() if line.startswith("collection")] == []
    with pytest.raises(StoreClosed):
        ask(made.collection(name(1)))
    assert made.collection(name(1)).ready


class Kept:
    """A collection that stays in memory as often as it is told."""

    def __init__(self, stays: int = 0, memory_bytes: int = 0) -> None:
        self.stays, self.unloaded = stays, False
        self.memory_bytes = memory_bytes

    def unload(self) -> bool:
        """Stay, or leave memory."""
        self.stays -= 1
        self.unloaded = self.stays < 0
        return self.unloaded


def test_collections_leave_until_the_others_fit_into_their_bytes() -> None:
    by_use = LoadedCollections(9, max_bytes=100)
    first, second, third = Kept(memory_bytes=60), Kept(memory_bytes=30), Kept(memory_bytes=60)
    for collection in (first, second, second, first):
        by_use.use(collection, collection.memory_bytes)
    assert len(by_use) == 2
    second.memory_bytes = 45  # it has grown
    by_use.use(second, second.memory_bytes)
    assert (first.unloaded, second.unloaded) == (True, False)
    by_use.use(third, third.memory_bytes)
    assert (second.unloaded, third.unloaded) == (True, False)
    by_use.forget(third)
    alone = Kept(memory_bytes=101)
    by_use.use(alone, alone.memory_bytes)
    assert not alone.unloaded, "what a call uses stays"

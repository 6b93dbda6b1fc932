"""Documents that expire: a model of histories of writes, reads, restarts and steps of the clock says what is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Limits, Question, answers
from softkv_service.retrieval.collections import Catalogue, Collection, SharedCatalogue
from softkv_service.retrieval.collections.expiry import NEVER
from softkv_service.retrieval.documents import ExpirySweep
from softkv_service.storage import SQLiteStore
from softkv_service.storage.conditions import ALL, Comparison
from softkv_service.storage.errors import DiskFull, DocumentsExist
from softkv_service.storage.records import DocumentRecord, ExpiryRows
from tests.service.retrieval.making import ids, rows

ODD = Comparison("metadata.odd", "==", True)
IDS = tuple("abcdef")
AFTER = 7


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        return self.now


def document(identity: str, number: int, expires: int | None = None, *, sent: bool = True) -> DocumentRecord:
    keys = np.array([[1 + number % 5, len(identity)]], np.float32) if number % 4 else np.empty((0, 0), np.float32)
    metadata = {"odd": number % 2 == 1, "number": number}
    return DocumentRecord(
        identity, f"word {identity}", number, keys, metadata=metadata, expires=expires, expires_sent=sent
    )


@dataclass
class History:
    """A collection and a model of it: the stored documents by id, expired ones too.

    Attributes:
        opened: opens the catalogue anew, over the same store.
        other: the same collection in another process, or the same again.
    """

    clock: SetClock
    opened: Callable[[], tuple[Catalogue, Catalogue]]
    written: int = 0
    stored: dict[str, DocumentRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.catalogue, self.replica = self.opened()
        fields = {"similarity": "dot", "temperature": 1.0, "expire_after": AFTER}
        asyncio.run(self.catalogue.create("c", fields))

    @property
    def collection(self) -> Any:
        return self.catalogue.collection("c")

    @property
    def alive(self) -> dict[str, DocumentRecord]:
        return {
            identity: kept
            for identity, kept in self.stored.items()
            if kept.expires is None or kept.expires > self.clock.now
        }

    def put(self, identities: list[str], life: int | str | None, mode: Any) -> None:
        chosen, alive = list(dict.fromkeys(identities)), self.alive
        sent = life != "default"
        after = life if sent else AFTER
        expires = None if after is None else self.clock.now + int(after)
        made = []
        for identity in chosen:
            self.written += 1
            made.append(document(identity, self.written, expires if sent else None, sent=sent))
        taken = [identity for identity in chosen if identity in alive]
        if mode == "create" and taken:
            with pytest.raises(DocumentsExist) as refused:
                self.collection.write(made, mode=mode)
            assert list(refused.value.ids) == taken
            return
        change = self.collection.write(made, mode=mode)
        skipped = taken if mode == "skip" else []
        assert list(change.skipped) == skipped
        assert len(change.removed) == (0 if mode == "skip" else len(taken))
        for one in made:
            if one.id not in skipped:
                self.stored[one.id] = replace(one, expires=expires)

    def update(self, life: int | None, condition: Any) -> None:
        expires = None if life is None else self.clock.now + life
        touched = [i for i, kept in self.alive.items() if condition is None or kept.metadata["odd"]]
        selection = {"ids": list(IDS)} if condition is None else {"condition": condition}
        updated = self.collection.update(lambda stored: replace(stored, expires=expires), **selection)
        assert updated == len(touched)
        for identity in touched:
            self.stored[identity] = replace(self.stored[identity], expires=expires)

    def delete(self, identities: list[str], condition: Any) -> None:
        gone = [i for i, kept in self.alive.items() if (kept.metadata["odd"] if condition else i in identities)]
        selection = {"condition": condition} if condition else {"ids": identities}
        assert self.collection.delete(**selection) == len(gone)
        for identity in gone:
            del self.stored[identity]

    def step(self, by: int) -> None:
        self.clock.now += by

    def sweep(self, limit: int) -> None:
        expired = self.stored.keys() - self.alive.keys()
        more = self.collection.delete_expired(limit)
        with self.collection.reading_all() as (record, reader):
            left = set(reader.ids(record.id, reader.rows_where(record.id)))
            firsts = [kept.expires for i, kept in self.stored.items() if i in left and kept.expires is not None]
            assert not firsts or record.first_expiry <= min(firsts)
            assert len(expired) >= limit or record.first_expiry == min(firsts, default=None)
        deleted = self.stored.keys() - left
        assert deleted <= expired
        assert len(deleted) == min(limit, len(expired))
        assert more == (len(deleted) == limit)
        for identity in deleted:
            del self.stored[identity]

    def restart(self) -> None:
        self.close()
        self.catalogue, self.replica = self.opened()

    def compact(self) -> None:
        self.collection.in_memory.compact()

    def unload(self) -> None:
        self.collection.unload()

    @property
    def processes(self) -> list[Catalogue]:
        """Each catalogue once."""
        return list({id(one): one for one in (self.catalogue, self.replica)}.values())

    def close(self) -> None:
        for catalogue in self.processes:
            catalogue.close()
            catalogue.store.close()

    def look(self) -> None:
        """Check the ids that each process answers with."""
        for catalogue in self.processes:
            if isinstance(catalogue, SharedCatalogue):
                catalogue.look()
            with catalogue.collection("c").snapshot() as snapshot:
                number = snapshot.record.id
                assert snapshot.reader.existing(number, IDS).keys() == self.alive.keys()
                assert snapshot.reader.count(number) == len(self.alive)
                keyed = snapshot.reader.ids(number, snapshot.view.numbers())
                assert sorted(keyed) == sorted(i for i, kept in self.alive.items() if len(kept.keys))

    def check(self) -> None:
        """Check every kind of read in each process."""
        for catalogue in self.processes:
            if isinstance(catalogue, SharedCatalogue):
                catalogue.look()
            self.check_questions(catalogue.collection("c"))
            self.check_reads(catalogue.collection("c"))
        assert list(self.catalogue.store.check()) == []

    def check_questions(self, collection: Collection) -> None:
        keyed = {i: kept for i, kept in self.alive.items() if len(kept.keys)}
        with collection.snapshot() as snapshot:
            number = snapshot.record.id
            assert (snapshot.view.n, snapshot.view.documents, snapshot.record.attendable) == (len(keyed),) * 3
            (answer,) = answers(snapshot.view, [Question(np.array([1, 0], np.float32), 1.0, top_k=10)])
            weights = dict(zip(snapshot.reader.ids(number, answer.numbers), answer.weights.tolist(), strict=True))
            exponentials = {i: np.exp(float(kept.keys[0, 0])) for i, kept in keyed.items()}
            expected = {i: value / sum(exponentials.values()) for i, value in exponentials.items()}
            assert weights == pytest.approx(expected)
            odd = sorted(i for i, kept in keyed.items() if kept.metadata["odd"])
            assert ids(snapshot, ODD) == odd
            restricted = snapshot.restrict(ODD)
            mask = restricted.passing(None)
            assert mask is not None
            assert sorted(restricted.reader.ids(number, rows(mask))) == odd
            sample = snapshot.reader.sample(number, 100)
            assert sorted(snapshot.reader.ids(number, sample)) == sorted(keyed)
        assert collection.keys == len(keyed)

    def check_reads(self, collection: Collection) -> None:
        alive = self.alive
        odd = sorted(i for i, kept in alive.items() if kept.metadata["odd"])
        with collection.reading() as (record, reader):
            number = record.id
            counted = collection.visible(record, reader)
            keyless = sum(not len(kept.keys) for kept in alive.values())
            assert (counted.documents, counted.keyless) == (len(alive), keyless)
            assert collection.count_expired(record, reader) == len(self.stored) - len(alive)
            search = reader.search(number)
            assert sorted(row.id for row in search.full_text("word", 10).rows) == sorted(alive)
            assert sorted(row.id for row in search.full_text("word", 10, ODD).rows) == odd
            assert [row.id for row in search.equal("word a", 10).rows] == [i for i in alive if i == "a"]
            keys = [batch.numbers for batch in reader.vectors(number)]
            assert sum(map(len, keys)) == sum(len(kept.keys) for kept in alive.values())


LIVES = [None, -3, 0, 1, 2, 5, 8, 20]
SOME_IDS = st.lists(st.sampled_from(IDS), min_size=1, max_size=4)
EVENTS = st.one_of(
    st.tuples(
        st.just("put"),
        SOME_IDS,
        st.sampled_from([*LIVES, "default"]),
        st.sampled_from(["upsert", "upsert", "create", "skip"]),
    ),
    st.tuples(st.just("update"), st.sampled_from(LIVES), st.sampled_from([None, ODD])),
    st.tuples(st.just("delete"), SOME_IDS, st.sampled_from([None, ODD])),
    st.tuples(st.just("step"), st.sampled_from([1, 1, 2, 5, 30, -1, -4, -30])),
    st.tuples(st.just("sweep"), st.sampled_from([1, 2, 100])),
    st.sampled_from([("restart",), ("compact",), ("unload",)]),
)
HISTORIES = st.lists(EVENTS, min_size=1, max_size=12)


def play(history: History, events: list[tuple[Any, ...]]) -> None:
    try:
        for count, (name, *arguments) in enumerate(events, 1):
            getattr(history, name)(*arguments)
            history.look()
            if count % 20 == 0:
                history.check()
        history.check()
    finally:
        history.close()


def play_in_a_file(events: list[tuple[Any, ...]]) -> None:
    clock = SetClock()

    def opened() -> tuple[Catalogue, Catalogue]:
        limits = Limits(block_rows=4, first_rows=1)
        catalogue = Catalogue(SQLiteStore.open(Path(directory)), None, clock=clock, max_loaded=2, limits=limits)
        catalogue.rebuild()
        return catalogue, catalogue

    with TemporaryDirectory() as directory:
        play(History(clock, opened), events)


@settings(max_examples=15)
@given(HISTORIES)
def test_an_expired_document_is_absent(events):
    play_in_a_file(events)


@pytest.mark.thorough
@settings(max_examples=150)
@given(st.lists(EVENTS, min_size=40, max_size=80))
def test_an_expired_document_is_absent_in_long_histories(events):
    """A long history contains many short ones, and opens its store once for all of them."""
    play_in_a_file(events)


WRITERS, WRITES = 3, 40


def test_writers_readers_and_a_clock_that_goes_on(tmp_path):
    """No reader sees a document that had expired before it asked, and each sees all that live beyond its answer."""
    clock = SetClock()
    with SQLiteStore.open(tmp_path) as store:
        catalogue = Catalogue(store, None, clock=clock)
        collection, _ = asyncio.run(catalogue.create("c", {"similarity": "dot"}))
        acknowledged: dict[str, int] = {}
        writing = threading.Event()

        def write(writer: int) -> None:
            for number in range(WRITES):
                identity, expires = f"{writer}-{number % 9}", clock.now + number % 7
                acknowledged.pop(identity, None)
                collection.write([document(identity, 1, expires)])
                acknowledged[identity] = expires
                clock.now += 1

        def sweep() -> None:
            while not writing.is_set():
                collection.delete_expired(3)

        def read() -> None:
            while not writing.is_set():
                known, began = dict(acknowledged), clock.now
                with collection.snapshot() as snapshot:
                    documents = snapshot.reader.page_of_texts(snapshot.record.id)
                    keys = snapshot.reader.texts(snapshot.record.id, snapshot.view.numbers())
                ended = clock.now
                assert {one.id: one.expires for one in documents} == {one.id: one.expires for one in keys}
                assert all(one.expires is not None and one.expires > began for one in documents)
                seen = {one.id for one in documents}
                for identity, expires in known.items():
                    assert identity in seen or expires <= ended or acknowledged.get(identity) != expires

        with ThreadPoolExecutor(WRITERS + 3) as threads:
            others = [threads.submit(work) for work in (sweep, read, read)]
            for done in [threads.submit(write, writer) for writer in range(WRITERS)]:
                done.result()
            writing.set()
            for done in others:
                done.result()


def test_the_sweep_deletes_expired_documents_of_every_collection(tmp_path):
    clock = SetClock()
    with SQLiteStore.open(tmp_path) as store:
        catalogue = Catalogue(store, None, clock=clock)
        for name in "ab":
            collection, _ = asyncio.run(catalogue.create(name, {"similarity": "dot"}))
            collection.write([document(f"{number}", 1, clock.now + number) for number in range(600)])
        clock.now += 299
        asyncio.run(ExpirySweep(catalogue).sweep())
        with store.reading() as reader:
            assert [(record.documents, record.first_expiry) for record in reader.collections()] == [(300, 1300)] * 2
        assert [collection.size for collection in catalogue.collections()] == [300, 300]


def test_the_sweep_goes_on_after_a_full_disk(tmp_path, monkeypatch):
    clock = SetClock()
    with SQLiteStore.open(tmp_path) as store:
        catalogue = Catalogue(store, None, clock=clock)
        collection, _ = asyncio.run(catalogue.create("c", {"similarity": "dot"}))
        collection.write([document("a", 1, clock.now)])

        def fail(limit: int) -> bool:
            raise DiskFull("the disk is full")

        with monkeypatch.context() as full:
            full.setattr(collection, "delete_expired", fail)
            asyncio.run(ExpirySweep(catalogue).sweep())
        assert store.reading().__enter__().count(collection.record.id) == 1
        asyncio.run(ExpirySweep(catalogue).sweep())
        assert store.reading().__enter__().count(collection.record.id) == 0


def test_nothing_is_added_where_nothing_expires(tmp_path):
    """Neither the clock nor another reader or view is asked for."""

    def clock() -> int:
        raise AssertionError("the clock is read")

    with SQLiteStore.open(tmp_path) as store:
        catalogue = Catalogue(store, None)
        collection, _ = asyncio.run(catalogue.create("c", {"similarity": "dot"}))
        collection.write([document("a", 1)])
        collection.in_memory.clock = clock
        with collection.snapshot() as snapshot:
            assert snapshot.view is collection.in_memory.memory.view
            assert snapshot.reader.visibility == ALL
        with collection.reading():
            pass


def test_many_expirations_are_merged():
    rng, expected, expirations = np.random.default_rng(0), dict[int, int](), NEVER
    for start in range(0, 6000, 40):
        rows = np.arange(start, start + 40)
        instants = rng.integers(0, 1000, 40)
        removed = rng.integers(0, max(start, 1), 25 if start else 0)
        expirations = expirations.after_write(ExpiryRows(rows, instants), removed)
        expected = {row: at for row, at in expected.items() if row not in set(removed.tolist())}
        expected |= dict(zip(rows.tolist(), instants.tolist(), strict=True))
        after, until = np.sort(rng.integers(0, 1000, 2)).tolist()
        found = np.setdiff1d(expirations.between(after, until), expirations.gone)
        assert found.tolist() == sorted(row for row, at in expected.items() if after < at <= until)
        assert len(expirations.rows) + len(expirations.recent_rows) < 2 * len(expected) + 3000

"""Documents that expire: a model of histories of writes, reads, restarts and steps of the clock says what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.lookup import Question, answers
from service.retrieval.collections import AnyCollection, Catalogue, SharedCatalogue
from service.storage import Comparison, DocumentRecord, DocumentsExist, SQLiteStore, open_shared
from tests.postgres import PostgresServer
from tests.service.retrieval.making import ids, rows

ODD = Comparison("metadata.odd", "==", True)
STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
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

    def put(self, identities: str, life: int | str | None, mode: Any) -> None:
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

    def delete(self, identities: str, condition: Any) -> None:
        gone = [i for i, kept in self.alive.items() if (kept.metadata["odd"] if condition else i in identities)]
        selection = {"condition": condition} if condition else {"ids": list(identities)}
        assert self.collection.delete(**selection) == len(gone)
        for identity in gone:
            del self.stored[identity]

    def step(self, by: int) -> None:
        self.clock.now += by

    def sweep(self, limit: int) -> None:
        expired = self.stored.keys() - self.alive.keys()
        more = self.collection.delete_expired(limit)
        with self.collection._reading() as (record, reader):
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
        self.collection._memory.compact()
        self.collection._masks.forget()

    def unload(self) -> None:
        self.collection.unload()

    def close(self) -> None:
        for catalogue in {id(one): one for one in (self.catalogue, self.replica)}.values():
            catalogue.close()
            catalogue.store.close()

    def check(self) -> None:
        for catalogue in (self.catalogue, self.replica):
            if isinstance(catalogue, SharedCatalogue):
                catalogue.look()
            self.check_questions(catalogue.collection("c"))
            self.check_reads(catalogue.collection("c"))
        assert list(self.catalogue.store.check()) == []

    def check_questions(self, collection: AnyCollection) -> None:
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

    def check_reads(self, collection: AnyCollection) -> None:
        alive = self.alive
        odd = sorted(i for i, kept in alive.items() if kept.metadata["odd"])
        with collection.reading() as (record, reader):
            number = record.id
            counted = collection.visible(record, reader)
            keyless = sum(not len(kept.keys) for kept in alive.values())
            assert (counted.documents, counted.keyless) == (len(alive), keyless)
            assert collection.count_expired(record, reader) == len(self.stored) - len(alive)
            assert reader.count(number) == len(alive)
            assert reader.count(number, condition=ODD) == len(odd)
            assert reader.count(number, ids=IDS[:3]) == len(alive.keys() & set(IDS[:3]))
            assert reader.usage(number).documents == len(alive)
            found = reader.page(number)
            assert [(kept.id, kept.value, kept.expires) for kept in found] == [
                (i, alive[i].value, alive[i].expires) for i in sorted(alive)
            ]
            assert [kept.id for kept in reader.page_of_texts(number, condition=ODD)] == odd
            assert [kept.id for kept in reader.page_of_texts(number, ids=IDS)] == sorted(alive)
            assert reader.existing(number, IDS).keys() == alive.keys()
            assert sorted(reader.ids(number, reader.rows_where(number))) == sorted(alive)
            for identity in IDS:
                assert (reader.document(number, identity) is None) == (identity not in alive)
            search = reader.search(number)
            assert sorted(row.id for row in search.full_text("word", 10).rows) == sorted(alive)
            assert sorted(row.id for row in search.full_text("word", 10, ODD).rows) == odd
            assert [row.id for row in search.equal("word a", 10).rows] == [i for i in alive if i == "a"]
            (facts,) = reader.field_facts(number, ["number"], values=10)
            assert {fact.value for fact in facts.values} == {kept.metadata["number"] for kept in alive.values()}
            assert reader.field_names(number, limit=10) == (["number", "odd"] if alive else [])
            assert bool(reader.field_kinds(number, "odd").own) == bool(alive)
            keys = [batch.numbers for batch in reader.vectors(number)]
            assert sum(map(len, keys)) == sum(len(kept.keys) for kept in alive.values())


LIVES = st.sampled_from([None, "default", -3, 0, 1, 2, 5, 8, 20])
SOME_IDS = st.text(IDS, min_size=1, max_size=4)
EVENTS = st.one_of(
    st.tuples(st.just("put"), SOME_IDS, LIVES, st.sampled_from(["upsert", "upsert", "create", "skip"])),
    st.tuples(st.just("update"), LIVES.filter(lambda life: life != "default"), st.sampled_from([None, ODD])),
    st.tuples(st.just("delete"), SOME_IDS, st.sampled_from([None, ODD])),
    st.tuples(st.just("step"), st.sampled_from([1, 1, 2, 5, 30, -1, -4, -30])),
    st.tuples(st.just("sweep"), st.sampled_from([1, 2, 100])),
    st.sampled_from([("restart",), ("compact",), ("unload",)]),
)
HISTORIES = st.lists(EVENTS, min_size=1, max_size=12)


def play(history: History, events: list[tuple[Any, ...]]) -> None:
    try:
        for name, *arguments in events:
            getattr(history, name)(*arguments)
            history.check()
    finally:
        history.close()


def play_in_a_file(events: list[tuple[Any, ...]]) -> None:
    clock = SetClock()

    def opened() -> tuple[Catalogue, Catalogue]:
        catalogue = Catalogue(SQLiteStore.open(Path(directory)), None, clock=clock, max_loaded=2)
        catalogue.rebuild()
        return catalogue, catalogue

    with TemporaryDirectory() as directory:
        play(History(clock, opened), events)


@settings(max_examples=25)
@given(HISTORIES)
def test_an_expired_document_is_absent(events):
    play_in_a_file(events)


@pytest.mark.thorough
@settings(max_examples=10_000)
@given(HISTORIES)
def test_an_expired_document_is_absent_in_many_histories(events):
    play_in_a_file(events)


def play_in_postgres(postgres: PostgresServer, events: list[tuple[Any, ...]]) -> None:
    """Play a history in which one process writes, and another one reads as well."""
    clock, address = SetClock(), postgres.database()

    def opened() -> tuple[Catalogue, Catalogue]:
        both = [SharedCatalogue(open_shared(address), None, clock=clock) for _ in range(2)]
        for catalogue in both:
            for collection in catalogue.collections():
                collection.rebuild()
        return both[0], both[1]

    with open_shared(address) as store, store.writing() as writer:  # type: ignore[attr-defined]
        for record in writer.collections():
            writer.delete_collection(record.name)
    play(History(clock, opened), [event for event in events if event[0] != "unload"])


@pytest.mark.postgres
@settings(max_examples=8)
@given(events=HISTORIES)
def test_an_expired_document_is_absent_in_every_process(postgres, events):
    play_in_postgres(postgres, events)


@pytest.mark.postgres
@pytest.mark.thorough
@settings(max_examples=1_000)
@given(events=HISTORIES)
def test_an_expired_document_is_absent_in_every_process_in_many_histories(postgres, events):
    play_in_postgres(postgres, events)

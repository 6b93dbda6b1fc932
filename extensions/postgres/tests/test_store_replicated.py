"""Two processes' worth of catalogues on one database: each sees at once what the other was acknowledged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from softkv_attention.lookup import Question, answers
from softkv_service.retrieval import CollectionConflict, CollectionLoading, CollectionNotFound, CollectionUnsound
from softkv_service.retrieval.collections import SharedCatalogue
from softkv_service.retrieval.collections import replicated as shared_catalogue
from softkv_service.storage import Writer, open_shared
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import DocumentRecord
from tests.postgres import PostgresServer
from tests.waiting import until

WIDTH = 8


def document(identity: str, seed: int, **fields: Any) -> DocumentRecord:
    key = np.random.default_rng(seed).standard_normal((1, WIDTH)).astype(np.float32)
    return DocumentRecord(identity, None, seed, key, metadata={"seed": seed}, **fields)


@pytest.fixture
def two(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SharedCatalogue, SharedCatalogue]]:
    monkeypatch.setattr(shared_catalogue, "POLL_SECONDS", 1000.0)  # changes are followed only at a query
    address = postgres.database()
    both = SharedCatalogue(open_shared(address), None), SharedCatalogue(open_shared(address), None)
    for catalogue in both:
        catalogue.rebuild()
    yield both
    for catalogue in both:
        catalogue.store.close()


def create(catalogue: SharedCatalogue, name: str = "c") -> Any:
    return asyncio.run(catalogue.create(name, {"similarity": "cosine", "temperature": 0.05}))[0]


def found(collection: Any, seed: int, condition: Comparison | None = None) -> list[tuple[int, Any]]:
    """Return the version and the nearest document's value; check the number of documents."""
    with collection.snapshot() as snapshot:
        query = document("", seed).keys[0]
        mask = None if condition is None else snapshot.mask(condition)
        (answer,) = answers(snapshot.view, [Question(query, 0.0, mask=mask)])
        texts = snapshot.reader.texts(snapshot.record.id, answer.numbers[:1])
        assert snapshot.record.documents == snapshot.view.documents == snapshot.reader.count(snapshot.record.id)
        return [(snapshot.version, texts[0].value if texts else None)]


@pytest.mark.end_to_end
def test_a_write_of_one_process_is_in_the_answers_of_the_other(two: tuple[SharedCatalogue, SharedCatalogue]) -> None:
    one, other = two
    create(one)
    with pytest.raises(CollectionNotFound):
        other.collection("c")
    other.look()
    for turn in range(40):
        writer, asker = (one, other) if turn % 2 else (other, one)
        writer.collection("c").write([document(f"{turn % 7}", turn)])
        assert found(asker.collection("c"), turn) == [(turn + 1, str(turn))]
        condition = Comparison("metadata.seed", "==", turn)
        assert found(asker.collection("c"), turn, condition) == [(turn + 1, str(turn))]
    assert one.collection("c").delete(ids=["1", "2"]) == 2
    with other.collection("c").snapshot() as snapshot:
        assert (snapshot.view.documents, snapshot.record.documents) == (5, 5)
    assert other.collection("c").keys == 5


def test_created_changed_and_deleted_collections_are_seen_by_the_other_process(
    two: tuple[SharedCatalogue, SharedCatalogue],
) -> None:
    one, other = two
    create(one)
    one.collection("c").write([document("a", 1)])
    other.look()
    assert other.collection("c").record.settings.dimension == WIDTH
    one.change("c", {"temperature": 0.5})
    other.look()
    assert other.collection("c").record.settings.temperature == 0.5
    other_collection = other.collection("c")
    one.delete("c")
    with pytest.raises(CollectionNotFound), other_collection.snapshot():
        pass
    create(one)
    with pytest.raises(CollectionNotFound), other_collection.reading():
        pass
    other.look()
    assert found(other.collection("c"), 1) == [(0, None)]
    other.delete("c")
    one.look()
    with pytest.raises(CollectionNotFound):
        one.collection("c")


def test_creating_a_collection_of_the_other_process_confirms_it(two: tuple[SharedCatalogue, SharedCatalogue]) -> None:
    one, other = two
    create(one)
    made, created = asyncio.run(other.create("c", {"similarity": "cosine"}))
    assert (made.record.id, created) == (one.collection("c").record.id, False)
    with pytest.raises(CollectionConflict):
        asyncio.run(other.create("c", {"similarity": "dot"}))


def test_a_damaged_vector_is_not_part_of_an_answer(two: tuple[SharedCatalogue, SharedCatalogue]) -> None:
    one, other = two
    create(one)
    one.collection("c").write([document("a", 1), document("b", 2)])
    with one.store.writing() as writer:
        writer._connection.execute('UPDATE softkv.vectors SET last = 7, first = 3 WHERE "row" = 2')  # type: ignore[attr-defined]
    other.look()
    with pytest.raises(CollectionUnsound), other.collection("c").snapshot():
        pass
    assert "row 2" in " ".join(other.failures())
    one.collection("c").write([document("b", 3)])
    assert found(other.collection("c"), 3) == [(2, "3")]


def test_a_process_too_far_behind_reloads(two: tuple[SharedCatalogue, SharedCatalogue]) -> None:
    one, other = two
    create(one)
    other.look()
    for turn in range(5):
        one.collection("c").write([document(str(turn), turn)])
    with one.store.writing() as writer:
        writer._connection.execute("DELETE FROM softkv.changes WHERE version < 4")  # type: ignore[attr-defined]
    with pytest.raises(CollectionLoading), other.collection("c").snapshot():
        pass
    until(lambda: other.collection("c").ready)
    assert found(other.collection("c"), 2) == [(5, "2")]
    assert other.failures() == []


def test_answers_beside_writers_of_both_are_of_the_version_that_they_name(
    two: tuple[SharedCatalogue, SharedCatalogue],
) -> None:
    """Each write replaces all documents by those of one more turn: an answer has one turn's only."""
    create(two[0])
    two[1].look()
    for service in two:
        service.collection("c").follow()
    two[0].collection("c").write([document(str(i), 0) for i in range(4)])
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask(catalogue: SharedCatalogue) -> None:
        try:
            while not stop.is_set():
                with catalogue.collection("c").snapshot() as snapshot:
                    number = snapshot.record.id
                    (answer,) = answers(snapshot.view, [Question(np.ones(WIDTH, np.float32), 1.0, top_k=4)])
                    documents = snapshot.reader.documents(number, answer.numbers)
                    assert len(documents) == 4
                    assert len({document.value for document in documents}) == 1
                    assert {document.value for document in snapshot.reader.page(number)} == {documents[0].value}
                    assert snapshot.version == documents[0].value + 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(catalogue,)) for catalogue in two]
    for thread in threads:
        thread.start()
    for turn in range(1, 40):
        two[turn % 2].collection("c").write([document(str(i), turn) for i in range(4)])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_field_that_is_read_while_somebody_writes_counts_each_document_once(two):
    one, other = two
    collection, _ = asyncio.run(one.create("c", {"dimension": WIDTH}))
    collection.write([document(f"{i}", i) for i in range(20)])
    with collection.snapshot() as snapshot:
        asyncio.run(other.refresh())
        other.collection("c").write([document("late", 20)])
        assert sum(len(part.present) for part in snapshot.columns("seed", "")) == 20
    with collection.snapshot() as snapshot:
        rows = np.concatenate([part.present for part in snapshot.columns("seed", "")])
        assert len(rows) == len(np.unique(rows)) == 21


def before_publishing(
    monkeypatch: pytest.MonkeyPatch, catalogue: SharedCatalogue, arguments: Callable[[], None]
) -> None:
    """Run a function between the commit of a catalogue's next write and its publication."""
    writing, waiting = catalogue.store.writing, [arguments]

    @contextmanager
    def overtaken(*arguments: Any, **named: Any) -> Iterator[Writer]:
        with writing(*arguments, **named) as writer:
            if waiting:
                writer.after_commit(waiting.pop())
            yield writer

    monkeypatch.setattr(catalogue.store, "writing", overtaken)


def test_a_deletion_that_is_published_late_takes_nothing_away_that_was_created_since(
    two: tuple[SharedCatalogue, SharedCatalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    create(one)
    other.look()

    def create_again() -> None:
        other.look()
        create(other)
        one.look()

    before_publishing(monkeypatch, one, create_again)
    one.delete("c")
    one.look()
    assert one.collection("c").record == other.collection("c").record


def test_a_change_that_is_published_late_hides_none_that_was_made_since(
    two: tuple[SharedCatalogue, SharedCatalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    create(one)
    other.look()

    def change() -> None:
        other.change("c", {"temperature": 0.7})
        one.look()

    before_publishing(monkeypatch, one, change)
    one.change("c", {"temperature": 0.3})
    one.look()
    other.look()
    assert one.collection("c").record.settings.temperature == 0.7
    assert one.collection("c").record == other.collection("c").record

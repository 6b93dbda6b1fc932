"""Values that wait have a state of their own in every store, under the checksum of their row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softkv_service.storage import SQLiteStore, Store, copy_collection
from softkv_service.storage.conditions import Comparison, Visibility
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import CollectionSettings, DocumentRecord

SETTINGS = CollectionSettings("cosine", 1.0, encoder="some", value_from="value")
VECTOR = np.array([0.25, 0.5, 0.125], dtype=np.float32)


def document(identity: str, *, keys: int = 1, waits: bool = True) -> DocumentRecord:
    vector = np.zeros(3, dtype=np.float32) if waits else VECTOR
    key = np.eye(2, dtype=np.float32)[[0] * keys]
    return DocumentRecord(identity, f"key {identity}", f"value {identity}", key, vector, value_waits=waits)


def stored(store: Store, *documents: DocumentRecord) -> int:
    with store.writing() as writer:
        number = writer.create_collection("c", SETTINGS).id
        writer.upsert(number, documents)
    return number


def waiting(store: Store, number: int, visibility: Visibility | None = None) -> tuple[list[int], list[int]]:
    with store.reading() as reader:
        seen = reader if visibility is None else reader.seeing(visibility)
        found = seen.find_waiting_values(number)
    return found.waiting.tolist(), found.failed.tolist()


def fill(store: Store, number: int, **vectors: np.ndarray | None) -> None:
    with store.writing(collection=number) as writer:
        rows = writer.existing(number, list(vectors))
        writer.write_values(number, {rows[identity]: vector for identity, vector in vectors.items()})


def read(store: Store, number: int) -> dict[str, tuple[list[float], bool]]:
    with store.reading() as reader:
        return {one.id: (np.asarray(one.value_vector).tolist(), one.value_waits) for one in reader.page(number)}


def test_a_waiting_value_is_a_state_until_it_is_filled(store: Store) -> None:
    number = stored(store, document("a"), document("b", keys=3), document("c", waits=False))
    with store.reading() as reader:
        assert reader.record(number).settings.value_dimension == 3
        assert reader.collections_with_waiting_values() == [number]
        assert len(reader.find_waiting_values(number, limit=1).waiting) == 1
    assert waiting(store, number) == ([1, 2], [])
    fill(store, number, b=VECTOR, c=2 * VECTOR)
    assert waiting(store, number) == ([1], [])
    zeros = [0.0] * 3
    assert read(store, number) == {
        "a": (zeros, True),
        "b": (VECTOR.tolist(), False),
        "c": (VECTOR.tolist(), False),
    }
    with store.reading() as reader:
        (rows,) = reader.vectors(number)
    assert rows.values is not None
    assert np.array_equal(rows.values, [zeros, VECTOR, VECTOR, VECTOR, VECTOR])


def test_a_refused_value_has_failed_until_it_is_filled(store: Store) -> None:
    number = stored(store, document("a"), document("b"))
    fill(store, number, a=None)
    assert waiting(store, number) == ([2], [1])
    assert read(store, number)["a"] == ([0.0] * 3, True)
    with store.reading() as reader:
        assert reader.find_waiting_values(number, limit=5).waiting.tolist() == [2]
    fill(store, number, a=VECTOR, b=None)
    assert waiting(store, number) == ([], [2])
    with store.reading() as reader:
        assert reader.collections_with_waiting_values() == []
    with store.writing() as writer:  # a new text is a new chance
        writer.upsert(number, [document("b")])
    assert waiting(store, number)[0]


def test_hidden_and_deleted_documents_do_not_wait(store: Store) -> None:
    number = stored(store, document("a"), document("b"), document("c"))
    assert waiting(store, number, Visibility(Comparison("id", "!=", "b"))) == ([1, 3], [])
    with store.writing() as writer:
        writer.delete_ids(number, ["a"])
        writer.write_values(number, {1: VECTOR})
    assert waiting(store, number) == ([2, 3], [])
    with store.writing() as writer:
        writer.delete_collection("c")
    with store.reading() as reader:
        assert reader.collections_with_waiting_values() == []


def test_a_replaced_document_waits_for_nothing(store: Store) -> None:
    """In PostgreSQL its row stays for a while, for readers of earlier versions."""
    number = stored(store, document("a"))
    with store.writing() as writer:
        writer.upsert(number, [document("a", waits=False)])
    with store.reading() as reader:
        assert reader.collections_with_waiting_values() == []
    assert waiting(store, number) == ([], [])


def test_one_process_fills_a_collection(store: Store) -> None:
    number = stored(store, document("a"))
    with store.writing() as writer:
        assert writer.lease(number, "one")
        assert writer.lease(number, "one")


def test_a_lost_state_is_damage(tmp_path: Path) -> None:
    """Without the state, zeros would be taken for a vector."""
    with SQLiteStore.open(tmp_path / "data") as opened:
        number = stored(opened, document("a"), document("b"))
        with opened.writing() as writer:
            writer._connection.execute('UPDATE vectors SET waiting = NULL WHERE "row" = 1')  # type: ignore[attr-defined]
        with opened.reading() as reader, pytest.raises(DocumentDamaged):
            list(reader.vectors(number))
        with opened.reading() as reader, pytest.raises(DocumentDamaged):
            reader.page(number)
        fill(opened, number, a=VECTOR, b=VECTOR)
        with opened.reading() as reader:
            assert reader.page(number, ids=["b"])[0].value_vector.tolist() == VECTOR.tolist()  # type: ignore[union-attr]
            with pytest.raises(DocumentDamaged):
                reader.page(number, ids=["a"])


def test_a_file_of_an_earlier_version_gets_the_column(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path / "data") as opened:
        number = stored(opened, document("a", waits=False))
        path = opened.path
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP INDEX vectors_waiting; ALTER TABLE vectors DROP COLUMN waiting; PRAGMA user_version = 13"
        )
    for _ in range(2):
        with SQLiteStore.open(tmp_path / "data") as opened:
            assert list(opened.check()) == []
            with opened.writing() as writer:
                writer.upsert(number, [document("b")])
            assert read(opened, number)["a"] == (VECTOR.tolist(), False)
            assert len(waiting(opened, number)[0]) == 1


def test_a_copy_waits_as_its_original_does(store: Store, tmp_path: Path) -> None:
    stored(store, document("a"), document("b", waits=False))
    with SQLiteStore.open(tmp_path / "copy") as target, store.reading() as source:
        copy_collection(source, target, "c")
        with target.reading() as reader:
            number = reader.collection("c").id
        assert len(waiting(target, number)[0]) == 1
        assert read(target, number)["b"] == (VECTOR.tolist(), False)


def test_an_expired_value_does_not_wait(store: Store) -> None:
    number = stored(store, replace(document("a"), expires=5), document("b"))
    assert waiting(store, number) == ([1, 2], [])
    assert waiting(store, number, Visibility(instant=6)) == ([2], [])

"""The words of keys in every store: with their key, with its text, and gone with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from softkv_service.storage import SQLiteStore, Store, copy_collection
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import DocumentRecord, KeptWords, TextSpan
from tests.service.storage.making import SETTINGS, document

LATE = replace(SETTINGS, late=True)
TWO_KEYS = document(
    "b",
    key="two parts",
    keys=np.eye(3, dtype=np.float32)[:2],
    parts=(TextSpan(0, 3), TextSpan(4, 9)),
    words=(b"1", b""),
)


def stored(store: Store, *documents: DocumentRecord, name: str = "late") -> int:
    """The number of a new collection that keeps words, with these documents."""
    with store.writing() as writer:
        number = writer.create_collection(name, LATE).id
        writer.upsert(number, documents)
    return number


def read(store: Store, number: int) -> dict[str, list[bytes | None]]:
    """The words of each document's keys, by its id."""
    with store.reading() as reader:
        documents = reader.page(number)
        rows = [range(one.row or 0, (one.row or 0) + one.rows) for one in documents]
        words = reader.words(number, np.array([row for numbers in rows for row in numbers], dtype=np.int64))
        return {one.id: [words.get(row) for row in numbers] for one, numbers in zip(documents, rows, strict=True)}


def count(store: Store, number: int) -> KeptWords:
    with store.reading() as reader:
        return reader.count_words(number)


def test_words_are_read_as_they_were_written(store: Store) -> None:
    keyless = document("c", key=None, keys=np.empty((0, 0), np.float32))
    number = stored(store, document("a", words=(b"one",)), TWO_KEYS, keyless, document("d", seed=4))
    assert read(store, number) == {"a": [b"one"], "b": [b"1", b""], "c": [None], "d": [None]}
    assert count(store, number) == KeptWords(3, 1)
    with store.reading() as reader:
        (row,) = reader.rows_without_words(number, limit=9).tolist()
        assert [one.id for one in reader.documents(number, np.array([row]))] == ["d"]
        assert len(reader.rows_without_words(number, after=row, limit=9)) == 0
    with store.writing() as writer:
        writer.write_words(number, {row: b"later", row + 99: b"nowhere"})
        writer.write_words(number, {row: b"again"})
    assert read(store, number)["d"] == [b"later"]
    assert list(store.check()) == []


def test_a_document_with_the_same_text_keeps_its_words(store: Store) -> None:
    number = stored(store, document("a", words=(b"one",)), TWO_KEYS)
    with store.writing() as writer:
        writer.upsert(number, [document("a", metadata={"new": 1}), replace(TWO_KEYS, words=(), value=3)])
    assert read(store, number) == {"a": [b"one"], "b": [b"1", b""]}
    with store.writing() as writer:
        writer.upsert(number, [document("a", key="another text"), replace(TWO_KEYS, parts=(), words=())])
    assert read(store, number) == {"a": [None], "b": [None, None]}
    with store.writing() as writer:
        writer.upsert(number, [document("a", words=(b"new",))])
    assert read(store, number)["a"] == [b"new"]
    assert list(store.check()) == []


def test_words_go_with_their_document_and_with_the_setting(store: Store) -> None:
    number = stored(store, document("a", words=(b"one",)), TWO_KEYS)
    with store.writing() as writer:
        writer.delete_ids(number, ["a"])
    assert count(store, number) == KeptWords(2, 0)
    with store.writing() as writer:
        settings = writer.record(number).settings
        writer.update_collection("late", replace(settings, late=False))
        writer.write_words(number, {1: b"no"})
        writer.upsert(number, [document("a", words=(b"one",))])
    assert count(store, number).kept == 0
    with store.reading() as reader:
        assert reader.record(number).settings.late is False
    with store.writing() as writer:
        writer.update_collection("late", settings)
    assert count(store, number) == KeptWords(0, 3)


def test_one_process_makes_missing_words(store: Store) -> None:
    number = stored(store, document("a"))
    with store.writing() as writer:
        assert writer.claim_words(number, "one")
        assert writer.claim_words(number, "one")
        plain = writer.create_collection("plain", SETTINGS).id
        assert not writer.claim_words(plain, "one")


def test_words_count_as_bytes(store: Store) -> None:
    number, plain = stored(store, document("a", words=(b"one",)), TWO_KEYS), None
    with store.writing() as writer:
        plain = writer.create_collection("plain", SETTINGS).id
        writer.upsert(plain, [document("a", words=(b"one",)), TWO_KEYS])
    with store.reading() as reader:
        assert reader.usage(number).bytes == reader.usage(plain).bytes + 4
        some = Comparison("id", "==", "a")
        assert reader.usage(number, some).bytes == reader.usage(plain, some).bytes + 3


def test_a_rolled_back_write_keeps_no_words(store: Store) -> None:
    number = stored(store, document("a", words=(b"one",)))
    try:
        with store.writing() as writer:
            writer.upsert(number, [document("a", key="other", words=(b"two",))])
            raise KeyError
    except KeyError:
        pass
    assert read(store, number) == {"a": [b"one"]}


def test_a_copy_has_the_setting_and_its_words_are_to_be_made(store: Store, tmp_path: Path) -> None:
    stored(store, document("a", words=(b"one",)))
    with SQLiteStore.open(tmp_path / "copy") as target, store.reading() as source:
        copy_collection(source, target, "late")
        with target.reading() as reader:
            record = reader.collection("late")
            assert record.settings.late
            assert reader.count_words(record.id) == KeptWords(0, 1)


def test_a_file_of_an_earlier_version_gets_the_table(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path) as opened, opened.writing() as writer:
        number = writer.create_collection("c", SETTINGS).id
        writer.upsert(number, [document("a")])
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        connection.executescript("DROP TABLE words; ALTER TABLE collections DROP COLUMN late; PRAGMA user_version = 11")
    for soon in (True, False):
        with SQLiteStore.open(tmp_path, soon=soon) as opened:
            assert list(opened.check()) == []
            with opened.writing() as writer:
                record = writer.collection("c")
                assert not record.settings.late
                writer.update_collection("c", replace(record.settings, late=True))
                writer.upsert(number, [document("a", words=(b"one",))])
            assert read(opened, number) == {"a": [b"one"]}
            with opened.writing() as writer:
                writer.update_collection("c", replace(record.settings, late=False))

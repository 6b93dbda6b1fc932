"""Feedback in every store: its pages, its limit, its end with the collection, and its way into copies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from softkv_service.storage import ReEncoding, SQLiteStore, Store, compare_collection, copy_collection
from softkv_service.storage.records import FeedbackRecord, JSONText
from tests.service.storage.making import SETTINGS, collection, document


def said(i: int, query: str | None = None, **fields: object) -> FeedbackRecord:
    """Return one of many different records."""
    observed = JSONText('{"first":"a"}') if i % 2 else None
    record = FeedbackRecord(
        JSONText(query or f'"question {i} 猫 \\u0000"'), None if i % 3 else "\U0001d11e", i % 4 < 2, i, observed
    )
    return replace(record, **fields)  # type: ignore[arg-type]


def write(store: Store, number: int, *records: FeedbackRecord, most: int = 100, size: int = 2**20) -> None:
    with store.writing(collection=number) as writer:
        writer.write_feedback(number, records, max_records=most, max_bytes=size)


def read(store: Store, number: int) -> list[FeedbackRecord]:
    with store.reading() as reader:
        return reader.feedback(number, limit=1000)


def test_feedback_is_read_in_pages_as_it_was_written(store: Store) -> None:
    number, other = collection(store), collection(store, name="other")
    records = [said(i) for i in range(10)]
    write(store, number, *records[:4])
    write(store, other, said(99))
    write(store, number, *records[4:])
    write(store, number)
    with store.reading() as reader:
        pages, after = list[FeedbackRecord](), 0
        while page := reader.feedback(number, after=after, limit=3):
            pages += page
            after = page[-1].number or 0
        assert pages == records
        assert (reader.count_feedback(number), reader.count_feedback(other)) == (10, 1)
        assert reader.count_feedback(number, after=pages[6].number or 0) == 3


def test_the_oldest_make_room_for_new_ones_and_their_bytes(store: Store) -> None:
    number, other = collection(store), collection(store, name="other")
    write(store, other, said(99))
    for i in range(7):
        write(store, number, said(i), most=5)
    assert read(store, number) == [said(i) for i in range(2, 7)]
    write(store, number, *(said(i) for i in range(20, 30)), most=5)
    assert read(store, number) == [said(i) for i in range(25, 30)]
    long = [said(i, query=f'"{i}{"猫" * 99}"', document=None, observed=None) for i in range(7)]
    for record in long:
        write(store, number, record, size=1000)
    assert read(store, number) == long[-3:]
    with store.reading() as reader:
        assert reader.feedback_bytes(number) == 3 * 300
    write(store, number, said(8, query=f'"{"x" * 2000}"'), size=1000)
    assert read(store, number) == []
    assert read(store, other) == [said(99)]


def test_some_or_all_are_deleted(store: Store) -> None:
    number, other = collection(store), collection(store, name="other")
    write(store, number, *(said(i) for i in range(5)))
    write(store, other, said(99))
    numbers = [record.number or 0 for record in read(store, number)]
    strange = [record.number or 0 for record in read(store, other)]
    with store.writing() as writer:
        assert writer.delete_feedback(number, [*numbers[:2], *strange, 2**40]) == 2
    assert read(store, number) == [said(i) for i in range(2, 5)]
    with store.writing() as writer:
        assert writer.delete_feedback(number) == 3
        assert writer.delete_feedback(number) == 0
    assert read(store, other) == [said(99)]


def test_feedback_is_deleted_with_its_collection(store: Store) -> None:
    number = collection(store)
    write(store, number, said(1))
    with store.writing() as writer:
        writer.delete_collection("c")
    assert read(store, number) == []


def test_a_collection_that_moves_to_another_encoder_takes_it_along(store: Store) -> None:
    number = collection(store, [document("a")])
    fitting, other = said(1, "[1.0,2.0]"), said(2, "[1.0,2.0,3.0]")
    write(store, number, said(0), fitting, other)
    job = ReEncoding(number, None, "running", None, None, "new", None, None, (), 0.0)
    settings = replace(SETTINGS, dimension=2)
    with store.writing() as writer:
        job = writer.begin_re_encoding(job, settings)
        record = writer.replace_collection(job, settings)
    assert read(store, number) == []
    assert read(store, record.id) == [said(0), fitting]


def test_a_copy_has_it_once(store: Store, tmp_path: Path) -> None:
    number = collection(store, [document("a")])
    write(store, number, *(said(i) for i in range(5)), said(3))
    with SQLiteStore.open(tmp_path / "other") as target, store.reading() as reader:
        for _ in range(2):
            copy_collection(reader, target, "c")
            with target.reading() as copy:
                assert compare_collection(reader, copy, "c").same
                copied = copy.collection("c").id
            assert sorted(read(target, copied), key=lambda record: record.at) == [
                *(said(i) for i in range(4)),
                said(3),
                said(4),
            ]
        with target.writing() as writer:
            writer.delete_feedback(copied, [read(target, copied)[0].number or 0])
        with target.reading() as copy:
            assert compare_collection(reader, copy, "c").settings == ("feedback",)


@pytest.mark.parametrize("column", ["query", "document", "correct", "at", "observed"])
def test_a_damaged_record_is_left_out_and_named(tmp_path: Path, column: str) -> None:
    with SQLiteStore.open(tmp_path / "data") as store:
        number = collection(store)
        write(store, number, said(0), said(1))
    with closing(sqlite3.connect(tmp_path / "data" / "softkv.sqlite3")) as connection:
        values = {"query": "'\"x\"'", "document": "'b'", "correct": "0", "at": "7", "observed": "'{}'"}
        connection.execute(f"UPDATE feedback SET {column} = {values[column]} WHERE id = 1")
        connection.commit()
    with SQLiteStore.open(tmp_path / "data") as store:
        assert read(store, number) == [said(1)]
        assert list(store.check()) == ["record 1 of feedback is not what was written: calibrations leave it out"]

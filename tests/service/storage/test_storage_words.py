"""The words of keys in every store: with their key, with its text, and gone with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softkv_service.storage import SQLiteStore, Store, copy_collection
from softkv_service.storage.checksums import words_checksum
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import DocumentRecord, KeptWords, TextSpan
from softkv_service.storage.sqlite.schema.validation import WHOLE_WORDS_TABLE
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


def older(path: Path, statements: str) -> None:
    """Give a store the table `words` of an earlier version, and its number."""
    with closing(sqlite3.connect(path / "softkv.sqlite3")) as connection:
        connection.executescript(f"DROP TRIGGER delete_words; ALTER TABLE words RENAME TO parts; {statements}")


def test_a_file_of_an_earlier_version_gets_the_table(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path) as opened, opened.writing() as writer:
        number = writer.create_collection("c", SETTINGS).id
        writer.upsert(number, [document("a")])
    older(tmp_path, "DROP TABLE parts; ALTER TABLE collections DROP COLUMN late; PRAGMA user_version = 11")
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


def test_a_file_with_all_words_of_a_key_in_one_row_keeps_them(tmp_path: Path) -> None:
    long = bytes(range(256)) * 100
    with SQLiteStore.open(tmp_path) as opened:
        number = stored(opened, document("a", words=(long,)), TWO_KEYS)
        before = read(opened, number)
    older(
        tmp_path,
        f"DROP TABLE parts; {WHOLE_WORDS_TABLE} PRAGMA user_version = 12",
    )
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        for row, words in enumerate([long, b"1", b""], 1):
            connection.execute("INSERT INTO words VALUES (?, ?, ?)", (row, words, words_checksum(row, words)))
        connection.commit()
    with SQLiteStore.open(tmp_path) as opened:
        assert list(opened.check()) == []
        assert read(opened, number) == before == {"a": [long], "b": [b"1", b""]}
        with opened.writing() as writer:
            writer.delete_ids(number, ["a"])
        assert count(opened, number) == KeptWords(2, 0)


def page_bytes(path: Path) -> int:
    """The bytes of all pages of the words of a store."""
    with closing(sqlite3.connect(path / "softkv.sqlite3")) as connection:
        connection.execute("VACUUM INTO ?", (str(path / "copy"),))
    with closing(sqlite3.connect(path / "copy")) as connection:
        before = (path / "copy").stat().st_size
        connection.executescript("DELETE FROM words; VACUUM")
        return before - (path / "copy").stat().st_size


@pytest.mark.parametrize("longest", [30, 256])
def test_words_fill_their_pages(tmp_path: Path, longest: int) -> None:
    numbers = np.random.default_rng(5)
    lengths = numbers.integers(1, longest, 600).tolist()
    words = {f"{i:04}": numbers.bytes(128 * length) for i, length in enumerate(lengths)}
    path = tmp_path / "data"
    with SQLiteStore.open(path) as opened:
        number = stored(opened)
        documents = [document(name, words=(content,)) for name, content in words.items()]
        start = 0
        for size in (1, 40, 2, 250, 1, 306):
            with opened.writing() as writer:
                writer.upsert(number, documents[start : start + size])
            start += size
        assert read(opened, number) == {name: [content] for name, content in words.items()}
        assert list(opened.check()) == []
    assert page_bytes(path) < 132 * sum(lengths)


def test_words_are_right_in_any_order_and_after_deletions(store: Store) -> None:
    numbers = np.random.default_rng(6)
    number = stored(store)
    expected = dict[str, list[bytes | None]]()
    for turn in range(30):
        names = [f"{int(one)}" for one in numbers.choice(60, 12, replace=False)]
        kept = {name: numbers.bytes(int(numbers.choice([0, 5, 900, 3000, 9000, 70_000]))) for name in names}
        with store.writing() as writer:
            writer.delete_ids(number, names[:3])
            some = names[3:] if turn % 2 else names
            writer.upsert(number, [document(name, key=f"{turn}", words=(kept[name],)) for name in some])
            later = [document(f"later {name}", key=f"{turn}") for name in names[:2]]
            writer.upsert(number, later)
        for name in names[:3]:
            expected.pop(name, None)
        expected |= {name: [kept[name]] for name in some}
        if turn % 5 == 0:
            with store.writing() as writer:
                rows = writer.rows_without_words(number, limit=99).tolist()
                writer.write_words(number, {row: b"x" * 50 * row for row in reversed(rows)})
                writer.write_words(number, dict.fromkeys(rows, b"other"))
    stored_words = read(store, number)
    assert {name: one for name, one in stored_words.items() if not name.startswith("later")} == expected
    assert list(store.check()) == []


def test_damaged_missing_and_unowned_parts_are_named(tmp_path: Path) -> None:
    content = np.random.default_rng(7).bytes(20_000)
    with SQLiteStore.open(tmp_path) as opened:
        number = stored(opened, document("a", words=(content,)), document("b", words=(b"short",)))
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        assert connection.execute('SELECT count(*) FROM words WHERE "row" = 1').fetchone() > (2,)
        connection.execute("DELETE FROM words WHERE id = (SELECT max(id) FROM words WHERE id < 512)")
        connection.execute("INSERT INTO words (id, words, checksum) VALUES (9 << 8, x'00', 1)")
        connection.commit()
    with SQLiteStore.open(tmp_path) as opened:
        assert read(opened, number) == {"a": [None], "b": [b"short"]}
        assert list(opened.check()) == [
            "the words of key 1 are not what was written: questions encode them again",
            "the words of key 9 are not what was written: questions encode them again",
            "the words of key 9 are kept, and there is no such key",
        ]

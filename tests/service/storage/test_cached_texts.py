"""Texts that were read are kept by their row number, up to a number of bytes, and a reader of them never waits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.cached_texts import CachedReader, CachedTexts
from softkv_service.storage.errors import NotInMemory
from softkv_service.storage.records import CollectionSettings, DocumentRecord, JSONText, StoredDocument


def document(row: int, text: str = "short") -> StoredDocument:
    return StoredDocument(row, f"d{row}", text, JSONText('"value"'), JSONText("{}"), 1)


def test_only_missing_documents_are_read_and_the_order_is_kept() -> None:
    cache, read = CachedTexts(), list[list[int]]()

    def from_store(rows: list[int]) -> Sequence[StoredDocument]:
        read.append(rows)
        return [document(row) for row in rows]

    assert [text.row for text in cache.texts(np.array([3, 1]), from_store)] == [3, 1]
    assert [text.row for text in cache.texts(np.array([1, 2, 3]), from_store)] == [1, 2, 3]
    assert read == [[3, 1], [2]]


def test_the_documents_that_were_used_longest_ago_leave_first() -> None:
    cache = CachedTexts(max_bytes=64_000)
    cache.add(map(document, range(50)))
    cache.get([0])
    cache.add(map(document, range(50, 120)))
    assert 0 in cache.get([0])
    assert not cache.get([1])
    assert 20 < len(cache.get(range(120))) < 120


def test_a_document_that_would_fill_the_cache_is_not_kept() -> None:
    cache = CachedTexts(max_bytes=64_000)
    cache.add([document(1, "x" * 2_000), document(2)])
    assert list(cache.get([1, 2])) == [2]


def test_a_reader_of_the_cache_refuses_all_else() -> None:
    cache = CachedTexts()
    cache.add([document(1)])
    reader = CachedReader(cache, "gathered")
    assert reader.gathered == "gathered"
    assert reader.ids(1, np.array([1])) == ["d1"]
    with pytest.raises(NotInMemory):
        reader.texts(1, np.array([1, 2]))
    with pytest.raises(NotInMemory):
        reader.rows_where(1)


@pytest.fixture
def store(tmp_path):
    with SQLiteStore.open(tmp_path) as opened:
        yield opened


def write(store: SQLiteStore, collection: int, value: str) -> int:
    """Write the document `a`, and return its row number."""
    with store.writing() as writer:
        writer.upsert(collection, [DocumentRecord("a", "key", value, np.ones((1, 2), np.float32))])
    with store.reading() as reader:
        return reader.existing(collection, ["a"])["a"]


def test_a_document_that_was_written_again_is_read_again(store: SQLiteStore) -> None:
    with store.writing() as writer:
        number = writer.create_collection("c", CollectionSettings("dot", 1.0)).id
    for value in ("first", "second"):
        row = write(store, number, value)
        with store.reading() as reader:
            assert [text.value for text in reader.texts(number, np.array([row]))] == [f'"{value}"']
        cached = store.memory_reader(lambda: None)
        assert cached is not None
        assert [text.value for text in cached.texts(number, np.array([row]))] == [f'"{value}"']


def test_texts_of_a_write_that_is_rolled_back_are_not_kept(store: SQLiteStore) -> None:
    with store.writing() as writer:
        number = writer.create_collection("c", CollectionSettings("dot", 1.0)).id

    def write_and_fail() -> int:
        with suppress(KeyError), store.writing() as writer:
            writer.upsert(number, [DocumentRecord("a", "key", "undone", np.ones((1, 2), np.float32))])
            row = writer.existing(number, ["a"])["a"]
            assert [text.value for text in writer.texts(number, np.array([row]))] == ['"undone"']
            raise KeyError
        return row

    row = write_and_fail()
    assert write(store, number, "kept") == row  # the number is given again
    with store.reading() as reader:
        assert [text.value for text in reader.texts(number, np.array([row]))] == ['"kept"']


def test_no_state_is_taken_while_a_write_becomes_visible(store: SQLiteStore) -> None:
    showing, shown = threading.Event(), threading.Event()

    def show() -> None:
        showing.set()
        shown.wait(60)

    def write_slowly() -> None:
        with store.writing() as writer:
            writer.after_commit(show)

    thread = threading.Thread(target=write_slowly)
    thread.start()
    showing.wait(60)
    assert store.memory_reader(lambda: pytest.fail("the state is half shown")) is None
    shown.set()
    thread.join()
    assert store.memory_reader(lambda: None) is not None

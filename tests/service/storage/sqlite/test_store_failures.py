"""A full disk: the write is refused, nothing is lost, reads go on, and so does writing once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.storage import SQLiteStore
from service.storage.errors import DiskFull
from tests.service.storage.making import collection, document


def fill(store: SQLiteStore, number: int) -> int:
    """Write until the disk is full; return the number of acknowledged writes."""
    for turn in range(1000):
        try:
            with store.writing() as writer:
                writer.upsert(number, [document(f"{turn:04} {i}", turn, value="x" * 9000) for i in range(5)])
        except DiskFull:
            return turn
    raise AssertionError("the disk was not that large")


def seeds(store: SQLiteStore, number: int) -> list[int]:
    with store.reading() as reader:
        return [document.metadata["seed"] for document in reader.page(number, limit=10**6)]


def test_no_page_left(store: SQLiteStore) -> None:
    number = collection(store)
    store._connection.execute("PRAGMA max_page_count = 120")
    written = fill(store, number)
    assert written > 0
    assert seeds(store, number) == [turn for turn in range(written) for _ in range(5)]
    store._connection.execute("PRAGMA max_page_count = 1000")
    with store.writing() as writer:
        writer.upsert(number, [document("more", written, value="x" * 9000)])
    assert len(seeds(store, number)) == 5 * written + 1
    assert list(store.check()) == []


def test_no_room_on_the_disk(small_disk: Path) -> None:
    with SQLiteStore.open(small_disk / "data") as store:
        number = collection(store)
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"\0" * 700_000)
        written = fill(store, number)
        assert written > 0
        expected = [turn for turn in range(written) for _ in range(5)]
        assert seeds(store, number) == expected
        with pytest.raises(DiskFull), store.writing() as writer:
            writer.upsert(number, [document("more", value="x" * 900_000)])
        assert seeds(store, number) == expected
    with SQLiteStore.open(small_disk / "data") as store:
        assert seeds(store, number) == expected
        ballast.unlink()
        with store.writing() as writer:
            writer.upsert(number, [document("more", written)])
        assert seeds(store, number) == [*expected, written]
        assert list(store.check()) == []

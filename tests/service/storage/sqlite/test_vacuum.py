"""Deletion returns space to the disk; a full disk keeps room to delete, and to write again after that."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.directory import Ballast
from softkv_service.storage.errors import DiskFull
from tests.service.storage.making import SETTINGS, collection, document
from tests.waiting import until

LARGE = "x" * 9000


large_disk = pytest.mark.parametrize("small_disk", [64], indirect=True)


def fill(path: Path) -> None:
    """Take all that is left of a disk, as another program would."""
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def batch(first: int, count: int = 20) -> list[str]:
    return [f"{number:06}" for number in range(first, first + count)]


def write(store: SQLiteStore, number: int, ids: list[str]) -> None:
    with store.writing() as writer:
        writer.upsert(number, [document(identity, value=LARGE) for identity in ids])


def stored(store: SQLiteStore, number: int) -> list[str]:
    with store.reading() as reader:
        return [document.id for document in reader.page(number, limit=10**6)]


def used(store: SQLiteStore) -> int:
    """Bytes of the file and its log."""
    return sum(path.stat().st_size for path in store.path.parent.glob("softkv.sqlite3*") if path.suffix != "-shm")


@pytest.mark.thorough
@large_disk
def test_on_a_full_disk_deleting_makes_room_to_write(small_disk: Path) -> None:
    with SQLiteStore.open(small_disk / "data", ballast_bytes=16 << 20) as store:
        number, first = collection(store), 0
        with suppress(DiskFull):
            for first in range(0, 10_000, 20):
                write(store, number, batch(first))
        fill(small_disk / "other")
        assert store.full
        with pytest.raises(DiskFull):
            write(store, number, batch(first))
        before = stored(store, number)
        assert before == batch(0, first)
        # Again and again: what one deletion took for its log, the next one has.
        starts = range(0, first // 2, 20)
        for start in starts:
            with store.writing(deletes=True) as writer:
                assert len(writer.delete_ids(number, batch(start))) == 20
            fill(small_disk / "other")
        assert not store.full
        left = stored(store, number)
        assert left == before[20 * len(starts) :]
        (small_disk / "other").unlink()
        write(store, number, ["more"])
        assert stored(store, number) == [*left, "more"]
        assert list(store.check()) == []


@large_disk
def test_a_full_disk_at_the_start_does_not_close_the_way_out(small_disk: Path) -> None:
    with SQLiteStore.open(small_disk / "data", ballast_bytes=16 << 20) as store:
        number = collection(store)
        write(store, number, batch(0, 400))
    fill(small_disk / "other")
    with SQLiteStore.open(small_disk / "data", ballast_bytes=16 << 20) as store:
        with pytest.raises(DiskFull):
            write(store, number, batch(1000))
        with store.writing(deletes=True) as writer:
            writer.delete_collection("c")
        with store.writing() as writer:
            writer.create_collection("d", SETTINGS)
        assert used(store) < 1 << 21  # of some 7 million


@large_disk
def test_a_deletion_that_is_too_large_for_the_room_changes_nothing_and_a_smaller_one_can_be_done(
    small_disk: Path,
) -> None:
    with SQLiteStore.open(small_disk / "data", ballast_bytes=1 << 20) as store:
        number = collection(store)
        for first in range(0, 4000, 20):
            write(store, number, batch(first))
        fill(small_disk / "other")
        with pytest.raises(DiskFull), store.writing(deletes=True) as writer:
            writer.delete_collection("c")
        assert stored(store, number) == batch(0, 4000)
        with store.writing(deletes=True) as writer:
            writer.delete_ids(number, ["000000"])
        assert stored(store, number) == batch(1, 3999)


def test_the_room_is_kept_once_and_no_larger_than_the_disk_can_bear(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    ballast = Ballast(path, 1 << 20)
    ballast.reserve()
    assert (path.stat().st_size, path.stat().st_blocks * 512) == (1 << 20, 1 << 20)
    ballast.reserve()
    ballast.release()
    assert not ballast.reserved
    empty_ballast = Ballast(path, 0)
    empty_ballast.reserve()
    assert not empty_ballast.reserved
    assert not path.exists()


@large_disk
def test_the_ballast_takes_a_small_part_of_a_small_disk(small_disk: Path) -> None:
    ballast = Ballast(small_disk / "ballast", 1 << 30)
    ballast.reserve()
    assert (small_disk / "ballast").stat().st_size == 1 << 24


def test_deleted_space_returns_to_the_disk_during_other_writes(store: SQLiteStore) -> None:
    number, other_number = collection(store), collection(store, name="kept")
    write(store, number, batch(0, 1000))
    full = used(store)
    assert full > 9_000_000
    written, stop = 0, threading.Event()

    def others() -> None:
        nonlocal written
        while not stop.is_set():
            write(store, other_number, [f"{written % 10}"])
            written += 1
            time.sleep(0.001)

    writing = threading.Thread(target=others)
    writing.start()
    try:
        with store.writing(deletes=True) as writer:
            writer.delete_collection("c")
        until(lambda: used(store) <= full / 2, told=lambda: used(store))
    finally:
        stop.set()
        writing.join()
    assert stored(store, other_number) == sorted(map(str, range(min(written, 10))))
    assert list(store.check()) == []


def test_a_few_free_pages_stay_for_the_next_writes(store: SQLiteStore) -> None:
    number = collection(store)
    write(store, number, batch(0, 200))
    with closing(sqlite3.connect(store.path)) as other:
        pages = other.execute("PRAGMA page_count").fetchone()
        with store.writing(deletes=True) as writer:
            writer.delete_ids(number, batch(0, 200))
        time.sleep(0.1)
        assert other.execute("PRAGMA page_count").fetchone() == pages

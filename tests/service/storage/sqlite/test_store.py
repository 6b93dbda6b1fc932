"""One writer, many readers, each of one instant; and a full disk, which refuses a write and loses nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import DiskFull, StorageFailed, StoreClosed
from tests.service.storage.making import SETTINGS, collection, document


def test_no_reader_begins_between_a_commit_and_its_callbacks(store: SQLiteStore) -> None:
    number = collection(store)
    view = 0

    def read() -> tuple[int, int]:
        with store.reading(gather=lambda: view) as reader:
            return reader.gathered, reader.count(number)

    with ThreadPoolExecutor(1) as pool:
        readers = []

        def publish() -> None:
            nonlocal view
            readers.append(pool.submit(read))
            time.sleep(0.05)
            view = 1

        with store.writing() as writer:
            writer.upsert(number, [document("a")])
            writer.after_commit(publish)
        assert readers[0].result() == (1, 1)


def test_no_commit_falls_between_a_snapshot_and_its_memory(store: SQLiteStore) -> None:
    number = collection(store)
    view = 0

    def write() -> None:
        with store.writing() as writer:
            writer.upsert(number, [document("a")])
            writer.after_commit(publish)

    def publish() -> None:
        nonlocal view
        view = 1

    with ThreadPoolExecutor(1) as pool:

        def gather() -> int:
            pool.submit(write)
            time.sleep(0.05)
            return view

        with store.reading(gather=gather) as reader:
            assert (reader.gathered, reader.count(number)) == (0, 0)
    with store.reading(gather=lambda: view) as reader:
        assert (reader.gathered, reader.count(number)) == (1, 1)


def test_a_reader_keeps_its_state_while_others_write(store: SQLiteStore) -> None:
    number = collection(store, [document("a", 1)])
    with store.reading() as before:
        with store.writing() as writer:
            writer.upsert(number, [document("a", 2), document("b", 2)])
            with store.reading() as meanwhile:
                assert meanwhile.count(number) == 1
        assert [document.value["seed"] for document in before.page(number)] == [1]
        with store.reading() as after:
            assert [document.value["seed"] for document in after.page(number)] == [2, 2]


def test_callbacks_run_after_a_commit_only_and_all_of_them(store: SQLiteStore) -> None:
    number = collection(store)
    called: list[str] = []

    def fail_within() -> None:
        with store.writing() as writer:
            writer.after_commit(lambda: called.append("never"))
            raise InterruptedError

    def fail_after() -> None:
        with store.writing() as writer:
            writer.upsert(number, [document("a")])
            writer.after_commit(lambda: 1 / 0)
            writer.after_commit(lambda: called.append("second"))

    with pytest.raises(InterruptedError):
        fail_within()
    with pytest.raises(ZeroDivisionError):
        fail_after()
    assert called == ["second"]
    with store.reading() as reader:
        assert reader.count(number) == 1


def test_a_gather_that_fails_leaves_the_store_usable(store: SQLiteStore) -> None:
    number = collection(store)
    with pytest.raises(ZeroDivisionError), store.reading(gather=lambda: 1 / 0):
        pass
    with store.reading(gather=lambda: "view") as reader:
        assert (reader.gathered, reader.count(number)) == ("view", 0)


def test_a_writing_thread_cannot_begin_a_second_write(store: SQLiteStore) -> None:
    with store.writing() as writer:
        with pytest.raises(StorageFailed, match="writing already"), store.writing():
            pass
        writer.create_collection("c", SETTINGS)
    with store.reading() as reader:
        assert reader.collection("c").name == "c"


def test_more_readers_at_once_than_connections_are_kept(store: SQLiteStore) -> None:
    number = collection(store, [document("a")])
    together = threading.Barrier(20)

    def read() -> int:
        with store.reading() as reader:
            together.wait(timeout=60)
            return reader.count(number)

    with ThreadPoolExecutor(20) as pool:
        assert [future.result() for future in [pool.submit(read) for _ in range(20)]] == [1] * 20


def test_a_closed_store_reports_that_it_is_closed(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreClosed), store.reading():
        pass
    with pytest.raises(StoreClosed), store.writing():
        pass


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

"""Blocks in files: a start reads few keys of the store, and answers what a start without files would."""

from __future__ import annotations

import asyncio
import errno
import json
import shutil
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from softkv_service.retrieval.collections import sealed
from softkv_service.storage import SQLiteStore
from softkv_service.storage.sqlite import vector_rows
from tests.service.retrieval.sealing import (
    BLOCK,
    documents,
    files,
    make_batches_small,
    opened,
    said,
    same,
    settled,
    valued,
    written,
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    make_batches_small(monkeypatch)


@pytest.mark.parametrize("keys", [1, 4], ids=["one key", "up to four"])
def test_a_start_reads_only_rows_outside_the_files(tmp_path, tmp_path_factory, keys_read, keys):
    written(tmp_path, documents(0, 150, keys=keys), documents(150, 400, keys=keys))
    assert len(files(tmp_path)) >= 6
    keys_read.clear()
    same(tmp_path, tmp_path_factory)
    assert len(keys_read) - 400 < BLOCK  # of which 400 are those of the start without files
    keys_read.clear()
    with opened(tmp_path) as made:
        made.collection("c").write(documents(390, 470, seed=1, keys=keys))
        made.collection("c").delete(ids=[f"{i:04}" for i in range(0, 200, 3)])
    assert len(keys_read) < BLOCK
    same(tmp_path, tmp_path_factory)


def test_changes_made_without_the_files_are_noticed(tmp_path, tmp_path_factory, keys_read):
    written(tmp_path, documents(0, 300))
    before = files(tmp_path)
    with opened(tmp_path, files=False) as made:
        made.collection("c").write(documents(50, 60, seed=1))
        made.collection("c").write(documents(300, 420))
        made.collection("c").delete(ids=["0100", "0299"])
    keys_read.clear()
    same(tmp_path, tmp_path_factory)
    assert len(keys_read) < 600
    assert set(before) <= set(files(tmp_path))


def test_a_store_that_was_put_back_gives_the_same_numbers_to_other_rows(tmp_path, tmp_path_factory):
    """The worst case: all rows have the same numbers, and some have other keys."""
    written(tmp_path, documents(0, 100))
    shutil.copy(tmp_path / "softkv.sqlite3", tmp_path / "kept")
    written(tmp_path, documents(100, 300))
    sealed_then = files(tmp_path)
    (tmp_path / "kept").replace(tmp_path / "softkv.sqlite3")
    changed = documents(100, 300)
    changed[77] = documents(177, 178, seed=5)[0]
    with opened(tmp_path, files=False) as made:
        made.collection("c").write(changed)
    same(tmp_path, tmp_path_factory)
    assert len(set(sealed_then) - set(files(tmp_path))) == 1


def test_a_removed_row_that_comes_back_with_a_store_is_there_again(tmp_path, tmp_path_factory, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sealed, "sealable_segments", lambda view, **_: [])
        written(tmp_path, documents(0, 200))
    shutil.copy(tmp_path / "softkv.sqlite3", tmp_path / "kept")
    with opened(tmp_path, files=False) as made:
        made.collection("c").delete(ids=["0010", "0150"])
    with opened(tmp_path):
        pass
    assert files(tmp_path)
    (tmp_path / "kept").replace(tmp_path / "softkv.sqlite3")
    same(tmp_path, tmp_path_factory)
    with opened(tmp_path) as made:
        assert made.collection("c").size == 200


def test_a_flipped_byte_is_in_no_answer_and_the_file_is_made_anew(tmp_path, tmp_path_factory):
    """A byte of every array in a file, and of its head; a reader finds those of the originals."""
    written(tmp_path, valued(0, 200))
    random = np.random.default_rng(0)
    content = files(tmp_path)[0].read_bytes()
    start = int.from_bytes(content[8:16], "little")
    sections = json.loads(content[24:start].rstrip(b"\0"))["sections"]
    assert {"keys", "values", "key_checksums", "codes", "value_codes", "numbers", "ties"} <= sections.keys()
    positions = [(name, start + file["offset"] + int(random.integers(100))) for name, file in sections.items()]
    for turn, (name, position) in enumerate([("head", 40), *positions]):
        (path, *rest) = files(tmp_path)
        changed = bytearray(path.read_bytes())
        changed[position] ^= 0x10
        path.write_bytes(changed)
        if name in ("keys", "values", "codes") or turn % 6 == 0:
            same(tmp_path, tmp_path_factory)
        else:
            said(tmp_path)
        assert not path.exists(), name
        assert len(files(tmp_path)) == len(rest) + 1


def test_rows_of_a_file_that_is_whole_are_not_looked_at_one_by_one(tmp_path, monkeypatch):
    looked_at, real = [], vector_rows.checksums

    def counted(connection, first, last):
        rows = real(connection, first, last)
        looked_at.append(len(rows[0]))
        return rows

    written(tmp_path, documents(0, 400, keys=3))
    monkeypatch.setattr(vector_rows, "checksums", counted)
    with opened(tmp_path) as made:
        # Up to 50 behind each file, where the last document of it may go on; and what is in no file.
        assert sum(looked_at) < len(files(tmp_path)) * 51 + BLOCK < made.collection("c").keys


def test_a_file_that_is_there_twice_and_others_between_are_no_matter(tmp_path, tmp_path_factory):
    written(tmp_path, documents(0, 150))
    with opened(tmp_path) as made:
        asyncio.run(made.create("d", {"similarity": "dot"}))
        for start in range(150, 450, 30):
            made.collection("c" if start % 60 else "d").write(documents(start, start + 30, keys=2))
        settled(made.collection("c"))
        settled(made.collection("d"))
    shutil.copy(files(tmp_path)[0], files(tmp_path)[0].with_name("softkv.sealed-1-0000000000000000.block"))
    count = len(files(tmp_path))
    assert count >= 6
    same(tmp_path, tmp_path_factory)
    assert len(files(tmp_path)) == count - 1


def test_a_disk_that_is_full_breaks_no_write(tmp_path, tmp_path_factory, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sealed, "seal", full)
        written(tmp_path, documents(0, 200))
        assert not files(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        written(tmp_path, documents(200, 300))
        assert not files(tmp_path)
    same(tmp_path, tmp_path_factory)
    assert len(files(tmp_path)) == 4


def test_files_go_with_their_blocks_and_their_collection(tmp_path, tmp_path_factory):
    written(tmp_path, documents(0, 400))
    before = files(tmp_path)
    (tmp_path / "softkv.sealed-77-abc.block").write_bytes(b"of a collection that is not there")
    (tmp_path / "softkv.sealed-1-abc.block.new").write_bytes(b"not written to its end")
    with opened(tmp_path) as made:
        assert files(tmp_path) == before
        made.collection("c").delete(ids=[f"{i:04}" for i in range(200) if i % 4])
        settled(made.collection("c"))
        assert not set(before[:1]) & set(files(tmp_path)) or len(files(tmp_path)) < len(before)
    same(tmp_path, tmp_path_factory)
    with opened(tmp_path) as made:
        collection = made.collection("c")
        made.delete("c")
        deadline = time.monotonic() + 60
        while files(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not collection.sealed.step(collection.in_memory.memory.view)


def test_a_damaged_key_of_a_document_that_lies_in_a_file_in_part_takes_all_of_it(tmp_path):
    """One of its rows is damaged in the store, and the file that has it too; the other file has the rest."""
    written(tmp_path, documents(0, 150, keys=4))
    with SQLiteStore.open(tmp_path) as store, store.reading() as reader:
        (record,) = reader.collections()
        numbers, owners, _ = reader.key_checksums(record.id, 1, 10_000)
    position = next(offset for offset in range(BLOCK, len(numbers), BLOCK) if owners[offset - 1] == owners[offset])
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection, connection:
        connection.execute(
            'UPDATE vectors SET key_vector = zeroblob(24), checksum = checksum + 1 WHERE "row" = ?',
            (int(numbers[position]),),
        )
    with opened(tmp_path) as made:
        collection = made.collection("c")
        assert len(collection.damage.report()) == 1
        assert collection.size == 149
        left = collection.in_memory.memory.view.numbers()
        np.testing.assert_array_equal(left, numbers[owners != owners[position]])

"""The last block has a file although it is not full: an idle collection writes it, and every later state is exact."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from softkv_attention.lookup import Limits
from softkv_service.retrieval.collections import sealed
from softkv_service.storage import SQLiteStore
from tests.service.retrieval import sealing
from tests.service.retrieval.sealing import (
    BLOCK,
    WIDTH,
    documents,
    files,
    flipped,
    make_batches_small,
    opened,
    said,
    same,
    settled,
    valued,
)
from tests.thorough import thorough
from tests.waiting import until


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Give a collection's only block codes too, although it is small."""
    make_batches_small(monkeypatch)
    monkeypatch.setattr(sealing, "SMALL_BLOCKS", Limits(block_rows=BLOCK, exact_max_components=0))


def idle(collection):
    """Let the collection see twice that nothing is written, and wait until its work is done."""
    settled(collection)
    for _ in range(2):
        collection.tidy_if_idle()
    settled(collection)


def idle_after(directory, *batches, removed=()):
    with opened(directory) as made:
        collection = made.collection("c")
        for batch in batches:
            collection.write(batch)
        if removed:
            collection.delete(ids=[f"{i:04}" for i in removed])
        idle(collection)


def test_an_idle_collection_writes_its_last_block_and_the_next_start_reads_it(tmp_path, tmp_path_factory, keys_read):
    with opened(tmp_path) as made:
        collection = made.collection("c")
        collection.write(documents(0, 25, keys=3))
        collection.tidy_if_idle()
        settled(collection)
        assert not files(tmp_path)
        collection.write(documents(25, 28))
        collection.tidy_if_idle()
        settled(collection)
        assert not files(tmp_path)
        idle(collection)
        assert len(files(tmp_path)) == 1
    keys_read.clear()
    same(tmp_path, tmp_path_factory)
    assert len(keys_read) == 28  # those of the start without files


def test_a_block_of_few_rows_has_no_file(tmp_path):
    idle_after(tmp_path, documents(0, BLOCK // 16 - 1))
    assert not files(tmp_path)
    idle_after(tmp_path, documents(BLOCK // 16, BLOCK // 16 + 1))
    assert len(files(tmp_path)) == 1


def test_a_block_is_written_again_only_when_it_has_grown_by_a_quarter(tmp_path, tmp_path_factory):
    with opened(tmp_path) as made:
        made.collection("c").write(documents(0, 40))
        idle(made.collection("c"))
        (path,) = files(tmp_path)
        made.collection("c").write(documents(40, 45))
        idle(made.collection("c"))
        assert files(tmp_path) == [path]
    idle_after(tmp_path, documents(45, 50))
    assert files(tmp_path) == [path]
    same(tmp_path, tmp_path_factory)
    idle_after(tmp_path, documents(50, 51))
    (other,) = files(tmp_path)
    assert other != path
    same(tmp_path, tmp_path_factory)


def test_the_file_stays_while_rows_are_added_to_a_copy_of_its_block(tmp_path, tmp_path_factory, keys_read):
    """A process that is killed then has it at its next start."""
    idle_after(tmp_path, valued(0, 30))
    (path,) = files(tmp_path)
    with opened(tmp_path) as made:
        made.collection("c").write(valued(30, 33))
        made.collection("c").delete(ids=["0003"])
        settled(made.collection("c"))
    assert files(tmp_path) == [path]
    keys_read.clear()
    same(tmp_path, tmp_path_factory)
    assert len(keys_read) == 3 + 32
    assert files(tmp_path) == [path]


def test_a_block_that_is_full_later_has_one_file(tmp_path, tmp_path_factory):
    idle_after(tmp_path, documents(0, 60))
    before = files(tmp_path)
    with opened(tmp_path) as made:
        made.collection("c").write(documents(60, 80))
        settled(made.collection("c"))
        until(lambda: len(files(tmp_path)) == 1 and files(tmp_path) != before)
    same(tmp_path, tmp_path_factory)


def test_a_file_of_which_few_rows_live_is_removed(tmp_path, tmp_path_factory):
    idle_after(tmp_path, documents(0, 40))
    (path,) = files(tmp_path)
    idle_after(tmp_path, documents(100, 103), removed=range(38))
    assert path not in files(tmp_path)
    same(tmp_path, tmp_path_factory)


def test_an_older_file_of_the_same_rows_changes_nothing_and_is_removed(tmp_path, tmp_path_factory, keys_read):
    """As after a kill between the new file and the removal of the old one."""
    idle_after(tmp_path, documents(0, 30))
    (old,) = files(tmp_path)
    shutil.copy(old, tmp_path / "backup")
    idle_after(tmp_path, documents(30, 50), removed=[4])
    (new,) = files(tmp_path)
    shutil.copy(tmp_path / "backup", old)
    (tmp_path / "softkv.sealed-1-abc.block.new").write_bytes(b"not written to its end")
    keys_read.clear()
    same(tmp_path, tmp_path_factory)
    assert len(keys_read) == 49
    assert files(tmp_path) == [new]


def test_a_flipped_byte_is_in_no_answer_and_the_file_is_made_anew(tmp_path, tmp_path_factory):
    idle_after(tmp_path, valued(0, 50))
    (path,) = files(tmp_path)
    start = int.from_bytes(path.read_bytes()[8:16], "little")
    sections = json.loads(path.read_bytes()[24:start].rstrip(b"\0"))["sections"]
    assert {"keys", "values", "codes", "value_codes", "grams", "value_grams", "ties"} <= sections.keys()
    for name in sections:
        (path,) = files(tmp_path)
        flipped(path, name, 5)
        if name in ("keys", "values", "codes"):
            same(tmp_path, tmp_path_factory)
        else:
            said(tmp_path)
        assert not path.exists(), name
        idle_after(tmp_path)
        assert len(files(tmp_path)) == 1


def test_a_write_behind_a_damaged_original_stores_nothing_until_the_rows_are_read_again(tmp_path, tmp_path_factory):
    idle_after(tmp_path, documents(0, 50))
    (path,) = files(tmp_path)
    flipped(path, place=7 * 4 * WIDTH)
    with opened(tmp_path, files=False) as made:
        made.collection("c").write(documents(50, 52))  # so that the start copies the block
    same(tmp_path, tmp_path_factory)
    assert not path.exists()


@pytest.mark.parametrize("point", ["seal", "read_checksums"])
def test_a_write_while_the_file_is_written_leaves_a_right_one_or_none(tmp_path, tmp_path_factory, monkeypatch, point):
    with opened(tmp_path) as made:
        collection = made.collection("c")
        collection.write(documents(0, 30))
        settled(collection)
        real = getattr(sealed, point)

        def meanwhile(*arguments):
            monkeypatch.setattr(sealed, point, real)
            collection.write(documents(30, 33))
            collection.delete(ids=["0002"])
            return real(*arguments)

        monkeypatch.setattr(sealed, point, meanwhile)
        idle(collection)
        # The sums of the block had rows that the view did not have.
        assert not files(tmp_path)
        idle(collection)
        assert len(files(tmp_path)) == 1
    same(tmp_path, tmp_path_factory)


@pytest.mark.parametrize("seed", [0, thorough(1), thorough(2)])
def test_a_kill_after_any_step_leaves_files_that_answer_exactly(tmp_path, tmp_path_factory, seed):
    """Each step is followed by a start from a copy of all files, as after a kill."""
    random = np.random.default_rng(seed)
    data, count = tmp_path / "data", 0
    data.mkdir()
    for _ in range(4):
        with opened(data) as made:
            collection = made.collection("c")
            for _ in range(4):
                kind = random.choice(["add", "replace", "delete", "idle"], p=[0.35, 0.15, 0.2, 0.3])
                if kind == "add":
                    count += (more := int(random.integers(1, 30)))
                    collection.write(documents(count - more, count, keys=2))
                elif kind == "idle":
                    idle(collection)
                elif count:
                    chosen = random.choice(count, int(random.integers(1, 1 + count // 2)), replace=False).tolist()
                    if kind == "replace":
                        collection.write([documents(i, i + 1, seed=int(random.integers(99)))[0] for i in chosen])
                    else:
                        collection.delete(ids=[f"{i:04}" for i in chosen])
                settled(collection)
                if count and collection.size:
                    killed = tmp_path_factory.mktemp("killed") / "data"
                    shutil.copytree(data, killed)
                    with SQLiteStore.open(killed):  # which brings the log into the database, for `same`
                        pass
                    same(killed, tmp_path_factory)
    assert len(files(data)) <= 1 + len(range(0, 2 * count, BLOCK // 2))

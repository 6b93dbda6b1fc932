"""Originals in files are checked when they are read, and all of them soon after a start: no answer has a wrong one."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from softkv_attention.lookup import Question, answer
from softkv_service.retrieval.collections import collection as collection_module
from softkv_service.retrieval.collections import sealed
from softkv_service.retrieval.errors import CollectionLoading
from tests.service.retrieval.sealing import (
    WIDTH,
    asked,
    documents,
    files,
    flipped,
    lies_in,
    make_batches_small,
    opened,
    same,
    settled,
    valued,
    written,
    written_with_room_behind,
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    make_batches_small(monkeypatch)


@pytest.fixture
def unhurried(monkeypatch):
    """Switch off the background checks of originals."""
    monkeypatch.setattr(sealed.SealedBlocks, "check_next_originals", lambda self, view: False)


def test_a_damaged_original_is_noticed_by_its_reader(tmp_path, tmp_path_factory, unhurried):
    written(tmp_path, documents(0, 200))
    (path, *other_paths) = files(tmp_path)
    flipped(path, place=5 * 4 * WIDTH)
    with opened(tmp_path) as made:
        collection = made.collection("c")
        assert path.exists()
        wrong = next(s.block for s in collection.in_memory.memory.view.segments if lies_in(collection, s, path))
        numbers = [int(wrong.numbers[0]), int(wrong.numbers[WIDTH])]
        other = next(s.block for s in collection.in_memory.memory.view.segments if s.block is not wrong)
        # From the other blocks alone: the wrong one is not read.
        with collection.snapshot() as snapshot:
            mask = snapshot.view.mask(other.numbers)
            answer(snapshot.view, Question(np.ones(WIDTH), 0.5, mask=mask, top_k=3))
        assert collection.ready
        assert wrong.unchecked
        with collection.snapshot() as old:
            with pytest.raises(CollectionLoading), collection.snapshot() as snapshot:
                answer(snapshot.view, nearest(snapshot.view, numbers))
            assert not path.exists()
            settled(collection)
            # A reader of an older view reaches it too, and nothing is loaded again for that.
            memory = collection.in_memory.memory
            with pytest.raises(CollectionLoading), collection.damage.recording():
                answer(old.view, nearest(old.view, numbers))
            assert collection.in_memory.memory is memory
        _, (result,), damage = asked(collection, [Question(np.ones(WIDTH), 0.0, top_k=3)])
        assert damage == 0
        assert len(result.numbers) == 3
    assert len(files(tmp_path)) == len(other_paths) + 1
    same(tmp_path, tmp_path_factory)


def test_all_originals_are_checked_soon_after_a_start(tmp_path, tmp_path_factory):
    written(tmp_path, valued(0, 200))
    with opened(tmp_path) as made:
        settled(made.collection("c"))
        view = made.collection("c").in_memory.memory.view
        assert not any(segment.block.unchecked for segment in view.segments)
    for name in ("keys", "values"):
        (path, *other_paths) = files(tmp_path)
        flipped(path, name, place=70)
        with opened(tmp_path) as made:
            settled(made.collection("c"))
        assert not path.exists()
        assert len(files(tmp_path)) == len(other_paths) + 1
    same(tmp_path, tmp_path_factory)


def test_a_write_behind_a_damaged_original_is_refused_as_a_whole(tmp_path, tmp_path_factory, unhurried):
    written_with_room_behind(tmp_path)
    last = files(tmp_path)
    assert len(last) == 2
    for path in last:
        flipped(path)
    with opened(tmp_path) as made:
        collection = made.collection("c")
        with pytest.raises(CollectionLoading):
            collection.write(documents(300, 310))
        assert len(set(last) - set(files(tmp_path))) == 1
        settled(collection)
        assert collection.size == 108
        collection.write(documents(300, 310))
        assert collection.size == 118
    same(tmp_path, tmp_path_factory)
    assert not set(last) & set(files(tmp_path))


def test_a_start_that_copies_a_wrong_original_reads_its_rows_from_the_store(tmp_path, tmp_path_factory, unhurried):
    written_with_room_behind(tmp_path)
    with opened(tmp_path, files=False) as made:
        made.collection("c").write(documents(128, 130))
    for path in files(tmp_path):
        flipped(path)
    with opened(tmp_path) as made:
        collection = made.collection("c")
        assert collection.ready
        assert collection.size == 110
        # The one that nothing stands behind was only mapped.
        assert sum(segment.block.unchecked for segment in collection.in_memory.memory.view.segments) == 1
    same(tmp_path, tmp_path_factory)


def test_compaction_that_meets_a_damaged_original_copies_nothing(tmp_path, tmp_path_factory, unhurried):
    written(tmp_path, documents(0, 200))
    (path, *_) = files(tmp_path)
    flipped(path, place=9 * 4 * WIDTH)
    with opened(tmp_path) as made:
        collection = made.collection("c")
        block = next(s.block for s in collection.in_memory.memory.view.segments if lies_in(collection, s, path))
        gone = [number for number in block.numbers.tolist() if number % 3 == 0 or number == block.numbers[9]]
        with collection.snapshot() as snapshot:
            ids = list(snapshot.reader.ids(snapshot.record.id, np.array(gone)))
        collection.delete(ids=ids)
        settled(collection)
        assert not path.exists()
        assert collection.size == 200 - len(gone)
    same(tmp_path, tmp_path_factory)


def test_a_write_in_progress_during_a_reload_is_included(tmp_path, unhurried, monkeypatch):
    written(tmp_path, documents(0, 200))
    (path, *_) = files(tmp_path)
    flipped(path)
    with opened(tmp_path) as made:
        collection = made.collection("c")
        stage, staged, load_memory = collection.show_after, threading.Event(), collection_module.load_memory

        def slowly(writer, **change):
            stage(writer, **change)
            staged.set()
            deadline = time.monotonic() + 30
            while collection.ready:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(0.1)

        def late(*arguments):
            result = load_memory(*arguments)
            writing.join(30)
            return result

        collection.show_after = slowly
        monkeypatch.setattr(collection_module, "load_memory", late)
        writing = threading.Thread(target=collection.write, args=[documents(500, 501)])
        writing.start()
        assert staged.wait(30)
        with pytest.raises(CollectionLoading), collection.snapshot() as snapshot:
            answer(snapshot.view, nearest(snapshot.view, np.arange(200)))
        settled(collection)
        assert collection.size == 201


def test_a_wrong_file_that_cannot_be_removed_is_not_read_again(tmp_path, unhurried, monkeypatch):
    written(tmp_path, documents(0, 200))
    (path, *_) = files(tmp_path)
    flipped(path)
    monkeypatch.setattr(sealed, "_unlink", lambda path: None)
    with opened(tmp_path) as made:
        collection = made.collection("c")
        _, _, damage = asked(collection, [Question(np.ones(WIDTH), 0.0, mask=None, top_k=200)])
        assert damage
        assert collection.ready
        assert path.exists()


def nearest(view, numbers):
    """Ask a question that reads the originals of at least two of these rows."""
    return Question(np.ones(WIDTH), 0.0, mask=view.mask(np.asarray(numbers)), top_k=len(numbers))

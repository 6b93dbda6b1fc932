"""Blocks of rows: their capacity, how they are written, and where their originals are stored."""

from __future__ import annotations

import mmap
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.kernels.layout import CHUNK
from softkv_attention.lookup import Limits, Memory, Question, Rows, answer
from softkv_attention.lookup.memory import blocks as chunks
from softkv_attention.lookup.memory.blocks import (
    BlockFormat,
    allocate_originals,
    bytes_in_file,
    lies_in_memory,
    read_ahead,
    row_norms,
    write_chunks,
)
from tests.thorough import examples

WIDTH = 5
LIMITS = Limits(block_rows=64, first_rows=4, min_file_bytes=1)


@settings(deadline=None, max_examples=examples(30))
@given(
    rows=st.sampled_from([0, 1, 1023, 1024, 1025]), width=st.integers(1, 70), scale=st.sampled_from([1e-40, 1.0, 1e30])
)
def test_lengths_are_norms_in_float64_alike_wherever_a_row_stands(rows, width, scale):
    vectors = (np.random.default_rng(rows).standard_normal((rows, width)) * scale).astype(np.float32)
    norms = row_norms(vectors)
    np.testing.assert_allclose(norms, np.linalg.norm(vectors.astype(np.float64), axis=1), rtol=1e-14)
    np.testing.assert_array_equal(norms[::-1], row_norms(np.ascontiguousarray(vectors[::-1])))


@pytest.mark.parametrize("similarity", ["cosine", "dot", "gaussian"])
@pytest.mark.parametrize("own_values", [True, False])
def test_a_grown_block_equals_one_written_in_one_step(rows_of, segment_of, similarity, own_values):
    rows = rows_of(np.arange(3000), own_values)
    seen = segment_of(rows.part(0, 70), similarity)
    grown, at_once = seen.append(rows.part(70, 3000), BlockFormat(similarity)), segment_of(rows, similarity)
    assert (seen.count, seen.block.capacity, grown.count, grown.block.capacity) == (70, 70, 3000, 3000)
    for name in ("numbers", "keys", "norms", "value_norms", "values"):
        np.testing.assert_array_equal(getattr(grown.block, name), getattr(at_once.block, name))
    if similarity == "gaussian":
        assert (grown.block.codes, grown.block.value_codes) == (None, None)
        return
    for mine, other in ((grown.block.codes, at_once.block.codes), (grown.block.value_codes, at_once.block.value_codes)):
        np.testing.assert_array_equal(mine.scales, other.scales)
        np.testing.assert_array_equal(mine.residuals, other.residuals)
    positions = np.arange(3000)
    np.testing.assert_array_equal(grown.block.codes.at(positions, WIDTH), at_once.block.codes.at(positions, WIDTH))
    for mine, other in zip(grown.block.codes.grams, at_once.block.codes.grams, strict=True):
        np.testing.assert_allclose(mine, other, atol=2.0**-13 * np.trace(other))  # summed in float32
    moments, other_moments = grown.block.value_codes.moments, at_once.block.value_codes.moments
    assert moments.count == other_moments.count == 3000
    np.testing.assert_allclose(moments.total, other_moments.total)


def test_an_append_leaves_earlier_views_unchanged(rows_of, segment_of):
    seen = segment_of(rows_of(np.arange(10)), room=40)
    before = seen.keys.copy()
    after = seen.append(rows_of(np.arange(10, 30), seed=1), BlockFormat("dot"))
    assert after.block is seen.block
    np.testing.assert_array_equal(seen.keys, before)
    assert (seen.count, seen.n, after.count, after.n) == (10, 10, 30, 30)
    fewer = seen.without(np.array([3]))
    later = fewer.append(rows_of(np.arange(10, 12), seed=2), BlockFormat("dot"))
    assert (fewer.n, later.n, later.live.tolist()) == (9, 11, [True] * 3 + [False] + [True] * 8)
    assert seen.live is None


def test_originals_in_files_leave_nothing_behind(tmp_path):
    memory = Memory("cosine", tmp_path, limits=LIMITS)
    keys = np.random.default_rng(0).standard_normal((500, 7)).astype(np.float32)
    memory.publish(add=Rows(np.arange(500), keys))
    assert all(isinstance(segment.block.keys, np.memmap) for segment in memory.view.segments)
    result = answer(memory.view, Question(keys[33], 0, top_k=1))
    assert result.numbers[0] == 33
    assert not list(tmp_path.iterdir())


def test_originals_stay_in_memory_where_the_disk_has_no_room():
    memory = Memory("cosine", Path("/proc"), limits=LIMITS)  # a folder without write permission
    keys = np.random.default_rng(0).standard_normal((500, 7)).astype(np.float32)
    memory.publish(add=Rows(np.arange(500), keys))
    assert not isinstance(memory.view.segments[0].block.keys, np.memmap)
    assert answer(memory.view, Question(keys[33], 0, top_k=1)).numbers[0] == 33


def test_a_block_has_room_for_at_most_twice_its_rows():
    memory = Memory("dot", limits=LIMITS)
    for number in range(40):
        memory.publish(add=Rows(np.array([number]), np.ones((1, 3))))
        (segment,) = memory.view.segments
        assert segment.block.capacity <= max(2 * segment.count, LIMITS.first_rows)


def test_no_chunk_is_being_written_after_one_has_failed(monkeypatch):
    begun, ended = [], []

    def write(first, _):
        if first == 0:
            raise MemoryError("no room")
        begun.append(first)
        time.sleep(0.05)
        ended.append(first)

    monkeypatch.setattr(chunks, "workers", lambda: 3)
    with pytest.raises(MemoryError, match="no room"):
        list(write_chunks(write, 0, 8 * CHUNK))
    assert sorted(ended) == sorted(begun)
    assert set(ended) <= {CHUNK, 2 * CHUNK, 3 * CHUNK}


def test_a_small_original_is_kept_in_memory_and_a_large_one_in_a_file(tmp_path):
    small, large = allocate_originals(9, 11, tmp_path, 400), allocate_originals(10, 10, tmp_path, 400)
    assert [type(array) for array in (small, large, allocate_originals(10, 10, None, 400))] == [
        np.ndarray,
        np.memmap,
        np.ndarray,
    ]
    large[:] = 3
    assert (large.shape, large.dtype, large.sum()) == ((10, 10), np.float32, 300)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("offset", [0, 3 * mmap.PAGESIZE + 128], ids=["alone", "behind others in one map"])
def test_only_originals_in_a_file_are_read_ahead(tmp_path, offset):
    in_memory, filed = allocate_originals(100, 32, None, 0), allocate_originals(100, 32, tmp_path, 0)
    reads = []

    class Mapped(mmap.mmap):
        def madvise(self, option, start, length):
            reads.append((start, length))
            return super().madvise(option, start, length)

    watched = np.ndarray((100, 32), np.float32, Mapped(-1, 1 << 20), offset)
    assert [bytes_in_file(vectors) for vectors in (in_memory, filed, watched)] == [0, 100 * 128, 100 * 128]
    rows = np.array([0, 2, 3, 99])
    for vectors in (in_memory, filed, watched):
        read_ahead(vectors, rows)
    for expected, (start, length) in zip((offset + 128 * rows).tolist(), reads, strict=True):
        assert start % mmap.PAGESIZE == 0
        assert start <= expected < start + mmap.PAGESIZE
        assert start + length == expected + 128


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_an_array_in_a_file_lies_in_memory_when_all_of_it_was_read(tmp_path):
    path, shape = tmp_path / "keys", (4096, 1000)
    with path.open("wb") as file:
        file.truncate(4 * shape[0] * shape[1])
    keys = np.memmap(path, dtype=np.float32, mode="r", shape=shape)
    assert not lies_in_memory(keys)
    assert keys.sum() == 0
    assert lies_in_memory(keys)
    assert lies_in_memory(np.zeros((2, 3), dtype=np.float32))

"""The location of a block's originals: memory, or a file without a name."""

from __future__ import annotations

import mmap

import numpy as np

from attention.lookup.memory.blocks import allocate_originals, bytes_in_file, read_ahead


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


def test_only_what_lies_in_a_file_is_read_ahead(tmp_path):
    in_memory, filed = allocate_originals(900, 384, None, 0), allocate_originals(900, 384, tmp_path, 0)
    assert (bytes_in_file(in_memory), bytes_in_file(filed)) == (0, 900 * 384 * 4)
    in_memory[:] = filed[:] = np.arange(900, dtype=np.float32)[:, None]
    reads = []

    class Mapped(mmap.mmap):
        def madvise(self, option, start, length):
            reads.append((start, length))
            return super().madvise(option, start, length)

    watched = np.ndarray((900, 384), np.float32, Mapped(-1, 900 * 384 * 4))
    rows = np.array([0, 2, 3, 899])
    for vectors in (in_memory, filed, watched):
        read_ahead(vectors, rows)
    np.testing.assert_array_equal(filed[rows], in_memory[rows])
    for row, (start, length) in zip(rows.tolist(), reads, strict=True):
        assert start % mmap.PAGESIZE == 0
        assert start <= row * 1536 < start + mmap.PAGESIZE
        assert start + length == (row + 1) * 1536


def test_rows_are_read_ahead_that_lie_behind_others_in_one_map(tmp_path):
    (tmp_path / "some").write_bytes(bytes(1 << 20))
    reads = []

    class Mapped(mmap.mmap):
        def madvise(self, option, start, length):
            reads.append((start, length))
            return super().madvise(option, start, length)

    with (tmp_path / "some").open("rb") as file:
        mapped = Mapped(file.fileno(), 0, access=mmap.ACCESS_COPY)
    vectors = np.ndarray((100, 32), np.float32, mapped, 3 * mmap.PAGESIZE + 128)
    assert bytes_in_file(vectors) == vectors.nbytes
    read_ahead(vectors, np.array([0, 99]))
    starts = [3 * mmap.PAGESIZE + 128, 3 * mmap.PAGESIZE + 128 + 99 * 128]
    for expected, (start, length) in zip(starts, reads, strict=True):
        assert start % mmap.PAGESIZE == 0
        assert start <= expected < start + mmap.PAGESIZE
        assert start + length == expected + 128

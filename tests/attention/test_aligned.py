"""Aligned arrays in memory, and arrays in mapped files."""

from __future__ import annotations

import os

import numpy as np
import pytest

from softkv_attention.aligned import file_of, mapping, private


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1,), np.uint8), ((3, 5), np.float32), ((2, 2, 16, 4), np.uint8), ((0, 3), np.int64)]
)
def test_an_array_begins_where_a_cache_line_does(shape, dtype):
    made = private(shape, dtype)
    assert (made.shape, made.dtype) == (shape, dtype)
    assert made.ctypes.data % 64 == 0 or not made.size
    made[...] = 1
    assert made.flags.c_contiguous


def test_a_read_only_file_is_not_changed_by_writing_to_its_mapping(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    pages = mapping(os.open(path, os.O_RDONLY), 4096, writable=False)
    np.frombuffer(pages, np.uint8)[7] = 1
    assert not any(path.read_bytes())


def test_file_of_tells_mapped_arrays_from_memory(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    pages = mapping(os.open(path, os.O_RDONLY), 4096, writable=False)
    assert file_of(np.ndarray(7, np.uint8, pages)) is pages
    mapped = np.memmap(path, np.uint8)
    assert file_of(mapped) is mapped.base
    assert file_of(np.zeros(7)) is None


def test_only_the_map_keeps_a_descriptor(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    before = len(os.listdir("/proc/self/fd"))
    pages = mapping(os.open(path, os.O_RDONLY), 4096, writable=False)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    pages.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_cannot_be_mapped_leaves_no_descriptor_open(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"short")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="mmap length"):
        mapping(os.open(path, os.O_RDONLY), 8192, writable=False)
    assert len(os.listdir("/proc/self/fd")) == before

"""Arrays in memory that other processes can map, and arrays in this process's own."""

from __future__ import annotations

import gc
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from attention import shared_memory
from attention.shared_memory import file_of, located, mapping, private, register, shared

TIMES_TWO = """
import mmap, sys
import numpy as np
descriptor, size, offset, count = map(int, sys.argv[1:])
np.ndarray((count,), np.float64, mmap.mmap(descriptor, size), offset)[:] *= 2
"""


@pytest.mark.parametrize("room", [private, shared(10_000)], ids=["private", "shared"])
@pytest.mark.parametrize(
    ("shape", "dtype"), [((1,), np.uint8), ((3, 5), np.float32), ((2, 2, 16, 4), np.uint8), ((0, 3), np.int64)]
)
def test_room_begins_where_a_cache_line_does(room, shape, dtype):
    made = room(shape, dtype)
    assert (made.shape, made.dtype) == (shape, dtype)
    assert made.ctypes.data % 64 == 0 or not made.size
    made[...] = 1
    assert made.flags.c_contiguous


@pytest.mark.parametrize("of", ["memory", "a file"])
def test_what_another_process_writes_is_seen_here(of, monkeypatch):
    if of == "a file":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    room = shared(5000)
    first, second = room((7,), np.uint8), room((100,), np.float64)
    first[:], second[:] = 9, np.arange(100)
    found = located(second[40:])
    assert found.offset == 64 + 40 * 8
    told = found.mapped.descriptor, found.mapped.size, found.offset, 60
    command = [sys.executable, "-c", TIMES_TWO, *map(str, told)]
    subprocess.run(command, pass_fds=[found.mapped.descriptor], check=True, timeout=300)
    np.testing.assert_array_equal(second, np.r_[np.arange(40), 2 * np.arange(40, 100)])
    assert (first == 9).all()


def test_more_than_there_is_room_for_is_refused():
    room = shared(mmap.PAGESIZE)
    room((mmap.PAGESIZE - 8,), np.uint8)
    with pytest.raises(MemoryError, match=f"room for {mmap.PAGESIZE} bytes was made"):
        room((16,), np.uint8)


def test_the_descriptor_is_closed_with_the_last_array():
    gc.collect()  # what other tests left
    before = len(os.listdir("/proc/self/fd"))
    made = shared(1_000_000)((1000,), np.int64)
    part = made[3:].view(np.uint8)
    assert len(os.listdir("/proc/self/fd")) == before + 2  # a map keeps one of its own
    del made
    assert located(part).offset == 24
    del part
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_own_memory_and_maps_of_others_are_nowhere(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(8192))
    assert located(private((3,), np.float64)) is None
    assert located(np.zeros(3)) is None
    mapped = np.memmap(path, np.uint8)
    assert located(mapped) is None
    register(mapped.base, os.open(path, os.O_RDONLY), writable=False)
    found = located(mapped[5000:].view(np.ndarray))
    assert (found.offset, found.mapped.size, found.mapped.writable) == (5000, 8192, False)


def test_what_is_written_to_a_file_that_is_not_writable_stays_here(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    pages = mapping(os.open(path, os.O_RDONLY), 4096, writable=False)
    np.frombuffer(pages, np.uint8)[7] = 1
    assert not any(path.read_bytes())


def test_memory_is_told_from_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    pages = mapping(os.open(path, os.O_RDONLY), 4096, writable=False)
    assert file_of(np.ndarray(7, np.uint8, pages)) is pages
    mapped = np.memmap(path, np.uint8)
    assert file_of(mapped) is mapped.base
    assert file_of(shared(100)((7,), np.uint8)) is None
    assert file_of(np.zeros(7)) is None


def test_a_file_that_cannot_be_mapped_leaves_no_descriptor_open(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"short")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="mmap length"):
        shared_memory.mapping(os.open(path, os.O_RDONLY), 8192, writable=False)
    assert len(os.listdir("/proc/self/fd")) == before

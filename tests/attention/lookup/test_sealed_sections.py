"""A file of arrays: what comes out is what went in, or it is refused."""

from __future__ import annotations

import errno
import mmap
import os

import numpy as np
import pytest

from softkv_attention.lookup import sealed as sections
from softkv_attention.lookup.sealed import SealedError, read, write

ARRAYS = {
    "keys": np.arange(6000, dtype=np.float32).reshape(1500, 4),
    "codes": np.arange(600, dtype=np.uint8).reshape(2, 3, 100),
    "nothing": np.empty((0, 3)),
    "turned": np.arange(12.0).reshape(3, 4).T,
}
SAID = {"similarity": "dot", "count": 1500, "spread": float("inf")}


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "one.block", SAID, ARRAYS)
    return tmp_path / "one.block"


def test_a_file_returns_the_written_arrays(path):
    fields, sections = read(path)
    assert fields == SAID
    assert sections.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(sections[name], array)
        assert sections[name].dtype == array.dtype
    assert isinstance(sections["keys"].base, mmap.mmap)  # so that the system can be asked to read ahead
    assert {id(entry.base) for name, entry in sections.items() if name != "nothing"} == {id(sections["keys"].base)}
    sections["keys"][:] = 0  # a copy of the pages, not the file
    np.testing.assert_array_equal(read(path)[1]["keys"], ARRAYS["keys"])
    assert [entry.name for entry in path.parent.iterdir()] == ["one.block"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="only Linux says which descriptors are open")
def test_a_file_keeps_two_descriptors_of_its_own_map_and_for_other_processes(path):
    before = len(os.listdir("/proc/self/fd"))
    maps = [read(path) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) - before <= 2 * len(maps)


def test_a_flipped_bit_anywhere_is_found(path):
    content = path.read_bytes()
    offsets = np.random.default_rng(0).choice(len(content), 300, replace=False).tolist()
    for i in (*range(40), *offsets, len(content) - 1):
        changed = bytearray(content)
        changed[i] ^= 1 << i % 8
        path.write_bytes(changed)
        with pytest.raises(SealedError):
            read(path)
    path.write_bytes(content)
    read(path)


def test_arrays_to_check_later_are_only_mapped(tmp_path):
    path = tmp_path / "later.block"
    write(path, SAID, ARRAYS, later=("keys",))
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[8:16], "little")
    content[start + 77] ^= 1
    path.write_bytes(content)
    assert (read(path)[1]["keys"] != ARRAYS["keys"]).sum() == 1
    content[start + ARRAYS["keys"].nbytes] = 1  # behind them, where their last page is 0
    path.write_bytes(content)
    with pytest.raises(SealedError, match="keys"):
        read(path)
    content[start + ARRAYS["keys"].nbytes] = 0
    content[start + 6 * 4096 + 3] ^= 1  # the codes
    path.write_bytes(content)
    with pytest.raises(SealedError, match="codes"):
        read(path)


def test_a_truncated_file_and_a_longer_one_are_refused(path):
    content = path.read_bytes()
    for changed in (b"", content[:10], content[:3000], content[:-1], content[:-4096], content + b"\0", b"x" * 5000):
        path.write_bytes(changed)
        with pytest.raises(SealedError):
            read(path)


def test_another_version_is_not_read(path, monkeypatch):
    monkeypatch.setattr(sections, "VERSION", sections.VERSION + 1)
    with pytest.raises(SealedError, match="version"):
        read(path)


@pytest.mark.parametrize("call", ["posix_fallocate", "fsync", "rename"])
def test_a_full_disk_keeps_the_old_file(path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(os, call, full)
    if call == "rename":
        monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(OSError, match="space"):
        write(path, SAID, {"keys": np.zeros(7)})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["one.block"]

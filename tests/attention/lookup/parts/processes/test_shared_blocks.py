"""A block that was described is the same rows where it is mapped, later ones included."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from attention.lookup import Memory, Rows
from attention.lookup.memory import originals
from attention.lookup.memory.segments import Segment
from attention.lookup.parts.processes.shared_blocks import described, mapped


def again(block):
    """The block, mapped a second time, as another process would."""
    found = described(block)
    return mapped(found.said, [os.dup(file.descriptor) for file in found.files])


@pytest.fixture
def shared(memory_of, processes):
    return memory_of(processes, np.arange(900), expected=1_024)


@pytest.mark.parametrize("values", [True, False])
def test_all_arrays_are_there(processes, values):
    rows = np.random.default_rng(0).standard_normal((700, 40)).astype(np.float32)
    memory = Memory("cosine", processes=processes)
    memory.publish(add=Rows(np.arange(700), rows, rows[:, :9] if values else None))
    block = memory.view.segments[0].block
    other = again(block)
    for name in ("numbers", "owners", "keys", "norms", "value_norms", "values"):
        mine, theirs = getattr(block, name), getattr(other, name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_array_equal(mine[:700], theirs[:700])
    for kind in ("codes", "value_codes"):
        for name in ("codes", "scales", "residuals"):
            mine, theirs = (getattr(getattr(each, kind), name) for each in (block, other))
            np.testing.assert_array_equal(mine, theirs)
            assert mine.ctypes.data % 64 == theirs.ctypes.data % 64 == 0
    assert (other.values is None) == (not values)
    assert other.value_codes.width == block.value_codes.width
    assert other.normalised is True


def test_rows_that_are_written_later_are_seen(shared, memory_of):
    block = shared.view.segments[0].block
    other = again(block)
    more = memory_of(rows=np.arange(1000, 1020)).view.segments[0]
    shared.publish(add=Rows(more.numbers.copy(), more.keys.copy(), more.values.copy()))
    assert shared.view.segments[0].block is block
    segment = Segment(other, 920)
    np.testing.assert_array_equal(segment.keys, shared.view.segments[0].keys)
    assert segment.key_norm == shared.view.segments[0].key_norm


def test_originals_in_a_file_are_mapped_too(tmp_path, processes, monkeypatch, memory_of):
    monkeypatch.setattr(originals, "SMALLEST_FILE", 1)
    block = memory_of(processes, np.arange(900), directory=tmp_path).view.segments[0].block
    assert originals.in_file(block.keys)
    assert len(described(block).files) == 3  # keys, values, all else
    np.testing.assert_array_equal(again(block).keys, block.keys)
    assert list(tmp_path.iterdir()) == []


def test_what_lies_in_this_processes_own_memory_is_not_described(memory_of, shared):
    block = memory_of(rows=np.arange(900)).view.segments[0].block
    assert described(block) is None
    mixed = replace(shared.view.segments[0].block, norms=np.ones(1024))
    assert described(mixed) is None


@pytest.mark.parametrize("how", [{"codes_later": True}, {"similarity": "gaussian"}])
def test_what_has_no_codes_is_not_described(memory_of, processes, how):
    memory = memory_of(processes, np.arange(900), **how)
    assert described(memory.view.segments[0].block) is None
    memory.code()
    assert (described(memory.view.segments[0].block) is None) == ("similarity" in how)

"""Rows are written a chunk at a time, each once, and no thread writes after a write has failed."""

from __future__ import annotations

import threading
import time

import pytest

from attention.kernels.layout import CHUNK
from attention.lookup.memory import blocks as chunks
from attention.lookup.memory.blocks import write_chunks
from tests.blas import with_two_blas_threads


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (5, 6), (0, CHUNK), (CHUNK - 1, CHUNK + 1), (3, 9 * CHUNK), (7 * CHUNK, 11 * CHUNK + 1)]
)
def test_every_row_is_written_once_in_runs_of_one_chunk(monkeypatch, start, end, cores):
    monkeypatch.setattr(chunks, "workers", lambda: cores)
    runs = list(write_chunks(lambda first, stop: (first, stop), start, end))
    assert [row for first, stop in runs for row in range(first, stop)] == list(range(start, end))
    assert all(first // CHUNK == (stop - 1) // CHUNK for first, stop in runs)


def test_few_rows_are_written_in_the_thread_that_has_them_and_many_in_others():
    for end, in_this_thread in (
        (chunks.SINGLE_THREAD_CHUNKS * CHUNK, True),
        ((chunks.SINGLE_THREAD_CHUNKS + 1) * CHUNK, False),
    ):
        threads = set(write_chunks(lambda *_: threading.current_thread(), 0, end))
        assert (threads == {threading.current_thread()}) == in_this_thread


def test_where_a_chunk_cannot_be_written_no_other_is_being_written_any_more(monkeypatch):
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


ASKED = """
from attention.kernels.dispatch import blas_controller
from attention.kernels.layout import CHUNK
from attention.lookup.memory.blocks import write_chunks
from tests.blas import with_two_blas_threads

def threads(*_):
    return [library["num_threads"] for library in blas_controller().info()]

print(list(write_chunks(threads, 0, {count} * CHUNK)), threads())
"""


@pytest.mark.parametrize("count", [1, chunks.SINGLE_THREAD_CHUNKS + 3])
def test_matrix_products_of_a_chunk_are_made_by_the_thread_that_writes_it(count):
    assert with_two_blas_threads(ASKED.format(count=count)) == f"{[[1]] * count} [2]\n"

"""The choice of kernels for an answer: one kind from beginning to end, and one that multiplies exactly."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from softkv_attention.kernels import dispatch, in_numpy
from tests.attention.kernels.implementations import EVERY
from tests.blas import with_two_blas_threads

IN_C = dispatch.kernels_in_c()


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    dispatch.use_kernels(None)
    yield
    dispatch.use_kernels(None)


def test_kernels_in_c_are_used_if_they_were_built_and_nothing_else_is_chosen(monkeypatch):
    assert dispatch.kernels() is dispatch.kernels_in_c()
    monkeypatch.setattr(dispatch, "kernels_in_c", lambda: None)
    assert dispatch.kernels() is in_numpy
    dispatch.use_kernels(IN_C)
    assert dispatch.kernels() is IN_C


def test_an_answer_within_an_answer_keeps_the_kernels_of_the_outer_one():
    dispatch.use_kernels(in_numpy)
    with dispatch.pin_kernels():
        dispatch.use_kernels(IN_C)
        with dispatch.pin_kernels():
            assert dispatch.kernels() is in_numpy
        assert dispatch.kernels() is in_numpy
    assert dispatch.kernels() is IN_C


def test_kernels_are_let_go_when_an_answer_fails():
    dispatch.use_kernels(in_numpy)
    with pytest.raises(ZeroDivisionError), dispatch.pin_kernels():
        _ = 1 / 0
    dispatch.use_kernels(None)
    assert dispatch.kernels() is dispatch.kernels_in_c()


def test_a_thread_without_pinned_kernels_uses_the_chosen_ones():
    dispatch.use_kernels(in_numpy)
    with dispatch.pin_kernels(), ThreadPoolExecutor(1) as pool:
        dispatch.use_kernels(IN_C)
        assert pool.submit(dispatch.kernels).result() is IN_C


@EVERY
def test_every_implementation_multiplies_bytes_exactly(running):
    dispatch.use_kernels(running)
    assert dispatch.products_are_exact()


@pytest.mark.parametrize("wrong", [lambda best: best + 1, lambda best: best * np.float32(1 + 1e-6)])
def test_kernels_that_multiply_otherwise_are_found_out(wrong):
    def sample_top(keys, queries, best):
        in_numpy.sample_top(keys, queries, best)
        best[:] = wrong(best)

    dispatch.use_kernels(SimpleNamespace(pack_queries=in_numpy.pack_queries, sample_top=sample_top))
    assert not dispatch.products_are_exact()


@pytest.mark.parametrize(
    ("count", "cores", "rows", "parts"), [(9, 2, 100, 2), (9, 4, 25, 2), (9, 4, 19, 1), (1, 4, 99, 1)]
)
def test_questions_of_many_rows_are_shared_by_the_cores(monkeypatch, count, cores, rows, parts):
    monkeypatch.setattr(dispatch, "workers", lambda: cores)
    monkeypatch.setattr(dispatch, "ROWS_A_THREAD", 10)
    ranges = []
    dispatch.run_in_parallel(lambda first, last: ranges.append(range(first, last)), count, rows)
    assert len(ranges) == parts
    assert sorted(index for part in ranges for index in part) == list(range(count))


def test_an_error_of_another_thread_is_raised_here(monkeypatch):
    monkeypatch.setattr(dispatch, "workers", lambda: 2)

    def work(first, last):
        if first:
            raise MemoryError

    with pytest.raises(MemoryError):
        dispatch.run_in_parallel(work, 2, 10**6)


CALLERS = """
from threading import Thread

from softkv_attention.kernels import dispatch

def threads():
    return [library["num_threads"] for library in dispatch.blas_controller().info()]

def elsewhere(work, *args):
    thread = Thread(target=work, args=args)
    thread.start()
    thread.join()

first, second = dispatch.one_blas_thread(), dispatch.one_blas_thread()
found = [threads()]
first.__enter__()
elsewhere(second.__enter__)
found.append(threads())
first.__exit__(None, None, None)
found.append(threads())
elsewhere(second.__exit__, None, None, None)
found.append(threads())
try:
    with dispatch.one_blas_thread():
        found.append(threads())
        1 / 0
except ZeroDivisionError:
    found.append(threads())
with dispatch.blas_controller().limit(limits=1):  # others can set it again
    found.append(threads())
print(found)
"""


def test_the_blas_has_one_thread_until_the_last_caller_in_any_thread_is_done():
    assert with_two_blas_threads(CALLERS) == "[[2], [1], [1], [2], [1], [2], [1]]\n"


def test_one_thread_does_all_work_itself_and_waits_for_no_other():
    busy, done = threading.Event(), threading.Event()
    waiting = [dispatch.pool().submit(lambda: busy.set() or done.wait(60)) for _ in range(dispatch.workers())]
    busy.wait(60)
    threads = set()
    with dispatch.one_thread():
        assert dispatch.workers() == 1
        dispatch.run_in_parallel(lambda *_: threads.add(threading.get_ident()), 8, 10**9)
        results = dispatch.pool().map(lambda number: (threads.add(threading.get_ident()), 2 * number)[1], range(3))
        assert list(results) == [0, 2, 4]
        with pytest.raises(ZeroDivisionError):
            dispatch.pool().submit(lambda: 1 // 0).result()
    assert threads == {threading.get_ident()}
    done.set()
    assert all(future.result() for future in waiting)


WITHOUT_THREADS = """
import sys, threading

import numpy as np

sys.platform = "emscripten"
threading.Thread.start = None  # as in a browser, where it fails

from softkv_attention.kernels import dispatch
from softkv_attention.lookup import Memory, attend, sweep

dispatch.use_kernels(dispatch.kernels_in_numpy())
keys = np.random.default_rng(0).standard_normal((20_000, 64))
memory = Memory.of(keys)
answer = attend(keys[7], memory, temperature=0.05, null=0.5, top_k=1)
print(dispatch.workers(), answer.numbers)
print(sweep(memory.view, keys[7], [0.05, 1], top_k=1).numbers)
"""


def test_a_lookup_in_a_python_without_threads_starts_none():
    done = subprocess.run([sys.executable, "-c", WITHOUT_THREADS], capture_output=True, text=True, check=False)
    assert done.stdout == "1 [7]\n[7]\n", done.stderr

"""Which kernels an answer is made by: one kind from beginning to end, and one that multiplies exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from attention.kernels import engine, in_machine_code, in_numpy
from tests.blas import with_two_blas_threads


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    engine.choose(None)
    yield
    engine.choose(None)


def test_machine_code_answers_where_it_can_be_made_and_nothing_else_is_chosen(monkeypatch):
    assert engine.kernels() is engine.machine_code() is in_machine_code
    monkeypatch.setattr(engine, "can_compile", lambda: False)
    assert engine.kernels() is in_numpy
    engine.choose(in_machine_code)
    assert engine.kernels() is in_machine_code


def test_an_answer_within_an_answer_keeps_the_kernels_of_the_outer_one():
    engine.choose(in_numpy)
    with engine.held():
        engine.choose(in_machine_code)
        with engine.held():
            assert engine.kernels() is in_numpy
        assert engine.kernels() is in_numpy
    assert engine.kernels() is in_machine_code


def test_kernels_are_let_go_when_an_answer_fails():
    engine.choose(in_numpy)
    with pytest.raises(ZeroDivisionError), engine.held():
        _ = 1 / 0
    engine.choose(None)
    assert engine.kernels() is in_machine_code


def test_a_thread_that_was_not_given_them_has_those_that_are_chosen():
    engine.choose(in_numpy)
    with engine.held(), ThreadPoolExecutor(1) as pool:
        engine.choose(in_machine_code)
        assert pool.submit(engine.kernels).result() is in_machine_code


def test_an_answer_is_made_by_one_engine():
    """One that begins before another is chosen goes on with its own, in every thread that takes part in it."""
    begun, chosen = Event(), Event()

    def make():
        with engine.held():
            first = engine.kernels()
            begun.set()
            chosen.wait(60)
            return first, engine.kernels()

    engine.choose(in_numpy)
    try:
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(make)
            assert begun.wait(60)
            engine.choose(in_machine_code)
            assert engine.kernels() is in_machine_code
            chosen.set()
            assert made.result() == (in_numpy, in_numpy)
    finally:
        engine.choose(None)


@pytest.mark.parametrize("running", [in_machine_code, in_numpy])
def test_both_kinds_multiply_bytes_exactly(running):
    engine.choose(running)
    assert engine.products_are_exact()


@pytest.mark.parametrize("wrong", [lambda best: best + 1, lambda best: best * np.float32(1 + 1e-6)])
def test_kernels_that_multiply_otherwise_are_found_out(wrong):
    def sample_top(keys, queries, best):
        in_numpy.sample_top(keys, queries, best)
        best[:] = wrong(best)

    engine.choose(SimpleNamespace(packed_queries=in_numpy.packed_queries, sample_top=sample_top))
    assert not engine.products_are_exact()


def test_there_is_a_thread_for_each_core_and_one_pool_of_them(monkeypatch):
    assert engine.workers() == len(os.sched_getaffinity(0))
    assert engine.pool() is engine.pool()
    monkeypatch.delattr(os, "sched_getaffinity")
    assert engine.workers.__wrapped__() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert engine.workers.__wrapped__() == 1


@pytest.mark.parametrize(
    ("count", "cores", "rows", "parts"), [(9, 2, 100, 2), (9, 4, 25, 2), (9, 4, 19, 1), (1, 4, 99, 1)]
)
def test_questions_of_many_rows_are_shared_by_the_cores(monkeypatch, count, cores, rows, parts):
    monkeypatch.setattr(engine, "workers", lambda: cores)
    monkeypatch.setattr(engine, "ROWS_A_THREAD", 10)
    asked = []
    engine.side_by_side(lambda first, last: asked.append(range(first, last)), count, rows)
    assert len(asked) == parts
    assert sorted(at for part in asked for at in part) == list(range(count))


def test_what_fails_in_another_thread_fails_here(monkeypatch):
    monkeypatch.setattr(engine, "workers", lambda: 2)

    def work(first, last):
        if first:
            raise MemoryError

    with pytest.raises(MemoryError):
        engine.side_by_side(work, 2, 10**6)


CALLERS = """
from threading import Thread

from attention.kernels import engine

def threads():
    return [library["num_threads"] for library in engine.loaded_blas().info()]

def elsewhere(work, *args):
    thread = Thread(target=work, args=args)
    thread.start()
    thread.join()

first, second = engine.one_blas_thread(), engine.one_blas_thread()
found = [threads()]
first.__enter__()
elsewhere(second.__enter__)
found.append(threads())
first.__exit__(None, None, None)
found.append(threads())
elsewhere(second.__exit__, None, None, None)
found.append(threads())
try:
    with engine.one_blas_thread():
        found.append(threads())
        1 / 0
except ZeroDivisionError:
    found.append(threads())
with engine.loaded_blas().limit(limits=1):  # others can set it again
    found.append(threads())
print(found)
"""


def test_the_blas_has_one_thread_until_the_last_caller_in_any_thread_is_done():
    assert with_two_blas_threads(CALLERS) == "[[2], [1], [1], [2], [1], [2], [1]]\n"

"""Which kernels an answer is made by: machine code, or NumPy where there is none, or none yet; and its threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np

from attention.kernels import in_numpy
from attention.kernels.interface import CodedKeys, Kernels
from attention.kernels.layout import put_rows, rows_room

ROWS_A_THREAD = 4_096
"""Fewer rows are gone through in less time than another thread takes to begin."""

_chosen: Kernels | None = None
_most: int | None = None
_held: ContextVar[Kernels | None] = ContextVar("kernels", default=None)


def kernels() -> Kernels:
    """Those of the answer that is being made, see `held`; else those that were chosen; else the faster ones there are.

    Both give the same answers, to the last digits; so one answer is made by one of them. A thread that takes part in an
    answer has to be given them.
    """
    return _held.get() or _chosen or (machine_code() if can_compile() else in_numpy)


def choose(chosen: Kernels | None) -> None:
    """Have answers made by these from now on; None for the faster ones of those that are installed."""
    global _chosen
    _chosen = chosen


@contextmanager
def held() -> Iterator[None]:
    """Keep the kernels while an answer is made, whichever are chosen meanwhile."""
    token = _held.set(kernels())
    try:
        yield
    finally:
        _held.reset(token)


def can_compile() -> bool:
    """Whether machine code can be made here."""
    return find_spec("numba") is not None


@cache
def machine_code() -> Kernels:
    """The compiled kernels; a second to import, and compiled when first called or by `machine_code.prepare`."""
    from attention.kernels import in_machine_code

    return in_machine_code


def products_are_exact() -> bool:
    """Whether the kernels multiply bytes exactly on this processor, which every bound takes for granted; tried here."""
    codes = np.random.default_rng(0).integers(-127, 128, (64, 384), dtype=np.int8)
    stored, best, ones = rows_room(64, 384), np.full((5, 1), -np.inf, dtype=np.float32), np.ones(64, dtype=np.float32)
    put_rows(stored, 0, codes)
    queries = kernels().packed_queries(codes[:5].astype(np.int16), ones[:5], fine=False)
    kernels().sample_top(CodedKeys(stored, ones, ones > 0, 0), queries, best)
    return np.array_equal(best[:, 0], (codes[:5].astype(np.int32) @ codes.T.astype(np.int32)).max(axis=1))


@cache
def workers() -> int:
    """As many as there are cores for this process, or as it was limited to."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _most or cores)


def limit_workers(most: int) -> None:
    """Have at most so many threads scan; to be said before any of them does."""
    global _most
    _most = most
    workers.cache_clear()


@cache
def pool() -> ThreadPoolExecutor:
    """The threads that scan, shared by all questions of the process."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="lookup")


@dataclass
class BlasLimit:
    """How many callers want the BLAS of NumPy to have one thread, which is a setting of the whole process.

    threadpoolctl lets only the thread that set a limit change it, so that one thread sets and restores them all.

    Attributes:
        callers: those within `one_blas_thread`.
        limiter: restores the number of threads from before the first of them; None if there are none.
        thread: the one that asks threadpoolctl.
    """

    callers: int = 0
    limiter: Any = None
    lock: Lock = field(default_factory=Lock)
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="blas"))

    def enter(self) -> None:
        """Set the limit, if nobody did."""
        with self.lock:
            if not self.callers:
                self.limiter = self.thread.submit(lambda: loaded_blas().limit(limits=1).__enter__()).result()
            self.callers += 1

    def leave(self) -> None:
        """Restore what was set before, if no other caller needs the limit."""
        with self.lock:
            self.callers -= 1
            if not self.callers:
                self.thread.submit(self.limiter.__exit__, None, None, None).result()
                self.limiter = None


_blas_limit = BlasLimit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have NumPy compute a matrix product in the thread that asks for it.

    Products of 1,024 rows are too small for several threads. OpenBLAS also lets one caller at a time use its threads,
    and these spin while they wait, on cores that other threads of `pool` need.
    """
    _blas_limit.enter()
    try:
        yield
    finally:
        _blas_limit.leave()


@cache
def loaded_blas() -> Any:
    """Find each OpenBLAS that is loaded at the first call, NumPy's among them: threadpoolctl's controller of them."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas")


def side_by_side(work: Callable[[int, int], None], count: int, rows: int) -> None:
    """Have `work` go through so many questions, from one to another, in all cores where they have many rows."""
    parts = min(workers(), rows // ROWS_A_THREAD, count)
    if parts < 2:
        work(0, count)
        return
    edges = [count * part // parts for part in range(parts + 1)]
    others = [pool().submit(work, *edge) for edge in pairwise(edges[1:])]
    work(edges[0], edges[1])
    for other in others:
        other.result()

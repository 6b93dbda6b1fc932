"""The choice between the kernels in C and those in NumPy, and the threads that run them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from threading import Lock
from typing import Any, cast

import numpy as np

from softkv_attention.forked import in_forked_process
from softkv_attention.kernels import in_numpy
from softkv_attention.kernels.interface import CodedKeys, Kernels
from softkv_attention.kernels.layout import put_rows, rows_room

ROWS_A_THREAD = 4_096
"""Each thread gets at least this many rows: for fewer, starting it takes longer than its work."""

_chosen: Kernels | None = None
_maximum_workers: int | None = None
_pinned: ContextVar[Kernels | None] = ContextVar("kernels", default=None)


def kernels() -> Kernels:
    """Return the kernels to use: pinned by `pin_kernels`, else set by `use_kernels`, else those in C if built.

    C and NumPy agree except in the last digits, so one answer must use one kind. A context variable holds the pinned
    kernels, so pass them to other threads that work on the same answer.
    """
    return _pinned.get() or _chosen or kernels_in_c() or in_numpy


def use_kernels(chosen: Kernels | None) -> None:
    """Set the kernels for answers that start from now on; None for those in C if they were built."""
    global _chosen
    _chosen = chosen


class PinnedKernels:
    """A `with` block that keeps using the same kernels, in C or in NumPy; every answer enters one.

    A call of `use_kernels` by another thread does not change them meanwhile.
    """

    def __enter__(self) -> None:
        self._token = _pinned.set(kernels())

    def __exit__(self, *_: object) -> None:
        _pinned.reset(self._token)


pin_kernels = PinnedKernels


@cache
def kernels_in_c() -> Kernels | None:
    """Return the kernels in C for this processor, or None if no library of them was built or none is for its kind."""
    from softkv_attention.kernels.in_c import KernelsInC
    from softkv_attention.kernels.native import library

    loaded = library.load()
    return None if loaded is None else cast("Kernels", KernelsInC(loaded))


def kernels_in_numpy() -> Kernels:
    """Return the kernels in NumPy, which every machine has."""
    return in_numpy


def products_are_exact() -> bool:
    """Return whether the kernels multiply bytes exactly on this processor, by an example.

    Every bound on the error of an answer relies on that.
    """
    codes = np.random.default_rng(0).integers(-127, 128, (64, 384), dtype=np.int8)
    stored, best, ones = rows_room(64, 384), np.full((5, 1), -np.inf, dtype=np.float32), np.ones(64, dtype=np.float32)
    put_rows(stored, 0, codes)
    queries = kernels().pack_queries(codes[:5].astype(np.int16), ones[:5], fine=False)
    kernels().sample_top(CodedKeys(stored, ones, ones > 0, 0), queries, best)
    return np.array_equal(best[:, 0], (codes[:5].astype(np.int32) @ codes.T.astype(np.int32)).max(axis=1))


HAS_THREADS = sys.platform not in ("emscripten", "wasi")
"""Whether this Python can start threads. Python in a browser, as Pyodide, cannot."""

_alone: ContextVar[bool] = ContextVar("alone", default=not HAS_THREADS)


@contextmanager
def one_thread() -> Iterator[None]:
    """Answer in the calling thread alone within the `with` block, which then waits for no other thread."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def workers() -> int:
    """Return the number of threads that scan: this process's cores, or less if `limit_workers` was called."""
    return 1 if _alone.get() else _workers()


@cache
def _workers() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _maximum_workers or cores)


def limit_workers(maximum: int) -> None:
    """Limit the number of threads that scan.

    Call this before the first scan.
    """
    global _maximum_workers
    _maximum_workers = maximum
    _workers.cache_clear()


def pool() -> Executor:
    """Return the thread pool of all scans in this process; within `one_thread`, the calling thread in its place."""
    return _CALLING_THREAD if _alone.get() else _pool()


@cache
def _pool() -> Executor:
    return ThreadPoolExecutor(_workers(), thread_name_prefix="lookup")


class _CallingThread(Executor):
    """A pool whose work is done at once, by the thread that submits it."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Do the work, and return its future."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:  # any error belongs to the caller that asks for the result
            future.set_exception(error)
        return future


_CALLING_THREAD = _CallingThread()


@dataclass
class BlasLimit:
    """A limit of NumPy's BLAS to one thread, which holds for the process while any caller needs it.

    threadpoolctl lets only the thread that set a limit change it, so one thread sets and restores it for all callers.

    Attributes:
        callers: how many callers are inside `one_blas_thread`.
        limiter: restores the previous number of threads; None if `callers` is 0.
        lock: guards the attributes.
        thread: a pool of one thread, which calls threadpoolctl.
    """

    callers: int = 0
    limiter: Any = None
    lock: Lock = field(default_factory=Lock)
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="blas"))

    def enter(self) -> None:
        """Count one more caller; the first caller sets the limit."""
        with self.lock:
            if not self.callers:
                self.limiter = self.thread.submit(lambda: blas_controller().limit(limits=1).__enter__()).result()
            self.callers += 1

    def leave(self) -> None:
        """Count one caller less; the last caller restores the previous number of threads, and ends the thread."""
        with self.lock:
            self.callers -= 1
            if not self.callers:
                self.thread.submit(self.limiter.__exit__, None, None, None).result()
                self.limiter = None
                self.thread.shutdown()
                self.thread = ThreadPoolExecutor(1, thread_name_prefix="blas")


_blas_limit = BlasLimit()


def _replace_threads() -> None:
    """Replace the threads in a forked process, which has none of them, and lift a limit that they would have lifted."""
    global _blas_limit
    limiter, _blas_limit = _blas_limit.limiter, BlasLimit()
    if limiter is not None:
        _blas_limit.thread.submit(limiter.__exit__, None, None, None)
    _pool.cache_clear()


in_forked_process(_replace_threads)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute NumPy's matrix products in the calling thread alone within the `with` block.

    Products of 1,024 rows are too small for several threads. OpenBLAS serves one caller at a time with its threads, and
    they spin while they wait, on cores that threads of `pool` need.
    """
    if not HAS_THREADS:
        yield
        return
    _blas_limit.enter()
    try:
        yield
    finally:
        _blas_limit.leave()


@cache
def blas_controller() -> Any:
    """Return threadpoolctl's controller of every OpenBLAS that is loaded at the first call, including NumPy's."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas")


def run_in_parallel(work: Callable[[int, int], None], count: int, rows: int) -> None:
    """Call `work(first, last)` for ranges that together cover `count` queries, by several threads if the work is large.

    Args:
        work: called once per range.
        count: the number of queries.
        rows: the number of rows of all queries together, which measures the work.
    """
    parts = min(workers(), rows // ROWS_A_THREAD, count)
    if parts < 2:
        work(0, count)
        return
    edges = [count * part // parts for part in range(parts + 1)]
    futures = [pool().submit(work, *edge) for edge in pairwise(edges[1:])]
    work(edges[0], edges[1])
    for future in futures:
        future.result()

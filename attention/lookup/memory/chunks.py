"""Rows that are written a chunk at a time: a few in the thread that has them, many in every core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from attention.kernels import one_blas_thread, pool, workers
from attention.kernels.layout import CHUNK

SINGLE_THREAD_CHUNKS = 2
"""Rows of so many chunks at most are written in the thread that has them: others would hardly be faster."""

Result = TypeVar("Result")


def write_chunks(write: Callable[[int, int], Result], start: int, end: int) -> Iterator[Result]:
    """What `write` returns of rows `start` to `end`, called with the first and the end of what lies in one chunk.

    In order. None is at work any more where one raises.
    """
    runs = list(_split_at_chunks(start, end))
    if len(runs) > SINGLE_THREAD_CHUNKS:
        yield from _write_in_threads(write, runs)
        return
    with one_blas_thread():
        results = [write(*run) for run in runs]
    yield from results


def _write_in_threads(write: Callable[[int, int], Result], runs: Sequence[tuple[int, int]]) -> Iterator[Result]:
    begun: deque[Future[Result]] = deque()
    try:
        with one_blas_thread():
            for run in runs:
                begun.append(pool().submit(write, *run))
                # One more than there are threads, so that none waits while the caller adds up a result.
                if len(begun) > workers():
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
        wait(begun)


def _split_at_chunks(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(end, start - start % CHUNK + CHUNK)
        yield start, stop
        start = stop

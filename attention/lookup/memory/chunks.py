"""Rows that are written a chunk at a time: a few in the thread that has them, many in every core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from attention.kernels import one_blas_thread, pool, workers
from attention.kernels.layout import CHUNK

ALONE = 2
"""Rows of so many chunks at most are written in the thread that has them: others would hardly be faster."""

_Made = TypeVar("_Made")


def written(write: Callable[[int, int], _Made], start: int, end: int) -> Iterator[_Made]:
    """What `write` returns of rows `start` to `end`, called with the first and the end of what lies in one chunk.

    In order. None is at work any more where one raises.
    """
    runs = list(_within_chunks(start, end))
    if len(runs) > ALONE:
        yield from _together(write, runs)
        return
    with one_blas_thread():
        results = [write(*run) for run in runs]
    yield from results


def _together(write: Callable[[int, int], _Made], runs: Sequence[tuple[int, int]]) -> Iterator[_Made]:
    begun: deque[Future[_Made]] = deque()
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


def _within_chunks(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(end, start - start % CHUNK + CHUNK)
        yield start, stop
        start = stop

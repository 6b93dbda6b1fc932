"""Rows that are written a chunk at a time: a few in the thread that has them, many in every core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from itertools import starmap
from typing import TypeVar

from attention.kernels import pool, workers
from attention.kernels.layout import CHUNK

ALONE = 2
"""Rows of so many chunks at most are written in the thread that has them: others would hardly be faster."""

_Made = TypeVar("_Made")


def written(write: Callable[[int, int], _Made], start: int, end: int) -> Iterator[_Made]:
    """What `write` returns of rows `start` to `end`, called with the first and the end of what lies in one chunk.

    In order. None is at work any more where one raises.
    """
    runs = list(_within_chunks(start, end))
    for at in range(0, len(runs), workers()):
        some = runs[at : at + workers()]
        yield from starmap(write, some) if len(runs) <= ALONE else _together(write, some)


def _together(write: Callable[[int, int], _Made], runs: Sequence[tuple[int, int]]) -> list[_Made]:
    begun: list[Future[_Made]] = []
    try:
        begun.extend(pool().submit(write, *run) for run in runs)
    finally:
        wait(begun)
    return [each.result() for each in begun]


def _within_chunks(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(end, start - start % CHUNK + CHUNK)
        yield start, stop
        start = stop

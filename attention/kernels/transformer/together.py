"""Threads that compute texts side by side, or one text together: who comes takes part, and nobody is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from threading import Barrier, BrokenBarrierError, Lock
from typing import TypeAlias

from attention.kernels.engine import workers

Stage: TypeAlias = Callable[[int, int, int], None]
"""Does one stage for rows from one to another: (stage, first, last)."""


@cache
def threads_that_encode() -> ThreadPoolExecutor:
    """Shared by all that is encoded in the process; a lookup never waits behind it, nor it behind a lookup."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="encode")


def with_others(work: Callable[[], None], threads: int) -> None:
    """Do it here, and in as many more threads as are free; what has not begun when it is done here never does."""
    with _others(work, threads - 1):
        work()


@contextmanager
def _others(work: Callable[[], None], count: int) -> Iterator[None]:
    others: list[Future[None]] = [threads_that_encode().submit(work) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            if not other.cancel():
                other.result()


def in_stages(stage: Stage, stages: int, rows: int, threads: int, multiple: int) -> None:
    """Have all rows done stage by stage, by this thread and those that come during the first stage.

    Args:
        stage: may be called for different rows of one stage at a time, and for a stage as the one before is done.
        stages: how many, at least 1.
        rows: how many, at least 1.
        threads: at most so many, at least 1.
        multiple: rows are parted at multiples of it.
    """
    team = _Team(stage, stages, rows, threads, multiple)
    with _others(team.work, threads - 1):
        team.work()


class _Team:
    """The first stage's parts are shared out to who comes; who has come by their end stays, with a part of all rows."""

    def __init__(self, stage: Stage, stages: int, rows: int, threads: int, multiple: int) -> None:
        self._stage, self._stages, self._rows, self._multiple = stage, stages, rows, multiple
        self._parts = self._parted(threads)
        self._members = 0
        self._lock = Lock()
        self._met: Barrier | None = None

    def _parted(self, count: int) -> list[tuple[int, int]]:
        """The rows in so many parts, fewer where they are few."""
        blocks = -(-self._rows // self._multiple)
        edges = [min(blocks * part // count * self._multiple, self._rows) for part in range(count + 1)]
        return [(first, last) for first, last in pairwise(edges) if first < last]

    def work(self) -> None:
        """Of each thread that comes."""
        number: int | None = None
        try:
            while (part := self._taken(new=number is None)) is not None:
                number = part[0] if number is None else number
                self._stage(0, *part[1])
            if number is not None:
                self._go_on(number)
        except BrokenBarrierError:
            return  # another one failed, and says why
        except BaseException:
            self._fail()
            raise

    def _taken(self, *, new: bool) -> tuple[int, tuple[int, int]] | None:
        """(how many members came before, a part of the first stage); None where all are taken."""
        with self._lock:
            if not self._parts:
                return None
            self._members += new
            part = self._parts.pop()
            if not self._parts:
                self._met = Barrier(self._members)
            return self._members - 1, part

    def _go_on(self, number: int) -> None:
        assert self._met is not None
        parts = self._parted(self._members)
        self._met.wait()
        for stage in range(1, self._stages):
            if number < len(parts):
                self._stage(stage, *parts[number])
            self._met.wait()

    def _fail(self) -> None:
        with self._lock:
            self._parts.clear()
            self._met = self._met or Barrier(max(self._members, 1))
            self._met.abort()

"""Threads that encode several texts in parallel, or share one text.

Idle threads join, and no work waits for a busy thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from threading import Barrier, BrokenBarrierError, Lock
from typing import TypeAlias

from softkv_attention.forked import in_forked_process
from softkv_attention.kernels.dispatch import workers

Stage: TypeAlias = Callable[[int, int, int], None]
"""A function of (stage, first, last) that computes one stage for a range of rows."""


@cache
def encoder_pool() -> ThreadPoolExecutor:
    """Return the thread pool for all encoding in this process. Lookups have a pool of their own."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="encode")


in_forked_process(encoder_pool.cache_clear)


def run_with_idle_threads(work: Callable[[], None], threads: int) -> None:
    """Call `work` in this thread and, at the same time, in up to `threads` − 1 idle threads.

    Calls that have not started when this thread is done are cancelled; for the others, the function waits.
    """
    with _run_elsewhere(work, threads - 1):
        work()


@contextmanager
def _run_elsewhere(work: Callable[[], None], count: int) -> Iterator[None]:
    """Call `work` in up to `count` idle threads while the `with` block runs.

    At the end of the block, calls that have not started are cancelled, and the others are awaited.
    """
    futures: list[Future[None]] = [encoder_pool().submit(work) for _ in range(count)]
    try:
        yield
    finally:
        for future in futures:
            if not future.cancel():
                future.result()


def run_in_stages(stage: Stage, stages: int, rows: int, threads: int, multiple: int) -> None:
    """Compute all rows stage by stage, in this thread and in threads that join during the first stage.

    Args:
        stage: called concurrently for different rows of one stage; a stage starts when the previous one is complete.
        stages: the number of stages, at least 1.
        rows: the number of rows, at least 1.
        threads: the maximum number of threads, at least 1.
        multiple: rows are split at multiples of this number.
    """
    team = _Team(stage, stages, rows, threads, multiple)
    with _run_elsewhere(team.work, threads - 1):
        team.work()


class _Team:
    """A team of threads that compute rows in stages.

    Threads join by taking a part of the first stage. The members then share all other stages.
    """

    def __init__(self, stage: Stage, stages: int, rows: int, threads: int, multiple: int) -> None:
        self._stage, self._stages, self._rows, self._multiple = stage, stages, rows, multiple
        self._parts = self._split(threads)
        self._members = 0
        self._lock = Lock()
        self._barrier: Barrier | None = None

    def _split(self, count: int) -> list[tuple[int, int]]:
        """Split the rows into at most `count` ranges (first, last), at multiples of `multiple`."""
        blocks = -(-self._rows // self._multiple)
        edges = [min(blocks * part // count * self._multiple, self._rows) for part in range(count + 1)]
        return [(first, last) for first, last in pairwise(edges) if first < last]

    def work(self) -> None:
        """Join the team, and compute a member's share of all stages. Each thread of the team calls this."""
        number: int | None = None
        try:
            while (part := self._take_part(new=number is None)) is not None:
                number = part[0] if number is None else number
                self._stage(0, *part[1])
            if number is not None:
                self._compute_later_stages(number)
        except BrokenBarrierError:
            return  # another member failed and raises its error
        except BaseException:
            self._fail()
            raise

    def _take_part(self, *, new: bool) -> tuple[int, tuple[int, int]] | None:
        """Take a range of rows of the first stage, and return (number, range).

        The number is that of the newest member, which is the calling thread if `new`. Return None if all ranges are
        taken. The last one taken fixes how many members there are.

        Args:
            new: whether the calling thread joins the team by this.
        """
        with self._lock:
            if not self._parts:
                return None
            self._members += new
            part = self._parts.pop()
            if not self._parts:
                self._barrier = Barrier(self._members)
            return self._members - 1, part

    def _compute_later_stages(self, number: int) -> None:
        assert self._barrier is not None
        parts = self._split(self._members)
        self._barrier.wait()
        for stage in range(1, self._stages):
            if number < len(parts):
                self._stage(stage, *parts[number])
            self._barrier.wait()

    def _fail(self) -> None:
        with self._lock:
            self._parts.clear()
            self._barrier = self._barrier or Barrier(max(self._members, 1))
            self._barrier.abort()

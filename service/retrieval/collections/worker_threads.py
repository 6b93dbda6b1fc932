"""Threads that the event loop hands work to and waits for, at half the cost of asyncio's own pool."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


class WorkerThreads:
    """At most so many threads, each begun when there is work that no other is free for.

    They end with the program, which waits for what they have begun, as it does for asyncio's.

    Attributes:
        most: how many.
    """

    def __init__(self, most: int, name: str) -> None:
        self.most = most
        self._name = name
        self._work: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._under_way = 0
        atexit.register(self._end)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """What the work gives, or the exception that it raises; work that nobody waits for any more is still done.

        Raises:
            RuntimeError: no thread can be begun.
        """
        self._begin()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.put((future, work, arguments))
        return await future

    def _begin(self) -> None:
        """Count one more under way, and have a thread for it, where there may be another."""
        with self._lock:
            begun = len(self._threads)
            if self._under_way == begun < self.most:
                thread = threading.Thread(target=self._serve, name=f"{self._name}-{begun}", daemon=True)
                thread.start()
                self._threads.append(thread)
            self._under_way += 1

    def _end(self) -> None:
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while self._do(self._work.get()):
            pass

    def _do(self, job: Job | None) -> bool:
        """Do it, and hand what came of it to whoever waits, if the loop still runs; False where there was nothing."""
        if job is None:
            return False
        future, work, arguments = job
        outcome = error = None
        try:
            outcome = work(*arguments)
        except BaseException as raised:
            error = raised
        with self._lock:
            self._under_way -= 1
        with suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(_settle, future, outcome, error)
        del error  # which its own traceback leads back to
        return True


def _settle(future: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(outcome)
    else:
        future.set_exception(error)


LOOKUP_THREADS = WorkerThreads(min(32, (os.cpu_count() or 1) + 2), "lookup")
"""Where all collections' questions are answered: two at a time of each, one batch scanned and one finished."""

"""Fair scheduling: callers take turns for threads and other scarce capacity, however many requests each one sends.

Each kind of work has separate threads, so that no kind of work waits for another.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""The caller of the current request; empty for work of the service itself."""

P = ParamSpec("P")
T = TypeVar("T")
CORES = os.cpu_count() or 1


class FairQueue(Generic[T]):
    """A queue that serves callers round-robin, and the items of one caller in order.

    Args:
        share: how many items of one caller may be in progress at once, until `done` is called for them. None means no
            limit.
    """

    def __init__(self, share: int | None = None) -> None:
        self._share = share
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._in_progress: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[T]:
        return (item for items in self._waiting.values() for item in items)

    def put(self, caller: str, item: T) -> None:
        """Append an item to its caller's queue."""
        self._waiting.setdefault(caller, deque()).append(item)

    def clear(self) -> None:
        """Remove the waiting items of all callers."""
        self._waiting.clear()

    def next(self) -> tuple[str, T] | None:
        """Return the next caller that is below its share, and its oldest item.

        Return None if every waiting caller has reached its share. The item stays in the queue.
        """
        for caller, items in self._waiting.items():
            if self._share is None or self._in_progress[caller] < self._share:
                return caller, items[0]
        return None

    def take(self) -> tuple[str, T] | None:
        """Remove and return the item that `next` returns, and move its caller to the end of the round."""
        entry = self.next()
        if entry is None:
            return None
        caller, item = entry
        items = self._waiting[caller]
        items.popleft()
        if items:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        if self._share is not None:
            self._in_progress[caller] += 1
        return caller, item

    def done(self, caller: str) -> None:
        """Record that an item of this caller is no longer in progress."""
        self._in_progress[caller] -= 1
        if not self._in_progress[caller]:
            del self._in_progress[caller]


class FairSemaphore:
    """A semaphore that serves waiting callers round-robin. It belongs to one event loop.

    Args:
        size: how many callers' calls may hold the semaphore at once.
        share: how many calls of one caller may hold it at once.
    """

    def __init__(self, size: int, share: int) -> None:
        self._free = size
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(share)

    async def acquire(self, caller: str) -> None:
        """Wait for a turn of this caller; `release` ends the turn."""
        turn = asyncio.get_running_loop().create_future()
        self._queue.put(caller, turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(caller)
            raise

    def release(self, caller: str) -> None:
        """End a turn of this caller, and give a turn to the next waiting caller."""
        self._free += 1
        self._queue.done(caller)
        self._admit()

    def _admit(self) -> None:
        while self._free and (entry := self._queue.take()) is not None:
            caller, turn = entry
            if turn.cancelled():
                self._queue.done(caller)
            else:
                self._free -= 1
                turn.set_result(None)


_all_threads: list[FairThreads] = []


def end_idle_threads() -> None:
    """End the threads of all `FairThreads` of this process, when they have done what is queued."""
    for threads in _all_threads:
        threads.end_idle()


class FairThreads:
    """Threads for one kind of work, which callers use in turns.

    If there are several threads, no single caller occupies all of them.

    Any thread and any event loop may submit work. Work that is cancelled before its turn is not done.
    """

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self._name = name
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._queue: FairQueue[tuple[Future[Any], Callable[[], Any]]] = FairQueue(share=max(1, size - 1))
        self._lock = Lock()
        _all_threads.append(self)

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do the work in a thread when it is the current caller's turn, and return its result."""
        bound = partial(contextvars.copy_context().run, work, *arguments, **named)
        return await asyncio.wrap_future(self.submit(bound, CALLER.get()))

    def submit(self, work: Callable[[], T], caller: str = "") -> Future[T]:
        """Queue work for a caller, and return its future."""
        future: Future[T] = Future()
        with self._lock:
            self._queue.put(caller, (future, work))
            self._threads.submit(self._work)
        return future

    def end_idle(self) -> None:
        """End the threads when they have done what is queued. Later work starts others."""
        with self._lock:
            threads, self._threads = self._threads, ThreadPoolExecutor(self.size, thread_name_prefix=self._name)
        threads.shutdown()

    def _work(self) -> None:
        """Run queued work in this thread, until the queue is empty or every caller in it has reached its share."""
        while True:
            with self._lock:
                entry = self._queue.take()
            if entry is None:
                return
            caller, (future, work) = entry
            try:
                _settle(future, work)
            finally:
                del future, work, entry  # the loop goes on; keep no result alive
                with self._lock:
                    self._queue.done(caller)


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    """Do the work unless its future is cancelled, and put the result or the error into the future."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # any error belongs to the caller that waits for the future
        future.set_exception(error)
    else:
        future.set_result(result)


READS = FairThreads("reads", min(32, CORES + 4))
"""Reads of the store, and other short work."""
WRITES = FairThreads("writes", 4)
"""Writes; the store itself runs one at a time."""
BODIES = FairThreads("bodies", 2)
"""Parsing of large request bodies and serialisation of large responses."""
ARRAYS = FairThreads("arrays", 2)
"""Computation on arrays that came with a request. A caller uses one of these threads, so about one core."""
TEXTS = FairThreads("texts", 2)
"""Work on texts outside the encoder's own thread: tokens, windows, traces."""

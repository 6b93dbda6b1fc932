"""Threads for each kind of work, so that no kind waits for another, and none of its callers for all of another's."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from service.turns import CALLER, Turns

P = ParamSpec("P")
T = TypeVar("T")
CORES = os.cpu_count() or 1


class Threads:
    """Some threads for one kind of work; whoever waits for them takes turns, and nobody has all of them at once.

    Any thread and any event loop may ask. What is given up before its turn is not done.
    """

    def __init__(self, name: str, most: int) -> None:
        self.most = most
        self._threads = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._turns: Turns[tuple[Future[Any], Callable[[], Any]]] = Turns(share=max(1, most - 1))
        self._lock = Lock()

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the work gives, done in one of the threads when its caller's turn comes."""
        bound = partial(contextvars.copy_context().run, work, *arguments, **named)
        return await asyncio.wrap_future(self.submit(bound, CALLER.get()))

    def submit(self, work: Callable[[], T], caller: str = "") -> Future[T]:
        """Have it done, when it is that caller's turn."""
        future: Future[T] = Future()
        with self._lock:
            self._turns.put(caller, (future, work))
        self._threads.submit(self._work)
        return future

    def _work(self) -> None:
        """Do what is next, for as long as there is any of who may have more."""
        while True:
            with self._lock:
                taken = self._turns.take()
            if taken is None:
                return
            caller, (future, work) = taken
            try:
                _settle(future, work)
            finally:
                del future, work, taken
                with self._lock:
                    self._turns.done(caller)


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # whatever it is, it belongs to who waits
        future.set_exception(error)
    else:
        future.set_result(result)


READS = Threads("reads", min(32, CORES + 4))
"""What is read of the store, and other short work."""
WRITES = Threads("writes", 4)
"""Writes; the store itself lets one in at a time."""
BODIES = Threads("bodies", 2)
"""Large bodies, read into objects, and large answers, written."""
ARRAYS = Threads("arrays", 2)
"""What is computed of what came with a request: a caller has one of them, and so no more than about a core."""
TEXTS = Threads("texts", 2)
"""What is done with texts beside the encoder's own thread: tokens, windows, traces."""

"""The event loop on which all providers are called, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """An event loop in a thread, which starts with the first work. Any thread may submit work."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop, and return its future; cancelling that cancels the coroutine."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(target=self._loop.run_forever, name="providers", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)


PROVIDERS = BackgroundLoop()
"""The loop of this process. Waiting for answers of any number of providers takes one thread."""

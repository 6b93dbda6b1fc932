"""Threads that work as long as a block runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Self


class Meanwhile:
    """Each work in a thread of its own; leaving the block tells all of them to stop, and waits for them.

    Args:
        works: each goes on until `stop` is set.
    """

    def __init__(self, works: Sequence[Callable[[], None]]) -> None:
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in works]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

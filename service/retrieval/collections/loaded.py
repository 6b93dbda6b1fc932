"""The collections whose keys are in memory, in the order of their last use."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Protocol


class Unloadable(Protocol):
    """A collection whose keys can leave memory."""

    def unload(self) -> bool:
        """Drop the keys from memory; return False if they have to stay for now."""


class LoadedCollections:
    """The small collections whose keys are in memory. If there are too many, the least recently used are unloaded.

    Many threads may use it.

    Args:
        limit: how many may be in memory at once; a call that uses one more keeps it there for the call. None means no
            limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._by_use: OrderedDict[Unloadable, None] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._by_use)

    def use(self, collection: Unloadable) -> None:
        """Record that a collection is used now, and unload others if there are too many."""
        if self.limit is None:
            return
        oldest = list[Unloadable]()
        with self._lock:
            self._by_use[collection] = None
            self._by_use.move_to_end(collection)
            while len(self._by_use) > self.limit:
                oldest.append(self._by_use.popitem(last=False)[0])
        # Outside the lock, and after they were taken out: a collection that is used meanwhile is put back by its user.
        staying = [other for other in oldest if not other.unload()]
        if staying:
            with self._lock:
                self._by_use.update(dict.fromkeys(staying))

    def forget(self, collection: Unloadable) -> None:
        """Leave out a collection that was deleted, or that is not a small one any more."""
        if self.limit is not None:
            with self._lock:
                self._by_use.pop(collection, None)

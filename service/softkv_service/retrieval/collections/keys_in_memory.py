"""The keys of a collection in memory, always of one version of the store, and which collections have theirs there.

Invariant: `memory`, `expirations` and `version` of a `KeysInMemory` are of the same version. A write prepares the next
ones (`prepare`), commits, and then shows them (`Prepared.show`), before any reader opens the new state.

The keys of a small collection may leave memory while no call uses them (`unload`), and the next call reads them again.
A write needs them in memory, so nothing is written while they are not there, and keys that are read again are of the
same version as before.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Protocol

import numpy as np

from softkv_attention.arrays import F32, I64
from softkv_attention.lookup import Memory, Rows, View
from softkv_service.retrieval.collections.expiry import NEVER, Clock, Expirations, UnexpiredViews
from softkv_service.retrieval.collections.snapshot import Masks, Snapshot
from softkv_service.retrieval.verdict import KeySample
from softkv_service.storage import Reader
from softkv_service.storage.conditions import Visibility
from softkv_service.storage.records import CollectionRecord, ExpiryRows

NONE_WAIT: I64 = np.empty(0, dtype=np.int64)


class Unloadable(Protocol):
    """A collection whose keys can leave memory."""

    @property
    def memory_bytes(self) -> int | None:
        """The bytes of its keys, values and codes in memory; None if other processes hold them."""

    def unload(self) -> bool:
        """Drop the keys from memory; return False if they have to stay for now."""


class LoadedCollections:
    """The small collections whose keys are in memory. If there are too many, the least recently used are unloaded.

    Many threads may use it.

    Args:
        limit: how many may be in memory at once; a call that uses one more keeps it there for the call. None means no
            limit.
        max_bytes: how many bytes they may take together; None means no limit.
    """

    def __init__(self, limit: int | None = None, max_bytes: int | None = None) -> None:
        self.limit = limit
        self.max_bytes = sys.maxsize if max_bytes is None else max_bytes
        self._by_use: OrderedDict[Unloadable, int] = OrderedDict()  # with their bytes at their last use
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._by_use)

    def use(self, collection: Unloadable, size: int | None) -> None:
        """Record that a collection of this many bytes is used now, and unload others if there are too many."""
        if self.limit is None:
            return
        oldest, size = list[Unloadable](), size or 0
        with self._lock:
            self._bytes += size - self._by_use.get(collection, 0)
            self._by_use[collection] = size
            self._by_use.move_to_end(collection)
            while len(self._by_use) > self.limit or (self._bytes > self.max_bytes and len(self._by_use) > 1):
                other, size = self._by_use.popitem(last=False)
                self._bytes -= size
                oldest.append(other)
        # Outside the lock, and after they were taken out: a collection that is used meanwhile is put back by its user.
        staying = [other for other in oldest if not other.unload()]
        if staying:
            with self._lock:
                for other in staying:
                    if other not in self._by_use:
                        self._by_use[other] = size = other.memory_bytes or 0
                        self._bytes += size

    @property
    def full(self) -> bool:
        """Whether another collection would soon take the place of one that was used."""
        return self._bytes > 0.9 * self.max_bytes

    def forget(self, collection: Unloadable) -> None:
        """Leave out a collection that was deleted, or that is not a small one any more."""
        if self.limit is not None:
            with self._lock:
                self._bytes -= self._by_use.pop(collection, 0)


class KeysInMemory:
    """The keys of one collection in memory, with the expirations of its documents and the version of both.

    Many threads read it. The caller of `show` and `replace` keeps readers from opening the store meanwhile: within one
    process by the store's lock, in a replica by a lock of its own.

    Two locks guard the keys' presence. `_turn` is held while the number of users changes and while keys leave memory,
    so that they leave only without users. `_loading` is held by the one call that reads them again.

    Attributes:
        memory: the keys; None while they are not in memory.
        expirations: the documents that expire.
        version: the number of writes that are shown, or the store's version in a replica.
        waiting: int64[n], ascending, the row numbers of documents whose values wait. It may have others, too, but no
            view has a document whose value waits without it, if `waiting` is read before the view.
        masks: the cached masks of the current view.
        clock: the clock by which documents expire.

    Args:
        memory: empty, or None if the first call reads the keys.
        clock: see above.
        sample: a sample of the keys, for snapshots.
    """

    def __init__(self, memory: Memory | None, clock: Clock, sample: KeySample) -> None:
        self.memory = memory
        self.clock = clock
        self.expirations: Expirations = NEVER
        self.version = 0
        self.waiting: I64 = NONE_WAIT
        self.unloaded_count: int | None = None
        """The number of keys that left memory, if it is known."""
        self._sample = sample
        self._unexpired = UnexpiredViews(lambda: self.masks.forget())
        self.masks = Masks(self._current_view)
        self._users = 0
        self._turn = Lock()
        self._loading = Lock()
        self._waiting_turn = Lock()  # held while `waiting` changes

    @property
    def view(self) -> View | None:
        """The view of all keys; None while they are not in memory."""
        memory = self.memory
        return None if memory is None else memory.view

    def _current_view(self) -> View | None:
        return self._unexpired.current(self.view)

    def present(self) -> Memory:
        """Return the keys, within a block of `in_use`."""
        assert self.memory is not None
        return self.memory

    @contextmanager
    def in_use(self, load: Callable[[], None], used: Callable[[], None]) -> Iterator[None]:
        """Keep the keys in memory for the duration of the block.

        Args:
            load: reads them and calls `put`, if they are not there.
            used: called when they are there, and again after a write.
        """
        with self._turn:
            self._users += 1
        try:
            if self.memory is None:
                with self._loading:
                    if self.memory is None:
                        load()
            used()
            version = self.version
            yield
            if self.version != version:  # a write changes their size
                used()
        finally:
            with self._turn:
                self._users -= 1

    def leave(self) -> None:
        """Let the first call read the keys, which were never in memory."""
        self.memory, self.unloaded_count = None, None

    def put(self, memory: Memory, expirations: Expirations, waiting: I64) -> None:
        """Have keys again that left memory; nothing was written since."""
        self.waiting, self.expirations = waiting, expirations
        self.memory = memory  # last: it tells other calls that all are there

    def unload(self, allowed: Callable[[], bool]) -> bool:
        """Drop the keys from memory; return False if a call needs them, or if it is not allowed now."""
        with self._turn:
            memory = self.memory
            if memory is None:
                return True
            if self._users or not allowed():
                return False
            self.unloaded_count, self.memory = memory.view.n, None
            self.masks = Masks(self._current_view)
            self._sample.forget()
            return True

    def replace(self, memory: Memory, expirations: Expirations, waiting: I64, version: int) -> None:
        """Show keys that were all read from the store at a version."""
        with self._waiting_turn:
            self.waiting = np.union1d(waiting, self.waiting)  # the view until now has the others
        self.expirations, self.memory, self.version = expirations, memory, version
        with self._waiting_turn:
            self.waiting = waiting
        self.masks.forget()

    def show_values(self, documents: I64, numbers: I64, values: F32) -> None:
        """Show the values of documents that waited.

        Args:
            documents: int64[m], ascending, the row numbers of the documents; those of deleted ones, too.
            numbers: int64[n], ascending, the row numbers of their keys.
            values: float32[n, d_v], the value of each key.

        Raises:
            MemoryError: there is not enough memory.
        """
        memory = self.memory
        if memory is None:
            return
        # Another change of the same blocks comes first.
        while not memory.replace_values(numbers, values) and len(np.intersect1d(numbers, memory.view.numbers())):
            pass
        with self._waiting_turn:
            if self.memory is memory:
                self.waiting = np.setdiff1d(self.waiting, documents, assume_unique=True)
        self.masks.forget()

    def prepare(self, *, add: Rows | None, removed: I64, expiring: ExpiryRows, waiting: I64) -> Prepared:
        """Prepare the keys after a write; this allocates memory, and nothing is visible yet.

        Args:
            add: the rows to add; None for none.
            removed: int64[r], the row numbers of documents to remove.
            expiring: those of the new documents that expire.
            waiting: int64[n], the row numbers of those whose values wait.

        Raises:
            MemoryError: there is not enough memory.
        """
        memory = self.present()
        staged = memory.stage(add=add, remove=removed)
        return Prepared(self, memory, staged, self.expirations.after_write(expiring, removed), removed, waiting)

    def change_waiting(self, removed: I64, added: I64) -> None:
        """Leave documents with these row numbers int64[r] out of `waiting`, and add others int64[n]."""
        if len(added) or (len(removed) and len(self.waiting)):
            with self._waiting_turn:
                self.waiting = np.union1d(np.setdiff1d(self.waiting, removed), added)

    def compact(self) -> bool:
        """Compact a part of the keys; return False if nothing was to be done."""
        if self.memory is None or not self.memory.compact():
            return False
        self.masks.forget()
        return True

    def view_at(self, view: View, expirations: Expirations, now: int) -> View:
        """Return the view without the documents that have expired at an instant."""
        return self._unexpired.at(view, expirations, now).view

    def snapshot(
        self,
        record: CollectionRecord,
        view: View,
        reader: Reader,
        version: int,
        expirations: Expirations,
        waiting: I64,
    ) -> Snapshot:
        """Return the snapshot of a version at this instant, without expired documents."""
        if expirations.first is not None:
            now = self.clock()
            shown = self._unexpired.at(view, expirations, now)
            if shown.until is not None:
                documents = record.documents - view.documents + shown.view.documents
                return Snapshot(
                    replace(record, documents=documents),
                    shown.view,
                    reader.seeing(Visibility(instant=now)),
                    version,
                    self.masks,
                    self._sample,
                    expired_until=shown.until,
                    waiting=waiting,
                )
        return Snapshot(record, view, reader, version, self.masks, self._sample, waiting=waiting)


@dataclass(frozen=True, eq=False)
class Prepared:
    """The keys after a write, before they are visible. It is shown once, after the commit."""

    keys: KeysInMemory
    memory: Memory
    staged: View
    expirations: Expirations
    removed: I64
    waiting: I64

    def show(self, version: int) -> None:
        """Make the keys visible, as those of a version."""
        self.keys.change_waiting(NONE_WAIT, self.waiting)  # before the view has them
        self.memory.show(self.staged)
        self.keys.change_waiting(self.removed, NONE_WAIT)
        self.keys.expirations, self.keys.version = self.expirations, version
        self.keys.masks.forget()

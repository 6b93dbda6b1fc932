"""A store that slots follow, in memory: what it promises and no more. Time passes only where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.storage import (
    CollectionMissing,
    CollectionRecord,
    CollectionSettings,
    Comparison,
    Extent,
    Holder,
    KeyRows,
    Logged,
    Slot,
    StoreUnavailable,
)

WIDTH = 4
KEPT_SECONDS = 600.0
PRESENT_SECONDS = 30.0
ODD = '{"field": "metadata.odd", "operator": "==", "value": true}'


def key_of(row: int) -> np.ndarray:
    return np.array([row % 1000 + 1, row // 1000, 1, -1], np.float32)


@dataclass
class Stored:
    """A document: its first row, how many keys, and the versions from `born` on and before `died`."""

    row: int
    keys: int
    born: int
    died: float = float("inf")

    @property
    def rows(self) -> range:
        return range(self.row, self.row + self.keys)

    @property
    def odd(self) -> bool:
        return self.row % 2 == 1

    def lives(self, version: int) -> bool:
        return self.born <= version < self.died


@dataclass
class StoredCollection:
    """`documents` are those that are there still, `ever` all that there were."""

    record: CollectionRecord
    version: int = 0
    next_row: int = 1
    documents: list[Stored] = field(default_factory=list)
    ever: list[Stored] = field(default_factory=list)
    log: list[tuple[int, int, int, list[int], float]] = field(default_factory=list)
    cleared: bool = False

    def write(self, keys: Sequence[int], removed: Sequence[int], *, skipped: int, now: float) -> None:
        """A version that adds documents with so many keys, behind so many row numbers that have none."""
        self.version += 1
        first = self.next_row
        self.next_row += skipped
        for count in keys:
            made = Stored(self.next_row, count, self.version)
            self.documents.append(made)
            self.ever.append(made)
            self.next_row += count
        gone = set(removed)
        for each in self.documents:
            if each.row in gone:
                each.died = self.version
        self.log.append((self.version, first, self.next_row - first, sorted(removed), now))

    def clear(self, now: float) -> None:
        """What is gone for long is deleted, and the log of that; `cleared` says that there was some."""
        horizon = max((each[0] for each in self.log[:-1] if each[4] < now - KEPT_SECONDS), default=0)
        self.documents = [each for each in self.documents if each.died > horizon]
        self.cleared = self.cleared or any(each[0] <= horizon for each in self.log)
        self.log = [each for each in self.log if each[0] > horizon]

    def living(self, version: int) -> list[int]:
        """The row numbers of what a version has, of all that there ever was."""
        return [row for each in self.ever if each.lives(version) for row in each.rows]


class SimulatedReader:
    """Of one state of a collection, or of what is stored at the moment and lives at a version."""

    def __init__(self, store: SimulatedStore, version: int | None, state: dict[int, Any] | None) -> None:
        self._store, self._version, self._state = store, version, state

    def version(self, collection: int) -> int:
        assert self._state is not None
        if collection not in self._state:
            raise CollectionMissing(collection)
        return self._state[collection][0]

    def kept(self, collection: int) -> bool:
        self._store.called()
        if self._state is not None:
            return True
        if (there := self._store.collections.get(collection)) is None:
            raise CollectionMissing(collection)
        assert self._version is not None
        since = self._store.clock() - KEPT_SECONDS
        return there.version <= self._version or any(
            version == self._version + 1 and at > since for version, *_, at in there.log
        )

    def _living(self, collection: int, first: int, last: int | None) -> list[Stored]:
        self._store.called()
        if self._state is not None:
            version, found = self._state.get(collection, (0, []))
        else:
            assert self._version is not None
            there = self._store.collections.get(collection)
            version, found = self._version, [] if there is None else there.documents
        return [each for each in found if each.lives(version) and first <= each.row <= (last or 2**62)]

    def vectors(self, collection, batch=4096, *, among=None, damaged=None, first=0, last=None) -> Iterator[KeyRows]:
        found = self._living(collection, first, last)
        found = [each for each in found if among is None or each.row in among]
        if found:
            numbers = np.array([row for each in found for row in each.rows], np.int64)
            owners = np.array([each.row for each in found for _ in each.rows], np.int64)
            yield KeyRows(numbers, owners, np.array([key_of(row) for row in numbers.tolist()]), None)

    def rows_where(self, collection, condition=None, *, first=0, last=None) -> np.ndarray:
        found = self._living(collection, first, last)
        if condition is not None:
            assert condition == Comparison("metadata.odd", "==", True)
            found = [each for each in found if each.odd]
        return np.array([each.row for each in found], np.int64)

    def column(self, collection, field, *, after=0, last=None, most_bytes=None) -> None:
        """It is too large to hold: each filter asks `rows_where`, of the version that it is about."""


class SimulatedStore:
    """The truth, and the register of slots.

    Args:
        clock: seconds.
        called: is called at the beginning of each call: whatever happens meanwhile happens there. It may raise
            StoreUnavailable.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.collections: dict[int, StoredCollection] = {}
        self.register: dict[str, tuple[str, float, bool]] = {}
        self.held: set[tuple[str, int, int]] = set()
        self._made = 0

    def called(self) -> None:
        """Of the store itself nothing comes between."""

    def create(self) -> int:
        self._made += 1
        record = CollectionRecord(self._made, f"c{self._made}", CollectionSettings("dot", 1.0))
        self.collections[self._made] = StoredCollection(record)
        return self._made

    def delete(self, collection: int) -> None:
        del self.collections[collection]
        self.held = {each for each in self.held if each[1] != collection}

    def members(self) -> list[Slot]:
        return [each for each in self.present() if not each.leaving]

    def present(self) -> list[Slot]:
        since = self.clock() - PRESENT_SECONDS
        return [Slot(name, node, left) for name, (node, seen, left) in sorted(self.register.items()) if seen > since]

    def holders(self, collection: int | None = None) -> list[Holder]:
        there = {each.name: each for each in self.present()}
        return [
            Holder(number, first_row, there[slot])
            for slot, number, first_row in sorted(self.held)
            if slot in there and collection in (None, number)
        ]


class Link:
    """What one slot reaches of the store, over a line that may be down, or slow: a `FollowedStore` and a register.

    Args:
        between: is called at the beginning and at the end of each call, and may raise StoreUnavailable: at the end, the
            call was done and nobody heard of it.
        gave_up: is told of each range that the slot let go of, since others have it.
        lost: is told of each range that the slot lost.
    """

    def __init__(
        self,
        store: SimulatedStore,
        between: Callable[[], None],
        gave_up: Callable[[int, int], None],
        lost: Callable[[int, int], None],
    ) -> None:
        self._store, self._between, self._gave_up, self._lost = store, between, gave_up, lost
        self.slots = self

    @property
    def collections(self) -> dict[int, StoredCollection]:
        return self._store.collections

    def called(self) -> None:
        self._between()

    def clock(self) -> float:
        return self._store.clock()

    @contextmanager
    def _call(self) -> Iterator[SimulatedStore]:
        self._between()
        yield self._store
        self._between()

    def extents(self) -> dict[int, Extent]:
        with self._call() as store:
            return {number: Extent(each.version, each.next_row) for number, each in store.collections.items()}

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        with self._call() as store:
            if collection not in store.collections:
                raise CollectionMissing(collection)
            found = store.collections[collection]
            return found.record, Extent(found.version, found.next_row)

    def log(self, collection: int, after: int) -> list[Logged] | None:
        with self._call() as store:
            there = store.collections.get(collection)
            found = [] if there is None else [each for each in there.log if each[0] > after]
            if [each[0] for each in found] != list(range(after + 1, after + 1 + len(found))):
                return None
            now = store.clock()
            return [
                Logged(version, first, count, np.array(removed, np.int64), now - at)
                for version, first, count, removed, at in found
            ]

    @contextmanager
    def reading(self) -> Iterator[SimulatedReader]:
        with self._call() as store:
            state = {
                number: (each.version, [Stored(**vars(one)) for one in each.documents])
                for number, each in store.collections.items()
            }
        yield SimulatedReader(self, None, state)

    @contextmanager
    def reading_at(self, version: int) -> Iterator[SimulatedReader]:
        self._between()
        yield SimulatedReader(self, version, None)

    def join(self, name: str, node: str) -> None:
        with self._call() as store:
            store.register = {
                each: told for each, told in store.register.items() if told[1] > store.clock() - KEPT_SECONDS
            }
            store.held = {each for each in store.held if each[0] != name and each[0] in store.register}
            store.register[name] = (node, store.clock(), False)

    def beat(self, name: str) -> bool:
        with self._call() as store:
            if name not in store.register:
                return False
            node, _, leaving = store.register[name]
            store.register[name] = (node, store.clock(), leaving)
            return True

    def leave(self, name: str) -> None:
        with self._call() as store:
            if name in store.register:
                node, seen, _ = store.register[name]
                store.register[name] = (node, seen, True)

    def gone(self, name: str) -> None:
        with self._call() as store:
            store.register.pop(name, None)
            store.held = {each for each in store.held if each[0] != name}

    def members(self) -> list[Slot]:
        with self._call() as store:
            return store.members()

    def present(self) -> list[Slot]:
        with self._call() as store:
            return store.present()

    def hold(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        with self._call() as store:
            if name in store.register and collection in store.collections:
                store.held |= {(name, collection, first_row) for first_row in first_rows}

    def release(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        with self._call() as store:
            for first_row in first_rows:
                if (name, collection, first_row) in store.held:
                    self._lost(collection, first_row)
                    store.held.discard((name, collection, first_row))

    def give_up(self, name: str, collection: int, first_row: int, owners: Sequence[str], copies: int) -> bool:
        with self._call() as store:
            members = {each.name for each in store.members()}
            holding = sum((each, collection, first_row) in store.held for each in members & set(owners) - {name})
            told = (name, collection, first_row) in store.held
            if not told or not 1 <= min(copies, len(members)) <= holding:
                return False
            store.held.discard((name, collection, first_row))
            self._gave_up(collection, first_row)
            return True

    def holders(self, collection: int | None = None) -> list[Holder]:
        with self._call() as store:
            return store.holders(collection)


class Down(StoreUnavailable):
    """The line is down."""

"""A simulated store in memory with exactly the store's promises. Time passes only on command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.storage import (
    CollectionMissing,
    CollectionRecord,
    CollectionSettings,
    Comparison,
    KeyRows,
    KeySums,
    NodeRecord,
    ShardReplica,
)

WIDTH = 4
KEPT_SECONDS = 600.0
PRESENT_SECONDS = 30.0
ODD = '{"field": "metadata.odd", "operator": "==", "value": true}'


def tie_of(row: int) -> int:
    return row * 2_654_435_761 + 1


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
        """Write a version that adds documents with these numbers of keys, after `skipped` row numbers without keys."""
        self.version += 1
        first = self.next_row
        self.next_row += skipped
        for count in keys:
            made = Stored(self.next_row, count, self.version)
            self.documents.append(made)
            self.ever.append(made)
            self.next_row += count
        gone = set(removed)
        for document in self.documents:
            if document.row in gone:
                document.died = self.version
        self.log.append((self.version, first, self.next_row - first, sorted(removed), now))

    def clear(self, now: float) -> None:
        """Delete old removed rows and their log; `cleared` records that there were some."""
        horizon = max((entry[0] for entry in self.log[:-1] if entry[4] < now - KEPT_SECONDS), default=0)
        self.documents = [document for document in self.documents if document.died > horizon]
        self.cleared = self.cleared or any(entry[0] <= horizon for entry in self.log)
        self.log = [entry for entry in self.log if entry[0] > horizon]

    def living(self, version: int) -> list[int]:
        """Return the row numbers of a version, among all rows that ever existed."""
        return [row for document in self.ever if document.lives(version) for row in document.rows]


class SimulatedReader:
    """A reader of one state of a collection, or of the rows stored now that live at a version."""

    def __init__(self, store: SimulatedStore, version: int | None, state: dict[int, Any] | None) -> None:
        self._store, self._version, self._state = store, version, state

    def version(self, collection: int) -> int:
        assert self._state is not None
        if collection not in self._state:
            raise CollectionMissing(collection)
        return self._state[collection][0]

    def is_retained(self, collection: int) -> bool:
        self._store.called()
        if self._state is not None:
            return True
        if (stored := self._store.collections.get(collection)) is None:
            raise CollectionMissing(collection)
        assert self._version is not None
        since = self._store.clock() - KEPT_SECONDS
        return stored.version <= self._version or any(
            version == self._version + 1 and time > since for version, *_, time in stored.log
        )

    def _there(self, collection: int) -> tuple[int, list[Stored]]:
        """Return a version, and the stored documents, alive or removed."""
        if self._state is not None:
            return self._state.get(collection, (0, []))
        assert self._version is not None
        stored = self._store.collections.get(collection)
        return self._version, [] if stored is None else stored.documents

    def _living(self, collection: int, first: int, last: int | None) -> list[Stored]:
        self._store.called()
        version, documents = self._there(collection)
        return [
            document for document in documents if document.lives(version) and first <= document.row <= (last or 2**62)
        ]

    def vectors(self, collection, batch=4096, *, among=None, damaged=None, first=0, last=None) -> Iterator[KeyRows]:
        result = self._living(collection, first, last)
        result = [document for document in result if among is None or document.row in among]
        if result:
            numbers = np.array([row for document in result for row in document.rows], np.int64)
            owners = np.array([document.row for document in result for _ in document.rows], np.int64)
            yield KeyRows(numbers, owners, np.array([key_of(row) for row in numbers.tolist()]), None)

    def rows_where(self, collection, condition=None, *, first=0, last=None) -> np.ndarray:
        result = self._living(collection, first, last)
        if condition is not None:
            assert condition == Comparison("metadata.odd", "==", True)
            result = [document for document in result if document.odd]
        return np.array([document.row for document in result], np.int64)

    def key_checksums(self, collection, first, last) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return checksums of removed documents too, until they are deleted."""
        self._store.called()
        rows = [
            (row, document.row)
            for document in self._there(collection)[1]
            for row in document.rows
            if first <= row <= last
        ]
        numbers, owners = np.array(rows, np.int64).reshape(-1, 2).T
        return numbers, owners, np.array([tie_of(row) for row, _ in rows], np.int64)

    def key_sums(self, collection, document, first, last) -> KeySums:
        _, _, ties = self.key_checksums(collection, first, last)
        begun = [stored.row for stored in self._living(collection, document, last)]
        return KeySums.of(ties, np.array(begun, np.int64))

    def column(self, collection, field, *, after=0, last=None, most_bytes=None) -> None:
        """Return None, as if the column were too large: each filter calls `rows_where` for its version."""


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
        """Do nothing: a local store has no interruptions."""

    def create(self) -> int:
        self._made += 1
        record = CollectionRecord(self._made, f"c{self._made}", CollectionSettings("dot", 1.0))
        self.collections[self._made] = StoredCollection(record)
        return self._made

    def delete(self, collection: int) -> None:
        del self.collections[collection]
        self.held = {replica for replica in self.held if replica[1] != collection}

    def members(self) -> list[NodeRecord]:
        return [member for member in self.live() if not member.leaving]

    def live(self) -> list[NodeRecord]:
        since = self.clock() - PRESENT_SECONDS
        return [
            NodeRecord(name, node, left) for name, (node, seen, left) in sorted(self.register.items()) if seen > since
        ]

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        members = {member.name: member for member in self.live()}
        return [
            ShardReplica(number, first_row, members[slot])
            for slot, number, first_row in sorted(self.held)
            if slot in members and collection in (None, number)
        ]

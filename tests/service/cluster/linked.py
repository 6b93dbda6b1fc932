"""The connection of one slot to a simulated store, over a line that may be down; and a slot that reports its ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from service.cluster import Node
from service.storage import (
    CollectionMissing,
    CollectionRecord,
    Extent,
    NodeRecord,
    ShardReplica,
    StoreUnavailable,
    VersionChange,
)
from tests.service.cluster.simulated import (
    KEPT_SECONDS,
    SimulatedReader,
    SimulatedStore,
    Stored,
    StoredCollection,
    key_of,
)

COPIES = 2


class Down(StoreUnavailable):
    """The line is down."""


class Link:
    """A slot's connection to the store, over a line that may be down or slow: a `SourceStore` and a register.

    Args:
        between: called at the beginning and at the end of each call; it may raise StoreUnavailable. At the end, the
            call was done, but its answer is lost.
        gave_up: called with each range that the slot gave up, because others have it.
        lost: called with each range that the slot lost.
    """

    def __init__(
        self,
        store: SimulatedStore,
        between: Callable[[], None],
        gave_up: Callable[[int, int], None],
        lost: Callable[[int, int], None],
    ) -> None:
        self._store, self._between, self._gave_up, self._lost = store, between, gave_up, lost
        self.nodes = self

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
            return {
                number: Extent(collection.version, collection.next_row)
                for number, collection in store.collections.items()
            }

    def extent(self, collection: int) -> tuple[CollectionRecord, Extent]:
        with self._call() as store:
            if collection not in store.collections:
                raise CollectionMissing(collection)
            stored = store.collections[collection]
            return stored.record, Extent(stored.version, stored.next_row)

    def change_log(self, collection: int, after: int) -> list[VersionChange] | None:
        with self._call() as store:
            stored = store.collections.get(collection)
            entries = [] if stored is None else [entry for entry in stored.log if entry[0] > after]
            if [entry[0] for entry in entries] != list(range(after + 1, after + 1 + len(entries))):
                return None
            now = store.clock()
            return [
                VersionChange(version, first, count, np.array(removed, np.int64), now - time)
                for version, first, count, removed, time in entries
            ]

    @contextmanager
    def reading(self) -> Iterator[SimulatedReader]:
        with self._call() as store:
            state = {
                number: (collection.version, [Stored(**vars(one)) for one in collection.documents])
                for number, collection in store.collections.items()
            }
        yield SimulatedReader(self, None, state)

    @contextmanager
    def reading_at(self, version: int) -> Iterator[SimulatedReader]:
        self._between()
        yield SimulatedReader(self, version, None)

    def join(self, name: str, node: str) -> None:
        with self._call() as store:
            store.register = {
                member: entry for member, entry in store.register.items() if entry[1] > store.clock() - KEPT_SECONDS
            }
            store.held = {member for member in store.held if member[0] != name and member[0] in store.register}
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

    def remove(self, name: str) -> None:
        with self._call() as store:
            store.register.pop(name, None)
            store.held = {holding_entry for holding_entry in store.held if holding_entry[0] != name}

    def members(self) -> list[NodeRecord]:
        with self._call() as store:
            return store.members()

    def live(self) -> list[NodeRecord]:
        with self._call() as store:
            return store.live()

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
            members = {member.name for member in store.members()}
            holding = sum((member, collection, first_row) in store.held for member in members & set(owners) - {name})
            holds_it = (name, collection, first_row) in store.held
            if not holds_it or not 1 <= min(copies, len(members)) <= holding:
                return False
            store.held.discard((name, collection, first_row))
            self._gave_up(collection, first_row)
            return True

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        with self._call() as store:
            return store.holders(collection)


def told(views, mask, view, message, arrays, bias=None):
    """Return which rows pass, after a check of their keys against the written ones."""
    assert view.n == sum(segment_view.n for segment_view in views)
    assert [segment for segment_view in views for segment in segment_view.segments] == list(view.segments)
    owners = [np.empty(0, np.int64)]
    for segment, passing in view.passing(mask):
        rows = segment.numbers if passing is None else segment.numbers[passing]
        keys = segment.keys if passing is None else segment.keys[passing]
        assert np.array_equal(keys, np.array([key_of(row) for row in rows.tolist()]).reshape(keys.shape))
        owners.append(rows)
    return {}, {"rows": np.sort(np.concatenate(owners))}


class Running:
    """A slot, its line to the store, and what it has yet to do in other threads."""

    def __init__(self, history: Any, name: str, node: str) -> None:
        self.tasks: list[Callable[[], None]] = []
        self.stepping = self.dead = False
        self.down_until = 0.0
        self._history = history
        link = Link(history.store, self._between, history.check_given_up, history.check_lost)
        self.shard = Node(
            name,
            node,
            link,
            COPIES,
            respond=told,
            clock=lambda: history.now,
            submit=self.tasks.append,
            sealed=history.folder,
        )

    def _between(self) -> None:
        if self.dead or self._history.now < self.down_until or self._history.chance(0.01):
            raise Down("the line is down")
        self._history.meanwhile()

    def step(self) -> None:
        if not self.stepping:
            self.stepping = True
            try:
                self.shard.step()
            finally:
                self.stepping = False

    def run_task(self) -> None:
        if self.tasks:
            self.tasks.pop(self._history.random.randrange(len(self.tasks)))()

    @property
    def held(self) -> set[tuple[int, int]]:
        return {(number, row) for number, collection in self.shard._collections.items() for row in collection.ranges}

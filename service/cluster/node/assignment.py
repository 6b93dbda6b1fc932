"""Which ranges a slot is to hold now, and what it tells the others of those that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from service.cluster.placement import place_shard, shard_starts
from service.storage import Extent, NodeRecord, NodeRegistry

BEAT_SECONDS = 5.0
"""Between two beats: a slot that was not heard of for thirty seconds is not there."""
MEMBERS_SECONDS = 1.0
"""Between two looks at which slots there are."""

Range = tuple[int, int]
"""A collection, and a first row."""


class Assignment:
    """One slot's part in the register of all slots; for one thread. Every method may raise StorageError.

    Args:
        name, node: its own.
        copies: how many slots are to hold a range.
    """

    def __init__(self, name: str, node: str, register: NodeRegistry, copies: int) -> None:
        self._name, self._node, self._register, self._copies = name, node, register, copies
        self._told: set[Range] = set()  # what the register says that this slot has
        self._members: tuple[NodeRecord, ...] = ()
        self._owners: dict[Range, tuple[str, ...]] = {}
        self._joined = self._leaves = False
        self._next_beat = self._next_look = float("-inf")

    def beat(self, now: float, *, leaving: bool) -> None:
        """Say that the slot is there still, where it is time to, and once that it is about to leave."""
        if leaving and self._joined and not self._leaves:
            self._register.leave(self._name)
            self._leaves = True
        if self._joined and now < self._next_beat:
            return
        if not self._joined or not self._register.beat(self._name):
            self._joined = self._leaves = False
            self._register.join(self._name, self._node)
            self._told.clear()
            self._joined = True
        self._next_beat = now + BEAT_SECONDS

    def look(self, now: float, *, at_once: bool) -> None:
        """See which slots there are, where it is time to."""
        if now < self._next_look and not at_once:
            return
        members = tuple(self._register.members())
        if members != self._members:
            self._members = members
            self._owners.clear()
        self._next_look = now + MEMBERS_SECONDS

    def wanted(self, extents: Mapping[int, Extent]) -> set[Range]:
        """The ranges that are placed on this slot."""
        there = {
            (number, first_row) for number, extent in extents.items() for first_row in shard_starts(extent.next_row)
        }
        for gone in self._owners.keys() - there:
            del self._owners[gone]
        return {each for each in there if self._name in self._owners_of(each)}

    def tell(self, ready: set[Range]) -> None:
        """Have the register say that the slot has these ready, and no others."""
        for number, first_rows in _by_collection(self._told - ready):
            self._register.release(self._name, number, first_rows)
            self._told -= {(number, first_row) for first_row in first_rows}
        for number, first_rows in _by_collection(ready - self._told):
            self._register.hold(self._name, number, first_rows)
            self._told |= {(number, first_row) for first_row in first_rows}

    def give_up(self, superfluous: Iterable[Range]) -> list[Range]:
        """Those of the ranges that others are to hold, and do, so that the slot is rid of them."""
        given_up = []
        for number, first_rows in _by_collection(self._told.intersection(superfluous)):
            held = {(each.first_row, each.node.name) for each in self._register.holders(number)}
            for first_row in first_rows:
                others = self._owners_of((number, first_row))
                # What it does not have any more was given up before, and the word of that was lost.
                if (first_row, self._name) not in held or (
                    all((first_row, other) in held for other in others)
                    and self._register.give_up(self._name, number, first_row, others, self._copies)
                ):
                    self._told.discard((number, first_row))
                    given_up.append((number, first_row))
        return given_up

    def _owners_of(self, each: Range) -> tuple[str, ...]:
        if each not in self._owners:
            self._owners[each] = place_shard(*each, self._members, self._copies)
        return self._owners[each]


def _by_collection(found: Iterable[Range]) -> list[tuple[int, list[int]]]:
    return [
        (number, [first_row for _, first_row in some]) for number, some in groupby(sorted(found), lambda each: each[0])
    ]

"""The shards that a node should hold, and the node's entries in the registry of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from service.cluster.placement import place_shard, shard_starts
from service.storage import Extent, NodeRecord, NodeRegistry

HEARTBEAT_SECONDS = 5.0
"""Interval between two heartbeats; a node without one for 30 seconds counts as gone."""
MEMBERS_SECONDS = 1.0
"""Interval between two reads of the cluster's members."""

ShardId = tuple[int, int]
"""A shard: the collection's number, and the shard's first row."""


class Assignment:
    """One node's entries in the registry that all nodes share; used by one thread. Methods may raise StorageError.

    Args:
        name: the node's name.
        node: the machine's name.
        copies: the number of nodes that should hold each shard.
    """

    def __init__(self, name: str, node: str, registry: NodeRegistry, copies: int) -> None:
        self._name, self._node, self._registry, self._copies = name, node, registry, copies
        self._published: set[ShardId] = set()  # the shards that the registry lists for this node
        self._members: tuple[NodeRecord, ...] = ()
        self._assignments: dict[ShardId, tuple[str, ...]] = {}
        self._joined = self._announced_leave = False
        self._next_heartbeat = self._next_refresh = float("-inf")

    def send_heartbeat(self, now: float, *, leaving: bool) -> None:
        """Send a heartbeat if one is due, and announce once that the node is leaving."""
        if leaving and self._joined and not self._announced_leave:
            self._registry.leave(self._name)
            self._announced_leave = True
        if self._joined and now < self._next_heartbeat:
            return
        if not self._joined or not self._registry.beat(self._name):
            self._joined = self._announced_leave = False
            self._registry.join(self._name, self._node)
            self._published.clear()
            self._joined = True
        self._next_heartbeat = now + HEARTBEAT_SECONDS

    def refresh_members(self, now: float, *, at_once: bool) -> None:
        """Read the names of the cluster's nodes again if that is due, or immediately if `at_once`."""
        if now < self._next_refresh and not at_once:
            return
        members = tuple(self._registry.members())
        if members != self._members:
            self._members = members
            self._assignments.clear()
        self._next_refresh = now + MEMBERS_SECONDS

    def find_assigned(self, extents: Mapping[int, Extent]) -> set[ShardId]:
        """Return the shards that are assigned to this node."""
        existing = {
            (number, first_row) for number, extent in extents.items() for first_row in shard_starts(extent.next_row)
        }
        for deleted in self._assignments.keys() - existing:
            del self._assignments[deleted]
        return {shard for shard in existing if self._name in self._place(shard)}

    def publish(self, ready: set[ShardId]) -> None:
        """Update the registry to list exactly these shards as ready on this node."""
        for number, first_rows in _by_collection(self._published - ready):
            self._registry.release(self._name, number, first_rows)
            self._published -= {(number, first_row) for first_row in first_rows}
        for number, first_rows in _by_collection(ready - self._published):
            self._registry.hold(self._name, number, first_rows)
            self._published |= {(number, first_row) for first_row in first_rows}

    def hand_over(self, superfluous: Iterable[ShardId]) -> list[ShardId]:
        """Return those of these shards that this node may drop, because all nodes to which they are assigned
        hold them.
        """
        dropped = []
        for number, first_rows in _by_collection(self._published.intersection(superfluous)):
            holders = {(replica.first_row, replica.node.name) for replica in self._registry.holders(number)}
            for first_row in first_rows:
                assigned = self._place((number, first_row))
                # A shard that the registry no longer lists was handed over before; the reply was lost.
                if (first_row, self._name) not in holders or (
                    all((first_row, name) in holders for name in assigned)
                    and self._registry.give_up(self._name, number, first_row, assigned, self._copies)
                ):
                    self._published.discard((number, first_row))
                    dropped.append((number, first_row))
        return dropped

    def _place(self, shard: ShardId) -> tuple[str, ...]:
        if shard not in self._assignments:
            self._assignments[shard] = place_shard(*shard, self._members, self._copies)
        return self._assignments[shard]


def _by_collection(shards: Iterable[ShardId]) -> list[tuple[int, list[int]]]:
    return [
        (number, [first_row for _, first_row in group])
        for number, group in groupby(sorted(shards), lambda shard: shard[0])
    ]

"""Placement of shards on nodes: rendezvous hashing, so that a node that joins or leaves moves the fewest shards.

D. G. Thaler, C. V. Ravishankar: Using name-based mappings to increase hit rates, IEEE/ACM Transactions on Networking 6
(1998): each node has a score for each shard, and the nodes with the highest scores hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from service.storage import NodeRecord

SHARD_ROWS = 131_072
"""Row numbers in a shard: as many as in a full block of the lookup."""


def shard_starts(next_row: int) -> range:
    """Return the first rows of a collection's shards, given its next row number; row numbers start at 1."""
    return range(0, next_row, SHARD_ROWS) if next_row > 1 else range(0)


def shard_start(row: int) -> int:
    """Return the first row number of the shard that contains this row."""
    return row - row % SHARD_ROWS


def place_shard(collection: int, first_row: int, nodes: Iterable[NodeRecord], copies: int) -> tuple[str, ...]:
    """Return the names of the `copies` nodes that should hold a shard, best first; of all nodes if fewer exist.

    The nodes are on different machines if there are enough machines. Otherwise the list begins with one node of each
    machine.
    """
    ranked = sorted(nodes, key=lambda node: (_score(collection, first_row, node.name), node.name), reverse=True)
    first, second = list[str](), list[str]()
    machines = set[str]()
    for node in ranked:
        (second if node.machine in machines else first).append(node.name)
        machines.add(node.machine)
    return tuple([*first, *second][:copies])


def _score(collection: int, first_row: int, name: str) -> bytes:
    return blake2b(f"{collection} {first_row} {name}".encode(), digest_size=16).digest()

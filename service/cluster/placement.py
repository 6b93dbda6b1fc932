"""Which slots hold which range: rendezvous hashing, so that who comes or goes moves no more than it must.

D. G. Thaler, C. V. Ravishankar: Using name-based mappings to increase hit rates, IEEE/ACM Transactions on Networking 6
(1998): each slot has a score for each range, and those with the highest hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from service.storage import NodeRecord

SHARD_ROWS = 131_072
"""Row numbers in a range: those of a full block of the lookup."""


def shard_starts(next_row: int) -> range:
    """The first rows of the ranges of a collection whose next row number is this one; numbers begin with 1."""
    return range(0, next_row, SHARD_ROWS) if next_row > 1 else range(0)


def shard_start(row: int) -> int:
    """The first row of the range that a document with this number is in."""
    return row - row % SHARD_ROWS


def place_shard(collection: int, first_row: int, slots: Iterable[NodeRecord], copies: int) -> tuple[str, ...]:
    """The names of the slots that are to hold a range, the first choice first: `copies` where there are so many.

    They are on different nodes where there are so many of these; else as many nodes as there are come first.
    """
    ranked = sorted(slots, key=lambda slot: (_score(collection, first_row, slot.name), slot.name), reverse=True)
    alone, beside = list[str](), list[str]()
    nodes = set[str]()
    for slot in ranked:
        (beside if slot.machine in nodes else alone).append(slot.name)
        nodes.add(slot.machine)
    return tuple([*alone, *beside][:copies])


def _score(collection: int, first_row: int, name: str) -> bytes:
    return blake2b(f"{collection} {first_row} {name}".encode(), digest_size=16).digest()

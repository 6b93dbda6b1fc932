"""Shards, which are ranges of row numbers, and their placement on servers.

The first shards of a collection have few rows and later ones more, so that a small collection is spread over all
servers and a large one has few shards. The boundaries are the same for every collection and never move.

Servers are chosen by rendezvous hashing, so that one server more or fewer moves the fewest shards. D. G. Thaler, C. V.
Ravishankar: Using name-based mappings to increase hit rates, IEEE/ACM Transactions on Networking 6 (1998): each server
has a score for each shard, and the servers with the highest scores hold it.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from functools import lru_cache
from hashlib import blake2b

from softkv_service.storage.records import ClusterPlan

SHARD_SIZES = ((65_536, 4_096), (262_144, 16_384), (1_048_576, 65_536))
"""Row numbers, and the size of the shards below each. Each of them is a multiple of the size that follows."""
MAX_SHARD_ROWS = 131_072
"""The size of all later shards: as many rows as in a full block of the lookup."""


def shard_rows(row: int) -> int:
    """Return the size of the shard that contains a row number."""
    return next((rows for stop, rows in SHARD_SIZES if row < stop), MAX_SHARD_ROWS)


def shard_start(row: int) -> int:
    """Return the first row number of the shard that contains a row number."""
    return row - row % shard_rows(row)


def shard_stop(first_row: int) -> int:
    """Return the first row number after the shard that begins at `first_row`."""
    return first_row + shard_rows(first_row)


def shard_starts(stop: int, row: int = 0) -> Iterator[int]:
    """Yield the first rows of the shards that contain the row numbers from `row` up to but not including `stop`.

    A collection's row numbers start at 1, so a collection whose next row number is 1 has no shards.
    """
    first_row = shard_start(row)
    while max(row, 1) < stop and first_row < stop:
        yield first_row
        first_row = shard_stop(first_row)


@lru_cache(maxsize=2**16)
def place_shard(collection: int, first_row: int, servers: tuple[str, ...], copies: int) -> tuple[str, ...]:
    """Return the names of the `copies` servers that should hold a shard, best first; all servers if there are fewer."""
    ranked = sorted(servers, key=lambda name: (_score(collection, first_row, name), name), reverse=True)
    return tuple(ranked[:copies])


def choose_servers(plan: ClusterPlan | None, answering: Collection[str], count: int) -> tuple[str, ...]:
    """Return the names of `count` servers for the next plan.

    Servers of the last plan stay. If fewer are wanted, those that do not answer go first. New ones get the first free
    names.
    """
    last = () if plan is None else plan.names
    leaving = sorted(last, key=lambda name: (name in answering, -last.index(name)))[: max(0, len(last) - count)]
    names = [name for name in last if name not in leaving]
    free = (name for number in itertools.count() if (name := f"softkv-{number}") not in names)
    return (*names, *itertools.islice(free, count - len(names)))


def _score(collection: int, first_row: int, name: str) -> bytes:
    return blake2b(f"{collection} {first_row} {name}".encode(), digest_size=16).digest()

"""What all slots hold, as the store knows it, and as they say themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import wait

from attention.lookup import of_bytes, to_bytes
from service.cluster.calling import Transport
from service.cluster.placement import ranges_of
from service.cluster.slot.question import STANDING, ShardStanding
from service.retrieval.collections import ClusterStatus, NodeStatus
from service.storage import Extent, NodeRecord, SharedStore

STANDING_SECONDS = 1.0
"""How long slots have to say what they have."""


def shards_of(store: SharedStore, copies: int, transport: Transport | None = None) -> ClusterStatus:
    """What slots there are and what they hold, as the store knows it; the rest as they say, where they can be asked.

    Raises StorageError.
    """
    extents, slots, holders = store.extents(), store.nodes.live(), store.nodes.holders()
    told = {} if transport is None else _told(transport, slots)
    ready = Counter((each.collection, each.first_row) for each in holders)
    held = Counter(each.node.name for each in holders)
    counts = [
        ready[number, first_row] for number, extent in extents.items() for first_row in ranges_of(extent.next_row)
    ]
    return ClusterStatus(
        copies,
        ranges=len(counts),
        whole=sum(each >= copies for each in counts),
        unheld=counts.count(0),
        slots=tuple(_standing(each, held[each.name], told.get(each.name), extents) for each in slots),
    )


def _told(transport: Transport, slots: Sequence[NodeRecord]) -> dict[str, ShardStanding]:
    """What the slots say that answer in time; all are asked at once."""
    message = to_bytes({"call": STANDING}, {})
    asked = {transport.ask(each.name, message): each.name for each in slots}
    answered, _ = wait(asked, STANDING_SECONDS)
    return {asked[each]: ShardStanding.of(of_bytes(each.result())[0]) for each in answered if each.exception() is None}


def _standing(slot: NodeRecord, ranges: int, told: ShardStanding | None, extents: Mapping[int, Extent]) -> NodeStatus:
    if told is None:
        return NodeStatus(*slot, ranges, None, None, None, None)
    # What it has not followed yet of what the store had before it was asked.
    lags = [extents[number].version - version for number, version in told.versions.items() if number in extents]
    return NodeStatus(*slot, ranges, told.rows, told.coming, max([0, *lags]), told.trouble)

"""A collection over several machines: who holds which ranges of it, and what each of them answers."""

from __future__ import annotations

from service.cluster.calling import Calling, Transport
from service.cluster.catalogue import ShardedCatalogue
from service.cluster.errors import ClusterError, RangesLost, SlotLost, VersionGone
from service.cluster.placement import RANGE_ROWS, owners, range_of, ranges_of
from service.cluster.question import SlotQuestion
from service.cluster.shard import Shard, ShardStanding

"""A collection over several machines: who holds which ranges of it, and what each of them answers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from service.cluster.calling import Calling, Transport
from service.cluster.catalogue import ShardedCatalogue
from service.cluster.errors import (
    ClusterError,
    ClusterUnreachable,
    RangesLost,
    RayMissing,
    SlotLost,
    SlotTaken,
    TokenRefused,
    VersionGone,
)
from service.cluster.placement import RANGE_ROWS, owners, range_of, ranges_of
from service.cluster.slot.question import ShardStanding, SlotQuestion
from service.cluster.slot.shard import Shard
from service.cluster.standing import shards_of

if TYPE_CHECKING:  # of what may not be installed
    from service.cluster.ray_actors import Membership, RayTransport


def joined(address: str, folder: Path) -> Membership:
    """This process as a member of a cluster.

    Raises: RayMissing; ClusterUnreachable; TokenRefused.
    """
    return cast("Membership", _ray().Membership(address, folder))


def transport() -> RayTransport:
    """What asks the slots of the cluster that this process has joined."""
    return cast("RayTransport", _ray().RayTransport())


def require_ray() -> None:
    """Raises RayMissing where a cluster could not be joined."""
    _ray()


def _ray() -> ModuleType:
    """The module that imports Ray, with what Ray reads from the environment set before."""
    from service.cluster import ray_node

    ray_node.prepare()
    try:
        from service.cluster import ray_actors
    except ImportError as error:
        raise RayMissing(f"shards need Ray, which is not there ({error}): pip install 'softkv[cluster]'") from None
    return ray_actors

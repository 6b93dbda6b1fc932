"""A collection over several machines: who holds which ranges of it, and what each of them answers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from service.cluster.catalogue import ShardedCatalogue, read_cluster_status
from service.cluster.errors import (
    ClusterError,
    ClusterUnreachable,
    NodeLost,
    NodeNameTaken,
    RayMissing,
    ShardsLost,
    TokenRefused,
    VersionGone,
)
from service.cluster.node.messages import NodeReport, NodeRequest
from service.cluster.node.node import Node
from service.cluster.placement import SHARD_ROWS, place_shard, shard_start, shard_starts
from service.cluster.router import Router, Transport

if TYPE_CHECKING:  # of what may not be installed
    from service.cluster.ray_actors import Membership, RayTransport


def join_cluster(address: str, folder: Path) -> Membership:
    """This process as a member of a cluster.

    Raises: RayMissing; ClusterUnreachable; TokenRefused.
    """
    return cast("Membership", _ray().Membership(address, folder))


def open_transport() -> RayTransport:
    """What asks the slots of the cluster that this process has join_cluster."""
    return cast("RayTransport", _ray().RayTransport())


def require_ray() -> None:
    """Raises RayMissing where a cluster could not be join_cluster."""
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

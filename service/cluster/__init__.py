"""Collections whose keys are sharded over several machines: which nodes hold which shards, and queries to these nodes.

A shard is a range of row numbers. A node is one process (`node/`): it holds replicas of shards, follows the store, and
answers from exactly the version in the request. A node that loses its replicas can read them from the store again.

In a coordinator, `placement.py` assigns shards to nodes, and `router.py` sends one message to all nodes concerned. If a
node is lost or slow, the router asks another replica. `metadata.py` caches the statistics of each shard at one version.
`collection.py` is a collection whose view is a `RemoteView` over all shards.

Only `ray_actors.py` imports Ray; `ray_node.py` starts a Ray node for each process that joins.
"""

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

if TYPE_CHECKING:  # Ray may not be installed
    from service.cluster.ray_actors import Membership, RayTransport


def join_cluster(address: str, folder: Path) -> Membership:
    """Make this process a member of a cluster, and return the membership.

    Raises: RayMissing; ClusterUnreachable; TokenRefused.
    """
    return cast("Membership", _ray().Membership(address, folder))


def open_transport() -> RayTransport:
    """Return the transport that sends messages to the nodes of the joined cluster."""
    return cast("RayTransport", _ray().RayTransport())


def require_ray() -> None:
    """Raise RayMissing if Ray is not installed."""
    _ray()


def _ray() -> ModuleType:
    """Import and return the module that uses Ray, after setting the environment that Ray reads."""
    from service.cluster import ray_node

    ray_node.prepare()
    try:
        from service.cluster import ray_actors
    except ImportError as error:
        raise RayMissing(f"shards need Ray, which is not there ({error}): pip install 'softkv[cluster]'") from None
    return ray_actors

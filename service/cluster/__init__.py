"""Collections whose keys are sharded over several machines: which servers hold which shards, and queries to them.

A shard is a range of row numbers. A shard server is a process (`server/`): it holds replicas of shards, follows the
store, and answers from exactly the version in the request. Servers are Ray actors, which Ray places and restarts
(`ray_cluster.py`, the only file that imports Ray). The store's plan names the servers and says how many of them hold
each shard. Servers and coordinators compute the same placement from it (`placement.py`).

In a coordinator, `roster.py` knows which servers have which shards ready, and `router.py` sends one message to all
servers concerned. If a server is lost or slow, the router asks another replica. `metadata.py` caches the statistics of
each shard at one version. `collection.py` is a collection whose view is a `RemoteView` over all shards.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, cast

from service.cluster.catalogue import ShardedCatalogue, cluster_status
from service.cluster.errors import ClusterError, RayMissing, RayUnreachable, ServerLost, ShardsLost, VersionGone
from service.cluster.messages import ServerReport
from service.cluster.placement import choose_servers, place_shard, shard_rows, shard_start, shard_starts, shard_stop
from service.cluster.roster import Roster, Transport, fetch_reports
from service.cluster.router import Router
from service.cluster.server.server import ShardServer

if TYPE_CHECKING:  # Ray may not be installed
    from service.cluster.ray_cluster import RayCluster, RayTransport


def join_cluster(address: str) -> RayCluster:
    """Make this process a driver in a Ray cluster.

    Raises: RayMissing; RayUnreachable.
    """
    return cast("RayCluster", _ray().RayCluster(address))


def open_transport() -> RayTransport:
    """Return the transport that sends messages to the servers of the joined cluster."""
    return cast("RayTransport", _ray().RayTransport())


def _ray() -> ModuleType:
    try:
        from service.cluster import ray_cluster
    except ImportError as error:
        raise RayMissing(f"shards need Ray, which is not there ({error}): run `pip install ray==2.60.0`") from None
    return ray_cluster

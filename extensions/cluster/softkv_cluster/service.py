"""The parts of a cluster that a service and `softkv cluster` use: servers, the router to them, and a catalogue."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Literal, cast

from softkv_cluster.catalogue import ShardedCatalogue, cluster_status
from softkv_cluster.errors import ClusterError, RayMissing, RayUnreachable, ServerLost, ShardsLost, VersionGone
from softkv_cluster.messages import ServerReport
from softkv_cluster.placement import choose_servers, place_shard, shard_rows, shard_start, shard_starts, shard_stop
from softkv_cluster.roster import Roster, Transport, fetch_reports
from softkv_cluster.router import Router
from softkv_cluster.server.server import ShardServer
from softkv_service.encoding import Encoders
from softkv_service.storage import SharedStore
from softkv_service.storage.errors import StorageFailed

if TYPE_CHECKING:  # Ray may not be installed
    from softkv_cluster.ray_cluster import RayCluster, RayTransport


def join_cluster(address: str) -> RayCluster:
    """Make this process a driver in a Ray cluster.

    Raises: RayMissing; RayUnreachable.
    """
    return cast("RayCluster", _ray().RayCluster(address))


def open_transport() -> RayTransport:
    """Return the transport that sends messages to the servers of the joined cluster."""
    return cast("RayTransport", _ray().RayTransport())


def open_catalogue(store: SharedStore, encoders: Encoders, address: str) -> ShardedCatalogue:
    """Join a Ray cluster whose servers hold the keys, and return the collections of the store.

    Raises:
        StorageFailed: Ray is not installed, the cluster cannot be reached, or values are yet to be encoded.
    """
    require_values(store)
    try:
        cluster = join_cluster(address)
    except ClusterError as error:
        raise StorageFailed(str(error)) from None
    transport = open_transport()
    router = Router(transport, Roster(store, transport, cluster.servers()))
    return ShardedCatalogue(store, encoders, router, cluster.close)


def require_values(store: SharedStore) -> None:
    """Raise StorageFailed if values are yet to be encoded: servers would blend the zeros that are in their place.

    Servers learn of vectors by writes of documents alone.
    """
    with store.reading() as reader:
        for record in reader.collections():
            waiting, failed = reader.find_waiting_values(record.id)
            if len(waiting):
                raise StorageFailed(
                    f"{len(waiting)} values of collection {record.name!r} are yet to be encoded, which only a service "
                    "without shards does: run `softkv serve` with this store and without --shards until `values` of "
                    f"GET /v1/collections/{record.name} says that none waits, end it, and start again"
                )
            if len(failed):
                raise StorageFailed(
                    f"{len(failed)} values of collection {record.name!r} were refused by its encoder, and servers hold "
                    "the vectors of all values: run `softkv serve` with this store and without --shards, change or "
                    "delete these documents, end it, and start again"
                )


def check_servers(store: SharedStore, address: str) -> tuple[Literal["ok", "note", "broken"], str]:
    """Return whether servers hold all keys, and a sentence that says it; for this the Ray cluster is joined."""
    plan = store.cluster_plan()
    if plan is None:
        return "broken", "no servers are deployed that hold the keys: start some with `softkv cluster up`"
    try:
        ray = join_cluster(address)
    except ClusterError as error:
        return "broken", str(error)
    try:
        names = {*plan.names, *ray.servers()}
        layout = cluster_status(store.extents(), plan, fetch_reports(open_transport(), names))
    finally:
        ray.close()
    running = {server.machine for server in layout.servers if not server.leaving} - {None}
    answered = f"{len(running)} of {len(plan.names)} servers answer"
    copies = (
        f"{layout.ranges} shards: {layout.whole} have {plan.copies} copies, {layout.fewer} fewer, {layout.unheld} none"
    )
    if layout.unheld:
        advice = "if that stays so, check that all machines run and have enough memory"
        return "broken", f"{answered}; {copies}; {advice}"
    return "note" if layout.fewer else "ok", f"{answered}; {copies}"


def _ray() -> ModuleType:
    try:
        from softkv_cluster import ray_cluster
    except ImportError as error:
        raise RayMissing(f"shards need Ray, which is not there ({error}): run `pip install ray==2.60.0`") from None
    return ray_cluster

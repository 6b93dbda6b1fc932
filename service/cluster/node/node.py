"""One node: replicas of shards in memory, which follow the store and answer from exactly the version of a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Condition, Event, Semaphore, Thread
from typing import Any

import structlog

from attention.errors import AttentionError
from attention.lookup import SCANNING_CALLS, Limits, Mask, SealedError, View, of_bytes, respond, to_bytes
from attention.shared_memory import Array
from service.cluster.errors import ScanTimeout
from service.cluster.node.assignment import Assignment, ShardId
from service.cluster.node.collection_replicas import CollectionReplicas, CombinedShards
from service.cluster.node.maintenance import Maintenance, ReplicaFiles
from service.cluster.node.messages import GONE, STATUS_CALL, NodeReport, NodeRequest, Refusal, behind, failure, missing
from service.cluster.node.replica import Replica
from service.cluster.node.source import SourceStore, VersionCleared
from service.retrieval.collections import KeyStorage
from service.storage import CollectionMissing, Extent, StorageError, StoreClosed

log = structlog.get_logger("softkv")

SYNC_SECONDS = 0.2
"""Interval between two syncs with the store, unless a request waits for a newer version."""
RETRY_SECONDS = 2.0
"""Delay before a replica that failed to load is tried again."""
CLOSE_SECONDS = 10.0
"""Time for which `close` waits for a running sync."""
LOADERS = 2
"""Replicas that are loaded at the same time."""
SMALL_SHARD_ROWS = 10_000
"""A shard with at most this many row numbers is loaded at once, in the syncing thread."""

Response = tuple[Mapping[str, Any], Mapping[str, Array]]
Respond = Callable[[Sequence[View], Mask | None, View, Mapping[str, Any], Mapping[str, Array]], Response]
Submit = Callable[[Callable[[], None]], object]


class Node:
    """One node; `start` syncs it in a thread, and many threads may call `answer`.

    Args:
        name: the node's name, unique in the cluster.
        node: the machine that it runs on.
        copies: the number of nodes that hold each shard.
        originals: a directory for float32 vectors; None keeps them in memory.
        sealed: a directory for replica files, see `ReplicaFiles`; None writes no files.
        limits: of the replicas' memories.
        respond: answers a message from views, see `attention.lookup.respond`.
        clock: monotonic seconds.
        submit: runs a function that loads a replica; None uses threads of the node.
    """

    def __init__(
        self,
        name: str,
        node: str,
        store: SourceStore,
        copies: int,
        originals: Path | None = None,
        *,
        sealed: Path | None = None,
        limits: Limits = Limits(),
        respond: Respond = respond,
        clock: Callable[[], float] = time.monotonic,
        submit: Submit | None = None,
    ) -> None:
        self.name, self.node = name, node
        self._store, self._storage = store, KeyStorage(originals, limits)
        self._respond, self._clock = respond, clock
        self._files = ReplicaFiles(sealed, name)
        self._pools = [ThreadPoolExecutor(count, f"{work} {name}") for work, count in (("read", LOADERS), ("tidy", 1))]
        self._submit, later = [submit or partial(self._in_pool, pool) for pool in self._pools]
        self._maintenance = Maintenance(self._files, self._find_replica, self._discard, later, clock)
        self._assignment = Assignment(name, node, store.nodes, copies)
        self._collections: dict[int, CollectionReplicas] = {}
        self._loading: set[ShardId] = set()
        self._refused: dict[ShardId, tuple[float, str]] = {}  # when to retry, and the error
        self._leaving = self._closed = self._synced = False
        self._trouble: str | None = None
        self._syncs_started = self._syncs_ended = 0  # numbers of syncs
        self._scans = ScanLimiter()
        self._thread: Thread | None = None
        self._changed = Condition()
        self._wake = Event()

    def start(self) -> None:
        """Sync with the store in a thread until `close`."""
        self._thread = Thread(target=self._run, name=f"slot {self.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop syncing with the store, and wait for a running sync. The node stays in the registry."""
        self._closed = True
        self._maintenance.close()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def leave(self) -> None:
        """Start to leave: from the next sync on, other nodes take over this node's replicas.

        `left` is True when they have.
        """
        self._leaving = True
        self._wake.set()

    @property
    def left(self) -> bool:
        """Whether the node is leaving and holds no replicas any more."""
        return (
            self._leaving
            and not self._loading
            and not any(collection.ranges for collection in list(self._collections.values()))
        )

    @property
    def report(self) -> NodeReport:
        """The node's report about itself."""
        collections = list(self._collections.items())
        replicas = {number: list(replica.ranges.values()) for number, replica in collections}
        return NodeReport(
            self.name,
            self.node,
            self._leaving,
            sum(map(len, replicas.values())),
            sum(replica.rows for group in replicas.values() for replica in group),
            len(self._loading | self._refused.keys()) if self._synced else 1,
            {number: min(replica.versions.newest for replica in group) for number, group in replicas.items() if group},
            self._trouble or next((reason for _, reason in list(self._refused.values())), None),
        )

    def answer(self, message: bytes) -> bytes:
        """Answer a message from the version, shards and documents that it names, or refuse it.

        An answer has the "seconds" that the work took, without the time spent waiting for the version or for other
        scans. A refusal has one of these fields: "gone" (the version is not kept), "behind" (the version that was
        reached in time), "missing" (shards), "failed" (the reason). The call "standing" is answered with the node's
        report.
        """
        fields, arrays = of_bytes(message)
        if fields.get("call") == STATUS_CALL:
            return to_bytes(self.report.message(), {})
        try:
            request = NodeRequest.of(fields)
            deadline = self._clock() + request.seconds
            views = self._wait_for_views(request)
            if not isinstance(views, CombinedShards):
                return to_bytes(views, {})
            with self._scans.acquire(fields.get("call"), deadline - self._clock()):
                start = self._clock()
                response, response_arrays = views.respond(self._store, request.version, fields, arrays, self._respond)
                return to_bytes({**response, "seconds": self._clock() - start}, response_arrays)
        except VersionCleared:
            return to_bytes(GONE, {})
        except SealedError as error:
            self._discard(error)
            return to_bytes(failure(error), {})
        except (StorageError, AttentionError, MemoryError, ScanTimeout) as error:
            return to_bytes(failure(f"{type(error).__name__}: {error}"), {})
        except Exception as error:  # a bug here; another replica may still answer
            log.exception("request failed on a node", node=self.name, call=fields.get("call"))
            return to_bytes(failure(f"{type(error).__name__}: {error}"), {})

    def step(self) -> None:
        """Sync once with the store, and load or drop replicas; called by one thread only."""
        self._syncs_started += 1
        try:
            self._sync()
            self._trouble, self._synced = None, True
        except StoreClosed:
            self._closed = True
        except (StorageError, MemoryError) as error:
            self._trouble = f"{type(error).__name__}: {error}"
        finally:
            with self._changed:
                self._syncs_ended = self._syncs_started
                self._changed.notify_all()

    def _run(self) -> None:
        while not self._closed:
            self.step()
            self._wake.wait(SYNC_SECONDS)
            self._wake.clear()

    def _sync(self) -> None:
        self._assignment.send_heartbeat(self._clock(), leaving=self._leaving)
        extents = self._store.extents()
        self._collections = {
            number: collection for number, collection in self._collections.items() if number in extents
        }
        for number, collection in self._collections.items():
            changed = collection.follow(extents[number], self._clock)
            for replica in changed:
                self._maintenance.note((number, replica.first_row))
            with self._changed:
                self._changed.notify_all()
        assigned = self._update_replicas(extents)
        self._maintenance.begin(extents.keys(), assigned | self._ready_shards() | self._loading)

    def _update_replicas(self, extents: Mapping[int, Extent]) -> set[ShardId]:
        """Load replicas of shards that are assigned to this node, and drop replicas that other nodes have taken over.

        Return the assigned shards.
        """
        self._assignment.refresh_members(self._clock(), at_once=self._leaving)
        now, assigned = self._clock(), set[ShardId]()
        if not self._leaving:
            assigned = self._assignment.find_assigned(extents)
        self._refused = {
            shard: refusal for shard, refusal in self._refused.items() if refusal[0] > now and shard in assigned
        }
        for number, first_row in sorted(assigned - self._ready_shards() - self._loading - self._refused.keys()):
            self._load(number, first_row, small=extents[number].next_row - first_row <= SMALL_SHARD_ROWS)
        ready = self._ready_shards()
        self._assignment.publish(ready)
        for number, first_row in self._assignment.hand_over(ready - assigned):
            self._collections[number].drop(first_row)
        return assigned

    def _ready_shards(self) -> set[ShardId]:
        return {
            (number, first_row) for number, collection in self._collections.items() for first_row in collection.ranges
        }

    def _load(self, number: int, first_row: int, *, small: bool) -> None:
        """Load the replica of a shard that is assigned to this node."""
        if number not in self._collections:
            try:
                record, _ = self._store.extent(number)
            except CollectionMissing:
                return
            self._collections[number] = CollectionReplicas(record, self._store, self._storage, self._files)
        collection = self._collections[number]

        def read() -> None:
            try:
                collection.read(first_row)
            except CollectionMissing:
                pass
            except (StorageError, AttentionError, MemoryError) as error:
                reason = f"{type(error).__name__}: {error}"
                log.error(
                    "replica cannot be loaded", collection=collection.record.name, first_row=first_row, reason=reason
                )
                self._refused[number, first_row] = self._clock() + RETRY_SECONDS, reason
            finally:
                self._loading.discard((number, first_row))
                self._maintenance.note((number, first_row))
                self._wake.set()

        self._loading.add((number, first_row))
        if small:
            read()
        else:
            self._submit(read)

    def _find_replica(self, shard: ShardId) -> Replica | None:
        number, first_row = shard
        collection = self._collections.get(number)
        return None if collection is None else collection.ranges.get(first_row)

    def _discard(self, error: SealedError) -> None:
        """Handle an invalid file: replicas that have rows of the file are dropped, and loaded again from the next sync
        on.
        """
        for collection in list(self._collections.values()):
            collection.discard(error)
        self._wake.set()

    def _wait_for_views(self, request: NodeRequest) -> CombinedShards | Refusal:
        """Wait until this node has the version and shards of a request.

        Return the views, or a refusal at the request's deadline.
        """
        deadline, syncs_before = self._clock() + request.seconds, self._syncs_started
        views, final = self._find_views(request, syncs_before)
        if final:
            return views
        with self._changed:
            while True:
                views, final = self._find_views(request, syncs_before)
                left = deadline - self._clock()
                if final or left <= 0:
                    return views
                self._wake.set()
                self._changed.wait(left)

    def _find_views(self, request: NodeRequest, syncs_before: int) -> tuple[CombinedShards | Refusal, bool]:
        """Return the views for a request, or a refusal, and whether it is useless to wait longer for the views.

        Args:
            syncs_before: the number of syncs that had started when the request came.
        """
        number, first_rows = request.collection, request.ranges
        collection = self._collections.get(number)
        replicas = {} if collection is None else collection.ranges
        absent = [first_row for first_row in first_rows if first_row not in replicas]
        if collection is None or absent:
            loading = any((number, first_row) in self._loading for first_row in absent)
            return missing(absent), self._syncs_ended > syncs_before and not loading
        requested = [replicas[first_row] for first_row in first_rows]
        if (
            reached := min((replica.versions.newest for replica in requested), default=request.version)
        ) < request.version:
            return behind(reached), False
        if trouble := next((replica.trouble for replica in requested if replica.trouble is not None), None):
            return failure(trouble), True
        views = collection.combine(request.version, first_rows)
        return (GONE, True) if views is None else (views, True)

    def _in_pool(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        if not self._closed:
            pool.submit(work)


MAX_SCANS = 2
"""Scans at a time, each in all threads of the node: one reads rows while the other starts or ends."""


class ScanLimiter:
    """A limit on the number of scans that a node runs at the same time; used by many threads."""

    def __init__(self) -> None:
        self._free = Semaphore(MAX_SCANS)

    @contextmanager
    def acquire(self, call: str | None, seconds: float) -> Iterator[None]:
        """Wait for a free slot, and let a call scan inside the block. Calls that read only a few rows need no slot.

        Args:
            seconds: how long the coordinator waits.

        Raises:
            ScanTimeout: no slot became free in that time.
        """
        if call not in SCANNING_CALLS:
            yield
            return
        if not self._free.acquire(timeout=max(0.0, seconds)):
            raise ScanTimeout(f"The node ran other scans for {seconds:.1f} s, and the coordinator waits no longer.")
        try:
            yield
        finally:
            self._free.release()

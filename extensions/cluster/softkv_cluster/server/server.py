"""A shard server: replicas of shards in memory, which follow the store and answer from exactly a requested version."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Event, Semaphore, Thread

from softkv_attention.errors import AttentionError
from softkv_attention.lookup import Limits, SealedError
from softkv_cluster.errors import ScanTimeout
from softkv_cluster.lookup import SCANNING_CALLS, of_bytes, respond, to_bytes
from softkv_cluster.messages import Refusal, ServerReport, ServerRequest, ShardId
from softkv_cluster.placement import place_shard, shard_starts
from softkv_cluster.server.collection_replicas import CollectionReplicas, CombinedShards, Respond
from softkv_cluster.server.files import ReplicaFiles
from softkv_cluster.server.replica import Replica, VersionCleared
from softkv_service.logs import log
from softkv_service.retrieval.collections import KeyStorage
from softkv_service.storage import SharedStore
from softkv_service.storage.errors import CollectionMissing, StorageError, StoreClosed
from softkv_service.storage.records import ClusterPlan, Extent

SYNC_SECONDS = 0.2
"""Interval between two syncs with the store, unless a request waits for a newer version."""
RETRY_SECONDS = 2.0
"""Delay before a replica that failed to load is tried again."""
TIDY_SECONDS = 1.0
"""Pause between two rounds of compaction and of files."""
HAND_OVER_SECONDS = 1.0
"""Interval between two questions to other servers whether they hold what this one no longer needs."""
GRACE_SECONDS = 5.0
"""Time for which a server still answers for shards that others hold, until all coordinators have learnt that."""
CLOSE_SECONDS = 10.0
"""Time for which `close` waits for a running sync."""
LOADERS = 2
"""Replicas that are loaded at the same time."""
SMALL_SHARD_ROWS = 4_096
"""A shard with at most this many row numbers is loaded at once, in the syncing thread."""
MAX_SCANS = 2
"""Scans at a time, each in all threads of the server: one reads rows while the other starts or ends."""

Peers = Callable[[Collection[str]], Mapping[str, ServerReport]]


class ShardServer:
    """A shard server; `start` syncs it in a thread, and many threads may call `answer`.

    Args:
        name: the server's name in the plan.
        machine: the machine that it runs on.
        store: has the documents, and the plan of all servers.
        peers: returns the reports of the servers with these names, as far as they answer.
        originals: a directory for float32 vectors; None keeps them in memory.
        sealed: a directory for replica files, see `ReplicaFiles`; None writes no files.
        limits: of the replicas' memories.
        grace: the seconds for which it still answers for shards that others hold.
        respond: answers a message from views, see `softkv_attention.lookup.respond`.
        clock: monotonic seconds.
        submit: runs a function that loads a replica; None uses threads of the server.
    """

    def __init__(
        self,
        name: str,
        machine: str,
        store: SharedStore,
        peers: Peers,
        *,
        originals: Path | None = None,
        sealed: Path | None = None,
        limits: Limits = Limits(),
        grace: float = GRACE_SECONDS,
        respond: Respond = respond,
        clock: Callable[[], float] = time.monotonic,
        submit: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.name = name
        self.report = ServerReport(name, machine)
        self._store, self._peers, self._storage = store, peers, KeyStorage(originals, limits)
        self._grace, self._respond, self._clock = grace, respond, clock
        self._files = ReplicaFiles(sealed, name)
        self._loaders = ThreadPoolExecutor(LOADERS, f"read {name}")
        self._submit = submit or self._submit_to_loaders
        self._collections: dict[int, CollectionReplicas] = {}
        self._loading, self._needed = set[ShardId](), set[ShardId]()
        self._refused: dict[ShardId, tuple[float, str]] = {}  # when to retry, and the error
        self._handed_over: dict[ShardId, float] = {}  # shards that others hold, and the time since which they do
        self._next_hand_over = float("-inf")
        self._closed = False
        self._syncs_started = self._syncs_ended = 0  # numbers of syncs
        self._scans = ScanLimiter()
        self._threads = list[Thread]()
        self._changed = Condition()
        self._wake = Event()

    def start(self) -> None:
        """Sync with the store in a thread, and tidy the replicas in another, until `close`."""
        for work in (self._run, self._run_tidying):
            self._threads.append(Thread(target=work, name=f"{self.name} {work.__name__}", daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """Stop syncing with the store, and wait for a running sync."""
        self._closed = True
        self._wake.set()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)
        self._loaders.shutdown(wait=True, cancel_futures=True)

    def answer(self, message: bytes) -> bytes:
        """Answer a message from the version, shards and documents that it names, or refuse it.

        An answer has the "seconds" that the work took, without the time spent waiting for the version or for other
        scans. A refusal has one of the fields of `Refusal`.
        """
        fields, arrays = of_bytes(message)
        try:
            request = ServerRequest.of(fields)
            deadline = self._clock() + request.seconds
            views = self._wait_for_views(request)
            if not isinstance(views, CombinedShards):
                return to_bytes(views, {})
            with self._scans.acquire(fields.get("call"), deadline - self._clock()):
                start = self._clock()
                response, response_arrays = views.respond(self._store, request.version, fields, arrays, self._respond)
                return to_bytes({**response, "seconds": self._clock() - start}, response_arrays)
        except VersionCleared:
            return to_bytes({"gone": True}, {})
        except SealedError as error:
            self._discard(error)
            return to_bytes({"failed": str(error)}, {})
        except (StorageError, AttentionError, MemoryError, ScanTimeout) as error:
            return to_bytes({"failed": f"{type(error).__name__}: {error}"}, {})
        except Exception as error:  # a bug here; another replica may still answer
            log.exception("request failed on a server", server=self.name, call=fields.get("call"))
            return to_bytes({"failed": f"{type(error).__name__}: {error}"}, {})

    def step(self) -> None:
        """Sync once with the store, load or drop replicas, and renew the report; called by one thread only."""
        self._syncs_started += 1
        plan, trouble = self.report.plan, None
        try:
            plan = self._sync()
        except StoreClosed:
            self._closed = True
        except (StorageError, MemoryError) as error:
            trouble = f"{type(error).__name__}: {error}"
        finally:
            self._renew_report(plan, trouble)
            with self._changed:
                self._syncs_ended = self._syncs_started
                self._changed.notify_all()

    def tidy(self) -> None:
        """Compact the replicas, check and write their files, and remove unneeded files; called by one thread only."""
        for step in (Replica.compact, Replica.seal):
            for collection in list(self._collections.values()):
                for replica in list(collection.ranges.values()):
                    self._repeat(step, replica)
        if self.report.plan and self._files.due(self._clock()):
            self._files.sweep(self._clock(), list(self._collections), self._needed)

    def _repeat(self, step: Callable[[Replica], bool], replica: Replica) -> None:
        """Apply a step to a replica until there is nothing left to do."""
        try:
            while not self._closed and step(replica):
                pass
        except SealedError as error:
            self._discard(error)
        except MemoryError:
            pass  # the replica stays as it is until the next time

    def _run(self) -> None:
        while not self._closed:
            self.step()
            self._wake.wait(SYNC_SECONDS)
            self._wake.clear()

    def _run_tidying(self) -> None:
        while not self._closed:
            self.tidy()
            time.sleep(TIDY_SECONDS)

    def _sync(self) -> int:
        """Bring all replicas to the store's versions, and hold the shards of its plan. Return the plan's number."""
        plan, extents = self._store.cluster_plan(), self._store.extents()
        self._collections = {
            number: collection for number, collection in self._collections.items() if number in extents
        }
        for number, collection in self._collections.items():
            collection.follow(extents[number], self._clock)
            with self._changed:
                self._changed.notify_all()
        assigned = self._find_assigned(plan, extents)
        now = self._clock()
        self._refused = {
            shard: refusal for shard, refusal in list(self._refused.items()) if refusal[0] > now and shard in assigned
        }
        # A loader ends by removing its shard from `_loading`, and by then holds it or has refused it.
        for number, first_row in sorted(assigned - self._loading - self._ready_shards() - self._refused.keys()):
            self._load(number, first_row, small=extents[number].next_row - first_row <= SMALL_SHARD_ROWS)
        self._hand_over(plan, self._ready_shards() - assigned)
        self._needed = assigned | self._ready_shards() | self._loading
        return 0 if plan is None else plan.number

    def _find_assigned(self, plan: ClusterPlan | None, extents: Mapping[int, Extent]) -> set[ShardId]:
        if plan is None or self.name not in plan.names:
            return set()
        return {
            (number, first_row)
            for number, extent in extents.items()
            for first_row in shard_starts(extent.next_row)
            if self.name in place_shard(number, first_row, plan.names, plan.copies)
        }

    def _hand_over(self, plan: ClusterPlan | None, superfluous: set[ShardId]) -> None:
        """Drop replicas of shards that all servers to which they are assigned have held for a while.

        A report counts only if its server follows the same plan, since by another plan it may drop the shard.
        """
        now = self._clock()
        if not superfluous:
            self._handed_over = {}
        if not superfluous or now < self._next_hand_over:
            return
        self._next_hand_over = now + HAND_OVER_SECONDS
        placed = {shard: place_shard(*shard, plan.names, plan.copies) if plan else () for shard in superfluous}
        names = {name for names in placed.values() for name in names}
        reports = self._peers(names) if names else {}
        self._handed_over = {
            shard: self._handed_over.get(shard, now)
            for shard, holders in placed.items()
            if all(_holds(reports.get(name), plan, shard) for name in holders)
        }
        for (number, first_row), since in self._handed_over.items():
            if now - since >= self._grace:
                self._collections[number].drop(first_row)

    def _renew_report(self, plan: int, trouble: str | None) -> None:
        replicas = {number: list(collection.ranges.values()) for number, collection in self._collections.items()}
        self.report = ServerReport(
            self.name,
            self.report.machine,
            plan,
            frozenset(self._ready_shards()),
            sum(replica.rows for group in replicas.values() for replica in group),
            len(self._loading | self._refused.keys()) if plan or trouble is None else 1,
            {number: min(replica.versions.newest for replica in group) for number, group in replicas.items() if group},
            trouble or next((reason for _, reason in list(self._refused.values())), None),
        )

    def _ready_shards(self) -> set[ShardId]:
        return {(number, row) for number, collection in self._collections.items() for row in collection.ranges}

    def _load(self, number: int, first_row: int, *, small: bool) -> None:
        """Load the replica of a shard that is assigned to this server."""
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
                self._wake.set()

        self._loading.add((number, first_row))
        if small:
            read()
        else:
            self._submit(read)

    def _discard(self, error: SealedError) -> None:
        """Handle an invalid file: replicas that have rows of the file are dropped, and loaded again from the next sync
        on.
        """
        for collection in list(self._collections.values()):
            collection.discard(error)
        self._wake.set()

    def _wait_for_views(self, request: ServerRequest) -> CombinedShards | Refusal:
        """Wait until this server has the version and shards of a request.

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

    def _find_views(self, request: ServerRequest, syncs_before: int) -> tuple[CombinedShards | Refusal, bool]:
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
            return {"missing": absent}, self._syncs_ended > syncs_before and not loading
        requested = [replicas[first_row] for first_row in first_rows]
        reached = min((replica.versions.newest for replica in requested), default=request.version)
        if reached < request.version:
            return {"behind": reached}, False
        if trouble := next((replica.trouble for replica in requested if replica.trouble is not None), None):
            return {"failed": str(trouble)}, True
        views = collection.combine(request.version, first_rows, request.expired_until)
        return ({"gone": True}, True) if views is None else (views, True)

    def _submit_to_loaders(self, work: Callable[[], None]) -> None:
        if not self._closed:
            self._loaders.submit(work)


def _holds(report: ServerReport | None, plan: ClusterPlan | None, shard: ShardId) -> bool:
    return report is not None and plan is not None and report.plan == plan.number and shard in report.ready


class ScanLimiter:
    """A limit on the number of scans that a server runs at the same time; used by many threads."""

    def __init__(self) -> None:
        self._free = Semaphore(MAX_SCANS)

    @contextmanager
    def acquire(self, call: str | None, seconds: float) -> Iterator[None]:
        """Wait for a turn, and let a call scan inside the block. Calls that read only a few rows need no turn.

        Args:
            seconds: how long the coordinator waits.

        Raises:
            ScanTimeout: no turn came in that time.
        """
        if call not in SCANNING_CALLS:
            yield
            return
        if not self._free.acquire(timeout=max(0.0, seconds)):
            raise ScanTimeout(f"The server ran other scans for {seconds:.1f} s, and the coordinator waits no longer.")
        try:
            yield
        finally:
            self._free.release()

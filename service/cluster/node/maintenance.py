"""A node's background work: compaction of replicas, and their files on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Container
from contextlib import suppress
from pathlib import Path

import structlog

from attention.lookup import SealedError
from service.cluster.node.assignment import ShardId
from service.cluster.node.replica import Replica
from service.cluster.placement import SHARD_ROWS
from service.retrieval.collections import ChecksumStore, SealedBlocks, Span

log = structlog.get_logger("softkv")

UNUSED_SECONDS = 3600.0
"""Lifetime of files whose replicas the node no longer needs."""
FREE_SHARE = 0.1
"""Unneeded files are removed at once if less than this fraction of the disk is free."""
SWEEP_SECONDS = 60.0
"""Interval between two searches for such files."""


class ReplicaFiles:
    """The files of one node's replicas, in the node's own folder; other nodes' folders stay as they are.

    Args:
        directory: the parent of the folder; None writes no files.
        node: the node's name.
    """

    def __init__(self, directory: Path | None, node: str) -> None:
        self._folder = None if directory is None else directory / f"softkv.slot-{node}"
        self._invalid = set[Path]()
        self._unused: dict[Path, float] = {}  # the time from which each file was not needed
        self._next_sweep = float("-inf")
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                log.warning("node writes no replica files", node=node, reason=str(error))
                self._folder = None

    def of(self, store: ChecksumStore, collection: int, first_row: int) -> SealedBlocks:
        """Return the sealed files in which one shard's replica is stored."""
        span = Span(first_row, first_row + SHARD_ROWS - 1)
        return SealedBlocks(self._folder, store, collection, span, self._invalid)

    def due(self, now: float) -> bool:
        """Return whether it is time to call `sweep` again."""
        return self._folder is not None and now >= self._next_sweep

    def sweep(self, now: float, collections: Collection[int], needed: Container[tuple[int, int]]) -> None:
        """Remove incomplete and unneeded replica files; called only by the thread that writes files.

        Args:
            now: seconds of the node's clock.
            collections: the numbers of all collections.
            needed: shards that the node has or should have.
        """
        if self._folder is None:
            return
        self._next_sweep = now + SWEEP_SECONDS
        SealedBlocks.remove_others(self._folder, collections)
        unused = [path for path, *part in SealedBlocks.parts(self._folder) if tuple(part) not in needed]
        self._unused = {path: self._unused.get(path, now) for path in unused}
        short = self._is_low_on_space(self._folder)
        for path, since in self._unused.items():
            if short or now - since >= UNUSED_SECONDS:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    @staticmethod
    def _is_low_on_space(folder: Path) -> bool:
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            return usage.free < FREE_SHARE * usage.total
        return False


class Maintenance:
    """A worker that compacts replicas, checks their files, and writes new files (seals them), one replica at a time.

    Compaction comes first.

    Args:
        find_replica: returns the replica of a shard, or None.
        discard: called with the error of an invalid file.
        submit: runs a function in another thread.
        clock: seconds.
    """

    def __init__(
        self,
        files: ReplicaFiles,
        find_replica: Callable[[ShardId], Replica | None],
        discard: Callable[[SealedError], None],
        submit: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
    ) -> None:
        self._files, self._find_replica, self._discard = files, find_replica, discard
        self._submit, self._clock = submit, clock
        self._uncompacted, self._unsealed = set[ShardId](), set[ShardId]()
        self._collections: Collection[int] = ()
        self._needed: Collection[ShardId] = ()
        self._running = self._closed = False

    def note(self, shard: ShardId) -> None:
        """Schedule a replica that was loaded or has changed for the next run."""
        self._uncompacted.add(shard)

    def begin(self, collections: Collection[int], needed: Collection[ShardId]) -> None:
        """Start a run if there is work and none is running.

        Args:
            collections: the numbers of all collections.
            needed: shards that the node has or should have; their files are kept.
        """
        self._collections, self._needed = collections, needed
        if not self._running and (self._uncompacted or self._unsealed or self._files.due(self._clock())):
            self._running = True
            self._submit(self._run)

    def close(self) -> None:
        """Stop the worker: start no further step."""
        self._closed = True

    def _run(self) -> None:
        try:
            while (self._uncompacted or self._unsealed) and not self._closed:
                if self._uncompacted:
                    self._compact(self._uncompacted.pop())
                else:
                    self._seal(next(iter(self._unsealed)))
            if self._files.due(self._clock()) and not self._closed:
                self._files.sweep(self._clock(), self._collections, self._needed)
        except MemoryError:
            pass  # the replicas stay uncompacted until the next write
        finally:
            self._running = False

    def _compact(self, shard: ShardId) -> None:
        while self._try_step(shard, Replica.compact):
            pass
        self._unsealed.add(shard)

    def _seal(self, shard: ShardId) -> None:
        if not self._try_step(shard, Replica.seal):
            self._unsealed.discard(shard)

    def _try_step(self, shard: ShardId, step: Callable[[Replica], bool]) -> bool:
        """Apply a step to a shard's replica if the node still has it. Return whether there was anything to do."""
        replica = self._find_replica(shard)
        try:
            return replica is not None and step(replica)
        except SealedError as error:
            self._discard(error)
            return False

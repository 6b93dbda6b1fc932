"""The files of a server's replicas on the disk of its machine, from which it restarts faster."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Container
from contextlib import suppress
from pathlib import Path

from softkv_cluster.placement import shard_stop
from softkv_service.logs import log
from softkv_service.retrieval.collections import ChecksumStore, SealedBlocks, Span
from softkv_service.storage import PRIVATE

UNUSED_SECONDS = 3600.0
"""Lifetime of files whose replicas the server no longer needs."""
FREE_SHARE = 0.1
"""Unneeded files are removed at once if less than this fraction of the disk is free."""
SWEEP_SECONDS = 60.0
"""Interval between two searches for such files."""


class ReplicaFiles:
    """The files of one server's replicas, in the server's own folder; other servers' folders stay as they are.

    Args:
        directory: the parent of the folder; None writes no files.
        server: the server's name.
    """

    def __init__(self, directory: Path | None, server: str) -> None:
        self._folder = None if directory is None else directory / f"softkv.shards-{server}"
        self._invalid = set[Path]()
        self._unused: dict[Path, float] = {}  # the time from which each file was not needed
        self._next_sweep = float("-inf")
        if self._folder is not None:
            try:
                self._folder.mkdir(PRIVATE, parents=True, exist_ok=True)
            except OSError as error:
                log.warning("server writes no replica files", server=server, reason=str(error))
                self._folder = None

    def of(self, store: ChecksumStore, collection: int, first_row: int) -> SealedBlocks:
        """Return the sealed files in which one shard's replica is stored."""
        span = Span(first_row, shard_stop(first_row) - 1)
        return SealedBlocks(self._folder, store, collection, span, self._invalid)

    def due(self, now: float) -> bool:
        """Return whether it is time to call `sweep` again."""
        return self._folder is not None and now >= self._next_sweep

    def sweep(self, now: float, collections: Collection[int], needed: Container[tuple[int, int]]) -> None:
        """Remove incomplete and unneeded replica files; called only by the thread that writes files.

        Args:
            now: seconds of the server's clock.
            collections: the numbers of all collections.
            needed: shards that the server has or should have.
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

"""Background work of a node: compaction of replicas, and their files on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Container
from contextlib import suppress
from pathlib import Path

import structlog

from attention.lookup import SealedError
from service.cluster.node.assignment import Range
from service.cluster.node.replica import Replica
from service.cluster.placement import SHARD_ROWS
from service.retrieval.collections import ChecksumStore, SealedBlocks, Span

log = structlog.get_logger("softkv")

UNUSED_SECONDS = 3600.0
"""How long files are kept that no range of the slot needs,"""
FREE_SHARE = 0.1
"""and no longer where less than this part of the disk is free."""
SWEEP_SECONDS = 60.0
"""Between two looks for such files."""


class ReplicaFiles:
    """What one slot keeps on its machine's disk; files of other slots are in other folders, and are not touched.

    Args:
        directory: where the folder lies; None: there are no files, and none is written.
        slot: its name.
    """

    def __init__(self, directory: Path | None, slot: str) -> None:
        self._folder = None if directory is None else directory / f"softkv.slot-{slot}"
        self._wrong = set[Path]()
        self._unused: dict[Path, float] = {}  # since when
        self._next_sweep = float("-inf")
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                log.warning("a slot keeps no files", slot=slot, reason=str(error))
                self._folder = None

    def of(self, store: ChecksumStore, collection: int, first_row: int) -> SealedBlocks:
        """Those of a range."""
        span = Span(first_row, first_row + SHARD_ROWS - 1)
        return SealedBlocks(self._folder, store, collection, span, self._wrong)

    def due(self, now: float) -> bool:
        """Whether it is time to `sweep`."""
        return self._folder is not None and now >= self._next_sweep

    def sweep(self, now: float, collections: Collection[int], needed: Container[tuple[int, int]]) -> None:
        """Remove what was not written to its end, and what is not needed any more; for the thread that writes files.

        Args:
            now: seconds of the slot's clock.
            collections: that there are.
            needed: ranges that the slot has, or is to have.
        """
        if self._folder is None:
            return
        self._next_sweep = now + SWEEP_SECONDS
        SealedBlocks.remove_others(self._folder, collections)
        unused = [path for path, *part in SealedBlocks.parts(self._folder) if tuple(part) not in needed]
        self._unused = {path: self._unused.get(path, now) for path in unused}
        short = self._short(self._folder)
        for path, since in self._unused.items():
            if short or now - since >= UNUSED_SECONDS:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    @staticmethod
    def _short(folder: Path) -> bool:
        with suppress(OSError):
            room = shutil.disk_usage(folder)
            return room.free < FREE_SHARE * room.total
        return False


class Maintenance:
    """One thing at a time; what is to be compacted comes before what is to be checked or sealed.

    Args:
        held: a range, where the slot has it.
        discard: is told of a file that is not what was written.
        later: has some work be done in another thread.
        clock: seconds.
    """

    def __init__(
        self,
        files: ReplicaFiles,
        held: Callable[[Range], Replica | None],
        discard: Callable[[SealedError], None],
        later: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
    ) -> None:
        self._files, self._held, self._discard = files, held, discard
        self._later, self._clock = later, clock
        self._untidy, self._unsealed = set[Range](), set[Range]()
        self._collections: Collection[int] = ()
        self._needed: Collection[Range] = ()
        self._running = self._closed = False

    def note(self, each: Range) -> None:
        """A range that was read, or that changed: it is worth a look, the next time that it begins."""
        self._untidy.add(each)

    def begin(self, collections: Collection[int], needed: Collection[Range]) -> None:
        """Begin, where there is anything to do; where it runs already it goes on.

        Args:
            collections: that there are now.
            needed: ranges that the slot has, or is to have: their files are kept, whatever it does with them.
        """
        self._collections, self._needed = collections, needed
        if not self._running and (self._untidy or self._unsealed or self._files.due(self._clock())):
            self._running = True
            self._later(self._run)

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True

    def _run(self) -> None:
        try:
            while (self._untidy or self._unsealed) and not self._closed:
                if self._untidy:
                    self._compact(self._untidy.pop())
                else:
                    self._seal(next(iter(self._unsealed)))
            if self._files.due(self._clock()) and not self._closed:
                self._files.sweep(self._clock(), self._collections, self._needed)
        except MemoryError:
            pass  # the keys stay as they are, until the next write
        finally:
            self._running = False

    def _compact(self, each: Range) -> None:
        while self._stepped(each, Replica.compact):
            pass
        self._unsealed.add(each)

    def _seal(self, each: Range) -> None:
        if not self._stepped(each, Replica.seal):
            self._unsealed.discard(each)

    def _stepped(self, each: Range, step: Callable[[Replica], bool]) -> bool:
        """Take a step with a range, where it is held → whether there was anything to do."""
        held = self._held(each)
        try:
            return held is not None and step(held)
        except SealedError as error:
            self._discard(error)
            return False

"""The sealed files of one slot's ranges, in a folder that has its name: what it holds again without the database.

A range that was given up keeps its files for a while, since it often comes back: another machine was away, or this
one is written anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Container
from contextlib import suppress
from pathlib import Path

import structlog

from service.cluster.placement import RANGE_ROWS
from service.retrieval.collections import ChecksumStore, SealedBlocks, Span

log = structlog.get_logger("softkv")

UNUSED_SECONDS = 3600.0
"""How long files are kept that no range of the slot needs,"""
FREE_SHARE = 0.1
"""and no longer where less than this part of the disk is free."""
SWEEP_SECONDS = 60.0
"""Between two looks for such files."""


class SlotFiles:
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
        span = Span(first_row, first_row + RANGE_ROWS - 1)
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

"""What a slot holds of one collection: ranges, each at its newest versions, and several of them as one view."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

import structlog

from attention.errors import AttentionError
from attention.lookup import Mask, SealedError, View
from service.cluster.node.maintenance import ReplicaFiles
from service.cluster.node.replica import LogStep, Replica, steps, written
from service.cluster.node.source import SourceStore, VersionCleared
from service.cluster.placement import SHARD_ROWS
from service.storage import CollectionRecord, Extent, condition_digest, parse_condition

log = structlog.get_logger("softkv")

COMPOSED = 8
"""Sets of ranges whose views are kept as one, so that the masks made of them are of use to the next question,"""
COMPOSED_VERSIONS = 4
"""each at so many versions,"""
MASKS = 64
"""and with so many masks."""


class CombinedShards:
    """Ranges as one view, whose segments are theirs, one after another; for many threads.

    Attributes:
        views: of each range.
        view: all of them.
    """

    def __init__(self, ranges: Sequence[Replica], views: Sequence[View], before: View) -> None:
        self.views = tuple(views)
        widths = [(each.dimension, each.value_dimension) for each in views if each.dimension is not None]
        segments = tuple(segment for each in views for segment in each.segments)
        self.view = before.with_segments(segments, *(widths[0] if widths else (None, None)))
        self._ranges = tuple(ranges)
        self._masks: OrderedDict[str, Mask] = OrderedDict()
        self._lock = Lock()

    def mask(self, store: SourceStore, version: int, condition: str) -> Mask:
        """Which rows pass a condition, in JSON; the same object for the same text.

        Args:
            version: one that all of the ranges have these views at.

        Raises:
            StorageError: it is no condition, or the store cannot be asked.
        """
        with self._lock:
            if (known := self._masks.get(condition)) is not None:
                self._masks.move_to_end(condition)
                return known
        parsed = parse_condition(json.loads(condition))
        name = condition_digest(parsed)
        parts = [
            held.mask(store, version, view, parsed, name) for held, view in zip(self._ranges, self.views, strict=True)
        ]
        made = Mask(self.view, tuple(bits for part in parts for bits in part.bits))
        with self._lock:
            found = self._masks.setdefault(condition, made)
            while len(self._masks) > MASKS:
                self._masks.popitem(last=False)
            return found


class CollectionReplicas:
    """The ranges of one collection; followed by one thread, read by many.

    Args:
        originals: a directory for float32 vectors; None keeps them in memory.
        files: where blocks of ranges are sealed.
    """

    def __init__(
        self, record: CollectionRecord, store: SourceStore, originals: Path | None, files: ReplicaFiles
    ) -> None:
        self.record = record
        self._store = store
        self._originals, self._files = originals, files
        self._ranges: dict[int, Replica] = {}  # never changed but as a whole, so that it can be read without the lock
        self._composed: OrderedDict[tuple[int, ...], list[CombinedShards]] = OrderedDict()
        self._lock = Lock()

    @property
    def ranges(self) -> dict[int, Replica]:
        """By their first rows."""
        return self._ranges

    def read(self, first_row: int) -> None:
        """Take a range over, see `Replica.read`."""
        sealed = self._files.of(self._store, self.record.id, first_row)
        held = Replica.read(self._store, self.record, first_row, self._originals, sealed)
        with self._lock:
            self._ranges = {**self._ranges, first_row: held}

    def drop(self, first_row: int, only: Replica | None = None) -> None:
        """Let go of a range, or of only this one where it was not read anew since; its files stay for a while."""
        with self._lock:
            dropped = self._ranges.get(first_row)
            if dropped is None or only not in (None, dropped):
                return
            dropped.let_go()
            self._ranges = {other: held for other, held in self._ranges.items() if other != first_row}
            for first_rows in [each for each in self._composed if first_row in each]:
                del self._composed[first_rows]

    def discard(self, error: SealedError) -> None:
        """A file is not what was written: a range that has rows in it is dropped, to be read anew without it."""
        for held in self._ranges.values():
            if held.discard(error.path):
                self._lose([held], str(error))

    def follow(self, extent: Extent, clock: Callable[[], float]) -> list[Replica]:
        """Bring all ranges to this version of the store, or a later one → those whose rows changed, or are all there.

        A range that cannot follow is dropped. Raises StorageError, where ranges may be at different versions.
        """
        behind = defaultdict[int, list[Replica]](list)
        for held in self._ranges.values():
            if held.versions.newest < extent.version:
                behind[held.versions.newest].append(held)
        changed = []
        for version, group in behind.items():
            now = clock()
            logged = self._store.change_log(self.record.id, version)
            if logged is None:
                self._lose(group, "the log does not reach back to what it holds")
            elif logged:
                taken = steps(logged, now)
                changed += [held for held in group if self._followed(held, taken)]
        for held in self._ranges.values():
            held.versions.forget(clock())
            if self._completed(held, extent):
                held.complete = True
                changed.append(held)
        return changed

    def _followed(self, held: Replica, taken: Sequence[LogStep]) -> bool:
        try:
            return held.follow(taken, written(self._store, self.record.id, held.first_row, taken, held.note))
        except SealedError as error:  # what was to be added stands behind rows of a file, which are copied then
            held.discard(error.path)
            self._lose([held], str(error))
            return False
        except (MemoryError, AttentionError, VersionCleared) as error:
            self._lose([held], f"{type(error).__name__}: {error}")
            return False

    @staticmethod
    def _completed(held: Replica, extent: Extent) -> bool:
        """Whether no row will be added to it any more, which was not known before."""
        there = held.versions.newest >= extent.version and extent.next_row >= held.first_row + SHARD_ROWS
        return there and not held.complete

    def _lose(self, group: Sequence[Replica], reason: str) -> None:
        for held in group:
            log.error("a range is read anew", collection=self.record.name, first_row=held.first_row, reason=reason)
            self.drop(held.first_row, held)

    def composed(self, version: int, first_rows: tuple[int, ...]) -> CombinedShards | None:
        """These ranges at a version as one view; None where one of them is not held or not kept at that version.

        It is the same object for the same views of the same ranges.
        """
        ranges, views = [], []
        for first_row in first_rows:
            held = self._ranges.get(first_row)
            view = None if held is None else held.versions.at(version)
            if held is None or view is None:
                return None
            ranges.append(held)
            views.append(view)
        with self._lock:
            known = self._composed.setdefault(first_rows, [])
            self._composed.move_to_end(first_rows)
            for each in known:
                if all(mine is theirs for mine, theirs in zip(each.views, views, strict=True)):
                    return each
            made = CombinedShards(ranges, views, known[-1].view if known else View(self.record.settings.similarity))
            known.append(made)
            del known[:-COMPOSED_VERSIONS]
            while len(self._composed) > COMPOSED:
                self._composed.popitem(last=False)
            return made

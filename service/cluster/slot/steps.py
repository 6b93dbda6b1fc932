"""The log of a collection as a range goes through it: one step a version, but for versions that nobody asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from attention.lookup import Rows
from service.cluster.placement import RANGE_ROWS
from service.cluster.slot.followed import FollowedStore, require_kept
from service.cluster.slot.versions import KEPT, KEPT_SECONDS
from service.retrieval.collections import concatenate_rows
from service.storage import DocumentDamaged, KeyRows, RowNumbers, VersionChange

SKIPPED_SECONDS = 10.0
"""How long ago a version was followed by another, from which on it gets no view: no question waits so long."""


@dataclass(frozen=True, eq=False)
class Step:
    """From one version of a collection to a later one.

    Attributes:
        version: the one that it leads to.
        first, stop: the row numbers that were given, from `first` on and before `stop`.
        removed: int64[n], the documents that are gone, ascending; of a step over several versions perhaps some that
            were written in it.
        since: when it was written, in seconds of the clock.
        one: whether it is the next version, or there are some between that get no views.
    """

    version: int
    first: int
    stop: int
    removed: RowNumbers
    since: float
    one: bool

    def removed_from(self, first_row: int) -> RowNumbers:
        """Those documents of a range that are gone."""
        begin, end = np.searchsorted(self.removed, (first_row, first_row + RANGE_ROWS))
        return self.removed[begin:end]


def steps(log: Sequence[VersionChange], now: float) -> list[Step]:
    """What a log says, at least one version of it, as steps: the first leads over all versions that nobody asks for."""
    skipped = 0
    while skipped < len(log) - 1 and _skipped(len(log) - 1 - skipped, log[skipped + 1].seconds):
        skipped += 1
    last = log[skipped]
    removed = np.sort(np.concatenate([each.removed for each in log[: skipped + 1]]))
    first = Step(last.version, log[0].first, last.first + last.count, removed, now - last.seconds, skipped == 0)
    return [
        first,
        *(
            Step(each.version, each.first, each.first + each.count, np.sort(each.removed), now - each.seconds, True)
            for each in log[skipped + 1 :]
        ),
    ]


def _skipped(newer: int, seconds: float) -> bool:
    return seconds > SKIPPED_SECONDS or (newer >= KEPT and seconds > KEPT_SECONDS)


def written(
    store: FollowedStore,
    collection: int,
    first_row: int,
    taken: Sequence[Step],
    damaged: Callable[[DocumentDamaged], object],
) -> list[Rows | None]:
    """What each step adds to a range: the rows of documents that it wrote, and that live at the version it leads to.

    Raises StorageError; VersionCleared or CollectionMissing where what was read may be less than all.
    """
    first, stop = max(first_row, taken[0].first), min(first_row + RANGE_ROWS, taken[-1].stop)
    if first >= stop:
        return [None] * len(taken)
    found = [list[KeyRows]() for _ in taken]
    with store.reading_at(taken[-1].version) as reader:
        lasting = list(reader.vectors(collection, first=first, last=stop - 1, damaged=damaged))
    gone = np.empty(0, dtype=np.int64)
    for at in reversed(range(len(taken))):
        step = taken[at]
        lower, upper = max(first, step.first), min(stop, step.stop)
        short_lived = gone[(gone >= lower) & (gone < upper)]
        if len(short_lived):
            with store.reading_at(step.version) as reader:
                more = reader.vectors(collection, among=short_lived, first=lower, last=upper - 1, damaged=damaged)
                found[at] += list(more)
        found[at] += [some for rows in lasting if (some := _of(rows, lower, upper)) is not None]
        gone = np.union1d(gone, step.removed)
    with store.reading_at(taken[0].version) as reader:
        require_kept(reader, collection, taken[0].version)
    return [concatenate_rows(each) for each in found]


def _of(rows: KeyRows, lower: int, upper: int) -> KeyRows | None:
    """The keys of the documents from row number `lower` on and before `upper`; None where there are none."""
    begin, end = np.searchsorted(rows.owners, (lower, upper))
    if begin == end:
        return None
    values = None if rows.values is None else rows.values[begin:end]
    return KeyRows(rows.numbers[begin:end], rows.owners[begin:end], rows.keys[begin:end], values)

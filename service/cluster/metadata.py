"""What a coordinator knows of a collection that nodes hold: statistics of each shard, at one version."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from threading import Lock

import numpy as np

from attention.dtypes import I64, Index
from attention.lookup import (
    SAMPLED,
    BlockStatistics,
    KeySummary,
    Message,
    RemoteMask,
    RemoteView,
    SampleKeys,
    each_of,
    facts_heard,
)
from service.cluster.errors import ShardsLost
from service.cluster.placement import SHARD_ROWS, shard_start, shard_starts
from service.cluster.router import CollectionVersion, Router
from service.retrieval.documents import MAX_KEYS
from service.storage import CollectionRecord, Condition, Extent, SharedStore, VersionChange, condition_digest

MOST_BYTES = 2**30
TOGETHER = 8
"""Of what is kept of ranges in case that they go missing, 4·d² bytes each; and for how many it is asked at a time."""

MOST_MASKS = 256
"""Of one version, each some numbers: it is with the slots that it is known which rows pass."""

RENEWED = 1 / 8
"""The sample of keys is drawn anew where the number of rows has changed by this part of it."""


@dataclass(frozen=True, eq=False)
class CachedSummary:
    """What is kept of a range in case that it goes missing.

    Attributes:
        summary: of its rows, and of some that were removed.
        grown: whether it was written to since, so that nothing is known of some of its rows.
    """

    summary: KeySummary
    grown: bool


@dataclass(frozen=True, eq=False)
class CollectionMetadata:
    """A collection at one version.

    Attributes:
        view: its rows, in the hands of slots.
        lost: ranges that nobody answers for now.
        missing: of their rows; None where there are none.
        masks: of the view, by the condition_digest names of their conditions: those that were asked for last.
    """

    version: int
    view: RemoteView
    lost: frozenset[int]
    missing: KeySummary | None
    masks: OrderedDict[bytes, RemoteMask] = field(default_factory=OrderedDict)
    turn: Lock = field(default_factory=Lock)

    def mask(self, condition: Condition) -> RemoteMask:
        """Which rows pass; the same object for the same condition, so that its questions share a scan."""
        name = condition_digest(condition)
        with self.turn:
            if name in self.masks:
                self.masks.move_to_end(name)
                return self.masks[name]
        found = self.view.where(json.dumps(condition.tree))
        with self.turn:
            found = self.masks.setdefault(name, found)
            while len(self.masks) > MOST_MASKS:
                self.masks.popitem(last=False)
        return found


class MetadataCache:
    """What is known of one collection; for one thread at a time, and another one that calls `summarise`.

    After a write only those slots are asked whose ranges it changed, which the store's log tells.
    """

    def __init__(self, store: SharedStore, calling: Router) -> None:
        self._store, self._calling = store, calling
        self._told: dict[int, ShardStatistics] = {}
        self._kept: dict[int, CachedSummary] = {}
        self._version = 0
        self._turn = Lock()  # held while version and what is told and kept become others, all at once
        self._sample: tuple[int, SampleKeys] | None = None

    def at(self, record: CollectionRecord, extent: Extent) -> CollectionMetadata:
        """The collection at the version that it has now.

        Raises:
            VersionGone: a slot has newer versions only.
            StorageError: the store cannot be asked.
        """
        asked, first_rows = CollectionVersion(record.id, extent.version), list(shard_starts(extent.next_row))
        if extent.version != self._version:
            log = self._store.change_log(record.id, self._version)
            with self._turn:
                self._follow(log, first_rows)
                self._version = extent.version
        while True:
            lost = self._ask(first_rows, asked)
            with suppress(ShardsLost):
                return self._known(record, asked, first_rows, lost)

    def _known(
        self, record: CollectionRecord, asked: CollectionVersion, first_rows: Sequence[int], lost: frozenset[int]
    ) -> CollectionMetadata:
        there = {row: self._told[row] for row in first_rows if row not in lost and self._told[row].facts.n}
        view = self._view(record, asked, there)
        return CollectionMetadata(asked.version, view, lost, self._missing(record, view, lost))

    def summarise(self, record: CollectionRecord) -> None:
        """Ask for what is kept of ranges that were written to since, as of the version that is known.

        Raises:
            SnapshotGone: somebody does not answer, or not of that version.
        """
        with self._turn:
            asked, told = CollectionVersion(record.id, self._version), dict(self._told)
        wanted = [row for row, own in told.items() if own.facts.n and not self._is_kept(row)]
        most = MOST_BYTES // (4 * (record.settings.dimension or 1) ** 2)
        wanted = wanted[: max(0, most - len(self._kept))]
        for first in range(0, len(wanted), TOGETHER):
            some = wanted[first : first + TOGETHER]
            for rows, answer in self._calling.ask(asked, some, lambda _: ({"call": "summary"}, {})):
                with self._turn:
                    for row, message in zip(rows, each_of(*answer), strict=True):
                        if self._told.get(row) is told[row]:  # and it was not written to since
                            self._kept[row] = CachedSummary(KeySummary.of_message(*message), grown=False)

    def _is_kept(self, first_row: int) -> bool:
        kept = self._kept.get(first_row)
        return kept is not None and not kept.grown

    def _follow(self, log: Sequence[VersionChange] | None, first_rows: Sequence[int]) -> None:
        """Forget what a log changed; all of it where that does not go back so far."""
        if log is None:
            self._told.clear()
            self._kept.clear()
            return
        for each in log:
            for row in range(shard_start(each.first), each.first + each.count, SHARD_ROWS):
                self._told.pop(row, None)
                if row in self._kept:
                    self._kept[row] = replace(self._kept[row], grown=True)
            for row in {shard_start(number) for number in each.removed.tolist()}:
                self._told.pop(row, None)
                if row in self._kept:
                    summary = self._kept[row].summary
                    self._kept[row] = replace(self._kept[row], summary=replace(summary, removed=summary.removed + 1))

    def _ask(self, first_rows: Sequence[int], asked: CollectionVersion) -> frozenset[int]:
        """Ask for what is not known of ranges → those that nobody answers for."""
        lost = self._calling.lost(asked.collection).intersection(first_rows)
        while wanted := [row for row in first_rows if row not in self._told and row not in lost]:
            try:
                answers = self._calling.ask(asked, wanted, lambda _: ({"call": "facts"}, {}))
            except ShardsLost as error:
                lost |= error.first_rows
                continue
            for rows, answer in answers:
                for first_row, (said, arrays) in zip(rows, each_of(*answer), strict=True):
                    facts = facts_heard(said["facts"], arrays)
                    self._told[first_row] = ShardStatistics(facts, said["dimension"], said["end"], said["coded"])
        return lost

    def _view(self, record: CollectionRecord, asked: CollectionVersion, told: dict[int, ShardStatistics]) -> RemoteView:
        similarity, each = record.settings.similarity, [told[row] for row in sorted(told)]
        widths = [(own.dimension, own.facts.value_dimension) for own in each if own.dimension is not None]
        dimension, value_dimension = widths[0] if widths else (None, None)
        facts = BlockStatistics.merge(similarity, value_dimension, [own.facts for own in each])
        cover = RoutedShards(self._calling, asked, told)
        return RemoteView(
            similarity,
            dimension,
            value_dimension,
            hosts=cover,
            facts=facts,
            coded=all(own.coded for own in each),
            sample=self._sampled(similarity, facts.n, cover),
        )

    def _sampled(self, similarity: str, n: int, cover: RoutedShards) -> SampleKeys | None:
        if not n:
            return None
        if self._sample is None or abs(self._sample[0] - n) > RENEWED * self._sample[0]:
            answers = cover.every(({"call": "sample", "stride": max(1, n // SAMPLED)}, {}))
            self._sample = n, SampleKeys(similarity, np.concatenate([arrays["keys"] for _, arrays in answers]))
        return self._sample[1]

    def _missing(self, record: CollectionRecord, view: RemoteView, lost: frozenset[int]) -> KeySummary | None:
        """What is kept of lost ranges that may have rows; of those that were written to since nothing is known."""
        documents = record.attendable - view.documents
        if not lost or documents <= 0:
            return None
        width = record.settings.dimension or 0
        if not all(map(self._is_kept, lost)):
            return _unknown(record.settings.similarity, width, documents, len(lost) * (SHARD_ROWS + MAX_KEYS))
        own = [self._kept[row].summary for row in sorted(lost)]
        found = reduce(add, own, KeySummary.empty(record.settings.similarity, width))
        return replace(found, documents=documents)


def _unknown(similarity: str, width: int, documents: int, rows: int) -> KeySummary:
    """Of so many rows at most, of which no more is known."""
    nothing = KeySummary.empty(similarity, width)
    end = np.full_like(nothing.gram, np.inf)
    return replace(nothing, n=rows, documents=documents, gram=end, key_norm=math.inf, value_norm=math.inf, removed=rows)


@dataclass(frozen=True, eq=False)
class ShardStatistics:
    """What a slot told of a range.

    Attributes:
        facts: of its rows.
        dimension: the keys' width; None where it never had any.
        end: the number behind its last row.
        coded: whether its rows have codes.
    """

    facts: BlockStatistics
    dimension: int | None
    end: int
    coded: bool


class RoutedShards:
    """Some ranges of one version, see `attention.lookup.ShardHosts`.

    Args:
        told: of each range, by its first row.
    """

    def __init__(self, calling: Router, asked: CollectionVersion, told: Mapping[int, ShardStatistics]) -> None:
        self._calling, self._asked = calling, asked
        self._first_rows = np.array(sorted(told), dtype=np.int64)
        # The rows of a document that begins in a range may go on behind its end.
        self._ends = np.array([max(each + SHARD_ROWS, told[each].end) for each in self._first_rows.tolist()])

    def every(self, message: Message) -> Sequence[Message]:
        """Ask about all rows."""
        return [answer for _, answer in self._calling.ask(self._asked, self._first_rows.tolist(), lambda _: message)]

    def those(self, numbers: I64, message: Callable[[Index], Message]) -> Sequence[tuple[Index, Message]]:
        """Ask about rows, or documents, by their numbers."""
        if not len(numbers):
            return []
        whose = self._first_rows[np.searchsorted(self._ends, numbers, side="right")]
        places = {first_row: np.flatnonzero(whose == first_row) for first_row in np.unique(whose).tolist()}

        def at(first_rows: Sequence[int]) -> Index:
            return np.sort(np.concatenate([places[first_row] for first_row in first_rows]))

        replies = self._calling.ask(self._asked, list(places), lambda first_rows: message(at(first_rows)))
        return [(at(first_rows), answer) for first_rows, answer in replies]

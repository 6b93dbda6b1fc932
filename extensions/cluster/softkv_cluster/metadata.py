"""The metadata that a coordinator has of a sharded collection: statistics of each shard at one version."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np

from softkv_attention.arrays import I64, Index
from softkv_attention.lookup import BlockStatistics, KeySummary
from softkv_cluster.errors import ShardsLost
from softkv_cluster.lookup import (
    SAMPLE_ROWS,
    DocumentArrays,
    Message,
    RemoteMask,
    RemoteView,
    SampleKeys,
    join_statistics,
    unpack_messages,
)
from softkv_cluster.placement import shard_rows, shard_start, shard_starts, shard_stop
from softkv_cluster.router import CollectionVersion, Router
from softkv_service.retrieval.documents import MAX_KEYS
from softkv_service.storage import SharedStore
from softkv_service.storage.conditions import Condition, Visibility, condition_digest
from softkv_service.storage.records import CollectionRecord, Extent, RowNumbers, VersionChange

MAX_SUMMARY_BYTES = 2**30
"""Memory for the summaries of one collection's shards, 4·d² bytes each."""

SUMMARIES_PER_REQUEST = 8

MAX_MASKS = MAX_DERIVED = 256
"""Cached masks and biases per version. Each is a few numbers, because the servers evaluate conditions and terms."""

T = TypeVar("T")

SAMPLE_DRIFT = 1 / 8
"""A new sample of keys is drawn when the number of rows has changed by this fraction."""


@dataclass(frozen=True, eq=False)
class CachedSummary:
    """A summary of a shard's keys, used while no server answers for the shard.

    Attributes:
        summary: the summary of the shard's rows, which may include rows that have since been removed.
        grown: whether rows were added after the summary was made, so that it lacks some.
    """

    summary: KeySummary
    grown: bool


class ExpirySpan(NamedTuple):
    """A span of time in which no document of a collection expires.

    Attributes:
        start: the instant at which it starts, the last at which a document had expired; None if none had.
        stop: the instant before which it ends; None for no end.
    """

    start: int | None = None
    stop: int | None = None

    def contains(self, now: int) -> bool:
        """Return whether an instant lies in the span."""
        return (self.start is None or self.start <= now) and (self.stop is None or now < self.stop)


ALWAYS = ExpirySpan()
"""The span of a collection whose documents never expire."""


@dataclass(frozen=True, eq=False)
class CollectionMetadata:
    """The metadata of a collection at one version.

    Attributes:
        documents, keyless: the numbers of documents, and of those without a key, that have not expired.
        expiry: the instants between which no document expires.
        view: a view of the rows on the servers.
        lost: the first rows of shards for which no server answers now.
        missing: the summary of the rows in lost shards; None if these have no rows.
        masks: recent masks of the view, by the digests of their conditions.
        derived: recent values that depend only on the version, by their names.
    """

    version: int
    documents: int
    keyless: int
    expiry: ExpirySpan
    view: RemoteView
    lost: frozenset[int]
    missing: KeySummary | None
    masks: OrderedDict[bytes, RemoteMask] = field(default_factory=OrderedDict)
    derived: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def mask(self, condition: Condition) -> RemoteMask:
        """Return the mask of the rows that pass a condition.

        Equal conditions get the same object, so that their queries share a scan.
        """
        name = condition_digest(condition)
        with self.lock:
            if name in self.masks:
                self.masks.move_to_end(name)
                return self.masks[name]
        mask = self.view.where(json.dumps(condition.tree))
        with self.lock:
            mask = self.masks.setdefault(name, mask)
            while len(self.masks) > MAX_MASKS:
                self.masks.popitem(last=False)
        return mask

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return the value of `make`; the last MAX_DERIVED values are cached by their names."""
        with self.lock:
            if name in self.derived:
                self.derived.move_to_end(name)
                cached: T = self.derived[name]
                return cached
        made = make()
        with self.lock:
            value: T = self.derived.setdefault(name, made)
            while len(self.derived) > MAX_DERIVED:
                self.derived.popitem(last=False)
        return value


class MetadataCache:
    """Cached metadata of one collection; one thread may call `fetch` and another `summarise`.

    After a write, only shards that the write changed are queried again; the store's change log names them. When
    documents expire, only their shards are.
    """

    def __init__(self, store: SharedStore, router: Router) -> None:
        self._store, self._router = store, router
        self._statistics: dict[int, ShardStatistics] = {}
        self._summaries: dict[int, CachedSummary] = {}
        self._version = 0
        self._expired_until: int | None = None
        self._lock = Lock()  # guards version, instant, statistics and summaries, which change together
        self._sample: tuple[int, SampleKeys] | None = None

    def fetch(self, record: CollectionRecord, extent: Extent, now: int | None) -> CollectionMetadata:
        """Return the collection's metadata at the version of `extent`, or at a later one if documents can expire.

        Parts that are not cached are read from the servers.

        Args:
            now: documents that have expired at this instant are left out; None if no document ever expires.

        Raises:
            VersionGone: a server has newer versions only.
            StorageError: the store cannot be read.
        """
        expiry, changed, returned = ALWAYS, np.empty(0, dtype=np.int64), False
        if now is not None:
            record, extent, expiry, changed = self._read_expiry(record.id, now)
            returned = self._expired_until is not None and (expiry.start is None or expiry.start < self._expired_until)
        version = CollectionVersion(record.id, extent.version, expiry.start)
        first_rows = list(shard_starts(extent.next_row))
        if (extent.version, expiry.start) != (self._version, self._expired_until):
            log = self._store.change_log(record.id, self._version) if extent.version != self._version else ()
            with self._lock:
                self._follow(log)
                self._expire(changed, returned=returned)
                self._version, self._expired_until = extent.version, expiry.start
        while True:
            lost_shards = self._fetch_statistics(first_rows, version)
            with suppress(ShardsLost):
                return self._build_metadata(record, version, expiry, first_rows, lost_shards)

    def _read_expiry(self, collection: int, now: int) -> tuple[CollectionRecord, Extent, ExpirySpan, RowNumbers]:
        """Read a collection and its documents that expire, all at the same moment.

        Return its record, which leaves out expired documents; its extent; the span of this instant; and the documents
        int64[n] that have expired since the last call, or have come back because the clock went back.
        """
        with self._store.reading() as reader:
            record, extent = reader.record(collection), reader.extent(collection)
            expiry = ExpirySpan(*reader.find_expiries(collection, now))
            changed, edges = np.empty(0, dtype=np.int64), {self._expired_until, expiry.start}
            if len(edges) > 1:
                after = None if None in edges else min(edge for edge in edges if edge is not None)
                until = max(edge for edge in edges if edge is not None)
                changed = reader.expiring(collection, after=after, until=until).rows
            if expiry.start is not None:
                expired = reader.seeing(Visibility(instant=expiry.start)).count_expired(collection)
                documents, keyless = record.documents - expired.documents, record.keyless - expired.keyless
                record = replace(record, documents=documents, keyless=keyless)
        return record, extent, expiry, changed

    def _build_metadata(
        self,
        record: CollectionRecord,
        version: CollectionVersion,
        expiry: ExpirySpan,
        first_rows: Sequence[int],
        lost_shards: frozenset[int],
    ) -> CollectionMetadata:
        present = {
            row: self._statistics[row] for row in first_rows if row not in lost_shards and self._statistics[row].facts.n
        }
        view = self._view(record, version, present)
        return CollectionMetadata(
            version.version,
            record.documents,
            record.keyless,
            expiry,
            view,
            lost_shards,
            self._sum_missing(record, view, lost_shards),
        )

    def summarise(self, record: CollectionRecord) -> None:
        """Fetch new summaries, at the cached version, of the shards that were written to since their last summary.

        Raises:
            SnapshotGone: a server does not answer, or not for that version.
        """
        with self._lock:
            version = CollectionVersion(record.id, self._version, self._expired_until)
            statistics = dict(self._statistics)
        stale = [row for row, shard in statistics.items() if shard.facts.n and not self._has_current_summary(row)]
        capacity = MAX_SUMMARY_BYTES // (4 * (record.settings.dimension or 1) ** 2)
        stale = stale[: max(0, capacity - len(self._summaries))]
        for first in range(0, len(stale), SUMMARIES_PER_REQUEST):
            batch = stale[first : first + SUMMARIES_PER_REQUEST]
            for rows, answer in self._router.ask(version, batch, lambda _: ({"call": "summary"}, {})):
                with self._lock:
                    for row, message in zip(rows, unpack_messages(*answer), strict=True):
                        if self._statistics.get(row) is statistics[row]:  # the shard was not written to meanwhile
                            self._summaries[row] = CachedSummary(KeySummary.of_message(*message), grown=False)

    def _has_current_summary(self, first_row: int) -> bool:
        summary = self._summaries.get(first_row)
        return summary is not None and not summary.grown

    def _follow(self, log: Sequence[VersionChange] | None) -> None:
        """Drop the cached data of shards that a change log says were changed, or of all shards if the log is
        incomplete.
        """
        if log is None:
            self._statistics.clear()
            self._summaries.clear()
            return
        for change in log:
            for row in shard_starts(change.first + change.count, change.first):
                self._statistics.pop(row, None)
                if row in self._summaries:
                    self._summaries[row] = replace(self._summaries[row], grown=True)
            for row in {shard_start(number) for number in change.removed.tolist()}:
                self._remove_from(row)

    def _expire(self, changed: RowNumbers, *, returned: bool) -> None:
        """Drop the cached data of shards whose documents have expired, or have come back."""
        for row in {shard_start(number) for number in changed.tolist()}:
            self._remove_from(row)
            if row in self._summaries and returned:
                self._summaries[row] = replace(self._summaries[row], grown=True)

    def _remove_from(self, row: int) -> None:
        self._statistics.pop(row, None)
        if row in self._summaries:
            summary = self._summaries[row].summary
            self._summaries[row] = replace(self._summaries[row], summary=replace(summary, removed=summary.removed + 1))

    def _fetch_statistics(self, first_rows: Sequence[int], version: CollectionVersion) -> frozenset[int]:
        """Read statistics that are not cached from the servers.

        Return the first rows of shards for which no server answers.
        """
        lost_shards = self._router.find_lost_shards(version.collection).intersection(first_rows)
        while missing := [row for row in first_rows if row not in self._statistics and row not in lost_shards]:
            try:
                answers = self._router.ask(version, missing, lambda _: ({"call": "facts"}, {}))
            except ShardsLost as error:
                lost_shards |= error.first_rows
                continue
            for rows, answer in answers:
                for first_row, (fields, arrays) in zip(rows, unpack_messages(*answer), strict=True):
                    facts = join_statistics(fields["facts"], arrays)
                    self._statistics[first_row] = ShardStatistics(
                        facts, fields["dimension"], fields["end"], fields["coded"]
                    )
        return lost_shards

    def _view(
        self, record: CollectionRecord, version: CollectionVersion, statistics: dict[int, ShardStatistics]
    ) -> RemoteView:
        similarity, shards = record.settings.similarity, [statistics[row] for row in sorted(statistics)]
        widths = [(shard.dimension, shard.facts.value_dimension) for shard in shards if shard.dimension is not None]
        dimension, value_dimension = widths[0] if widths else (None, None)
        facts = BlockStatistics.merge(similarity, value_dimension, [shard.facts for shard in shards])
        hosts = RoutedShards(self._router, version, statistics)
        return RemoteView(
            similarity,
            dimension,
            value_dimension,
            hosts=hosts,
            facts=facts,
            coded=all(shard.coded for shard in shards),
            sample=self._draw_sample(similarity, facts.n, hosts),
        )

    def _draw_sample(self, similarity: str, n: int, hosts: RoutedShards) -> SampleKeys | None:
        if not n:
            return None
        if self._sample is None or abs(self._sample[0] - n) > SAMPLE_DRIFT * self._sample[0]:
            answers = hosts.ask_all(({"call": "sample", "stride": max(1, n // SAMPLE_ROWS)}, {}))
            self._sample = n, SampleKeys(similarity, np.concatenate([arrays["keys"] for _, arrays in answers]))
        return self._sample[1]

    def _sum_missing(
        self, record: CollectionRecord, view: RemoteView, lost_shards: frozenset[int]
    ) -> KeySummary | None:
        """Add up the summaries of the lost shards.

        If one of them is not current, the bounds of the sum are infinite.
        """
        documents = record.attendable - view.documents
        if not lost_shards or documents <= 0:
            return None
        width = record.settings.dimension or 0
        if not all(map(self._has_current_summary, lost_shards)):
            rows = sum(shard_rows(row) + MAX_KEYS for row in lost_shards)
            return _infinite_summary(record.settings.similarity, width, documents, rows)
        summaries = [self._summaries[row].summary for row in sorted(lost_shards)]
        total = reduce(add, summaries, KeySummary.empty(record.settings.similarity, width))
        return replace(total, documents=documents)


def _infinite_summary(similarity: str, width: int, documents: int, rows: int) -> KeySummary:
    """Return a summary for at most `rows` rows about which nothing else is known: all other bounds are infinite."""
    empty = KeySummary.empty(similarity, width)
    gram = np.full_like(empty.gram, np.inf)
    return replace(empty, n=rows, documents=documents, gram=gram, key_norm=math.inf, value_norm=math.inf, removed=rows)


@dataclass(frozen=True, eq=False)
class ShardStatistics:
    """Statistics of one shard, as a server reports them.

    Attributes:
        facts: statistics of its rows.
        dimension: the width of the shard's keys; None if it never had a key.
        end: the row number after the shard's last row.
        coded: whether the shard's rows have 8-bit codes.
    """

    facts: BlockStatistics
    dimension: int | None
    end: int
    coded: bool


class RoutedShards:
    """The shards of a collection at one version, to which messages are sent through a router.

    It implements `softkv_attention.lookup.ShardHosts`.

    Args:
        statistics: the statistics of each shard, by the shard's first row.
    """

    def __init__(self, router: Router, version: CollectionVersion, statistics: Mapping[int, ShardStatistics]) -> None:
        self._router, self._version = router, version
        self._first_rows = np.array(sorted(statistics), dtype=np.int64)
        # A document's rows belong to the shard of its first row, and may extend past the shard's end.
        self._ends = np.array(
            [max(shard_stop(first_row), statistics[first_row].end) for first_row in self._first_rows.tolist()]
        )

    def ask_all(self, message: Message, document_arrays: DocumentArrays | None = None) -> Sequence[Message]:
        """Send one message about all rows to the servers, and return all replies."""

        def message_for(first_rows: Sequence[int]) -> Message:
            return _add_arrays(message, document_arrays, first_rows)

        return [answer for _, answer in self._router.ask(self._version, self._first_rows.tolist(), message_for)]

    def ask_about(
        self, numbers: I64, message: Callable[[Index], Message], document_arrays: DocumentArrays | None = None
    ) -> Sequence[tuple[Index, Message]]:
        """Send messages only to the servers that hold the rows or documents with these numbers, and return the
        replies.
        """
        if not len(numbers):
            return []
        shard_rows = self._first_rows[np.searchsorted(self._ends, numbers, side="right")]
        positions = {first_row: np.flatnonzero(shard_rows == first_row) for first_row in np.unique(shard_rows).tolist()}

        def positions_in(first_rows: Sequence[int]) -> Index:
            return np.sort(np.concatenate([positions[first_row] for first_row in first_rows]))

        def message_for(first_rows: Sequence[int]) -> Message:
            return _add_arrays(message(positions_in(first_rows)), document_arrays, first_rows)

        replies = self._router.ask(self._version, list(positions), message_for)
        return [(positions_in(first_rows), answer) for first_rows, answer in replies]


def _add_arrays(message: Message, document_arrays: DocumentArrays | None, first_rows: Sequence[int]) -> Message:
    """Return a message with the elements of the documents in these shards."""
    if document_arrays is None:
        return message
    starts = sorted(first_rows)
    begins = np.searchsorted(document_arrays.documents, starts)
    ends = np.searchsorted(document_arrays.documents, [shard_stop(first_row) for first_row in starts])
    positions = [np.arange(begin, end) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    fields, arrays = message
    return fields, {**arrays, **document_arrays.at(np.concatenate(positions))}

"""A collection whose keys are on servers. This process has only its record and the metadata of all shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.errors import ParameterError
from softkv_attention.lookup import AnyBias, AnyMask
from softkv_cluster.lookup import RemoteBias, RemoteMask, RemoteView
from softkv_cluster.metadata import ALWAYS, CollectionMetadata, MetadataCache
from softkv_cluster.router import Router
from softkv_service.encoding import Encoders
from softkv_service.request_trace import time_stage
from softkv_service.retrieval import CollectionNotFound, InvalidContent, RetrievalError, SnapshotGone
from softkv_service.retrieval.collections import (
    Clock,
    ReplicatedCollection,
    Snapshot,
    read_clock,
    retry_forever,
    start_background,
)
from softkv_service.retrieval.terms import EXPLAIN_CALL, ORIGINS_CALL, Explanation, Recency, Term, format_bias
from softkv_service.retrieval.verdict import SAMPLE_CALL
from softkv_service.storage import SharedStore
from softkv_service.storage.conditions import Column, Condition, Visibility
from softkv_service.storage.errors import CollectionMissing, StorageError
from softkv_service.storage.records import CollectionRecord, Extent

T = TypeVar("T")


@dataclass(frozen=True)
class ShardedSnapshot(Snapshot):
    """A snapshot of a collection at one version, whose rows are on servers."""

    metadata: CollectionMetadata | None = None

    def _mask(self, condition: Condition) -> RemoteMask:
        """Return the mask of the rows that pass a condition, which the servers evaluate."""
        assert self.metadata is not None
        return self.metadata.mask(condition)

    def passing(self, condition: Condition | None) -> AnyMask | None:
        """Return the mask of the rows that a question may attend to; see `Snapshot`.

        Raises:
            InvalidContent: the snapshot is restricted, and more rows pass than an exact answer has in memory: the
                servers send 24 bytes of each. A scan would take fewer, but its bounds follow from all rows.
        """
        mask = super().passing(condition)
        limit = self.view.limits.exact_batch_cells
        if self.restriction is not None and mask is not None and mask.n > limit:
            raise InvalidContent.at(
                "/filter",
                f"a key with a filter is answered from at most {limit:,} keys on shard servers, and {mask.n:,} pass: "
                "send a filter that fewer pass",
            )
        return mask

    def _documents_passing(self, condition: Condition) -> I64:
        """Return the row numbers int64[n] of documents that pass a condition and have keys; see `Snapshot`.

        They are those that each server would take for a sample. So a sample of them is that of all documents.
        """
        message = {"call": SAMPLE_CALL, "condition": self._mask(condition).condition}
        assert self.metadata is not None
        replies = self.metadata.view.hosts.ask_all((message, {}))
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(arrays["documents"] for _, arrays in replies)]))

    def build_bias(self, terms: Sequence[Term], sent: Any, addends: tuple[I64, F64] | None) -> AnyBias:
        """Return the bias of a question, which the servers evaluate from its JSON; see `Snapshot`."""
        assert self.metadata is not None
        bias = self._read_bias(terms, sent) if terms else None
        if addends is not None:
            bias = RemoteBias.of(self.metadata.view, *addends, bias)
        assert bias is not None
        return bias

    def explain_bias(self, terms: Sequence[Term], sent: Any, rows: I64) -> list[list[Explanation]]:
        """Return what each term adds to the logits of documents, as the servers say; see `Snapshot`."""
        return _explain(self._read_bias(terms, sent), rows)

    def _read_bias(self, terms: Sequence[Term], sent: Any) -> RemoteBias:
        assert self.metadata is not None
        view = self.metadata.view
        return self.lasting(terms, lambda: _read_bias(view, terms, sent, self.restriction))

    def lasting(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return the value of `make`, which depends only on the version and the restriction.

        Later snapshots of both share the value.
        """
        metadata = self.metadata
        assert metadata is not None
        return self.once(name, lambda: metadata.once(self._within(name), make))

    def columns(self, field: str, pointer: str) -> list[Column]:
        """Read a metadata field from the store; the column is not cached in this process."""
        return self._read_column(field, pointer)


class ShardedCollection(ReplicatedCollection):
    """A sharded collection. It answers each query from the version that the store has when the query arrives.

    No keys are in this process: the servers hold them, and follow the store. A query waits for servers that have not
    reached its version. All its messages name one instant, and servers leave out what has expired until then.

    Writes encode values, too, because servers learn of vectors by writes.
    """

    leaves_values = False

    def __init__(
        self,
        record: CollectionRecord,
        store: SharedStore,
        encoders: Encoders | None = None,
        *,
        ready: bool,
        router: Router,
        clock: Clock = read_clock,
    ) -> None:
        super().__init__(record, store, encoders, ready=ready, clock=clock)
        self._router = router
        self._cache = MetadataCache(store, router)
        self._metadata: CollectionMetadata | None = None
        self._fetch_lock = Lock()

    @property
    def size(self) -> int:
        """The number of documents that can be attended to, as known since the last answer or write."""
        return self.record.attendable if self._metadata is None else self._metadata.view.documents

    @property
    def memory_bytes(self) -> None:
        """None, since this process holds no keys."""
        return None

    def count_keys(self) -> int:
        """Return the current number of keys, or that at the last answer if servers cannot be reached; blocks."""
        with suppress(RetrievalError, StorageError):
            self._read_metadata()
        return 0 if self._metadata is None else self._metadata.view.n

    @contextmanager
    def snapshot_all(self) -> Iterator[Snapshot]:
        """Open a consistent view for one reader, valid inside the block.

        Raises:
            SnapshotGone: servers cannot answer for this version now.
        """
        with self.damage.recording():
            with time_stage("storage"):
                record, metadata = self._read_metadata()
            with self._shared.reading_at(metadata.version) as stored:
                until = metadata.expiry.start
                yield ShardedSnapshot(
                    record,
                    metadata.view,
                    stored if until is None else stored.seeing(Visibility(instant=until)),
                    metadata.version,
                    self.in_memory.masks,
                    self.sample,
                    missing=metadata.missing,
                    expired_until=until,
                    metadata=metadata,
                )

    def behind(self, version: int) -> bool:
        """Return False: this process holds no keys that could be behind the store."""
        return False

    def follow(self) -> None:
        """Do nothing, since this process holds no keys: the servers follow the store."""

    def rebuild(self) -> None:
        """Read the metadata of all shards from the servers.

        Raises:
            SnapshotGone: servers do not hold all shards yet.
        """
        self._read_metadata()
        self.ready = True

    def warm(self) -> None:
        """Do nothing, since this process holds no keys."""

    def read_in_background(self) -> None:
        """Wait in the background until servers hold all shards. Queries that come earlier may fail."""
        start_background(self._wait_until_held, f"wait for {self.name}")

    def _wait_until_held(self) -> None:
        for _ in retry_forever():
            with suppress(SnapshotGone, StorageError):
                self.rebuild()
                return
            if self.deleted:
                return

    def require_ready(self) -> None:
        """Raise CollectionNotFound if the collection was deleted.

        Servers are not checked: writes need none, and queries report missing shards.
        """
        self._require_existing()

    def _read_metadata(self) -> tuple[CollectionRecord, CollectionMetadata]:
        """Return the record, and the metadata of its version or a later one, without what has expired by now."""
        self._require_existing()
        try:
            record, extent = self._shared.extent(self.record.id)
        except CollectionMissing:
            raise CollectionNotFound(self.name) from None
        self.record = record = self.with_name(record)
        if (metadata := self._current(extent)) is None:
            with self._fetch_lock:
                if (metadata := self._current(extent)) is None:
                    # Another thread may have read a newer version in the meantime.
                    record, extent = self._shared.extent(self.record.id)
                    record = self.with_name(record)
                    now = None if record.first_expiry is None else self.in_memory.clock()
                    metadata = self._metadata = self._cache.fetch(record, extent, now)
        return replace(record, documents=metadata.documents, keyless=metadata.keyless), metadata

    def _current(self, extent: Extent) -> CollectionMetadata | None:
        """Return the cached metadata if it is as new as this version and the same shards are lost, else None.

        It has to be of this instant, too: no document has expired since.
        """
        metadata = self._metadata
        if (
            metadata is None
            or metadata.version < extent.version
            or metadata.lost != self._router.find_lost_shards(self.record.id)
            or (metadata.expiry != ALWAYS and not metadata.expiry.contains(self.in_memory.clock()))
        ):
            return None
        return metadata

    def summarise(self) -> None:
        """Update the summaries of keys that queries use in place of lost shards."""
        if self._metadata is not None:
            with suppress(SnapshotGone, StorageError):
                self._cache.summarise(self.record)

    def tidy(self) -> None:
        """Do nothing: servers compact their own blocks."""


def _read_bias(view: RemoteView, terms: Sequence[Term], sent: Any, condition: Condition | None) -> RemoteBias:
    """Return the bias that the shard servers compute.

    Args:
        condition: the origins are those of the documents that pass it; None for all documents.

    Raises:
        InvalidContent: a field takes too much memory.
    """
    text = format_bias(sent, terms, _read_origins(view, terms, sent, condition))
    try:
        return view.bias(text)
    except ParameterError as error:
        raise InvalidContent.at("/bias", str(error)) from None


def _read_origins(
    view: RemoteView, terms: Sequence[Term], sent: Any, condition: Condition | None
) -> list[float | None]:
    """Return for each recency term (which prefers documents near an origin) the largest number, or date, of its field.

    It is the default origin, among the documents that pass the condition. None stands for all other terms.
    """
    origins: list[float | None] = [None] * len(terms)
    if not any(isinstance(term, Recency) and term.origin is None for term in terms):
        return origins
    message = {"call": ORIGINS_CALL, "terms": json.dumps(sent if isinstance(sent, list) else [sent])}
    if condition is not None:
        message["condition"] = json.dumps(condition.tree)
    for reply, _ in view.hosts.ask_all((message, {})):
        if "refused" in reply:
            raise InvalidContent.at("/bias", reply["refused"])
        for i, origin in enumerate(reply["origins"]):
            if origin is not None:
                origins[i] = origin if (largest := origins[i]) is None else max(largest, origin)
    return origins


def _explain(bias: RemoteBias, rows: I64) -> list[list[Explanation]]:
    explanations: list[list[Explanation]] = [[] for _ in range(len(rows))]
    fields = {"call": EXPLAIN_CALL, "terms": bias.terms}
    replies = bias.view.hosts.ask_about(rows, lambda positions: (fields, {"numbers": rows[positions]}))
    for positions, (reply, _) in replies:
        for position, lines in zip(positions.tolist(), reply["explanations"], strict=True):
            explanations[position] = lines
    return explanations

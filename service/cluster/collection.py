"""A collection whose keys lie with slots: here are its record, and what is known of all of its rows together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock

from attention.lookup import RemoteMask
from service.cluster.metadata import CollectionMetadata, MetadataCache
from service.cluster.router import Router
from service.encoding import LoadingEncoder
from service.request_trace import time_stage
from service.retrieval import CollectionNotFound, RetrievalError, SnapshotGone
from service.retrieval.collections import ReplicatedCollection, Snapshot, retry_forever, start_background
from service.storage import CollectionMissing, CollectionRecord, Column, Condition, Extent, SharedStore, StorageError


@dataclass(frozen=True)
class ShardedSnapshot(Snapshot):
    """A collection as of one version, whose rows slots are asked about."""

    known: CollectionMetadata | None = None

    def mask(self, condition: Condition) -> RemoteMask:
        """Which rows pass, as the slots find it."""
        assert self.known is not None
        return self.known.mask(condition)

    def columns(self, field: str, pointer: str) -> list[Column]:
        """Read from the store each time: nothing of it is kept here."""
        return self._read_column(field, pointer)


class ShardedCollection(ReplicatedCollection):
    """Every question is answered from the version that the store has when it is asked.

    Its memory here stays empty: slots follow the store, and a version that one of them has not reached it waits for.
    """

    def __init__(
        self,
        record: CollectionRecord,
        store: SharedStore,
        encoder: LoadingEncoder | None = None,
        *,
        ready: bool,
        calling: Router,
    ) -> None:
        super().__init__(record, store, encoder, ready=ready)
        self._calling = calling
        self._knowledge = MetadataCache(store, calling)
        self._known: CollectionMetadata | None = None
        self._asking = Lock()

    @property
    def size(self) -> int:
        """How many documents can be attended to, as of the last answer or write."""
        return self.record.attendable if self._known is None else self._known.view.documents

    @property
    def keys(self) -> int:
        """How many keys they have now, as far as the slots can be asked, else as of the last answer; blocks."""
        with suppress(RetrievalError, StorageError):
            self._newest_known()
        return 0 if self._known is None else self._known.view.n

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A consistent view for one reader, for as long as it reads.

        Raises:
            SnapshotGone: the slots cannot be asked about this version now.
        """
        with self.damage.recording():
            with time_stage("storage"):
                record, known = self._newest_known()
            with self._shared.reading_at(known.version) as reader:
                yield ShardedSnapshot(
                    record,
                    known.view,
                    reader,
                    known.version,
                    self._masks,
                    self.sample,
                    missing=known.missing,
                    known=known,
                )

    def behind(self, version: int) -> bool:
        """Never: nothing is followed here."""
        return False

    def follow(self) -> None:
        """Nothing is followed here."""

    def rebuild(self) -> None:
        """Ask the slots for what they hold.

        Raises:
            SnapshotGone: they do not hold all of it yet.
        """
        self._newest_known()
        self._ready = True

    def warm(self) -> None:
        """The slots have their own machine code."""

    def read_in_background(self) -> None:
        """Wait until slots hold all of it; whoever asks before may be told that they do not."""
        start_background(self._until_held, f"wait for {self.name}")

    def _until_held(self) -> None:
        for _ in retry_forever():
            with suppress(SnapshotGone, StorageError):
                self.rebuild()
                return
            if self._gone:
                return

    def _require_ready(self) -> None:
        """Writes need no slot, and a question finds out."""
        self._require_existing()

    def _newest_known(self) -> tuple[CollectionRecord, CollectionMetadata]:
        self._require_existing()
        try:
            record, extent = self._shared.extent(self.record.id)
        except CollectionMissing:
            raise CollectionNotFound(self.name) from None
        self.record = record
        if (known := self._current(extent)) is None:
            with self._asking:
                if (known := self._current(extent)) is None:
                    # Somebody may have seen a newer version meanwhile.
                    record, extent = self._shared.extent(self.record.id)
                    known = self._known = self._knowledge.at(record, extent)
        return record, known

    def _current(self, extent: Extent) -> CollectionMetadata | None:
        """What is known of a version or a newer one, as long as the same ranges are lost."""
        known = self._known
        if known is None or known.version < extent.version or known.lost != self._calling.lost(self.record.id):
            return None
        return known

    def summarise(self) -> None:
        """Have what is kept of ranges be of what they hold, in case that they go missing."""
        if self._known is not None:
            with suppress(SnapshotGone, StorageError):
                self._knowledge.summarise(self.record)

    def _tidy(self) -> None:
        """There is nothing to be compacted."""

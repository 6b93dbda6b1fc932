"""Collections of a store that other processes write to as well: the keys in memory follow the store's log of
changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np

from softkv_attention.lookup import Limits, Rows, View
from softkv_service.encoding import Encoders
from softkv_service.request_trace import time_stage
from softkv_service.retrieval.collections.catalogue import Catalogue
from softkv_service.retrieval.collections.collection import Collection
from softkv_service.retrieval.collections.expiry import NONE_EXPIRE, Clock, Expirations, read_clock, read_expirations
from softkv_service.retrieval.collections.keys_in_memory import NONE_WAIT
from softkv_service.retrieval.collections.maintenance import start_background
from softkv_service.retrieval.collections.rows import concatenate_rows, load_memory, read_waiting
from softkv_service.retrieval.collections.snapshot import Snapshot
from softkv_service.retrieval.errors import CollectionLoading, CollectionMoved, CollectionNotFound, RetrievalError
from softkv_service.scheduling import READS
from softkv_service.storage import Reader, SharedStore, Writer
from softkv_service.storage.errors import CollectionMissing, StorageError, StoreClosed, StoreUnavailable, read_again
from softkv_service.storage.records import ChangeSummary, CollectionRecord, ExpiryRows


class ReplicatedCollection(Collection):
    """A collection of a shared store.

    It answers every query at the version that the store has when the query arrives, or at a later one.

    So an answer includes every write that any process acknowledged before. `record` may be older, but counts of
    documents are always read from the store.
    """

    def __init__(
        self,
        record: CollectionRecord,
        store: SharedStore,
        encoders: Encoders | None = None,
        *,
        ready: bool,
        originals: Path | None = None,
        sealed: Path | None = None,
        limits: Limits = Limits(),
        clock: Clock = read_clock,
    ) -> None:
        super().__init__(
            record, store, encoders, ready=ready, originals=originals, sealed=sealed, limits=limits, clock=clock
        )
        self._shared = store
        self._counts = (0, 0)  # documents and keyless documents, as of the version

        self._following = Lock()  # held by the thread that brings the memory to a newer version
        self._instant = Lock()  # held while view, version and counts are replaced together

    @contextmanager
    def reading_all(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """Open a reader of all stored documents, and yield it with the collection's record at the same instant."""
        with time_stage("storage"), self.damage.recording(), self.store.reading() as reader:
            yield self._read_record(reader), reader

    @contextmanager
    def snapshot_all(self) -> Iterator[Snapshot]:
        """Open a snapshot: a consistent view of the store and the keys at one version, valid inside the block."""
        self.require_ready()
        with self.damage.recording():
            with time_stage("storage"):
                record, view, version, expirations, waiting = self._newest()
            self.damage.require_sound_keys()
            with self._shared.reading_at(version) as reader:
                yield self.in_memory.snapshot(record, view, reader, version, expirations, waiting)

    def behind(self, version: int) -> bool:
        """Return whether the keys in memory are of an older version than this version of the store."""
        return self.ready and self.in_memory.version < version

    def count_keys(self) -> int:
        """Count the keys of its documents now: read from the store if that is available; blocks."""
        with suppress(RetrievalError, StorageError):
            self.follow()
        keys = self.in_memory
        with self._instant:
            view, expirations = keys.present().view, keys.expirations
        return keys.view_at(view, expirations, keys.clock()).n

    def read_in_background(self) -> None:
        """Load the keys in the background, for a collection that is not ready."""
        start_background(self.retry_rebuild, f"read {self.name}")

    def follow(self) -> None:
        """Bring the memory to the current version of the store.

        Raises:
            CollectionNotFound: the collection was deleted.
            CollectionLoading: the log does not go back far enough; the keys are being reloaded.
        """
        self._newest()

    def _newest(self) -> tuple[CollectionRecord, View, int, Expirations, np.ndarray]:
        record, newest = self._now()
        keys = self.in_memory
        if keys.version < newest:
            self._catch_up(newest)
        with self._instant:
            waiting = keys.waiting  # before the view
            view, version, (documents, keyless) = keys.present().view, keys.version, self._counts
            expirations = keys.expirations
        if version > newest:  # another thread caught up meanwhile, perhaps past the write that set the dimension
            record, _ = self._now()
        return replace(record, documents=documents, keyless=keyless), view, version, expirations, waiting

    def _now(self) -> tuple[CollectionRecord, int]:
        self._require_existing()
        try:
            record, version = self._shared.latest(self.record.id)
            return self.with_name(record), version
        except CollectionMissing:
            raise CollectionNotFound(self.name) from None

    def _catch_up(self, newest: int) -> None:
        with self._following:
            if self.in_memory.version >= newest:
                return
            self.require_ready()
            change = self._shared.changes_since(self.record.id, self.in_memory.version)
            if change is None:
                self._now()
                self.reload("the log does not go back to its version")
                raise CollectionLoading(self.name, self.trouble)
            with self._shared.reading_at(change.version) as reader:
                waiting = read_waiting(self.record, reader)
                batches = list(reader.vectors(self.record.id, first=change.first, damaged=self.damage.note))
                expiring = NONE_EXPIRE
                if change.first_expiry is not None:
                    expiring = reader.expiring(self.record.id, first=change.first)
            self._show(change, concatenate_rows(batches), expiring, waiting[waiting >= change.first])
        self.tidy()

    def _show(self, change: ChangeSummary, add: Rows | None, expiring: ExpiryRows, waiting: np.ndarray) -> None:
        try:
            removed = change.removed[change.removed < change.first]
            prepared = self.in_memory.prepare(add=add, removed=removed, expiring=expiring, waiting=waiting)
            with self._instant:
                prepared.show(change.version)
                self._counts = change.documents, change.keyless
        except BaseException as error:
            self.reload(f"{type(error).__name__} while following the store")
            raise
        self.damage.forget(change.removed.tolist())

    def rebuild(self) -> None:
        """Load the keys and values from storage; the collection cannot be queried until then.

        Raises:
            StorageError: the keys or values cannot be read.
            MemoryError: there is not enough memory.
        """
        with self._following:
            # Read in one transaction, because loading may take longer than the store keeps deleted rows.
            with self.damage.recording(), self._shared.reading() as reader:
                record = self._read_record(reader)
                version = reader.version(record.id)
                waiting = read_waiting(record, reader)
                memory = load_memory(record, reader, self.damage.note, self.sealed, self.storage)
                expirations = read_expirations(record, reader)
            with self._instant:
                self.in_memory.replace(memory, expirations, waiting, version)
                self._counts = (record.documents, record.keyless)
                self.record = record
            self.trouble, self.ready = None, True
        memory.code()
        self.in_memory.masks.forget()
        self.tidy()

    def let_writes_end(self) -> None:
        """Do nothing: writes during the reload are replayed from the log."""

    def show_after(
        self,
        writer: Writer,
        *,
        add: Rows | None,
        removed: np.ndarray,
        expiring: ExpiryRows = NONE_EXPIRE,
        waiting: np.ndarray = NONE_WAIT,
    ) -> None:
        """Do nothing: the next query replays the write from the log, as it does for writes of other processes."""

    def _read_record(self, reader: Reader) -> CollectionRecord:
        self._require_existing()
        try:
            return self.with_name(reader.record(self.record.id))
        except CollectionMissing:
            raise CollectionNotFound(self.name) from None

    def require_current(self, writer: Writer) -> CollectionRecord:
        """Return the record as the writer sees it; raise CollectionMoved if another collection has taken its place."""
        record = writer.record(self.record.id)
        if record.name != self.name:
            raise CollectionMoved(self.name)
        return record

    def _require_existing(self) -> None:
        if self.deleted:
            raise CollectionNotFound(self.name)


POLL_SECONDS = 0.2
"""Interval of polls for writes of other processes, so that a query finds little left to replay."""
RETRY_SECONDS = 1.0
UNKNOWN_VERSION = -1
"""A number of catalogue changes that no store can have."""
MAX_REPLAYED_DOCUMENTS = 10_000
"""Up to this size a newly discovered collection is ready at once, and a query may wait for its documents."""


class SharedCatalogue(Catalogue):
    """Collections by name, as the store has them, including the changes of other processes."""

    def __init__(
        self,
        store: SharedStore,
        encoders: Encoders | None,
        originals: Path | None = None,
        limits: Limits = Limits(),
        clock: Clock = read_clock,
    ) -> None:
        self._shared = store
        self._seen = store.catalogue()  # before the collections are read, so that changes in between are read again
        self._looking = Lock()
        super().__init__(store, encoders, originals, limits=limits, clock=clock)

    def rebuild(self) -> None:
        """Load the keys of every collection, the smallest first; then start to follow the store."""
        while True:
            try:
                super().rebuild()
                break
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)
        start_background(self._follow, "follow the store")

    async def refresh(self) -> None:
        """Bring the collections up to date with the store.

        Raises:
            StorageError: the store is unavailable.
        """
        await READS.run(read_again, self.look)

    def look(self) -> None:
        """Read the store's changes, and bring the collections up to date with them; blocks."""
        if self._shared.catalogue() == self._seen:
            return
        with self._looking:
            before = dict(self._collections)
            seen = self._shared.catalogue()
            with self.store.reading() as reader:
                records = {record.name: record for record in reader.collections()}
                aliases, shadows = reader.aliases(), self._shadow_records(reader)
                hidden = {record.id for record in reader.list_hidden()}
            for name in before.keys() & records.keys():
                collection, record = before[name], records[name]
                if record.id != collection.record.id and collection.record.id in hidden:
                    if record.id not in self._shadows:  # the job of another process, of which this one learns only now
                        self._shadows[record.id] = self._add_known(record)
                    self._move(record)
                elif record.id != collection.record.id:
                    self._forget(name)
            for number in self._shadows.keys() - shadows.keys():
                self._forget_shadow(number)
            for number, record in shadows.items():
                if number not in self._shadows:
                    self._shadows[number] = self._add_known(record)
            for name, record in records.items():
                if (existing := self._collections.get(name)) is None:
                    self._discover(record)
                else:
                    existing.record = record
            # Between the two: at every instant an alias stands for a collection that is there.
            self.aliases.replace(aliases)
            for name in before.keys() - records.keys():
                self._forget(name)
            self._seen = seen

    def _publish_after(self, writer: Writer, publish: Callable[[], object]) -> None:
        """Publish after the commit, and make the next refresh read everything again.

        Two writers may publish in another order than they committed. So what is published may be older than what is in
        memory.
        """

        def publish_and_look_again() -> None:
            with self._looking:
                publish()
                self._seen = UNKNOWN_VERSION

        writer.after_commit(publish_and_look_again)

    def _discover(self, record: CollectionRecord) -> None:
        """Add a collection that another process created.

        A small one replays the log from its beginning, a large one is loaded.
        """
        self._collections[record.name] = self._add_known(record)

    def _add_known(self, record: CollectionRecord) -> ReplicatedCollection:
        collection = self._of(record, ready=record.documents <= MAX_REPLAYED_DOCUMENTS)
        if not collection.ready:
            collection.read_in_background()
        return collection

    def _of(self, record: CollectionRecord, *, ready: bool) -> ReplicatedCollection:
        collection = ReplicatedCollection(
            record,
            self._shared,
            self.encoders,
            ready=ready,
            limits=self.limits,
            clock=self.clock,
            **self._directories,
        )
        collection.look = self.look
        return collection

    def _follow(self) -> None:
        """Poll the store until it is closed."""
        while True:
            time.sleep(POLL_SECONDS)
            try:
                self.look()
                versions = self._shared.versions()
                for collection in [*self.collections(), *self._shadows.values()]:
                    if isinstance(collection, ReplicatedCollection) and collection.behind(
                        versions.get(collection.record.id, 0)
                    ):
                        collection.follow()
            except StoreClosed:
                return
            except (RetrievalError, StorageError, MemoryError):  # the next query raises it to its caller
                continue

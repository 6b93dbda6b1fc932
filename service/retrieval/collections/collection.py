"""A collection: its record in storage and its keys in memory, always of the same version.

The keys of a small collection may leave memory while no call uses it (`unload`), and the next call reads them again.
They are unloaded only while no call is about to read or write them (`_in_memory`). A write needs them in memory, so
nothing is written while they are not there, and keys that are read again are of the same version as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import structlog

from attention.lookup import Limits, Memory, Rows, View
from service.encoding import Encoders
from service.request_trace import time_stage
from service.retrieval.collections.costs import Costs, estimate_disk_bytes
from service.retrieval.collections.expiry import (
    NEVER,
    NONE_EXPIRE,
    Clock,
    Expirations,
    UnexpiredViews,
    find_expiring,
    read_clock,
    read_expirations,
)
from service.retrieval.collections.loaded import LoadedCollections
from service.retrieval.collections.lookup_queue import LookupQueue, QuestionTimes
from service.retrieval.collections.machine_code import warm_up
from service.retrieval.collections.maintenance import Compaction, Damage, retry_forever, start_background
from service.retrieval.collections.null import KeySample
from service.retrieval.collections.rows import KeyStorage, build_rows, load_memory
from service.retrieval.collections.sealed import SealedBlocks
from service.retrieval.collections.snapshot import Masks, Snapshot
from service.retrieval.errors import CollectionLoading, CollectionMoved, CollectionNotFound, DocumentChanged
from service.storage import (
    ALL,
    MAX_FEEDBACK,
    Change,
    CollectionDamaged,
    CollectionRecord,
    CollectionSettings,
    Condition,
    DocumentRecord,
    ExpiryRows,
    FeedbackRecord,
    IdempotentWrite,
    Mode,
    Reader,
    Restriction,
    StorageError,
    Store,
    StoreUnavailable,
    Visibility,
    Writer,
)

log = structlog.get_logger("softkv")
BATCH = 1000  # documents whose texts an update holds in memory at a time
MAX_UNLOADED_DOCUMENTS = 4096
"""A collection of more documents stays in memory, because reading its keys again takes longer than a moment."""


class Collection:
    """A collection of documents: its record in the store, and its keys in memory.

    The keys can be rebuilt from the store at any time.

    Attributes:
        record: the collection's settings and counts, as of the last write.
        encoders: the encoders of the service, among which that of its vectors may be missing.
        lookups: the queue of its queries.
        sample: a sample of its keys, whose similarities to each other show how similar unrelated documents are.
        damage: the known damage of the collection on disk.
        trouble: why the keys could not be loaded; None if they are loaded, or are being loaded.
        moved_to: the collection with other vectors that has taken its place; None if it is in use.
        look: learns of collections that other processes have moved; blocks.

    Args:
        loaded: the collections of the service whose keys are in memory, which decide when keys leave it.
        unread: whether the first call reads the keys, if the collection is `ready`.
        clock: the clock by which documents expire.
    """

    def __init__(
        self,
        record: CollectionRecord,
        store: Store,
        encoders: Encoders | None = None,
        *,
        ready: bool,
        originals: Path | None = None,
        sealed: Path | None = None,
        limits: Limits = Limits(),
        loaded: LoadedCollections | None = None,
        unread: bool = False,
        clock: Clock = read_clock,
    ) -> None:
        self.record = record
        self.encoders = Encoders() if encoders is None else encoders
        self.damage = Damage(record.name, self._reload_without)
        self.lookups = LookupQueue(self.snapshot, self.damage.note, record.name)
        self.sample = KeySample()
        self.trouble: str | None = None
        self.moved_to: Collection | None = None
        self.look: Callable[[], object] = lambda: None
        self._ready, self._gone = ready, False
        self._store = store
        # Below this size the exact path answers all questions, whether keys have codes or not.
        self._kept = KeyStorage(originals, limits, codes_from=limits.exact_max_components // 3)
        self._sealed = SealedBlocks(sealed, store, record.id)
        self._memory: Memory | None = None if unread else self._kept.memory(record)
        self._clock = clock
        self._expirations = NEVER
        self._unexpired = UnexpiredViews(lambda: self._masks.forget())
        self._masks = Masks(self._get_last_view)
        self._version, self._finding = 0, Lock()
        self._loaded = LoadedCollections() if loaded is None else loaded
        self._measured = (0, 0), 0  # the numbers of documents and keyless documents, and their bytes on disk
        self._unloaded_keys: int | None = None  # how many there are, if that is known
        self._users = 0  # the calls that need the keys in memory now
        self._turn = Lock()  # held while `_users` changes, and while the keys leave memory
        self._loading = Lock()  # held by the call that reads them again
        self._compaction = Compaction(record.name, self._compact)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.record.name

    @property
    def ready(self) -> bool:
        """Whether the collection's keys are in memory, so that it can be queried."""
        return self._ready

    @property
    def loaded(self) -> bool:
        """Whether the collection's keys are in memory; if not, but it is `ready`, the next call reads them."""
        return self._memory is not None

    @property
    def size(self) -> int:
        """The number of documents that can be attended to now."""
        memory = self._memory
        return self.record.attendable if memory is None else memory.view.documents

    @property
    def keys(self) -> int:
        """The number of keys of the documents that can be attended to; may block."""
        view, now = self._current_view(), self._clock()
        if view is not None and (self._expirations.first is None or now < self._expirations.first):
            return view.n
        if view is None and not self.record.has_expired(now) and self._unloaded_keys is not None:
            return self._unloaded_keys
        with self._store.reading(gather=lambda: (self.record, self._current_view(), self._expirations)) as reader:
            record, view, expirations = reader.gathered
            if view is not None:
                return self._unexpired.at(view, expirations, now).view.n
            if record.has_expired(now):
                return reader.seeing(Visibility(instant=now)).usage(record.id).keys
            self._unloaded_keys = reader.usage(record.id).keys
            return self._unloaded_keys

    def unload(self) -> bool:
        """Drop the keys from memory; return False if a call needs them, or if the collection is not a small one."""
        with self._turn:
            memory = self._memory
            if memory is None:
                return True
            if self._users or not self._ready or self.record.documents > MAX_UNLOADED_DOCUMENTS:
                return False
            self._unloaded_keys, self._memory = memory.view.n, None
            self._masks = Masks(self._get_last_view)
            return True

    def check_keys(self) -> None:
        """Compare the stored keys with their checksums, if they are not in memory; record the damage."""
        if self._memory is not None:
            return
        with self._failing(), self._reading() as (record, reader):
            for _ in reader.vectors(record.id, damaged=self.damage.note):
                pass

    @contextmanager
    def _in_memory(self) -> Iterator[None]:
        """Keep the keys in memory for the duration of the block; if they are not there, read them first.

        Raises:
            CollectionLoading: they cannot be read.
            MemoryError: there is not enough memory.
        """
        with self._turn:
            self._users += 1
        try:
            if self._memory is None:
                with self._loading:
                    if self._memory is None:
                        self._load()
            self._use()
            yield
        finally:
            with self._turn:
                self._users -= 1

    def _use(self) -> None:
        if self.record.documents <= MAX_UNLOADED_DOCUMENTS and not self._gone:
            self._loaded.use(self)
        else:
            self._loaded.forget(self)

    def _load(self) -> None:
        """Read the keys that left memory. Nothing was written since, see `_in_memory`."""
        self._require_ready()
        with self._failing(), time_stage("storage"), self._reading() as (record, reader):
            memory = load_memory(record, reader, self.damage.note, self._sealed, self._kept)
            expirations = read_expirations(record, reader)
        memory.code()
        self._expirations = expirations  # before the memory, which shows other calls that both are there
        self._memory = memory

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Make the collection one that cannot be queried if the block finds that documents are missing."""
        try:
            yield
        except CollectionDamaged as error:
            self.trouble, self._ready = str(error), False
            raise CollectionLoading(self.name, self.trouble) from error

    def _current_view(self) -> View | None:
        memory = self._memory
        return None if memory is None else memory.view

    def _get_last_view(self) -> View | None:
        return self._unexpired.current(self._current_view())

    def _keys(self) -> Memory:
        """Return the keys in memory, within a block of `_in_memory`."""
        assert self._memory is not None
        return self._memory

    def rebuild(self) -> None:
        """Load the keys and values from storage; the collection cannot be queried until then.

        Raises:
            StorageError: the keys or values cannot be read.
            MemoryError: there is not enough memory.
        """
        with self._reading() as (record, reader):
            memory = load_memory(record, reader, self.damage.note, self._sealed, self._kept)
            expirations = read_expirations(record, reader)
        self._expirations, self._memory = expirations, memory
        self._version += 1
        self._masks.forget()
        self.trouble, self._ready = None, True
        self._use()
        memory.code()
        self._masks.forget()
        self._tidy()

    def warm(self) -> None:
        """Ask one question of each kind, so that the first caller does not wait for values computed on first use."""
        view = self._current_view()
        if self._ready and view is not None:
            with suppress(CollectionLoading), self.damage.recording():
                warm_up(view, self.record)

    def mark_deleted(self) -> None:
        """Mark the collection as deleted: later calls raise CollectionNotFound."""
        self._gone = True
        self._loaded.forget(self)
        start_background(self._sealed.remove, f"remove the files of {self.name}")

    @property
    def memory_bytes(self) -> int | None:
        """The bytes of its keys, values and codes in memory; None if other processes hold them."""
        view = self._current_view()
        return 0 if view is None else view.memory_bytes

    def costs(self, record: CollectionRecord, reader: Reader) -> Costs:
        """Return what the collection costs in this process.

        Args:
            record, reader: as `reading` yields them.

        Raises:
            DocumentDamaged: a document that is measured is damaged.
        """
        times = self.lookups.times
        return Costs(self.memory_bytes, self._disk_bytes(record, reader), times.questions, QuestionTimes.p99([times]))

    def _disk_bytes(self, record: CollectionRecord, reader: Reader) -> int:
        """Return about how many bytes it takes in the database, measured again when its number of documents changes."""
        documents, size = self._measured
        if documents != (record.documents, record.keyless):
            size = estimate_disk_bytes(record, reader)
            self._measured = (record.documents, record.keyless), size
        return size

    def with_counts(self, record: CollectionRecord, reader: Reader) -> CollectionRecord:
        """Return a record that counts the documents of the whole collection that have not expired.

        Args:
            record, reader: as `reading` yields them.
        """
        expired = reader.count_expired(record.id)
        return replace(record, documents=record.documents - expired.documents, keyless=record.keyless - expired.keyless)

    def visible(self, record: CollectionRecord, reader: Reader) -> CollectionRecord:
        """Return a record that counts the documents that the caller sees: all that have not expired.

        Args:
            record, reader: as `reading` yields them.
        """
        return self.with_counts(record, reader)

    def count_expired(self, record: CollectionRecord, reader: Reader) -> int:
        """Count the documents that have expired, but are not deleted yet.

        Args:
            record, reader: as `reading` yields them.
        """
        return reader.count_expired(record.id).documents

    @contextmanager
    def reading(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """Open a reader of the documents that have not expired, and yield it with the collection's record.

        Both are of the same instant. The record counts all stored documents, see `visible`. This needs no keys in
        memory.
        """
        with self._reading() as (record, reader):
            yield record, self.leave_out_expired(record, reader)

    def leave_out_expired(self, record: CollectionRecord, reader: Reader) -> Reader:
        """Return a reader of the documents that have not expired now.

        Args:
            record: the collection's record, as the reader sees it.
            reader: a reader of all stored documents.
        """
        if record.first_expiry is None:
            return reader
        now = self._clock()
        return reader.seeing(Visibility(instant=now)) if record.has_expired(now) else reader

    @contextmanager
    def _reading(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """Open a reader of all stored documents, and yield it with the collection's record at the same instant."""
        with (
            time_stage("storage"),
            self.damage.recording(),
            self._store.reading(gather=lambda: (self._gone, self.record)) as reader,
        ):
            gone, record = reader.gathered
            if gone:
                raise CollectionNotFound(self.name)
            yield record, reader

    def ids(self) -> set[str]:
        """Return the ids of all stored documents."""
        with self.reading() as (record, reader):
            return set(reader.ids(record.id, reader.rows_where(record.id)))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open a snapshot: a consistent view of the store and the keys at one version, valid inside the block."""
        self._require_ready()
        with self.damage.recording(), ExitStack() as stack:
            with self._in_memory():
                self.damage.require_sound_keys()
                reader = stack.enter_context(
                    self._store.reading(
                        gather=lambda: (self._gone, self.record, self._keys().view, self._version, self._expirations)
                    )
                )
            gone, record, view, version, expirations = reader.gathered
            if gone:
                raise CollectionNotFound(self.name)
            yield self._take_snapshot(record, view, reader, version, expirations)

    def _take_snapshot(
        self, record: CollectionRecord, view: View, reader: Reader, version: int, expirations: Expirations
    ) -> Snapshot:
        """Return the snapshot of a version at this instant."""
        if expirations.first is not None:
            now = self._clock()
            shown = self._unexpired.at(view, expirations, now)
            if shown.until is not None:
                documents = record.documents - view.documents + shown.view.documents
                return Snapshot(
                    replace(record, documents=documents),
                    shown.view,
                    reader.seeing(Visibility(instant=now)),
                    version,
                    self._masks,
                    self.sample,
                    expired_until=shown.until,
                )
        return Snapshot(record, view, reader, version, self._masks, self.sample)

    def current(self) -> Collection:
        """Return the collection that is in use under this name: itself, unless another one has taken its place.

        A call that has begun on a collection reads it to the end, so that its answer is of one encoder. What it writes
        goes to the current one. Blocks.
        """
        if self.moved_to is None:
            self.look()
        return self if self.moved_to is None else self.moved_to.current()

    def write_copies(
        self,
        sources: np.ndarray,
        documents: Sequence[DocumentRecord],
        gone: np.ndarray,
        writer: Writer,
    ) -> None:
        """Write to a shadow, within a block of `filling`: documents with new vectors, and those to delete.

        Args:
            sources: int64[n], the row numbers of the originals of the documents.
            documents: the documents to store.
            gone: int64[m], the row numbers of documents of the shadow whose originals were deleted or replaced.
        """
        number, add, removed, expiring = self.record.id, None, np.empty(0, dtype=np.int64), NONE_EXPIRE
        if documents:
            change = writer.upsert(number, documents)
            writer.keep_copies(number, sources, change)
            add, removed = build_rows(change.added, documents), change.removed
            expiring = find_expiring(change.added, documents)
        gone = np.setdiff1d(gone, removed)
        if len(gone):
            writer.delete_copies(number, gone)
        self._publish_after(writer, add=add, removed=np.union1d(removed, gone), expiring=expiring)

    @contextmanager
    def filling(self, *, of: int | None = None) -> Iterator[Writer]:
        """Open a write transaction for `write_copies`.

        Args:
            of: the number of the original, to keep others from writing it; None lets them.
        """
        number = self.record.id if of is None else of
        with self.damage.recording(), self._in_memory(), self._store.writing(collection=number) as writer:
            self._require_ready()
            yield writer
        self._tidy()

    def write(
        self,
        documents: Sequence[DocumentRecord],
        *,
        mode: Mode = "upsert",
        replacing: DocumentRecord | None = None,
        existing: frozenset[str] = frozenset(),
        delete: Sequence[str] = (),
        once: IdempotentWrite[Change] | None = None,
        within: Restriction | None = None,
    ) -> Change:
        """Store documents, all or none; readers see them when this returns.

        Args:
            documents: the documents to store.
            mode: what happens to a document whose id is already stored.
            replacing: the stored document that these replace; None if it may be any.
            existing: ids that must be stored.
            delete: ids of documents to delete in the same transaction, none of them of `documents`; unknown ids are
                ignored.
            once: makes a repeated request get its first answer; None without an Idempotency-Key.
            within: the part of the collection that the caller may change; None for all of it.

        Raises:
            DocumentChanged: `replacing` is not the stored document any more, or an id of `existing` is not stored.
            CollectionMoved: the vectors may be of another encoder; the caller has to make them again for `current`.
            OutsideFilter, QuotaExceeded: a document would lie outside the caller's part, or the part would be too
                large.
        """
        with self.damage.recording(), self._in_memory(), self._writing(once, within) as (writer, record, now):
            self._require_ready()
            documents = [_with_expiry(document, record.settings, now) for document in documents]
            if replacing is not None:
                stored = writer.document(self.record.id, replacing.id)
                if stored is None or stored.row != replacing.row:
                    raise DocumentChanged(replacing.id)
            if gone := existing.difference(writer.existing(self.record.id, list(existing))):
                raise DocumentChanged(min(gone))
            deleted = writer.delete_ids(self.record.id, delete) if delete else np.empty(0, dtype=np.int64)
            change = replace(writer.upsert(self.record.id, documents, mode=mode), deleted=len(deleted))
            if within is not None and len(change.added):
                within.check_quotas(writer)
            writer.keep_answer(once, change)
            skipped = set(change.skipped)
            documents = [document for document in documents if document.id not in skipped]
            if not documents and not len(deleted):
                return change
            self._publish_after(
                writer,
                add=build_rows(change.added, documents) if documents else None,
                removed=np.union1d(change.lost, deleted),
                expiring=find_expiring(change.added, documents),
            )
        self._tidy()
        return change

    def update(
        self,
        changed: Callable[[DocumentRecord], DocumentRecord],
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
        within: Restriction | None = None,
    ) -> int:
        """Replace documents in one transaction, those with these ids or all that pass a condition.

        Return how many were replaced.

        Args:
            changed: returns the new document for a stored one.
            within: the part of the collection that the caller may change; None for all of it.
        """
        written, added = list[DocumentRecord](), list[np.ndarray]()
        with self.damage.recording(), self._in_memory(), self._writing(once, within) as (writer, _, _):
            self._require_ready()
            number = self.record.id
            rows = writer.rows_among(number, ids or ()) if condition is None else writer.rows_where(number, condition)
            for start in range(0, len(rows), BATCH):
                documents = [changed(document) for document in writer.documents(number, rows[start : start + BATCH])]
                added.append(writer.upsert(number, documents).added)
                # All vectors are added to the memory at once, after the loop; the texts are not needed for that.
                written += [replace(document, key=None, value=None, metadata={}) for document in documents]
            writer.keep_answer(once, len(rows))
            if not added:
                return 0
            if within is not None:
                within.check_quotas(writer)
            numbers = np.concatenate(added)
            expiring = find_expiring(numbers, written)
            self._publish_after(writer, add=build_rows(numbers, written), removed=rows, expiring=expiring)
        self._tidy()
        return len(rows)

    def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
        within: Restriction | None = None,
    ) -> int:
        """Delete the documents with these ids, or all that pass a condition; ignore unknown ids.

        Return how many were deleted.

        Args:
            within: the part of the collection that the caller may change; None for all of it.
        """
        try:
            with (
                self.damage.recording(),
                self._in_memory(),
                self._writing(once, within, deletes=True) as (writer, _, _),
            ):
                self._require_ready()
                if condition is not None:
                    removed = writer.delete_where(self.record.id, condition)
                else:
                    removed = writer.delete_ids(self.record.id, ids or ())
                writer.keep_answer(once, len(removed))
                self._publish_after(writer, add=None, removed=removed)
        except CollectionMoved:
            return self.current().delete(ids=ids, condition=condition, once=once, within=within)
        self._tidy()
        return len(removed)

    def delete_expired(self, limit: int) -> bool:
        """Delete up to `limit` documents that have expired; return whether there may be more to delete.

        Do nothing if another process deletes expired documents now.
        """
        number = self.record.id
        with (
            self.damage.recording(),
            self._in_memory(),
            self._store.writing(deletes=True, collection=number) as writer,
        ):
            self._require_ready()
            if not writer.claim_expiry():
                return False
            removed = writer.delete_expired(number, self._clock(), limit)
            self._publish_after(writer, add=None, removed=removed)
        self._tidy()
        return len(removed) == limit

    def write_feedback(self, records: Sequence[FeedbackRecord], *, once: IdempotentWrite[int] | None = None) -> int:
        """Store what callers said of answers; return how many records that is."""
        try:
            with self._writing(once, None) as (writer, _, _):
                writer.write_feedback(self.record.id, records, max_records=MAX_FEEDBACK)
                writer.keep_answer(once, len(records))
        except CollectionMoved:
            return self.current().write_feedback(records, once=once)
        return len(records)

    def delete_feedback(self, numbers: Sequence[int] | None, *, once: IdempotentWrite[int] | None = None) -> int:
        """Delete the records of feedback with these numbers, or all; return how many were deleted."""
        try:
            with self._writing(once, None, deletes=True) as (writer, _, _):
                deleted = writer.delete_feedback(self.record.id, numbers)
                writer.keep_answer(once, deleted)
        except CollectionMoved:
            return self.current().delete_feedback(numbers, once=once)
        return deleted

    @contextmanager
    def _writing(
        self, once: IdempotentWrite[Any] | None, within: Restriction | None, *, deletes: bool = False
    ) -> Iterator[tuple[Writer, CollectionRecord, int]]:
        """Open a write transaction of what the caller sees now; yield it with the record and the time."""
        with self._store.writing(once, deletes=deletes, collection=self.record.id) as writer:
            record, now = self._require_current(writer), self._clock()
            visible = Visibility(None if within is None else within.condition, now if record.has_expired(now) else None)
            yield writer if visible == ALL else writer.seeing(visible), record, now

    def _require_current(self, writer: Writer) -> CollectionRecord:
        """Return the record as the writer sees it; raise CollectionMoved if another collection has taken its place."""
        if self.moved_to is not None:
            raise CollectionMoved(self.name)
        return self.record

    def _with_name(self, record: CollectionRecord) -> CollectionRecord:
        """Return the record under the name that callers know, also of a hidden collection."""
        return record if record.name == self.name else replace(record, name=self.name)

    def _publish_after(
        self, writer: Writer, *, add: Rows | None, removed: np.ndarray, expiring: ExpiryRows = NONE_EXPIRE
    ) -> None:
        record = self._with_name(writer.record(self.record.id))
        # Allocate memory now, while the write can still be refused, and not after the commit.
        memory = self._keys()
        staged = memory.stage(add=add, remove=removed)
        expirations = self._expirations.after_write(expiring, removed)

        def publish() -> None:
            try:
                memory.show(staged)
                self.record, self._expirations = record, expirations
                self._version += 1
                self.damage.forget(removed.tolist())
                self._masks.forget()
            except BaseException as error:
                self.reload(f"{type(error).__name__} when a write was to be shown")
                raise

        writer.after_commit(publish)

    def reload(self, reason: str) -> None:
        """Stop answering and reload the keys in the background, because the memory may differ from the store."""
        log.error("reloading a collection", collection=self.name, reason=reason)
        self.trouble, self._ready = reason, False
        start_background(self._retry_rebuild, f"read anew {self.name}")

    def _retry_rebuild(self) -> None:
        for _ in retry_forever():
            try:
                self._let_writes_end()
                self.rebuild()
                return
            except MemoryError:
                self.trouble = "there was no memory for its keys"
            except StorageError as error:
                self.trouble = str(error)
                if not isinstance(error, StoreUnavailable):
                    return

    def _let_writes_end(self) -> None:
        """Wait until a write that began before the reload has ended, so that the reload includes it."""
        with self._store.writing(collection=self.record.id):
            pass

    def _tidy(self) -> None:
        self._compaction.begin()

    def _compact(self) -> bool:
        """Do one step of background work, and return whether there was anything to do.

        A step compacts keys, checks some float32 vectors against their checksums, or writes a block of coded keys to a
        file.
        """
        memory = self._memory
        if memory is None or not self._ready:
            return False
        with suppress(CollectionLoading), self.damage.recording():
            if memory.compact():
                self._masks.forget()
                return True
            steps = (self._sealed.check_next_originals, self._sealed.step)
            return any(step(memory.view) for step in steps)
        return False

    def _reload_without(self, path: Path) -> CollectionLoading:
        """Discard a damaged file of coded keys, reload the collection if it used the file, and return the caller's
        error.
        """
        with self._finding:  # only the first thread that finds the damage reloads the collection
            if self._sealed.discard(path, self._current_view()) and self._ready:
                self.reload(f"{path.name} is not what was written")
        return CollectionLoading(self.name, self.trouble)

    def _require_ready(self) -> None:
        if self._gone:
            raise CollectionNotFound(self.name)
        if not self._ready:
            raise CollectionLoading(self.name, self.trouble)


def _with_expiry(document: DocumentRecord, settings: CollectionSettings, now: int) -> DocumentRecord:
    """Return the document with the expiry that the collection gives it, unless it has its own."""
    if document.expires_sent:
        return document
    after = settings.expire_after
    return replace(document, expires=None if after is None else now + after, expires_sent=True)

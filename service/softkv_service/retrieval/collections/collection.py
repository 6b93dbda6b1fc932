"""A collection: its record in storage and its keys in memory, always of the same version.

`KeysInMemory` has the keys, a `WriteTransaction` prepares each write. The collection joins them: it opens readers and
transactions, shows a write after its commit, and reloads its keys if they may differ from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import numpy as np

from softkv_attention.lookup import Limits, Question, Rows, SealedError, View, answers, sweep
from softkv_service.encoding import Encoders
from softkv_service.logs import log
from softkv_service.request_trace import time_stage
from softkv_service.retrieval.collections.costs import Costs, estimate_disk_bytes
from softkv_service.retrieval.collections.expiry import NONE_EXPIRE, Clock, read_clock, read_expirations, with_expiry
from softkv_service.retrieval.collections.keys_in_memory import NONE_WAIT, KeysInMemory, LoadedCollections
from softkv_service.retrieval.collections.lookup_queue import LookupQueue, Plan, PlannedReading, QuestionTimes
from softkv_service.retrieval.collections.maintenance import Compaction, Damage, retry_forever, start_background
from softkv_service.retrieval.collections.restricted import Handle, without_ids
from softkv_service.retrieval.collections.rows import KeyStorage, concatenate_rows, load_memory, read_waiting
from softkv_service.retrieval.collections.sealed import SealedBlocks
from softkv_service.retrieval.collections.snapshot import LIGHT, Snapshot
from softkv_service.retrieval.collections.values import retry_with_values
from softkv_service.retrieval.collections.writing import WriteTransaction
from softkv_service.retrieval.errors import CollectionLoading, CollectionMoved, CollectionNotFound, ValuesPending
from softkv_service.retrieval.verdict import KeyBackground, KeySample
from softkv_service.storage import IdempotentWrite, Reader, Store, Writer
from softkv_service.storage.conditions import ALL, Condition, Visibility, condition_digest
from softkv_service.storage.errors import CollectionDamaged, DocumentDamaged, StorageError, StoreUnavailable
from softkv_service.storage.records import (
    MAX_FEEDBACK,
    MAX_FEEDBACK_BYTES,
    Change,
    CollectionRecord,
    DocumentRecord,
    ExpiryRows,
    FeedbackRecord,
    Mode,
    Vector,
)

T = TypeVar("T")

MAX_UNLOADED_DOCUMENTS = 2**14
"""A collection of more documents stays in memory, because reading its keys again takes longer than a moment."""

TEXTS_AT_ONCE = 256
"""The number of documents that are read at a time, before an answer names them."""


class Collection(Handle):
    """A collection of documents: its record in the store, and its keys in memory.

    The keys can be rebuilt from the store at any time. A handle with a restriction reads and changes only the documents
    of its caller's part, by all methods but `reading_all`, `snapshot_all` and those of background work.

    Attributes:
        restriction: the caller's part, and its quotas.
        record: the collection's settings and counts, as of the last write.
        ready: whether it can be queried: its keys are in memory, or the first call reads them.
        deleted: whether the collection was deleted; then every call raises CollectionNotFound.
        encoders: the encoders of the service, among which that of its vectors may be missing.
        lookups: the queue of the queries of all callers; `ask` puts those of this caller into it.
        sample: a sample of its keys, whose similarities to each other show how similar unrelated documents are.
        damage: the known damage of the collection on disk.
        trouble: why the keys could not be loaded; None if they are loaded, or are being loaded.
        moved_to: the collection with other vectors that has taken its place; None if it is in use.
        look: learns of collections that other processes have moved; blocks.
        store: the store of all collections.
        storage: builds the memories of its keys.
        in_memory: its keys in this process.
        sealed: the files of its coded keys.
        compaction: its background work.

    Args:
        loaded: the collections of the service whose keys are in memory, which decide when keys leave it.
        unread: whether the first call reads the keys, if the collection is `ready`.
        clock: the clock by which documents expire.
    """

    leaves_values = True
    """Whether a write leaves values that are texts to be encoded later."""

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
        super().__init__()
        self.record = record
        self.encoders = Encoders() if encoders is None else encoders
        self.damage = Damage(record.name, self._reload_without, self._check_files)
        self.lookups = LookupQueue(self.snapshot_all, self.memory_snapshot, self.damage.note, record.name)
        self.sample = KeySample()
        self.trouble: str | None = None
        self.moved_to: Collection | None = None
        self.look: Callable[[], object] = lambda: None
        self.ready, self.deleted = ready, False
        self.store = store
        # Below this size the exact path answers all questions, whether keys have codes or not.
        self.storage = KeyStorage(originals, limits, codes_from=limits.exact_max_components)
        self.sealed = SealedBlocks(sealed, store, record.id, min_file_bytes=limits.min_file_bytes)
        self.in_memory = KeysInMemory(None if unread else self.storage.memory(record), clock, self.sample)
        self._showing = Lock()  # held by the thread that shows values
        self._finding = Lock()  # held by the thread that finds a damaged file, which reloads the collection
        self._loaded = LoadedCollections() if loaded is None else loaded
        self._whole = self
        self._measured = (0, 0), 0  # the numbers of documents and keyless documents, and their bytes on disk
        self.compaction = Compaction(record.name, self._compact)
        self._watched_version = self._idle_version = -1
        self._last_text = 0  # the number of the row up to which texts were read in advance

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.record.name

    @property
    def loaded(self) -> bool:
        """Whether the collection's keys are in memory; if not, but it is `ready`, the next call reads them."""
        return self.in_memory.memory is not None

    @property
    def size(self) -> int:
        """The number of documents that can be attended to now."""
        memory = self.in_memory.memory
        return self.record.attendable if memory is None else memory.view.documents

    @property
    def keys(self) -> int:
        """The number of keys of the caller's documents that can be attended to; may block."""
        if self.restriction.condition is None:
            return self.count_keys()
        with self.reading() as (record, reader):
            return reader.usage(record.id).keys

    def count_keys(self) -> int:
        """Count the keys of all documents that can be attended to; may block."""
        keys, now = self.in_memory, self.in_memory.clock()
        view = keys.view
        if view is not None and (keys.expirations.first is None or now < keys.expirations.first):
            return view.n
        if view is None and not self.record.has_expired(now) and keys.unloaded_count is not None:
            return keys.unloaded_count
        with self.store.reading(gather=lambda: (self.record, keys.view, keys.expirations)) as reader:
            record, view, expirations = reader.gathered
            if view is not None:
                return keys.view_at(view, expirations, now).n
            if record.has_expired(now):
                return reader.seeing(Visibility(instant=now)).usage(record.id).keys
            keys.unloaded_count = count = reader.usage(record.id).keys
            return count

    def unload(self) -> bool:
        """Drop the keys from memory; return False if a call needs them, or if the collection is not a small one."""
        return self.in_memory.unload(lambda: self.ready and self.record.documents <= MAX_UNLOADED_DOCUMENTS)

    def check_keys(self) -> None:
        """Compare the stored keys with their checksums, if they are not in memory; record the damage."""
        if self.loaded:
            return
        with self._failing(), self.reading_all() as (record, reader):
            for _ in reader.vectors(record.id, damaged=self.damage.note):
                pass

    def _in_use(self) -> AbstractContextManager[None]:
        """Keep the keys in memory for the duration of the block; if they are not there, read them first.

        Raises:
            CollectionLoading: they cannot be read.
            MemoryError: there is not enough memory.
        """
        return self.in_memory.in_use(self._load, self._use)

    def _use(self) -> None:
        if self.record.documents <= MAX_UNLOADED_DOCUMENTS and not self.deleted:
            self._loaded.use(self._whole, self.memory_bytes)
        else:
            self._loaded.forget(self._whole)

    def _load(self) -> None:
        """Read the keys that left memory."""
        self.require_ready()
        with self._failing(), time_stage("storage"), self.reading_all() as (record, reader):
            waiting = read_waiting(record, reader)
            memory = load_memory(record, reader, self.damage.note, self.sealed, self.storage)
            expirations = read_expirations(record, reader)
        memory.code()
        self.in_memory.put(memory, expirations, waiting)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Make the collection one that cannot be queried if the block finds that documents are missing."""
        try:
            yield
        except CollectionDamaged as error:
            self.trouble, self.ready = str(error), False
            raise CollectionLoading(self.name, self.trouble) from error

    def rebuild(self) -> None:
        """Load the keys and values from storage; the collection cannot be queried until then.

        Raises:
            StorageError: the keys or values cannot be read.
            MemoryError: there is not enough memory.
        """
        keys = self.in_memory
        with self.reading_all() as (record, reader):
            waiting = read_waiting(record, reader)
            memory = load_memory(record, reader, self.damage.note, self.sealed, self.storage)
            expirations = read_expirations(record, reader)
        keys.replace(memory, expirations, waiting, keys.version + 1)
        self.trouble, self.ready = None, True
        memory.code()
        keys.masks.forget()
        self._use()
        self.tidy()

    def leave_in_store(self) -> None:
        """Leave the keys of a small collection in the store, from which the first call reads them."""
        self.in_memory.leave()
        self.trouble, self.ready = None, True

    def warm(self) -> None:
        """Ask one question of each kind, so that the first caller does not wait for values computed on first use."""
        view = self.in_memory.view
        if not self.ready or view is None or not view.n:
            return
        with suppress(CollectionLoading), self.damage.recording():
            query, temperature = view.segments[0].load_keys(slice(0, 1))[0], self.record.settings.temperature
            answers(view, [Question(query, temperature)])
            sweep(view, Question(query, 1.0, output=False), [temperature])

    def mark_deleted(self) -> None:
        """Mark the collection as deleted: later calls raise CollectionNotFound."""
        self.deleted = True
        self._loaded.forget(self._whole)
        if (view := self.in_memory.view) is not None:
            self._forget_texts(view.document_numbers())
        start_background(self.sealed.remove, f"remove the files of {self.name}")

    def _forget_texts(self, rows: np.ndarray) -> None:
        if (cached := self.store.cached_texts) is not None and len(rows):
            cached.forget(rows.tolist())

    @property
    def memory_bytes(self) -> int | None:
        """The bytes of its keys, values and codes in memory; None if other processes hold them."""
        view = self.in_memory.view
        return 0 if view is None else view.memory_bytes

    def costs(self, record: CollectionRecord, reader: Reader) -> Costs | None:
        """Return what the collection costs in this process; None for a caller that sees only a part of it.

        Args:
            record, reader: as `reading` yields them.

        Raises:
            DocumentDamaged: a document that is measured is damaged.
        """
        if self.restriction.condition is not None:
            return None
        times = self.lookups.times
        return Costs(self.memory_bytes, self._disk_bytes(record, reader), times.questions, QuestionTimes.p99([times]))

    def _disk_bytes(self, record: CollectionRecord, reader: Reader) -> int:
        """Return about how many bytes it takes in the database, measured again when its number of documents changes."""
        documents, size = self._measured
        if documents != (record.documents, record.keyless):
            size = estimate_disk_bytes(record, reader)
            self._measured = (record.documents, record.keyless), size
        return size + reader.feedback_bytes(record.id)

    def with_counts(self, record: CollectionRecord, reader: Reader) -> CollectionRecord:
        """Return a record that counts the documents of the whole collection that have not expired.

        Args:
            record, reader: as `reading` yields them.
        """
        expired = reader.count_expired(record.id)
        return replace(record, documents=record.documents - expired.documents, keyless=record.keyless - expired.keyless)

    def visible(self, record: CollectionRecord, reader: Reader) -> CollectionRecord:
        """Return a record that counts the documents that the caller sees: those of its part that have not expired.

        Args:
            record, reader: as `reading` yields them.
        """
        if self.restriction.condition is None:
            return self.with_counts(record, reader)
        usage = reader.usage(record.id)
        return replace(record, documents=usage.documents, keyless=usage.keyless)

    def own(self, record: CollectionRecord, reader: Reader) -> KeyBackground | None:
        """Return how similar the keys that the caller sees are to each other; None for too few keys.

        Args:
            record, reader: as `reading` yields them.
        """
        condition = self.restriction.condition
        if condition is None:
            return self.sample.own(record, reader)
        return self.sample.part(condition_digest(condition), partial(reader.rows_where, record.id), record, reader)

    def count_expired(self, record: CollectionRecord, reader: Reader) -> int:
        """Count the documents that have expired, but are not deleted yet; 0 for a caller that sees only a part.

        Args:
            record, reader: as `reading` yields them.
        """
        return 0 if self.restriction.condition is not None else reader.count_expired(record.id).documents

    @contextmanager
    def reading(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """Open a reader of the documents that the caller sees now, and yield it with the collection's record.

        Both are of the same instant. The record counts all stored documents, see `visible`. This needs no keys in
        memory.
        """
        condition = self.restriction.condition
        with without_ids(self.name, self.restriction), self.reading_all() as (record, reader):
            reader = self.leave_out_expired(record, reader)
            yield record, reader if condition is None else reader.seeing(reader.visibility.restrict(condition))

    def leave_out_expired(self, record: CollectionRecord, reader: Reader) -> Reader:
        """Return a reader of the documents that have not expired now.

        Args:
            record: the collection's record, as the reader sees it.
            reader: a reader of all stored documents.
        """
        if record.first_expiry is None:
            return reader
        now = self.in_memory.clock()
        return reader.seeing(Visibility(instant=now)) if record.has_expired(now) else reader

    @contextmanager
    def reading_all(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """Open a reader of all stored documents, and yield it with the collection's record at the same instant."""
        with (
            time_stage("storage"),
            self.damage.recording(),
            self.store.reading(gather=lambda: (self.deleted, self.record)) as reader,
        ):
            gone, record = reader.gathered
            if gone:
                raise CollectionNotFound(self.name)
            yield record, reader

    def read_words(self, rows: np.ndarray) -> dict[int, bytes]:
        """Return the kept words of the keys with these row numbers int64[n], by row number; blocks."""
        with self.store.reading() as reader:
            return reader.words(self.record.id, rows)

    def ids(self) -> set[str]:
        """Return the ids of the documents that the caller sees."""
        with self.reading() as (record, reader):
            return set(reader.ids(record.id, reader.rows_where(record.id)))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open a snapshot of the documents that the caller sees; see `snapshot_all`."""
        with without_ids(self.name, self.restriction), self.snapshot_all() as snapshot:
            yield snapshot.restrict(self.restriction.condition)

    async def ask(self, plan: Plan[T], size: int, read: int = 0, count: int = 1, *, lookup_only: bool = False) -> T:
        """Ask the questions of a plan, which is built for a snapshot as the caller sees it; see `LookupQueue.ask`.

        Raises:
            ValuesPending: the plan needs more values that are yet to be encoded than this call encodes itself.
        """
        try:
            return await self._ask(plan, size, read, count, lookup_only=lookup_only)
        except ValuesPending as error:
            ask = partial(self._ask, plan, size, read, count, lookup_only=lookup_only)
            return await retry_with_values(self, ask, error)

    async def _ask(self, plan: Plan[T], size: int, read: int, count: int, *, lookup_only: bool) -> T:
        condition = self.restriction.condition
        if condition is None:
            return await self.lookups.ask(plan, size, read, count, lookup_only=lookup_only)
        with without_ids(self.name, self.restriction):
            return await self.lookups.ask(
                lambda snapshot: plan(snapshot.restrict(condition)), size, read, count, lookup_only=lookup_only
            )

    async def read(self, reading: Callable[[Snapshot], T], size: int, read: int = 0) -> T:
        """Return what a function reads of the next batch's snapshot, as the caller sees it; see `ask`."""
        return await self.ask(partial(PlannedReading, reading), size, read)

    @contextmanager
    def snapshot_all(self) -> Iterator[Snapshot]:
        """Open a snapshot: a consistent view of the store and the keys at one version, valid inside the block."""
        keys = self.in_memory
        self.require_ready()
        with self.damage.recording(), ExitStack() as stack:
            with self._in_use():
                self.damage.require_sound_keys()
                reader = stack.enter_context(
                    self.store.reading(
                        gather=lambda: (
                            self.deleted,
                            self.record,
                            keys.waiting,  # before the view
                            keys.present().view,
                            keys.version,
                            keys.expirations,
                        )
                    )
                )
            gone, record, waiting, view, version, expirations = reader.gathered
            if gone:
                raise CollectionNotFound(self.name)
            yield keys.snapshot(record, view, reader, version, expirations, waiting)

    def memory_snapshot(self) -> Snapshot | None:
        """Return a snapshot of what is in memory; None if that does not suffice. It never waits.

        Its reader raises NotInMemory for all that is not there. Collections with expired documents have none.
        """
        keys = self.in_memory

        def gather() -> Any:
            waiting, memory = keys.waiting, keys.memory  # the former before the view
            return self.deleted, self.record, waiting, memory and memory.view, keys.version, keys.expirations

        reader = self.store.memory_reader(gather)
        if reader is None or not self.ready or self.damage.errors:
            return None
        gone, record, waiting, view, version, expirations = reader.gathered
        if gone or view is None or (expirations.first is not None and expirations.first <= keys.clock()):
            return None
        with suppress(SealedError):
            if not view.in_memory:
                view.check_files()
            self._use()
            source = cast(Reader, reader)
            return Snapshot(record, view, source, version, keys.masks, self.sample, evaluation=LIGHT, waiting=waiting)
        return None

    def current(self) -> Collection:
        """Return the collection that is in use under this name: itself, unless another one has taken its place.

        A call that has begun on a collection reads it to the end, so that its answer is of one encoder. What it writes
        goes to the current one. Blocks.
        """
        if self.moved_to is None:
            self.look()
        return self if self.moved_to is None else self.moved_to.restrict(self.restriction).current()

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
        WriteTransaction(writer, self.record.id, self.show_after).write_copies(sources, documents, gone)

    @contextmanager
    def filling(self, *, of: int | None = None) -> Iterator[Writer]:
        """Open a write transaction for `write_copies`.

        Args:
            of: the number of the original, to keep others from writing it; None lets them.
        """
        number = self.record.id if of is None else of
        with self.damage.recording(), self._in_use(), self.store.writing(collection=number) as writer:
            self.require_ready()
            yield writer
        self.tidy()

    def write(
        self,
        documents: Sequence[DocumentRecord],
        *,
        mode: Mode = "upsert",
        replacing: DocumentRecord | None = None,
        existing: frozenset[str] = frozenset(),
        delete: Sequence[str] = (),
        once: IdempotentWrite[Change] | None = None,
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

        Raises:
            DocumentChanged: `replacing` is not the stored document any more, or an id of `existing` is not stored.
            CollectionMoved: the vectors may be of another encoder; the caller has to make them again for `current`.
            OutsideFilter, QuotaExceeded: a document would lie outside the caller's part, or the part would be too
                large.
        """
        with self._transaction(once) as (transaction, record, now):
            documents = [with_expiry(document, record.settings, now) for document in documents]
            return transaction.write(
                documents, mode=mode, replacing=replacing, existing=existing, delete=delete, once=once
            )

    def write_values(self, vectors: Mapping[int, Vector | None]) -> None:
        """Store value vectors [d_v] of documents by their row numbers; `show_values` shows them.

        Those that were deleted, or have their values already, are left out. None is for a text that the encoder
        refuses.
        """
        with self.damage.recording(), self.store.writing(collection=self.record.id) as writer:
            self.require_ready()
            writer.write_values(self.record.id, vectors)

    def show_values(self) -> bool:
        """Show the values that were stored since the last call, in the keys in memory; blocks.

        Return whether any could have come since.

        Raises:
            MemoryError: there is not enough memory for copies of the blocks that have them.
        """
        keys = self.in_memory
        if not len(keys.waiting):
            return False
        with self._showing, self.damage.recording(), self._in_use():
            waiting = keys.waiting
            with self.store.reading() as reader:
                documents = np.setdiff1d(waiting, read_waiting(self.record, reader), assume_unique=True)
                stored = np.intersect1d(documents, reader.rows_where(self.record.id), assume_unique=True)
                batches = list(reader.vectors(self.record.id, documents=stored)) if len(stored) else []
            rows = concatenate_rows(batches)
            if rows is None or rows.values is None:
                keys.change_waiting(documents, NONE_WAIT)
            else:
                keys.show_values(documents, rows.numbers, rows.values)
        return True

    def update(
        self,
        changed: Callable[[DocumentRecord], DocumentRecord],
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Replace documents in one transaction, those with these ids or all that pass a condition.

        Return how many were replaced.

        Args:
            changed: returns the new document for a stored one.
        """
        with self._transaction(once) as (transaction, _, _):
            return transaction.update(changed, ids=ids, condition=condition, once=once)

    def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Delete the documents with these ids, or all that pass a condition; ignore unknown ids.

        Return how many were deleted.

        Args:
        """
        try:
            with self._transaction(once, deletes=True) as (transaction, _, _):
                return transaction.delete(ids=ids, condition=condition, once=once)
        except CollectionMoved:
            return self.current().delete(ids=ids, condition=condition, once=once)

    def delete_expired(self, limit: int) -> bool:
        """Delete up to `limit` documents that have expired; return whether there may be more to delete.

        Do nothing if another process deletes expired documents now.
        """
        number = self.record.id
        with (
            self.damage.recording(),
            self._in_use(),
            self.store.writing(deletes=True, collection=number) as writer,
        ):
            self.require_ready()
            deleted = WriteTransaction(writer, number, self.show_after).delete_expired(self.in_memory.clock(), limit)
        if deleted is not None:
            self.tidy()
        return deleted == limit

    def write_feedback(
        self,
        records: Sequence[FeedbackRecord],
        *,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Store what callers said of answers; return how many records that is.

        Args:
            records: the records.
            once: makes a repeated request get its first answer; None without an Idempotency-Key.

        Raises:
            QuotaExceeded: the caller's part has more bytes than it may.
        """
        try:
            with self._writing(once) as (writer, _, _):
                writer.write_feedback(self.record.id, records, max_records=MAX_FEEDBACK, max_bytes=MAX_FEEDBACK_BYTES)
                self.restriction.check_quotas(writer)
                writer.keep_answer(once, len(records))
        except CollectionMoved:
            return self.current().write_feedback(records, once=once)
        return len(records)

    def delete_feedback(self, numbers: Sequence[int] | None, *, once: IdempotentWrite[int] | None = None) -> int:
        """Delete the records of feedback with these numbers, or all; return how many were deleted."""
        try:
            with self._writing(once, deletes=True) as (writer, _, _):
                deleted = writer.delete_feedback(self.record.id, numbers)
                writer.keep_answer(once, deleted)
        except CollectionMoved:
            return self.current().delete_feedback(numbers, once=once)
        return deleted

    @contextmanager
    def _transaction(
        self, once: IdempotentWrite[Any] | None, *, deletes: bool = False
    ) -> Iterator[tuple[WriteTransaction, CollectionRecord, int]]:
        """Open a transaction of documents that the caller sees now, with the keys in memory; see `_writing`."""
        with (
            self.damage.recording(),
            self._in_use(),
            self._writing(once, self.restriction.condition, deletes=deletes) as (writer, record, now),
        ):
            self.require_ready()
            transaction = WriteTransaction(writer, self.record.id, self.show_after, self.restriction)
            yield transaction, record, now
        if transaction.changed:
            self.tidy()

    @contextmanager
    def _writing(
        self, once: IdempotentWrite[Any] | None, condition: Condition | None = None, *, deletes: bool = False
    ) -> Iterator[tuple[Writer, CollectionRecord, int]]:
        """Open a write transaction of documents that pass a condition now; yield it with the record and the time."""
        with self.store.writing(once, deletes=deletes, collection=self.record.id) as writer:
            record, now = self.require_current(writer), self.in_memory.clock()
            visible = Visibility(condition, now if record.has_expired(now) else None)
            yield writer if visible == ALL else writer.seeing(visible), record, now

    def require_current(self, writer: Writer) -> CollectionRecord:
        """Return the record as the writer sees it; raise CollectionMoved if another collection has taken its place."""
        if self.moved_to is not None:
            raise CollectionMoved(self.name)
        return self.record

    def with_name(self, record: CollectionRecord) -> CollectionRecord:
        """Return the record under the name that callers know, also of a hidden collection."""
        return record if record.name == self.name else replace(record, name=self.name)

    def show_after(
        self,
        writer: Writer,
        *,
        add: Rows | None,
        removed: np.ndarray,
        expiring: ExpiryRows = NONE_EXPIRE,
        waiting: np.ndarray = NONE_WAIT,
    ) -> None:
        """Prepare the keys after a write, and show them and the new record after its commit; see `ShowAfter`."""
        record = self.with_name(writer.record(self.record.id))
        # Allocate memory now, while the write can still be refused, and not after the commit.
        prepared = self.in_memory.prepare(add=add, removed=removed, expiring=expiring, waiting=waiting)

        def show() -> None:
            try:
                prepared.show(self.in_memory.version + 1)
                self.record = record
                self.damage.forget(removed.tolist())
                self._forget_texts(removed)
            except BaseException as error:
                self.reload(f"{type(error).__name__} when a write was to be shown")
                raise

        writer.after_commit(show)

    def reload(self, reason: str) -> None:
        """Stop answering and reload the keys in the background, because the memory may differ from the store."""
        log.error("reloading a collection", collection=self.name, reason=reason)
        self.trouble, self.ready = reason, False
        start_background(self.retry_rebuild, f"read anew {self.name}")

    def retry_rebuild(self) -> None:
        """Load the keys, as often as it takes; blocks."""
        for _ in retry_forever():
            try:
                self.let_writes_end()
                self.rebuild()
                return
            except MemoryError:
                self.trouble = "there was no memory for its keys"
            except StorageError as error:
                self.trouble = str(error)
                if not isinstance(error, StoreUnavailable):
                    return

    def let_writes_end(self) -> None:
        """Wait until a write that began before the reload has ended, so that the reload includes it."""
        with self.store.writing(collection=self.record.id):
            pass

    def tidy(self) -> None:
        """Begin the background work that follows a write."""
        self.compaction.begin()

    def tidy_if_idle(self) -> None:
        """Begin the background work that waits until nothing is written: a file of the last block's coded keys.

        It begins if nothing was written since the last call, and once until the next write. It never waits.
        """
        version, last, view = self.in_memory.version, self._watched_version, self.in_memory.view
        self._watched_version = version
        if version == last != self._idle_version and view is not None and self.sealed.lacks_file(view):
            self._idle_version = version
            self.tidy()

    def _compact(self) -> bool:
        """Do one step of background work, and return whether there was anything to do.

        A step compacts keys, checks some float32 vectors against their checksums, or writes a block of coded keys to a
        file.
        """
        memory = self.in_memory.memory
        if memory is None or not self.ready:
            return False
        with suppress(CollectionLoading, StorageError), self.damage.recording():
            if self.in_memory.compact() or self._read_texts(memory.view):
                return True
            idle = self.in_memory.version == self._idle_version
            waiting = self.in_memory.waiting  # before the view
            view = memory.view
            return self.sealed.check_next_originals(view) or self.sealed.step(view, complete=idle, waiting=waiting)
        return False

    def _read_texts(self, view: View) -> bool:
        """Read the next documents into memory, if questions to the collection are light; return whether there are any.

        This ends when the memory for documents is full. Then those stay that answers name.
        """
        cached = self.store.cached_texts
        if cached is None or cached.full or view.n * (view.dimension or 1) > self.lookups.light_components:
            return False
        with suppress(DocumentDamaged), self.store.reading(gather=lambda: self.in_memory.view) as reader:
            if reader.gathered is None:
                return False
            documents = np.sort(reader.gathered.document_numbers())
            rows = documents[np.searchsorted(documents, self._last_text, side="right") :][:TEXTS_AT_ONCE]
            if not len(rows):
                return False
            self._last_text = int(rows[-1])
            reader.texts(self.record.id, rows)
        return True  # also after a damaged document, which the check of all texts reports

    def _check_files(self) -> None:
        """Raise a SealedError if a file of the keys that answer now was cut."""
        view = self.in_memory.view
        if self.ready and view is not None:
            view.check_files()

    def _reload_without(self, path: Path) -> CollectionLoading:
        """Discard a damaged file of coded keys, reload the collection if it used the file, and return the caller's
        error.
        """
        with self._finding:
            if self.sealed.discard(path, self.in_memory.view) and self.ready:
                self.reload(f"{path.name} is not what was written")
        return CollectionLoading(self.name, self.trouble)

    def require_ready(self) -> None:
        """Raise CollectionNotFound if the collection was deleted, and CollectionLoading if it is not ready."""
        if self.deleted:
            raise CollectionNotFound(self.name)
        if not self.ready:
            raise CollectionLoading(self.name, self.trouble)

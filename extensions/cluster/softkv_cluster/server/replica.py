"""A replica: one shard of a collection in a server's memory, at several recent versions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from softkv_attention.lookup import Mask, Memory, Rows, SealedError, View
from softkv_cluster.placement import shard_stop
from softkv_service.logs import log
from softkv_service.retrieval.collections import (
    MAX_COLUMN_BYTES,
    NEVER,
    NONE_EXPIRE,
    Expirations,
    KeyStorage,
    Masks,
    SealedBlocks,
    Source,
    UnexpiredViews,
    concatenate_rows,
    describe_large_field,
    fill_memory,
)
from softkv_service.storage import SharedReader, SharedStore
from softkv_service.storage.conditions import Column, Condition
from softkv_service.storage.errors import DocumentDamaged, StorageError
from softkv_service.storage.records import CollectionRecord, ExpiryRows, KeyRows, RowNumbers, VersionChange

VERSION_SECONDS = 15.0
"""Time for which a version is kept after it was replaced: longer than any request for it may take. Filters read old
versions from the store, which deletes them after ten minutes."""


class VersionCleared(StorageError):
    """The store may already have deleted some rows of the requested version."""

    def __init__(self, collection: int, version: int) -> None:
        super().__init__(f"version {version} of collection {collection} was followed by another too long ago")


def require_kept(reader: SharedReader, collection: int, version: int) -> None:
    """Raise an error unless everything read of a version was complete.

    Raises: VersionCleared; CollectionMissing if the collection was deleted.
    """
    if not reader.is_retained(collection):
        raise VersionCleared(collection, version)


class VersionView(NamedTuple):
    """The view of one version.

    Attributes:
        expirations: the documents of the version that expire.
        superseded: the time when the next version replaced it; inf for the newest version.
    """

    view: View
    expirations: Expirations
    superseded: float = math.inf


class Versions:
    """The views of a shard at several consecutive versions. One thread adds versions, many threads read them.

    Args:
        version, view, expirations: the first version, its view and the documents of it that expire.
    """

    def __init__(self, version: int, view: View, expirations: Expirations = NEVER) -> None:
        self._views = deque([VersionView(view, expirations)])
        self._newest = version
        self._lock = Lock()

    @property
    def newest(self) -> int:
        """The number of the newest version."""
        return self._newest

    @property
    def oldest(self) -> int:
        """The oldest version that is kept."""
        with self._lock:
            return self._newest - len(self._views) + 1

    @property
    def view(self) -> View:
        """The view of the newest version."""
        return self._views[-1].view

    @property
    def expirations(self) -> Expirations:
        """The documents of the newest version that expire."""
        return self._views[-1].expirations

    def at(self, version: int) -> VersionView | None:
        """Return the view of a version; None if the version was dropped, or is not reached yet."""
        with self._lock:
            age = self._newest - version
            return self._views[-1 - age] if 0 <= age < len(self._views) else None

    def follow(self, view: View, since: float, expirations: Expirations = NEVER) -> None:
        """Append the view of the next version, which replaced the one before it at the time `since`."""
        with self._lock:
            self._views[-1] = self._views[-1]._replace(superseded=since)
            self._views.append(VersionView(view, expirations))
            self._newest += 1

    def begin(self, version: int, view: View, expirations: Expirations = NEVER) -> None:
        """Drop all versions, and start again with this version and its view."""
        with self._lock:
            self._views.clear()
            self._views.append(VersionView(view, expirations))
            self._newest = version

    def replace(self, view: View) -> None:
        """Replace the view of the newest version by another view of the same rows, such as a compacted one."""
        with self._lock:
            self._views[-1] = self._views[-1]._replace(view=view)

    def forget(self, now: float) -> None:
        """Drop the versions that were replaced too long ago for a query to still request them."""
        with self._lock:
            while len(self._views) > 1 and now - self._views[0].superseded > VERSION_SECONDS:
                self._views.popleft()


class FieldTooLarge(StorageError):
    """A metadata field takes too much memory for the terms of a bias."""


@dataclass(frozen=True, eq=False)
class LogStep:
    """The change from one version of a collection to a later one.

    Attributes:
        version: the later version.
        first, stop: the assigned row numbers, from `first` up to but not including `stop`.
        removed: int64[n], the removed documents, ascending. A step over several versions may include documents that
            were written in the same step.
        since: the time when the later version was written, in seconds of the clock.
        one: whether the later version directly follows the earlier one; if not, the versions between get no views.
    """

    version: int
    first: int
    stop: int
    removed: RowNumbers
    since: float
    one: bool

    def removals_in(self, first_row: int) -> RowNumbers:
        """Return the removed documents that are in the shard with this first row, int64[n]."""
        begin, end = np.searchsorted(self.removed, (first_row, shard_stop(first_row)))
        return self.removed[begin:end]


def plan_steps(log: Sequence[VersionChange], now: float) -> list[LogStep]:
    """Turn a change log of at least one version into steps.

    The first step combines all versions that no query can request any more.
    """
    skipped = 0
    while skipped < len(log) - 1 and log[skipped + 1].seconds > VERSION_SECONDS:
        skipped += 1
    last = log[skipped]
    removed = np.sort(np.concatenate([change.removed for change in log[: skipped + 1]]))
    first = LogStep(last.version, log[0].first, last.first + last.count, removed, now - last.seconds, skipped == 0)
    return [
        first,
        *(
            LogStep(
                change.version,
                change.first,
                change.first + change.count,
                np.sort(change.removed),
                now - change.seconds,
                True,
            )
            for change in log[skipped + 1 :]
        ),
    ]


class WrittenRows(NamedTuple):
    """The rows and the expiring documents that a step adds to a shard.

    Attributes:
        rows: the rows; None without any.
        expiring: the documents that expire.
    """

    rows: Rows | None
    expiring: ExpiryRows


def read_written_rows(
    store: SharedStore,
    collection: int,
    first_row: int,
    steps: Sequence[LogStep],
    on_damaged: Callable[[DocumentDamaged], object],
) -> list[WrittenRows]:
    """Return what each step adds to a shard: the documents that the step wrote and that still exist after it.

    Raises StorageError; VersionCleared or CollectionMissing if the rows that were read may be incomplete.
    """
    first, stop = max(first_row, steps[0].first), min(shard_stop(first_row), steps[-1].stop)
    if first >= stop:
        return [WrittenRows(None, NONE_EXPIRE)] * len(steps)
    parts, expiring = [list[KeyRows]() for _ in steps], [NONE_EXPIRE for _ in steps]
    with store.reading_at(steps[-1].version) as reader:
        surviving = list(reader.vectors(collection, first=first, last=stop - 1, damaged=on_damaged))
        surviving_expiring = reader.expiring(collection, first=first, last=stop - 1)
    removed = np.empty(0, dtype=np.int64)
    for index in reversed(range(len(steps))):
        step = steps[index]
        lower, upper = max(first, step.first), min(stop, step.stop)
        short_lived = removed[(removed >= lower) & (removed < upper)]
        within = (surviving_expiring.rows >= lower) & (surviving_expiring.rows < upper)
        expiring[index] = ExpiryRows(surviving_expiring.rows[within], surviving_expiring.expires[within])
        if len(short_lived):
            with store.reading_at(step.version) as reader:
                short_rows = reader.vectors(
                    collection, documents=short_lived, first=lower, last=upper - 1, damaged=on_damaged
                )
                parts[index] += list(short_rows)
                expiring[index] = reader.expiring(collection, first=lower, last=upper - 1)
        parts[index] += [selection for rows in surviving if (selection := _select_rows(rows, lower, upper)) is not None]
        removed = np.union1d(removed, step.removed)
    with store.reading_at(steps[0].version) as reader:
        require_kept(reader, collection, steps[0].version)
    return [
        WrittenRows(concatenate_rows(step_parts), step_expiring)
        for step_parts, step_expiring in zip(parts, expiring, strict=True)
    ]


def _select_rows(rows: KeyRows, lower: int, upper: int) -> KeyRows | None:
    """Return the keys of documents from row `lower` up to but not including `upper`; None without such documents."""
    begin, end = np.searchsorted(rows.owners, (lower, upper))
    if begin == end:
        return None
    values = None if rows.values is None else rows.values[begin:end]
    return KeyRows(rows.numbers[begin:end], rows.owners[begin:end], rows.keys[begin:end], values)


class Replica:
    """One shard in memory; one thread makes it follow the store, another compacts it, many read it.

    Args:
        record: the collection's record.
        first_row: the first row of the shard.
        memory: the shard's keys at a version.
        expirations: the documents of the shard that expire, at the version.
        damaged: documents that the memory lacks, because their stored vectors are damaged.
        sealed: the shard's files.

    Attributes:
        complete: whether all its row numbers are assigned and their documents are in memory.
    """

    def __init__(
        self,
        record: CollectionRecord,
        first_row: int,
        memory: Memory,
        expirations: Expirations,
        version: int,
        damaged: list[DocumentDamaged],
        sealed: SealedBlocks,
    ) -> None:
        self.first_row = first_row
        self.versions = Versions(version, memory.view, expirations)
        self._unexpired = UnexpiredViews(lambda: self.masks.forget())
        self.masks = Masks(lambda: self._unexpired.current(memory.view))
        self._collection = record.id
        self._memory = memory
        self._sealed = sealed
        self.complete = False
        self._damaged = {document.row: document for document in damaged}
        self._write_lock = Lock()  # a thread that changes the memory publishes its view before the next one changes it

    @classmethod
    def read(
        cls,
        store: SharedStore,
        record: CollectionRecord,
        first_row: int,
        storage: KeyStorage,
        sealed: SealedBlocks,
    ) -> Replica:
        """Load a shard at the store's current version.

        Rows that are in valid files of this server are read from there, all others from the store.

        Args:
            storage: the place of the keys.

        Raises:
            StorageError: the store cannot be read; CollectionMissing if the collection was deleted.
            MemoryError: the keys do not fit in memory.
        """
        with store.reading() as reader:  # in one transaction: loading may take longer than the store keeps deleted rows
            version = reader.version(record.id)
            while True:
                try:
                    memory, damaged = _load_memory(reader, record, first_row, storage, sealed)
                    expiring = reader.expiring(record.id, first=first_row, last=shard_stop(first_row) - 1)
                    return cls(record, first_row, memory, Expirations.of(expiring), version, damaged, sealed)
                except SealedError as error:  # adding to a block copies the rows of its file, which are invalid
                    log.warning(
                        "sealed block is invalid; loading again without it", file=error.path.name, reason=str(error)
                    )
                    sealed.discard(error.path)

    @property
    def rows(self) -> int:
        """The number of live rows in the replica's newest version."""
        return self.versions.view.n

    @property
    def trouble(self) -> DocumentDamaged | None:
        """The error for a document whose vectors are damaged, so that all weights would be wrong; None if all vectors
        are intact.
        """
        return next(iter(self._damaged.values()), None)

    def note(self, damaged: DocumentDamaged) -> None:
        """Record a damaged document, which the memory lacks."""
        self._damaged[damaged.row] = damaged

    def view_at(self, version: int, expired_until: int | None) -> View | None:
        """Return the view of a version; None if the version was dropped, or is not reached yet.

        Args:
            expired_until: leave out the documents that expire until this instant; None leaves out none.
        """
        version_view = self.versions.at(version)
        if version_view is None or expired_until is None:
            return None if version_view is None else version_view.view
        return self._unexpired.at(version_view.view, version_view.expirations, expired_until).view

    def follow(self, steps: Sequence[LogStep], written_rows: Sequence[WrittenRows]) -> None:
        """Apply steps of the change log, each with what it adds.

        Raises:
            MemoryError: the rows do not fit in memory; the replica must be dropped and loaded again.
            AttentionError: the rows do not fit the collection; the replica must be dropped and loaded again.
        """
        changed = False
        for step, (add, expiring) in zip(steps, written_rows, strict=True):
            removed = step.removals_in(self.first_row)
            with self._write_lock:
                view = self._memory.view
                expirations = self.versions.expirations.after_write(expiring, removed)
                if add is not None or len(removed):
                    view = self._memory.publish(add=add, remove=removed)
                    changed = True
                complete_views = not self._drop_damaged(removed)
                if step.one and complete_views:
                    self.versions.follow(view, step.since, expirations)
                else:
                    self.versions.begin(step.version, view, expirations)
        if changed:
            self.masks.forget()

    def compact(self) -> bool:
        """Merge small blocks of keys; called in a separate thread. Return whether there was anything to do.

        Raises:
            SealedError: a file of the replica was cut; see `discard`.
        """
        self._memory.view.check_files()
        if not self._memory.compact():
            return False
        with self._write_lock:
            self.versions.replace(self._memory.view)
        self.masks.forget()
        return True

    def seal(self) -> bool:
        """Check some original vectors in the replica's files, or write a new file.

        Return whether there was anything to do.

        Raises:
            SealedError: an original differs from the vector that was written; see `discard`.
        """
        view = self._memory.view
        return self._sealed.check_next_originals(view) or self._sealed.step(view, complete=self.complete)

    def discard(self, path: Path) -> bool:
        """Remove an invalid file. Return whether the replica has rows of this file, so that it must be loaded again.

        An older version may have rows of the file even if the newest has none.
        """
        return self._sealed.discard(path, self._memory.view)

    def release_files(self) -> None:
        """Stop using the replica's files for writing, because the replica is dropped. The files stay."""
        self._sealed.release_files()

    def mask(self, store: SharedStore, version: int, view: View, condition: Condition, name: bytes) -> Mask:
        """Return the mask of the rows that pass a condition, in the view of a version. May raise StorageError."""
        reader = _ShardFields(store, version, self.first_row)
        return self.masks.of(Source(self._collection, version, view, reader), condition, name)

    def columns(self, store: SharedStore, version: int, view: View, field: str) -> list[Column]:
        """Return a metadata field of the shard's documents, in parts by row number.

        Raises:
            FieldTooLarge: the field takes more than MAX_COLUMN_BYTES.
            StorageError: the store cannot be read.
        """
        reader = _ShardFields(store, version, self.first_row)
        columns = self.masks.columns(field, Source(self._collection, version, view, reader))
        if columns is not None:
            return columns
        column = reader.column(self._collection, field, most_bytes=MAX_COLUMN_BYTES)
        if column is None:
            raise FieldTooLarge(describe_large_field(field))
        return [column]

    def _drop_damaged(self, removed: RowNumbers) -> bool:
        """Forget the damaged documents among rows that a write removed.

        Return whether there were any. If so, the replica must not answer for older versions, which still contain them.
        """
        dropped = [row for row in removed.tolist() if self._damaged.pop(row, None) is not None] if self._damaged else []
        return bool(dropped)


def _load_memory(
    reader: SharedReader, record: CollectionRecord, first_row: int, storage: KeyStorage, sealed: SealedBlocks
) -> tuple[Memory, list[DocumentDamaged]]:
    """Load the keys of a shard from its files and the store.

    Return the keys and the damaged documents. May raise SealedError.
    """
    damaged, damaged_rows = list[DocumentDamaged](), list[int]()
    last = shard_stop(first_row) - 1
    files = sealed.read(record, reader)
    documents = None if files is None else files.documents
    expected = len(reader.rows_where(record.id, first=first_row, last=last))
    memory = storage.memory(record, expected=expected)

    def note(error: DocumentDamaged) -> None:
        damaged.append(error)
        damaged_rows.append(error.row or 0)

    def batches() -> Iterator[Rows]:
        for batch in reader.vectors(record.id, documents=documents, first=first_row, last=last, damaged=note):
            yield Rows(batch.numbers, batch.keys, batch.values, batch.owners)

    fill_memory(memory, files, batches(), damaged_rows)
    return memory, damaged


class _ShardFields:
    """A reader of metadata fields at one version, for filters, limited to the documents of one shard.

    Raises VersionCleared or CollectionMissing if the result may be incomplete.
    """

    def __init__(self, store: SharedStore, version: int, first_row: int) -> None:
        self._store, self._version = store, version
        self._first, self._last = first_row, shard_stop(first_row) - 1

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """Return a field of the shard's documents; None if it takes too much memory."""
        start = max(after, self._first - 1)
        with self._store.reading_at(self._version) as reader:
            column = reader.column(collection, field, after=start, last=self._last, most_bytes=most_bytes)
            require_kept(reader, collection, self._version)
        return column

    def rows_where(self, collection: int, condition: Condition | None = None) -> RowNumbers:
        """Return the row numbers of the shard's documents that pass a condition, ascending."""
        with self._store.reading_at(self._version) as reader:
            rows = reader.rows_where(collection, condition, first=self._first, last=self._last)
            require_kept(reader, collection, self._version)
        return rows

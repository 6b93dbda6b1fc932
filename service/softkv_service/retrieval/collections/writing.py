"""Writes of a collection, in three steps: all that can fail is prepared, the transaction commits, the keys are shown.

A `WriteTransaction` does the first step. The block in which it is open commits at its end. Then the store calls what
`show_after` has registered, before any reader opens the new state. The store runs one transaction of a collection at a
time, so nothing here needs a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from softkv_attention.lookup import Rows
from softkv_service.retrieval.collections.expiry import NONE_EXPIRE, find_expiring
from softkv_service.retrieval.collections.keys_in_memory import NONE_WAIT
from softkv_service.retrieval.collections.rows import build_rows
from softkv_service.retrieval.collections.values import find_waiting
from softkv_service.retrieval.errors import DocumentChanged
from softkv_service.storage import WHOLE, IdempotentWrite, Restriction, Writer
from softkv_service.storage.conditions import Condition
from softkv_service.storage.records import Change, DocumentRecord, ExpiryRows, Mode

BATCH = 1000  # documents whose texts an update holds in memory at a time


class ShowAfter(Protocol):
    """Prepares the keys after a write, and registers with the writer that they are shown after its commit."""

    def __call__(
        self, writer: Writer, *, add: Rows | None, removed: np.ndarray, expiring: ExpiryRows, waiting: np.ndarray
    ) -> None:
        """Prepare the new keys.

        Args:
            writer: the open transaction.
            add: the rows to add; None for none.
            removed: int64[n], the row numbers of documents to remove.
            expiring: those of the new documents that expire.
            waiting: int64[n], the row numbers of those whose values wait.
        """


class WriteTransaction:
    """An open transaction that writes documents of one collection.

    Attributes:
        changed: whether new keys are shown after the commit.

    Args:
        writer: of the store, for what the caller sees.
        number: the number of the collection.
        within: the part of the collection that the caller may change, and its quotas.
        show_after: prepares the new keys.
    """

    def __init__(self, writer: Writer, number: int, show_after: ShowAfter, within: Restriction = WHOLE) -> None:
        self.changed = False
        self._writer, self._number, self._show_after, self._within = writer, number, show_after, within

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
        """Store documents, whose expiry is decided; see `Collection.write`."""
        writer, number = self._writer, self._number
        if replacing is not None:
            stored = writer.document(number, replacing.id)
            if stored is None or stored.row != replacing.row:
                raise DocumentChanged(replacing.id)
        if gone := existing.difference(writer.existing(number, list(existing))):
            raise DocumentChanged(min(gone))
        deleted = writer.delete_ids(number, delete) if delete else np.empty(0, dtype=np.int64)
        change = replace(writer.upsert(number, documents, mode=mode), deleted=len(deleted))
        if len(change.added):
            self._within.check_quotas(writer)
        writer.keep_answer(once, change)
        skipped = set(change.skipped)
        documents = [document for document in documents if document.id not in skipped]
        if documents or len(deleted):
            self._show(
                add=build_rows(change.added, documents) if documents else None,
                removed=np.union1d(change.lost, deleted),
                expiring=find_expiring(change.added, documents),
                waiting=find_waiting(change.added, documents),
            )
        return change

    def update(
        self,
        changed: Callable[[DocumentRecord], DocumentRecord],
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Replace documents; see `Collection.update`."""
        writer, number, written, added = self._writer, self._number, list[DocumentRecord](), list[np.ndarray]()
        rows = writer.rows_among(number, ids or ()) if condition is None else writer.rows_where(number, condition)
        for start in range(0, len(rows), BATCH):
            documents = [changed(document) for document in writer.documents(number, rows[start : start + BATCH])]
            added.append(writer.upsert(number, documents).added)
            # All vectors are added to the memory at once, after the loop; the texts are not needed for that.
            written += [replace(document, key=None, value=None, metadata={}) for document in documents]
        writer.keep_answer(once, len(rows))
        if added:
            self._within.check_quotas(writer)
            numbers = np.concatenate(added)
            self._show(
                add=build_rows(numbers, written),
                removed=rows,
                expiring=find_expiring(numbers, written),
                waiting=find_waiting(numbers, written),
            )
        return len(rows)

    def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Delete documents; see `Collection.delete`."""
        writer, number = self._writer, self._number
        removed = writer.delete_ids(number, ids or ()) if condition is None else writer.delete_where(number, condition)
        writer.keep_answer(once, len(removed))
        self._show(add=None, removed=removed)
        return len(removed)

    def delete_expired(self, now: int, limit: int) -> int | None:
        """Delete up to `limit` documents that have expired at `now`, and return how many.

        Return None if another process deletes expired documents now.
        """
        if not self._writer.claim_expiry():
            return None
        removed = self._writer.delete_expired(self._number, now, limit)
        self._show(add=None, removed=removed)
        return len(removed)

    def write_copies(self, sources: np.ndarray, documents: Sequence[DocumentRecord], gone: np.ndarray) -> None:
        """Write to a shadow: documents with new vectors, and those to delete; see `Collection.write_copies`."""
        writer, number = self._writer, self._number
        add, removed, expiring = None, np.empty(0, dtype=np.int64), NONE_EXPIRE
        if documents:
            change = writer.upsert(number, documents)
            writer.keep_copies(number, sources, change)
            add, removed = build_rows(change.added, documents), change.removed
            expiring = find_expiring(change.added, documents)
        gone = np.setdiff1d(gone, removed)
        if len(gone):
            writer.delete_copies(number, gone)
        self._show(add=add, removed=np.union1d(removed, gone), expiring=expiring)

    def _show(
        self,
        *,
        add: Rows | None,
        removed: np.ndarray,
        expiring: ExpiryRows = NONE_EXPIRE,
        waiting: np.ndarray = NONE_WAIT,
    ) -> None:
        self._show_after(self._writer, add=add, removed=removed, expiring=expiring, waiting=waiting)
        self.changed = True

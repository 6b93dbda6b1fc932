"""Write transactions in SQLite; a writer also reads, and sees what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

import numpy as np

from softkv_service.storage.checksums import settings_checksum
from softkv_service.storage.conditions import ALL, Visibility
from softkv_service.storage.errors import AliasExists, CollectionExists
from softkv_service.storage.records import (
    NO_ROWS,
    Change,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    FeedbackRecord,
    Mode,
    RowNumbers,
)
from softkv_service.storage.restricted import upsert_visible
from softkv_service.storage.serialisation import SETTINGS_COLUMNS, feedback_row, settings_row
from softkv_service.storage.sql import ResultRows, SQLWriter
from softkv_service.storage.sqlite import document_rows, full_text, vector_rows, word_rows
from softkv_service.storage.sqlite.reader import Reader
from softkv_service.storage.sqlite.statements import VECTOR_COLUMNS, format_numbers, marks
from softkv_service.storage.writes import Upsert


class Writer(SQLWriter, Reader):
    """The only write transaction at a time. Each method does all of its work, or none if it raises."""

    def __init__(self, connection: Connection, visibility: Visibility = ALL) -> None:
        super().__init__(connection, visibility=visibility)
        self.callbacks: list[Callable[[], object]] = []

    def seeing(self, visibility: Visibility) -> Writer:
        """Return a writer of this transaction to which other documents than those exist."""
        writer = Writer(self._connection, visibility)
        writer.callbacks = self.callbacks
        return writer

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Create an empty collection; raises CollectionExists or AliasExists."""
        if self._all("SELECT 1 FROM collections WHERE name = ?", name):
            raise CollectionExists(name)
        if self._collection_behind(name) is not None:
            raise AliasExists(name)
        with self._all_or_none():
            columns = settings_row(settings)
            created = self._connection.execute(
                f"INSERT INTO collections (name, checksum, {SETTINGS_COLUMNS}) VALUES (?, ?, {marks(columns)})",
                (name, settings_checksum(name, columns), *columns),
            )
        return self._collection("id", int(created.lastrowid or 0))

    def delete_collection(self, name: str) -> None:
        """Delete a collection, everything in it and its aliases; raises CollectionMissing."""
        record = self.collection(name)
        with self._all_or_none():
            full_text.drop(self._connection, record.id)
            # In one sweep: the cascade would look them up document by document.
            self._connection.execute("DELETE FROM fields WHERE collection = ?", (record.id,))
            self._connection.execute("DELETE FROM copied_rows WHERE shadow = ?", (record.id,))
            self._connection.execute("DELETE FROM collections WHERE id = ?", (record.id,))

    def write_feedback(
        self, collection: int, records: Sequence[FeedbackRecord], *, max_records: int, max_bytes: int
    ) -> None:
        """Store feedback; if the collection has more records or bytes than these then, delete the oldest."""
        with self._all_or_none():
            self._connection.executemany(
                "INSERT INTO feedback (collection, query, document, correct, at, observed, checksum)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((collection, *feedback_row(record)) for record in records),
            )
            self._limit_feedback(collection, max_records, max_bytes)

    def delete_feedback(self, collection: int, numbers: Sequence[int] | None = None) -> int:
        """Delete the records of a collection with these numbers, or all; return how many were deleted."""
        statement, parameters = "DELETE FROM feedback WHERE collection = ?", [collection]
        if numbers is None:
            return self._connection.execute(statement, parameters).rowcount
        statement += " AND id IN (SELECT value FROM json_each(?))"
        return self._connection.execute(statement, (*parameters, json.dumps([*numbers]))).rowcount

    def lease(self, collection: int, owner: str) -> bool:
        """Return True: no other process can work on a collection, since none can open the file."""
        return True

    def keep_copies(self, shadow: int, sources: RowNumbers, change: Change) -> None:
        """Record the documents from which those of a write to a shadow were made, int64[n] in order."""
        with self._all_or_none():
            self._forget_copies(shadow, change.removed)
            self._connection.executemany(
                'INSERT INTO copied_rows (shadow, source, "row") VALUES (?, ?, ?)',
                ((shadow, *pair) for pair in zip(sources.tolist(), change.added.tolist(), strict=True)),
            )

    def _forget_copies(self, shadow: int, rows: RowNumbers) -> None:
        if len(rows):
            self._connection.execute(
                'DELETE FROM copied_rows WHERE shadow = ? AND "row" IN (SELECT value FROM json_each(?))',
                (shadow, format_numbers(rows)),
            )

    def delete_some(self, collection: int, limit: int) -> bool:
        """Delete up to `limit` documents of a hidden collection; return whether there are more."""
        rows = self._connection.execute(
            'SELECT "row" FROM documents WHERE collection = ? LIMIT ?', (collection, limit)
        ).fetchall()
        self.delete_copies(collection, np.sort(np.array(rows, dtype=np.int64).reshape(-1)))
        return len(rows) == limit

    def _move_feedback(self, collection: int, to: int, width: int | None) -> None:
        self._connection.execute(
            "DELETE FROM feedback WHERE collection = ? AND query GLOB '[[]*' AND json_array_length(query) IS NOT ?",
            (collection, width),
        )
        self._connection.execute("UPDATE feedback SET collection = ? WHERE collection = ?", (to, collection))

    def upsert(self, collection: int, documents: Sequence[DocumentRecord], *, mode: Mode = "upsert") -> Change:
        """Store documents under new row numbers.

        Stored documents with the same ids are replaced, or kept with the mode "skip".

        Sets the collection's widths if they are None. Raises DocumentsExist (mode "create"),
        DocumentsRepeated, WidthMismatch, Unstorable or OutsideFilter.
        """
        if self.visibility.condition is not None:
            return upsert_visible(self, collection, documents, mode)
        record = self._collection("id", collection)
        upsert = Upsert.of(record, documents, lambda ids: self.existing(collection, ids), mode)
        expired = self._find_expired(collection, upsert.documents)
        change = Change(NO_ROWS, upsert.removed, upsert.skipped, expired=expired)
        with self._all_or_none():
            if upsert.settings != record.settings:
                self._save(record, upsert.settings)
            stored = self._keep_words(record, upsert)
            self._delete(collection, change.lost)
            count = record.documents - len(change.lost) + len(upsert.documents)
            full_text.keep_up(self._connection, collection, count)
            keys = [len(document.keys) for document in upsert.documents]
            added = document_rows.insert(self._connection, collection, upsert.texts, keys)
            vector_rows.insert(self._connection, added, stored)
            self._add_to_counts(collection, len(added), keys.count(0))
            if upsert.first_expiry is not None:
                self._connection.execute(
                    "UPDATE collections SET first_expiry = min(ifnull(first_expiry, ?1), ?1) WHERE id = ?2",
                    (upsert.first_expiry, collection),
                )
        return replace(change, added=added)

    def _insert_words(self, collection: int, entries: Sequence[tuple[int, bytes, int]]) -> None:
        word_rows.insert_missing(self._connection, entries)

    def _waiting_rows(self, collection: int, documents: Sequence[int]) -> ResultRows:
        statement = (
            f'SELECT {VECTOR_COLUMNS} FROM vectors JOIN documents ON documents."row" = vectors.document'
            " WHERE waiting IS NOT NULL AND document IN (SELECT value FROM json_each(?)) AND +collection = ?"
        )
        return self._connection.execute(statement, (format_numbers(documents), collection)).fetchall()

    def _update_values(self, collection: int, entries: Sequence[tuple[bytes | None, int | None, int, int]]) -> None:
        statement = 'UPDATE vectors SET (value_vector, waiting, checksum) = (?, ?, ?) WHERE "row" = ?'
        self._connection.executemany(statement, entries)

    def _delete_words(self, collection: int) -> None:
        self._connection.execute(
            f"DELETE FROM words WHERE id IN (SELECT words.id FROM documents {self.JOIN_VECTORS}"
            f" JOIN {self.ON_PARTS} WHERE collection = ?)",
            (collection,),
        )

    def _find_expired(self, collection: int, documents: Sequence[DocumentRecord]) -> RowNumbers:
        """Return the row numbers int64[n] of expired documents that have the ids of these."""
        if self._now is None:
            return NO_ROWS
        ids = [document.id for document in documents]
        every = document_rows.existing(self._connection, collection, ids)
        return np.setdiff1d(np.fromiter(every.values(), dtype=np.int64), self.rows_among(collection, ids))

    def delete_expired(self, collection: int, now: int, limit: int) -> RowNumbers:
        """Delete up to `limit` documents that have expired at `now`; return their row numbers int64[n]."""
        rows = self._delete(collection, document_rows.find_expired(self._connection, collection, now, limit))
        if len(rows) < limit:
            first = document_rows.first_expiry(self._connection, collection)
            self._connection.execute("UPDATE collections SET first_expiry = ? WHERE id = ?", (first, collection))
        return rows

    def claim_expiry(self) -> bool:
        """Return True: no other process can delete expired documents, since none can open the file."""
        return True

    def _delete(self, collection: int, rows: RowNumbers) -> RowNumbers:
        if not len(rows):
            return rows
        with self._all_or_none():
            self._subtract_documents(collection, rows)
            document_rows.remove(self._connection, collection, rows)
        return rows

    def _run(self, statement: str, *parameters: Any) -> None:
        self._connection.execute(statement.replace("softkv.", ""), parameters)

    def lock_collection(self, collection: int) -> CollectionRecord:
        """Return the collection: this transaction is the only one that writes."""
        return self.record(collection)

    def _lock_named(self, name: str, lock: str) -> CollectionRecord:
        return self.collection(name)

    def _bump_catalogue(self) -> None:
        """Do nothing: no other process can open the file."""

    def _add_to_counts(self, collection: int, documents: int, keyless: int) -> None:
        self._connection.execute(
            "UPDATE collections SET documents = documents + ?, keyless = keyless + ? WHERE id = ?",
            (documents, keyless, collection),
        )

    def _subtract_documents(self, collection: int, rows: RowNumbers) -> None:
        """Subtract documents from the collection's counts; called before the documents are removed."""
        self._add_to_counts(collection, -len(rows), -document_rows.keyless(self._connection, rows))

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """Undo the block's writes if it raises. So a caller that catches the error does not commit half of them."""
        self._connection.execute("SAVEPOINT all_or_none")
        try:
            yield
        except BaseException:
            # A full disk may have ended the whole transaction already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO all_or_none")
                self._connection.execute("RELEASE all_or_none")
            raise
        self._connection.execute("RELEASE all_or_none")

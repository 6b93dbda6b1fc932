"""Write transactions in SQLite; a writer also reads, and sees what it wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from sqlite3 import Connection

import numpy as np

from service.storage.checksums import alias_checksum, settings_checksum
from service.storage.conditions import Condition
from service.storage.errors import AliasExists, AliasMissing, CollectionExists, ReEncodingActive
from service.storage.idempotency import LIFETIME_SECONDS, IdempotentWrite, Result, encode_answer, refuse_stored
from service.storage.re_encoding import ReEncoding, format_hidden_name
from service.storage.records import (
    NO_ROWS,
    Change,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    FeedbackRecord,
    Mode,
    RowNumbers,
    WriteAnswer,
    WriteRequest,
)
from service.storage.restricted import upsert_visible
from service.storage.serialisation import SETTINGS_COLUMNS, feedback_row, settings_row
from service.storage.sqlite import document_rows, full_text, vector_rows
from service.storage.sqlite.reader import Reader
from service.storage.sqlite.statements import FEEDBACK_BYTES, format_numbers, marks
from service.storage.visibility import ALL, Visibility
from service.storage.writes import Upsert, refuse_fixed


class Writer(Reader):
    """The only write transaction at a time. Each method does all of its work, or none if it raises."""

    def __init__(self, connection: Connection, visibility: Visibility = ALL) -> None:
        super().__init__(connection, visibility=visibility)
        self.callbacks: list[Callable[[], object]] = []

    def seeing(self, visibility: Visibility) -> Writer:
        """Return a writer of this transaction to which other documents than those exist."""
        writer = Writer(self._connection, visibility)
        writer.callbacks = self.callbacks
        return writer

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` after the commit is on disk, before any reader can begin on the new state.

        All readers wait for the callback, so it should only make the new state visible. It must not read or write the
        store.
        """
        self.callbacks.append(callback)

    def keep_answer(self, once: IdempotentWrite[Result] | None, result: Result) -> None:
        """Store the answer to the write `once`, in the transaction of the write itself.

        Do nothing if `once` is None.
        """
        if once is not None:
            _store_answer(self._connection, once.request, once.answer(result))

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Create an empty collection; raises CollectionExists or AliasExists."""
        self._refuse_collection(name)
        if self._collection_behind(name) is not None:
            raise AliasExists(name)
        with self._all_or_none():
            columns = settings_row(settings)
            created = self._connection.execute(
                f"INSERT INTO collections (name, checksum, {SETTINGS_COLUMNS}) VALUES (?, ?, {marks(columns)})",
                (name, settings_checksum(name, columns), *columns),
            )
        return self._collection("id", int(created.lastrowid or 0))

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null, calibration, expiry, defaults and projection of a collection.

        Raise CollectionFixed if any other setting differs.
        """
        record = self.collection(name)
        refuse_fixed(record, settings)
        self._save(record, settings)
        return self._collection("id", record.id)

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
            self._connection.execute(
                "DELETE FROM feedback WHERE collection = ? AND id <="
                " (SELECT id FROM feedback WHERE collection = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (collection, collection, max_records),
            )
            self._connection.execute(
                "DELETE FROM feedback WHERE id IN (SELECT id FROM"
                f" (SELECT id, sum({FEEDBACK_BYTES}) OVER (ORDER BY id DESC) AS size FROM feedback"
                "  WHERE collection = ?) WHERE size > ?)",
                (collection, max_bytes),
            )

    def delete_feedback(self, collection: int, numbers: Sequence[int] | None = None) -> int:
        """Delete the records of a collection with these numbers, or all; return how many were deleted."""
        statement, parameters = "DELETE FROM feedback WHERE collection = ?", [collection]
        if numbers is None:
            return self._connection.execute(statement, parameters).rowcount
        statement += " AND id IN (SELECT value FROM json_each(?))"
        return self._connection.execute(statement, (*parameters, json.dumps([*numbers]))).rowcount

    def begin_re_encoding(self, job: ReEncoding, settings: CollectionSettings) -> ReEncoding:
        """Create the shadow of a job with these settings, and store the job; return it with the shadow's number.

        Raises ReEncodingActive if the collection has a job that has not ended.
        """
        last = self.re_encoding(job.collection)
        if last is not None and last.active:
            raise ReEncodingActive(self._collection("id", job.collection).name)
        with self._all_or_none():
            shadow = self.create_collection(format_hidden_name("shadow", job.collection), settings)
            job = replace(job, shadow=shadow.id)
            self._connection.execute("DELETE FROM re_encodings WHERE collection = ?", (job.collection,))
            self._connection.execute(
                "INSERT INTO re_encodings (collection, shadow, job) VALUES (?, ?, ?)",
                (job.collection, job.shadow, job.text()),
            )
        return job

    def save_re_encoding(self, job: ReEncoding) -> None:
        """Store the state of a job. The shadow of a job that has ended becomes a collection to delete."""
        with self._all_or_none():
            before = self.re_encoding(job.collection)
            if before is not None and before.shadow is not None and job.shadow is None:
                self._rename(before.shadow, format_hidden_name("discarded", before.shadow))
            self._connection.execute(
                "UPDATE re_encodings SET shadow = ?, job = ? WHERE collection = ?",
                (job.shadow, job.text(), job.collection),
            )

    def claim_re_encoding(self, collection: int, owner: str) -> bool:
        """Return whether a job has not ended; no other process can work on it, since none can open the file."""
        job = self.re_encoding(collection)
        return job is not None and job.active

    def keep_copies(self, shadow: int, sources: RowNumbers, change: Change) -> None:
        """Record the documents from which those of a write to a shadow were made, int64[n] in order."""
        with self._all_or_none():
            self._forget_copies(shadow, change.removed)
            self._connection.executemany(
                'INSERT INTO copied_rows (shadow, source, "row") VALUES (?, ?, ?)',
                ((shadow, *pair) for pair in zip(sources.tolist(), change.added.tolist(), strict=True)),
            )

    def delete_copies(self, shadow: int, rows: RowNumbers) -> None:
        """Delete documents of a shadow with these row numbers int64[n], with the records of their originals."""
        with self._all_or_none():
            self._forget_copies(shadow, rows)
            self._delete(shadow, rows)

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

    def replace_collection(self, job: ReEncoding, settings: CollectionSettings) -> CollectionRecord:
        """Put the shadow of a job, with these settings, into the place of its collection, and end the job.

        Names, aliases and feedback of the collection are those of the shadow from the commit on, without feedback on
        vectors of another width. The collection becomes a hidden one to delete. Return the new record.
        """
        assert job.shadow is not None
        name, shadow = self._collection("id", job.collection).name, job.shadow
        with self._all_or_none():
            self._rename(job.collection, format_hidden_name("replaced", job.collection))
            self._rename(shadow, name)
            self._save(self._collection("id", shadow), settings)
            self._move_aliases(job.collection, shadow)
            self._move_feedback(job.collection, shadow, settings.dimension)
            record = self._collection("id", shadow)
            ended = replace(job, collection=shadow).ending("done", time.time(), record.documents, record.documents)
            self._connection.execute("DELETE FROM copied_rows WHERE shadow = ?", (shadow,))
            self._connection.execute("DELETE FROM re_encodings WHERE collection = ?", (job.collection,))
            self._connection.execute(
                "INSERT OR REPLACE INTO re_encodings (collection, shadow, job) VALUES (?, NULL, ?)",
                (shadow, ended.text()),
            )
        return record

    def _move_aliases(self, collection: int, to: int) -> None:
        aliases = self._connection.execute("SELECT alias FROM aliases WHERE collection = ?", (collection,)).fetchall()
        self._connection.executemany(
            "UPDATE aliases SET collection = ?, checksum = ? WHERE alias = ?",
            ((to, alias_checksum(alias, to), alias) for (alias,) in aliases),
        )

    def _move_feedback(self, collection: int, to: int, width: int | None) -> None:
        self._connection.execute(
            "DELETE FROM feedback WHERE collection = ? AND query GLOB '[[]*' AND json_array_length(query) IS NOT ?",
            (collection, width),
        )
        self._connection.execute("UPDATE feedback SET collection = ? WHERE collection = ?", (to, collection))

    def _rename(self, collection: int, name: str) -> None:
        columns = settings_row(self._collection("id", collection).settings)
        self._connection.execute(
            "UPDATE collections SET name = ?, checksum = ? WHERE id = ?",
            (name, settings_checksum(name, columns), collection),
        )

    def put_alias(self, alias: str, collection: str) -> str | None:
        """Let an alias stand for the collection of a name; return the collection for which it stood before.

        None means that the alias is new. Raises CollectionMissing, or CollectionExists if the alias is the name of a
        collection.
        """
        number = self.collection(collection).id
        self._refuse_collection(alias)
        previous = self._collection_behind(alias)
        self._connection.execute(
            "INSERT OR REPLACE INTO aliases (alias, collection, checksum) VALUES (?, ?, ?)",
            (alias, number, alias_checksum(alias, number)),
        )
        return previous

    def delete_alias(self, alias: str) -> str:
        """Delete an alias, not its collection; return the collection's name. Raises AliasMissing."""
        collection = self._collection_behind(alias)
        if collection is None:
            raise AliasMissing(alias)
        self._connection.execute("DELETE FROM aliases WHERE alias = ?", (alias,))
        return collection

    def _collection_behind(self, alias: str) -> str | None:
        """Return the name of the collection of an alias; None if there is no such alias."""
        row = self._connection.execute(
            "SELECT name FROM aliases JOIN collections ON collections.id = collection WHERE alias = ?", (alias,)
        ).fetchone()
        return None if row is None else str(row[0])

    def _refuse_collection(self, name: str) -> None:
        """Raise CollectionExists if there is a collection of that name."""
        if self._connection.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
            raise CollectionExists(name)

    def upsert(
        self,
        collection: int,
        documents: Sequence[DocumentRecord],
        *,
        mode: Mode = "upsert",
    ) -> Change:
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
            self._delete(collection, change.lost)
            count = record.documents - len(change.lost) + len(upsert.documents)
            full_text.keep_up(self._connection, collection, count)
            keys = [len(document.keys) for document in upsert.documents]
            added = document_rows.insert(self._connection, collection, upsert.texts, keys)
            vector_rows.insert(self._connection, added, upsert.documents)
            self._add_to_counts(collection, len(added), keys.count(0))
            if upsert.first_expiry is not None:
                self._connection.execute(
                    "UPDATE collections SET first_expiry = min(ifnull(first_expiry, ?1), ?1) WHERE id = ?2",
                    (upsert.first_expiry, collection),
                )
        return replace(change, added=added)

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

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete documents by id; return the deleted row numbers int64[n]. Unknown ids are ignored."""
        return self._delete(collection, self.rows_among(collection, ids))

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the documents that match; return the deleted row numbers int64[n]."""
        return self._delete(collection, self.rows_where(collection, condition))

    def _delete(self, collection: int, rows: RowNumbers) -> RowNumbers:
        if not len(rows):
            return rows
        with self._all_or_none():
            self._subtract_documents(collection, rows)
            document_rows.remove(self._connection, collection, rows)
        return rows

    def _save(self, record: CollectionRecord, settings: CollectionSettings) -> None:
        columns = settings_row(settings)
        self._connection.execute(
            f"UPDATE collections SET (checksum, {SETTINGS_COLUMNS}) = (?, {marks(columns)}) WHERE id = ?",
            (settings_checksum(record.name, columns), *columns, record.id),
        )

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


def refuse_answered(connection: Connection, request: WriteRequest) -> None:
    """Raise WriteAnswered if this write was answered before, or KeyReused if another was under its key."""
    row = connection.execute(
        "SELECT request, status, answer FROM answered_writes WHERE caller = ? AND idempotency_key = ? AND at > ?",
        (request.caller, request.key, request.at - LIFETIME_SECONDS),
    ).fetchone()
    refuse_stored(request, row)


def _store_answer(connection: Connection, request: WriteRequest, answer: WriteAnswer) -> None:
    """Store the answer to a write with its checksum, and delete answers past their lifetime."""
    connection.execute("DELETE FROM answered_writes WHERE at <= ?", (request.at - LIFETIME_SECONDS,))
    connection.execute(
        "INSERT INTO answered_writes (caller, idempotency_key, request, status, answer, at) VALUES (?, ?, ?, ?, ?, ?)",
        (request.caller, request.key, request.digest, answer.status, encode_answer(request, answer), request.at),
    )

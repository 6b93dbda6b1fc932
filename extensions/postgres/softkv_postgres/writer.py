"""Write transactions in PostgreSQL; a writer also reads, and sees what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from psycopg import Connection

from softkv_postgres import change_log, document_rows, vector_rows
from softkv_postgres.reader import Reader
from softkv_postgres.statements import VECTOR_COLUMNS
from softkv_service.storage import LEASE_SECONDS, id_hash
from softkv_service.storage.checksums import settings_checksum
from softkv_service.storage.conditions import ALL, Visibility
from softkv_service.storage.errors import AliasExists, CollectionExists, CollectionMissing
from softkv_service.storage.records import (
    NO_ROWS,
    Change,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    FeedbackRecord,
    Mode,
    RowNumbers,
    WriteRequest,
)
from softkv_service.storage.restricted import upsert_visible
from softkv_service.storage.serialisation import SETTINGS_COLUMNS, feedback_row, settings_row
from softkv_service.storage.sql import ResultRows, SQLWriter
from softkv_service.storage.writes import Upsert

EXPIRY_LOCK = id_hash("delete expired documents")


class Writer(SQLWriter, Reader):
    """A write transaction. Each method does all of its work, or none if it raises.

    A transaction that writes documents locks the row of their collection, so that versions are committed in order.
    """

    def __init__(self, connection: Connection[Any], visibility: Visibility = ALL) -> None:
        super().__init__(connection, visibility=visibility)
        self.callbacks: list[Callable[[], object]] = []

    def seeing(self, visibility: Visibility) -> Writer:
        """Return a writer of this transaction to which other documents than those exist."""
        writer = Writer(self._connection, visibility)
        writer.callbacks = self.callbacks
        return writer

    def lock_collection(self, collection: int) -> CollectionRecord:
        """Keep other transactions from writing the collection until this one ends; raises CollectionMissing."""
        return self._collection("id", collection, "FOR NO KEY UPDATE")

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Create an empty collection; raises CollectionExists or AliasExists."""
        columns = settings_row(settings)
        marks = ", ".join(["%s"] * len(columns))
        with self._all_or_none():
            created = self._all(
                f"INSERT INTO softkv.collections (name, checksum, {SETTINGS_COLUMNS}) VALUES (%s, %s, {marks})"
                " ON CONFLICT (name) DO NOTHING RETURNING id",
                name,
                settings_checksum(name, columns),
                *columns,
            )
            if not created:
                raise CollectionExists(name)
            self._bump_catalogue()  # the lock under which names of collections and aliases are compared
            if self._collection_behind(name) is not None:
                raise AliasExists(name)
        return self._collection("id", created[0][0])

    def delete_collection(self, name: str) -> None:
        """Delete a collection, everything in it and its aliases; raises CollectionMissing."""
        record = self._lock_named(name, "FOR UPDATE")
        with self._all_or_none():
            for table in ("words", "vectors", "fields", "names", "documents", "changes", "leases"):
                self._run(f"DELETE FROM softkv.{table} WHERE collection = %s", record.id)
            self._run("DELETE FROM softkv.copied_rows WHERE shadow = %s", record.id)
            self._bump_catalogue()  # before the aliases, which others lock in this order
            self._run("DELETE FROM softkv.collections WHERE id = %s", record.id)

    def _lock_named(self, name: str, lock: str) -> CollectionRecord:
        try:
            return self._collection("name", name, lock)
        except CollectionMissing:  # or another one, with a new encoder, took the name while this statement waited
            return self._collection("name", name, lock)

    def write_feedback(
        self, collection: int, records: Sequence[FeedbackRecord], *, max_records: int, max_bytes: int
    ) -> None:
        """Store feedback; if the collection has more records or bytes than these then, delete the oldest."""
        if not records:
            return
        self.lock_collection(collection)  # numbers ascend in the order of commits, so that pages miss none
        with self._all_or_none():
            columns = zip(*map(feedback_row, records), strict=True)
            self._run(
                "INSERT INTO softkv.feedback (collection, query, document, correct, at, observed, checksum)"
                " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::boolean[], %s::bigint[], %s::text[],"
                " %s::bigint[])",
                collection,
                *map(list, columns),
            )
            self._limit_feedback(collection, max_records, max_bytes)

    def delete_feedback(self, collection: int, numbers: Sequence[int] | None = None) -> int:
        """Delete the records of a collection with these numbers, or all; return how many were deleted."""
        statement, parameters = "DELETE FROM softkv.feedback WHERE collection = %s", list[Any]([collection])
        if numbers is not None:
            statement, parameters = f"{statement} AND id = ANY(%s)", [collection, [*numbers]]
        return self._connection.execute(statement, parameters).rowcount

    def lease(self, collection: int, owner: str) -> bool:
        """Take or renew the lease of a collection's work in the background; return False if another process has it."""
        return bool(
            self._all(
                "INSERT INTO softkv.leases AS held (collection, owner, renewed)"
                " SELECT id, %s, clock_timestamp() FROM softkv.collections WHERE id = %s"
                " ON CONFLICT (collection) DO UPDATE SET owner = excluded.owner, renewed = excluded.renewed"
                " WHERE held.owner = excluded.owner"
                f" OR held.renewed < excluded.renewed - interval '{LEASE_SECONDS} seconds' RETURNING collection",
                owner,
                collection,
            )
        )

    def keep_copies(self, shadow: int, sources: RowNumbers, change: Change) -> None:
        """Record the documents from which those of a write to a shadow were made, int64[n] in order."""
        with self._all_or_none():
            self._forget_copies(shadow, change.removed)
            self._run(
                'INSERT INTO softkv.copied_rows (shadow, source, "row")'
                " SELECT %s, * FROM unnest(%s::bigint[], %s::bigint[])",
                shadow,
                sources.tolist(),
                change.added.tolist(),
            )

    def _forget_copies(self, shadow: int, rows: RowNumbers) -> None:
        if len(rows):
            statement = 'DELETE FROM softkv.copied_rows WHERE shadow = %s AND "row" = ANY(%s)'
            self._run(statement, shadow, rows.tolist())

    def delete_some(self, collection: int, limit: int) -> bool:
        """Return False: deleting a whole collection holds up no other transaction."""
        return False

    def _move_feedback(self, collection: int, to: int, width: int | None) -> None:
        self._run(
            "DELETE FROM softkv.feedback WHERE collection = %s AND CASE WHEN starts_with(query, '[')"
            " THEN json_array_length(query::json) IS DISTINCT FROM %s::integer ELSE false END",
            collection,
            width,
        )
        self._run("UPDATE softkv.feedback SET collection = %s WHERE collection = %s", to, collection)

    def upsert(self, collection: int, documents: Sequence[DocumentRecord], *, mode: Mode = "upsert") -> Change:
        """Store documents under new row numbers.

        Stored documents with the same ids are replaced, or kept with the mode "skip".

        Sets the collection's widths if they are None. Raises DocumentsExist (mode "create"),
        DocumentsRepeated, WidthMismatch, Unstorable or OutsideFilter.
        """
        if self.visibility.condition is not None:
            return upsert_visible(self, collection, documents, mode)
        record = self.lock_collection(collection)
        upsert = Upsert.of(record, documents, lambda ids: self.existing(collection, ids), mode)
        expired = self._find_expired(collection, upsert.documents)
        change = Change(NO_ROWS, upsert.removed, upsert.skipped, expired=expired)
        if not upsert.documents:
            return change
        with self._all_or_none():
            if upsert.settings != record.settings:
                self._save(record, upsert.settings)
            stored = self._keep_words(record, upsert)
            count = sum(document.rows for document in upsert.documents)
            version, first = self._reserve(collection, count)
            keyless = -document_rows.mark_deleted(self._connection, collection, change.lost, version)
            keys = [len(document.keys) for document in upsert.documents]
            added = document_rows.insert(self._connection, collection, upsert.texts, keys, first, version)
            vector_rows.insert(self._connection, collection, added, stored)
            growth = len(added) - len(change.lost), keyless + keys.count(0)
            change_log.append(self._connection, collection, version, first, count, change.lost, *growth)
            if upsert.first_expiry is not None:
                statement = "UPDATE softkv.collections SET first_expiry = least(first_expiry, %s) WHERE id = %s"
                self._run(statement, upsert.first_expiry, collection)
        return replace(change, added=added)

    def _insert_words(self, collection: int, entries: Sequence[tuple[int, bytes, int]]) -> None:
        if entries:
            self._run(
                'INSERT INTO softkv.words (collection, "row", words, checksum) SELECT vectors.collection, kept.*'
                ' FROM unnest(%s::bigint[], %b::bytea[], %s::bigint[]) AS kept ("row", words, checksum)'
                ' JOIN softkv.vectors ON vectors.collection = %s AND vectors."row" = kept."row"'
                " ON CONFLICT DO NOTHING",
                *map(list, zip(*entries, strict=True)),
                collection,
            )

    def _waiting_rows(self, collection: int, documents: Sequence[int]) -> ResultRows:
        statement = (
            f"SELECT {VECTOR_COLUMNS} FROM softkv.vectors"
            " WHERE collection = %s AND waiting IS NOT NULL AND document = ANY(%s)"
        )
        return self._all(statement, collection, [*documents])

    def _update_values(self, collection: int, entries: Sequence[tuple[bytes | None, int | None, int, int]]) -> None:
        if entries:
            self._run(
                "UPDATE softkv.vectors SET value_vector = made.value_vector, waiting = made.waiting,"
                " checksum = made.checksum FROM unnest(%b::bytea[], %s::smallint[], %s::bigint[], %s::bigint[])"
                ' AS made (value_vector, waiting, checksum, "row")'
                ' WHERE vectors.collection = %s AND vectors."row" = made."row"',
                *map(list, zip(*entries, strict=True)),
                collection,
            )

    def _delete_words(self, collection: int) -> None:
        self._run("DELETE FROM softkv.words WHERE collection = %s", collection)

    def _find_expired(self, collection: int, documents: Sequence[DocumentRecord]) -> RowNumbers:
        """Return the row numbers int64[n] of expired documents that have the ids of these."""
        if self._now is None:
            return NO_ROWS
        statement = (
            'SELECT "row" FROM softkv.documents WHERE collection = %s AND id = ANY(%s) AND expires <= %s'
            f" AND {self._stored}"
        )
        ids = [document.id for document in documents]
        return np.sort(np.array(self._all(statement, collection, ids, self._now), dtype=np.int64).reshape(-1))

    def delete_expired(self, collection: int, now: int, limit: int) -> RowNumbers:
        """Delete up to `limit` documents that have expired at `now`; return their row numbers int64[n]."""
        self.lock_collection(collection)
        statement = (
            'SELECT "row" FROM softkv.documents WHERE collection = %s AND expires <= %s'
            f" AND {self._stored} ORDER BY expires LIMIT %s"
        )
        rows = np.array(self._all(statement, collection, now, limit), dtype=np.int64).reshape(-1)
        rows = self._delete(collection, np.sort(rows))
        if len(rows) < limit:
            self._run(
                "UPDATE softkv.collections SET first_expiry = (SELECT min(expires) FROM softkv.documents"
                f" WHERE collection = %s AND {self._stored}) WHERE id = %s",
                collection,
                collection,
            )
        return rows

    def claim_expiry(self) -> bool:
        """Return whether this transaction is the only one that deletes expired documents, until it ends."""
        return bool(self._all("SELECT pg_try_advisory_xact_lock(%s)", EXPIRY_LOCK)[0][0])

    def _delete(self, collection: int, rows: RowNumbers) -> RowNumbers:
        if len(rows):
            with self._all_or_none():
                version, first = self._reserve(collection, 0)
                keyless = document_rows.mark_deleted(self._connection, collection, rows, version)
                change_log.append(self._connection, collection, version, first, 0, rows, -len(rows), -keyless)
        return rows

    def _reserve(self, collection: int, count: int) -> tuple[int, int]:
        """Return the next version, and the first of the `count` row numbers that it reserves."""
        rows = self._all(
            "UPDATE softkv.collections SET version = version + 1, next_row = next_row + %s WHERE id = %s"
            " RETURNING version, next_row",
            count,
            collection,
        )
        version, next_row = rows[0]
        return version, next_row - count

    def _bump_catalogue(self) -> None:
        """Increase the counter of changes to collections, by which other processes see that something has changed."""
        self._run("UPDATE softkv.state SET catalogue = catalogue + 1")

    def _run(self, statement: str, *parameters: Any) -> None:
        self._connection.execute(statement.replace("?", "%s"), parameters)

    def _all_or_none(self) -> AbstractContextManager[object]:
        return self._connection.transaction()


def lock_request(connection: Connection[Any], request: WriteRequest) -> None:
    """Lock an idempotency key until this transaction ends: other transactions with the key wait, on any machine."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (id_hash(f"{request.caller}\n{request.key}"),))

"""What can be written; a writer also reads, and sees what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from psycopg import Connection

from service.storage.checksums import settings_checksum
from service.storage.conditions import Condition
from service.storage.errors import CollectionExists
from service.storage.forms import SETTINGS_COLUMNS, settings_row
from service.storage.once import Did, IdempotentWrite
from service.storage.postgres import answered_writes, document_rows, log, vector_rows
from service.storage.postgres.reader import Reader
from service.storage.records import Change, CollectionRecord, CollectionSettings, DocumentRecord, Mode, RowNumbers
from service.storage.writes import Upsert, refuse_fixed

_NONE: RowNumbers = np.empty(0, dtype=np.int64)


class Writer(Reader):
    """One write transaction; each method does all of its work or, where it raises, none.

    Who writes a collection's documents holds its row, so that its versions are committed one after another.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        super().__init__(connection)
        self.callbacks: list[Callable[[], object]] = []

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` once the commit is on disk; others may read what was written before it runs."""
        self.callbacks.append(callback)

    def hold(self, collection: int) -> CollectionRecord:
        """Have nobody else write the collection until this transaction ends; raises CollectionMissing."""
        return self._collection("id", collection, "FOR NO KEY UPDATE")

    def keep_answer(self, once: IdempotentWrite[Did] | None, did: Did) -> None:
        """Store what a write is answered with, beside what it did, for `Store.writing`; without `once`, nothing."""
        if once is not None:
            answered_writes.keep_answer(self._connection, once.request, once.answer(did))

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """A new, empty collection; raises CollectionExists."""
        stored = settings_row(settings)
        marks = ", ".join(["%s"] * len(stored))
        created = self._all(
            f"INSERT INTO collections (name, checksum, {SETTINGS_COLUMNS}) VALUES (%s, %s, {marks})"
            " ON CONFLICT (name) DO NOTHING RETURNING id",
            name,
            settings_checksum(name, stored),
            *stored,
        )
        if not created:
            raise CollectionExists(name)
        self._count_catalogue()
        return self._collection("id", created[0][0])

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null and calibration; raises CollectionFixed where anything else differs."""
        record = self._collection("name", name, "FOR NO KEY UPDATE")
        refuse_fixed(record, settings)
        self._save(record, settings)
        return self._collection("id", record.id)

    def delete_collection(self, name: str) -> None:
        """Remove a collection with everything in it; raises CollectionMissing."""
        record = self._collection("name", name, "FOR UPDATE")
        with self._connection.transaction():
            for table in ("vectors", "fields", "names", "documents", "changes"):
                self._run(f"DELETE FROM {table} WHERE collection = %s", record.id)
            self._run("DELETE FROM collections WHERE id = %s", record.id)
            self._count_catalogue()

    def upsert(self, collection: int, documents: Sequence[DocumentRecord], *, mode: Mode = "upsert") -> Change:
        """Store documents under new row numbers, in place of those with their ids, or (mode "skip") but for those.

        The collection's widths are set where they were not. Raises DocumentsExist (mode "create"),
        DocumentsRepeated, WidthMismatch or Unstorable.
        """
        record = self.hold(collection)
        upsert = Upsert.of(record, documents, lambda ids: self.existing(collection, ids), mode)
        if not upsert.documents:
            return Change(_NONE, upsert.removed, upsert.skipped)
        with self._connection.transaction():
            if upsert.settings != record.settings:
                self._save(record, upsert.settings)
            count = sum(each.rows for each in upsert.documents)
            version, first = self._next(collection, count)
            keyless = -document_rows.end(self._connection, collection, upsert.removed, version)
            keys = [len(each.keys) for each in upsert.documents]
            added = document_rows.insert(self._connection, collection, upsert.texts, keys, first, version)
            vector_rows.insert(self._connection, collection, added, upsert.documents)
            gained = len(added) - len(upsert.removed), keyless + keys.count(0)
            log.keep(self._connection, collection, version, first, count, upsert.removed, *gained)
        return Change(added, upsert.removed, upsert.skipped)

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete documents by id; the row numbers int64[n] that are gone. Unknown ids are silent."""
        self.hold(collection)
        return self._delete(collection, self.rows_among(collection, ids))

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the documents that pass; the row numbers int64[n] that are gone."""
        self.hold(collection)
        return self._delete(collection, self.rows_where(collection, condition))

    def _delete(self, collection: int, rows: RowNumbers) -> RowNumbers:
        if len(rows):
            with self._connection.transaction():
                version, first = self._next(collection, 0)
                keyless = document_rows.end(self._connection, collection, rows, version)
                log.keep(self._connection, collection, version, first, 0, rows, -len(rows), -keyless)
        return rows

    def _next(self, collection: int, count: int) -> tuple[int, int]:
        """The next version, and the first of so many row numbers that are its own."""
        rows = self._all(
            "UPDATE collections SET version = version + 1, next_row = next_row + %s WHERE id = %s"
            " RETURNING version, next_row",
            count,
            collection,
        )
        version, following = rows[0]
        return version, following - count

    def _save(self, record: CollectionRecord, settings: CollectionSettings) -> None:
        stored = settings_row(settings)
        marks = ", ".join(["%s"] * len(stored))
        self._run(
            f"UPDATE collections SET (checksum, {SETTINGS_COLUMNS}) = (%s, {marks}) WHERE id = %s",
            settings_checksum(record.name, stored),
            *stored,
            record.id,
        )
        self._count_catalogue()

    def _count_catalogue(self) -> None:
        """Something happened to a collection that all processes have to hear of."""
        self._run("UPDATE state SET catalogue = catalogue + 1")

    def _run(self, statement: str, *parameters: Any) -> None:
        self._connection.execute(statement, parameters)

"""What can be written; a writer also reads, and sees what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from sqlite3 import Connection

from service.storage.checksums import settings_checksum
from service.storage.conditions import Condition
from service.storage.errors import CollectionExists
from service.storage.forms import SETTINGS_COLUMNS, settings_row
from service.storage.once import Did, IdempotentWrite
from service.storage.records import Change, CollectionRecord, CollectionSettings, DocumentRecord, Mode, RowNumbers
from service.storage.sqlite import answered_writes, document_rows, full_text, vector_rows
from service.storage.sqlite.forms import marks
from service.storage.sqlite.reader import Reader
from service.storage.writes import Upsert, refuse_fixed


class Writer(Reader):
    """The one write transaction; each method does all of its work or, where it raises, none."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.callbacks: list[Callable[[], object]] = []

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` once the commit is on disk, before any reader can begin on the new state.

        It holds up every reader, so it should only publish; it must not read or write the store.
        """
        self.callbacks.append(callback)

    def keep_answer(self, once: IdempotentWrite[Did] | None, did: Did) -> None:
        """Store what a write is answered with, beside what it did, for `Store.writing`; without `once`, nothing."""
        if once is not None:
            answered_writes.keep_answer(self._connection, once.request, once.answer(did))

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """A new, empty collection; raises CollectionExists."""
        if self._connection.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
            raise CollectionExists(name)
        with self._all_or_none():
            stored = settings_row(settings)
            created = self._connection.execute(
                f"INSERT INTO collections (name, checksum, {SETTINGS_COLUMNS}) VALUES (?, ?, {marks(stored)})",
                (name, settings_checksum(name, stored), *stored),
            )
            number = int(created.lastrowid or 0)
            full_text.create(self._connection, number)
        return self._collection("id", number)

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null and calibration; raises CollectionFixed where anything else differs."""
        record = self.collection(name)
        refuse_fixed(record, settings)
        self._save(record, settings)
        return self._collection("id", record.id)

    def delete_collection(self, name: str) -> None:
        """Remove a collection with everything in it; raises CollectionMissing."""
        record = self.collection(name)
        with self._all_or_none():
            full_text.drop(self._connection, record.id)
            # In one sweep, where the cascade would look them up document by document.
            self._connection.execute("DELETE FROM fields WHERE collection = ?", (record.id,))
            self._connection.execute("DELETE FROM collections WHERE id = ?", (record.id,))

    def upsert(
        self,
        collection: int,
        documents: Sequence[DocumentRecord],
        *,
        mode: Mode = "upsert",
    ) -> Change:
        """Store documents under new row numbers, in place of those with their ids, or (mode "skip") but for those.

        The collection's widths are set where they were not. Raises DocumentsExist (mode "create"),
        DocumentsRepeated, WidthMismatch or Unstorable.
        """
        record = self._collection("id", collection)
        upsert = Upsert.of(record, documents, lambda ids: self.existing(collection, ids), mode)
        with self._all_or_none():
            if upsert.settings != record.settings:
                self._save(record, upsert.settings)
            self._count_off(collection, upsert.removed)
            document_rows.remove(self._connection, collection, upsert.removed)
            keys = [len(each.keys) for each in upsert.documents]
            added = document_rows.insert(self._connection, collection, upsert.texts, keys)
            vector_rows.insert(self._connection, added, upsert.documents)
            self._count_on(collection, len(added), keys.count(0))
        return Change(added, upsert.removed, upsert.skipped)

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete documents by id; the row numbers int64[n] that are gone. Unknown ids are silent."""
        return self._delete(collection, self.rows_among(collection, ids))

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the documents that pass; the row numbers int64[n] that are gone."""
        return self._delete(collection, self.rows_where(collection, condition))

    def _delete(self, collection: int, rows: RowNumbers) -> RowNumbers:
        with self._all_or_none():
            self._count_off(collection, rows)
            document_rows.remove(self._connection, collection, rows)
        return rows

    def _save(self, record: CollectionRecord, settings: CollectionSettings) -> None:
        stored = settings_row(settings)
        self._connection.execute(
            f"UPDATE collections SET (checksum, {SETTINGS_COLUMNS}) = (?, {marks(stored)}) WHERE id = ?",
            (settings_checksum(record.name, stored), *stored, record.id),
        )

    def _count_on(self, collection: int, documents: int, keyless: int) -> None:
        self._connection.execute(
            "UPDATE collections SET documents = documents + ?, keyless = keyless + ? WHERE id = ?",
            (documents, keyless, collection),
        )

    def _count_off(self, collection: int, rows: RowNumbers) -> None:
        """Before the documents with these numbers are removed."""
        self._count_on(collection, -len(rows), -document_rows.keyless(self._connection, rows))

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """Undo what the block did where it raises, so that a caller who goes on commits no half."""
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

"""Write transactions in SQLite; a writer also reads, and sees what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from sqlite3 import Connection

from service.storage.checksums import settings_checksum
from service.storage.conditions import Condition
from service.storage.errors import CollectionExists
from service.storage.idempotency import LIFETIME_SECONDS, IdempotentWrite, Result, encode_answer, refuse_stored
from service.storage.records import (
    Change,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    Mode,
    RowNumbers,
    WriteAnswer,
    WriteRequest,
)
from service.storage.serialisation import SETTINGS_COLUMNS, settings_row
from service.storage.sqlite import document_rows, full_text, vector_rows
from service.storage.sqlite.reader import Reader
from service.storage.sqlite.statements import marks
from service.storage.writes import Upsert, refuse_fixed


class Writer(Reader):
    """The only write transaction at a time. Each method does all of its work, or none if it raises."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.callbacks: list[Callable[[], object]] = []

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
        """Create an empty collection; raises CollectionExists."""
        if self._connection.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
            raise CollectionExists(name)
        with self._all_or_none():
            columns = settings_row(settings)
            created = self._connection.execute(
                f"INSERT INTO collections (name, checksum, {SETTINGS_COLUMNS}) VALUES (?, ?, {marks(columns)})",
                (name, settings_checksum(name, columns), *columns),
            )
        return self._collection("id", int(created.lastrowid or 0))

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null and calibration of a collection.

        Raise CollectionFixed if any other setting differs.
        """
        record = self.collection(name)
        refuse_fixed(record, settings)
        self._save(record, settings)
        return self._collection("id", record.id)

    def delete_collection(self, name: str) -> None:
        """Delete a collection and everything in it; raises CollectionMissing."""
        record = self.collection(name)
        with self._all_or_none():
            full_text.drop(self._connection, record.id)
            # In one sweep: the cascade would look them up document by document.
            self._connection.execute("DELETE FROM fields WHERE collection = ?", (record.id,))
            self._connection.execute("DELETE FROM collections WHERE id = ?", (record.id,))

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
        DocumentsRepeated, WidthMismatch or Unstorable.
        """
        record = self._collection("id", collection)
        upsert = Upsert.of(record, documents, lambda ids: self.existing(collection, ids), mode)
        with self._all_or_none():
            if upsert.settings != record.settings:
                self._save(record, upsert.settings)
            self._subtract_documents(collection, upsert.removed)
            document_rows.remove(self._connection, collection, upsert.removed)
            count = record.documents - len(upsert.removed) + len(upsert.documents)
            full_text.keep_up(self._connection, collection, count)
            keys = [len(document.keys) for document in upsert.documents]
            added = document_rows.insert(self._connection, collection, upsert.texts, keys)
            vector_rows.insert(self._connection, added, upsert.documents)
            self._add_to_counts(collection, len(added), keys.count(0))
        return Change(added, upsert.removed, upsert.skipped)

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete documents by id; return the deleted row numbers int64[n]. Unknown ids are ignored."""
        return self._delete(collection, self.rows_among(collection, ids))

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the documents that match; return the deleted row numbers int64[n]."""
        return self._delete(collection, self.rows_where(collection, condition))

    def _delete(self, collection: int, rows: RowNumbers) -> RowNumbers:
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

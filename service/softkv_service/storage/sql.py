"""The SQL that both stores share. Their statements differ only in the marks of parameters and the schema.

Statements here have `?` for a parameter, and tables in the schema `softkv`, which SQLite does not have.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from softkv_service.storage.checksums import FAILED, WAITING, alias_checksum, settings_checksum, words_checksum
from softkv_service.storage.conditions import Condition, Visibility
from softkv_service.storage.errors import (
    AliasMissing,
    CollectionExists,
    CollectionMissing,
    DocumentDamaged,
    ReEncodingActive,
)
from softkv_service.storage.idempotency import LIFETIME_SECONDS, IdempotentWrite, Result, encode_answer, refuse_stored
from softkv_service.storage.re_encoding import HIDDEN, ReEncoding, format_hidden_name
from softkv_service.storage.records import (
    NO_ROWS,
    AliasRecord,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    ExpiredCounts,
    FeedbackRecord,
    KeptWords,
    Matrix,
    RowNumbers,
    StoredDocument,
    TextSpan,
    Vector,
    WaitingValues,
    WriteRequest,
)
from softkv_service.storage.serialisation import (
    ALIAS_COLUMNS,
    COLLECTION_COLUMNS,
    FEEDBACK_COLUMNS,
    NUL,
    SETTINGS_COLUMNS,
    alias_of,
    collection_of,
    document_of,
    feedback_of,
    matrix_of,
    settings_row,
    vectors_of,
    with_value,
    words_of,
)
from softkv_service.storage.writes import Upsert, refuse_fixed

_IS_HIDDEN = f"substr(name, 1, {len(HIDDEN)}) = '{HIDDEN}'"
ResultRows = list[tuple[Any, ...]]


class SQLReader(ABC):
    """The reads of one consistent state that SQLite and PostgreSQL share.

    Attributes:
        visibility: which documents are seen.
    """

    FEEDBACK_BYTES: ClassVar[str]
    """SQL of the bytes of a record of feedback."""
    BY_EXPIRY: ClassVar[str] = ""
    """SQL that names the index by expiry."""
    JOIN_VECTORS: ClassVar[str]
    """SQL that joins the vectors of documents."""
    BY_ROW: ClassVar[str] = "documents.collection"
    """SQL of the number of a document's collection, where rows are read in order."""
    ON_WORDS: ClassVar[str]
    """SQL that names the words of vectors, after JOIN."""
    FROM_WAITING: ClassVar[str]
    """SQL of the vectors whose values wait, and their documents, after FROM."""
    visibility: Visibility
    _now: int | None
    _stored: str
    """SQL that is true for the documents that are stored, expired ones too."""
    _living: str
    """SQL that is true for the documents that are stored and have not expired."""

    @abstractmethod
    def _all(self, statement: str, *parameters: Any) -> ResultRows:
        """Run a statement with `?` and `softkv.`, and return all of its rows."""

    @abstractmethod
    def _vectors(self, collection: int, rows: Iterable[int]) -> dict[int, tuple[Any, ...]]:
        """Return VECTOR_COLUMNS of the keys with these row numbers, by row number."""

    @abstractmethod
    def _read_words(self, collection: int, rows: RowNumbers) -> ResultRows:
        """Return row number, words and checksum of the keys with these row numbers whose words are kept."""

    @abstractmethod
    def existing(self, collection: int, ids: Sequence[str], *, condition: Condition | None = None) -> dict[str, int]:
        """Map each id that exists, of a document that matches, to its row number."""

    @abstractmethod
    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """Return the row numbers int64[n], from `first` to `last`, of the documents that match; ascending."""

    @abstractmethod
    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """Return the documents with these row numbers int64[n], in their order, without their vectors."""

    @abstractmethod
    def page_of_texts(
        self,
        collection: int,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[StoredDocument]:
        """Return at most `limit` documents with ids after `after`, ordered by id, without their vectors."""

    def collections(self) -> list[CollectionRecord]:
        """Return every collection that callers see, ordered by name."""
        rows = self._all(f"SELECT {COLLECTION_COLUMNS} FROM softkv.collections WHERE NOT {_IS_HIDDEN} ORDER BY name")
        return [collection_of(row) for row in rows]

    def collection(self, name: str) -> CollectionRecord:
        """Return the collection of that name; raises CollectionMissing."""
        return self._collection("name", name)

    def record(self, collection: int) -> CollectionRecord:
        """Return the collection with that number, hidden or not; raises CollectionMissing."""
        return self._collection("id", collection)

    def list_hidden(self) -> list[CollectionRecord]:
        """Return the collections that callers do not see, see `softkv_service.storage.re_encoding`."""
        rows = self._all(f"SELECT {COLLECTION_COLUMNS} FROM softkv.collections WHERE {_IS_HIDDEN} ORDER BY id")
        return [collection_of(row) for row in rows]

    def re_encodings(self) -> list[ReEncoding]:
        """Return the last job of each collection that moves it to another encoder."""
        rows = self._all("SELECT collection, shadow, job FROM softkv.re_encodings ORDER BY collection")
        return [ReEncoding.read(*row) for row in rows]

    def re_encoding(self, collection: int) -> ReEncoding | None:
        """Return the last job that moves a collection to another encoder, or None."""
        rows = self._all("SELECT collection, shadow, job FROM softkv.re_encodings WHERE collection = ?", collection)
        return ReEncoding.read(*rows[0]) if rows else None

    def aliases(self) -> list[AliasRecord]:
        """Return all aliases, ordered by name."""
        rows = self._all(
            f"SELECT {ALIAS_COLUMNS} FROM softkv.aliases JOIN softkv.collections ON collections.id = collection"
            " ORDER BY alias"
        )
        return [alias_of(row) for row in rows]

    def feedback(self, collection: int, *, after: int = 0, limit: int) -> list[FeedbackRecord]:
        """Return at most `limit` records of feedback with numbers above `after`, by number; damaged ones are left
        out.
        """
        rows = self._all(
            f"SELECT {FEEDBACK_COLUMNS} FROM softkv.feedback WHERE collection = ? AND id > ? ORDER BY id LIMIT ?",
            *(collection, after, limit),
        )
        return [record for record in map(feedback_of, rows) if record is not None]

    def count_feedback(self, collection: int, *, after: int = 0) -> int:
        """Count the records of feedback of a collection with numbers above `after`."""
        statement = "SELECT count(*) FROM softkv.feedback WHERE collection = ? AND id > ?"
        return int(self._all(statement, collection, after)[0][0])

    def feedback_bytes(self, collection: int) -> int:
        """Return the bytes of all feedback of a collection: its questions, ids and observations in UTF-8."""
        statement = f"SELECT coalesce(sum({self.FEEDBACK_BYTES}), 0) FROM softkv.feedback WHERE collection = ?"
        return int(self._all(statement, collection)[0][0])

    def count_expired(self, collection: int) -> ExpiredCounts:
        """Count the documents that have expired at the instant of this reader's visibility; none without an instant."""
        if self._now is None:
            return ExpiredCounts()
        statement = (
            f"SELECT count(*), count(*) FILTER (WHERE keys = 0) FROM softkv.documents {self.BY_EXPIRY}"
            f" WHERE collection = ? AND expires <= ? AND {self._stored}"
        )
        return ExpiredCounts(*self._all(statement, collection, self._now)[0])

    def collections_with_expired(self, now: int) -> list[int]:
        """Return the numbers of the collections that callers see and that may have expired documents."""
        rows = self._all(
            f"SELECT id FROM softkv.collections WHERE first_expiry <= ? AND NOT {_IS_HIDDEN} ORDER BY id", now
        )
        return [number for (number,) in rows]

    def document(self, collection: int, identity: str) -> DocumentRecord | None:
        """Return the document with that id, or None."""
        page = self.page(collection, ids=[identity], limit=1)
        return page[0] if page else None

    def rows_among(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Return the row numbers int64[n] of the ids that exist, ascending."""
        return np.sort(np.fromiter(self.existing(collection, ids).values(), dtype=np.int64))

    def documents(self, collection: int, rows: RowNumbers) -> list[DocumentRecord]:
        """Return the documents with these row numbers int64[n], in their order."""
        return self._with_vectors(collection, self.texts(collection, rows))

    def page(
        self,
        collection: int,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[DocumentRecord]:
        """Return at most `limit` documents with ids after `after`, ordered by id (by code point).

        If each page starts after the last id of the page before, a document that exists throughout is returned exactly
        once, regardless of writes in between.
        """
        texts = self.page_of_texts(collection, ids=ids, condition=condition, after=after, limit=limit)
        return self._with_vectors(collection, texts)

    def parts(self, collection: int, rows: RowNumbers) -> list[TextSpan | None]:
        """Return the span of the key text that each key with these row numbers int64[n] encodes.

        None means the whole text.
        """
        row_by_number = self._vectors(collection, rows)
        return [vectors_of(pick_key(row_by_number, row)).part for row in rows.tolist()]

    def keys(self, collection: int, rows: RowNumbers) -> Matrix:
        """Return float32[n, d], the keys with these row numbers, in their order; raises DocumentDamaged."""
        row_by_number = self._vectors(collection, rows)
        keys = (vectors_of(pick_key(row_by_number, row)).key for row in rows.tolist())
        return matrix_of([key for key in keys if key is not None])

    def words(self, collection: int, rows: RowNumbers) -> dict[int, bytes]:
        """Return the kept words of the keys with these row numbers, by row number; damaged ones are left out."""
        return words_of(self._read_words(collection, rows))

    def count_words(self, collection: int) -> KeptWords:
        """Count the keys of visible documents whose words are kept, and those with a text whose words are not."""
        statement = (
            'SELECT count(words."row"), count(*) FROM softkv.documents '
            f"{self.JOIN_VECTORS} LEFT JOIN {self.ON_WORDS}"
            f" WHERE documents.collection = ? AND documents.key IS NOT NULL AND keys > 0 AND {self._living}"
        )
        with_words, keys = self._all(statement, collection)[0]
        return KeptWords(with_words, keys - with_words)

    def rows_without_words(self, collection: int, *, after: int = 0, limit: int) -> RowNumbers:
        """Return the row numbers int64[n] of at most `limit` documents after a row with keys that lack their words."""
        statement = (
            'SELECT documents."row" FROM softkv.documents '
            f"{self.JOIN_VECTORS} LEFT JOIN {self.ON_WORDS}"
            f' WHERE {self.BY_ROW} = ? AND documents."row" > ? AND documents.key IS NOT NULL AND keys > 0'
            f' AND words."row" IS NULL AND {self._stored} GROUP BY documents."row" ORDER BY documents."row" LIMIT ?'
        )
        return np.array(self._all(statement, collection, after, limit), dtype=np.int64).reshape(-1)

    def find_waiting_values(self, collection: int, *, limit: int | None = None) -> WaitingValues:
        """Return the visible documents whose value is a text without a vector.

        Args:
            limit: return only this number of those that are yet to be encoded, the oldest ones; None for all.
        """
        which, few = ("waiting IS NOT NULL", "") if limit is None else ("waiting = 0", f" LIMIT {int(limit)}")
        statement = (
            f"SELECT DISTINCT document, waiting FROM {self.FROM_WAITING}"
            f" WHERE {which} AND documents.collection = ? AND {self._living} ORDER BY document{few}"
        )
        rows, states = np.array(self._all(statement, collection), dtype=np.int64).reshape(-1, 2).T
        if len(rows) and self.visibility.condition is not None:
            is_visible = np.isin(rows, self.rows_where(collection), assume_unique=True)
            rows, states = rows[is_visible], states[is_visible]
        return WaitingValues(rows[states == WAITING], rows[states == FAILED])

    def collections_with_waiting_values(self) -> list[int]:
        """Return the numbers of the collections that have values to be encoded."""
        statement = (
            f"SELECT DISTINCT documents.collection FROM {self.FROM_WAITING} WHERE waiting = 0 AND {self._stored}"
        )
        return [number for (number,) in self._all(statement)]

    def sample(self, collection: int, size: int) -> RowNumbers:
        """Return the row numbers int64[n] of a sample of at most `size` documents with keys.

        The sample is pseudorandom and the same in every store: the first documents by a hash of their ids.
        """
        statement = (
            f'SELECT "row" FROM softkv.documents WHERE collection = ? AND keys > 0 AND {self._living}'
            " ORDER BY id_hash LIMIT ?"
        )
        return np.array(self._all(statement, collection, size), dtype=np.int64).reshape(-1)

    def refuse_answered(self, request: WriteRequest) -> None:
        """Raise WriteAnswered if this write was answered before, or KeyReused if another was under its key."""
        rows = self._all(
            "SELECT request, status, answer FROM softkv.answered_writes"
            " WHERE caller = ? AND idempotency_key = ? AND at > ?",
            *(request.caller, request.key, request.at - LIFETIME_SECONDS),
        )
        refuse_stored(request, rows[0] if rows else None)

    def _with_vectors(self, collection: int, stored: Sequence[StoredDocument]) -> list[DocumentRecord]:
        """Return the documents, in order, with their vectors; raises DocumentDamaged."""
        row_by_number = self._vectors(collection, [row for texts in stored for row in texts.rows])
        documents = []
        for texts in stored:
            try:
                vectors = [vectors_of(row_by_number[row]) for row in texts.rows]
            except (KeyError, DocumentDamaged):
                raise DocumentDamaged(texts.row, texts.id, vectors=True) from None
            documents.append(document_of(texts, vectors))
        return documents

    def _collection(self, column: str, value: str | int, lock: str = "") -> CollectionRecord:
        if isinstance(value, str) and NUL in value:
            raise CollectionMissing(value)
        rows = self._all(f"SELECT {COLLECTION_COLUMNS} FROM softkv.collections WHERE {column} = ? {lock}", value)
        if not rows:
            raise CollectionMissing(value)
        return collection_of(rows[0])


class SQLWriter(SQLReader):
    """The writes that SQLite and PostgreSQL share. Each method does all of its work, or none if it raises."""

    callbacks: list[Callable[[], object]]

    @abstractmethod
    def _run(self, statement: str, *parameters: Any) -> None:
        """Run a statement with `?` and `softkv.`, which returns no rows."""

    @abstractmethod
    def _all_or_none(self) -> AbstractContextManager[object]:
        """Undo the block's writes if it raises. So a caller that catches the error does not commit half of them."""

    @abstractmethod
    def _delete(self, collection: int, rows: RowNumbers) -> RowNumbers:
        """Delete documents with these row numbers int64[n], and return them."""

    @abstractmethod
    def _insert_words(self, collection: int, entries: Sequence[tuple[int, bytes, int]]) -> None:
        """Store words of keys that are stored and lack them: row number, words and checksum of each."""

    @abstractmethod
    def _waiting_rows(self, collection: int, documents: Sequence[int]) -> ResultRows:
        """Return VECTOR_COLUMNS of the rows of these documents whose values wait, or were refused."""

    @abstractmethod
    def _update_values(self, collection: int, entries: Sequence[tuple[bytes | None, int | None, int, int]]) -> None:
        """Replace value, state and checksum of vectors: these three and the row number of each."""

    @abstractmethod
    def _delete_words(self, collection: int) -> None:
        """Delete the words of all keys of a collection."""

    @abstractmethod
    def _forget_copies(self, shadow: int, rows: RowNumbers) -> None:
        """Delete the records of the originals of these documents of a shadow."""

    @abstractmethod
    def _move_feedback(self, collection: int, to: int, width: int | None) -> None:
        """Give feedback to another collection, without that on vectors of another width."""

    @abstractmethod
    def _lock_named(self, name: str, lock: str) -> CollectionRecord:
        """Return the collection of a name, locked as PostgreSQL's `lock` says; raises CollectionMissing."""

    @abstractmethod
    def lock_collection(self, collection: int) -> CollectionRecord:
        """Keep other transactions from writing the collection until this one ends; raises CollectionMissing."""

    @abstractmethod
    def _bump_catalogue(self) -> None:
        """Tell other processes that a collection or an alias changed; lock their names until the transaction ends."""

    @abstractmethod
    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Create an empty collection; raises CollectionExists or AliasExists."""

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` after the commit is on disk, see `softkv_service.storage.interface.Writer`."""
        self.callbacks.append(callback)

    def keep_answer(self, once: IdempotentWrite[Result] | None, result: Result) -> None:
        """Store the answer to the write `once` with its checksum, in the transaction of the write itself.

        Answers past their lifetime are deleted. Do nothing if `once` is None.
        """
        if once is None:
            return
        request, answer = once.request, once.answer(result)
        self._run("DELETE FROM softkv.answered_writes WHERE at <= ?", request.at - LIFETIME_SECONDS)
        self._run(
            "INSERT INTO softkv.answered_writes (caller, idempotency_key, request, status, answer, at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(request.caller, request.key, request.digest, answer.status, encode_answer(request, answer), request.at),
        )

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null, calibration, expiry, defaults, projection and late of a collection.

        Raise CollectionFixed if any other setting differs.
        """
        record = self._lock_named(name, "FOR NO KEY UPDATE")
        refuse_fixed(record, settings)
        with self._all_or_none():
            if record.settings.late and not settings.late:
                self._delete_words(record.id)
            self._save(record, settings)
        return self._collection("id", record.id)

    def write_words(self, collection: int, words: Mapping[int, bytes]) -> None:
        """Keep the words of keys by their row numbers, those that are still stored and lack them."""
        if self.lock_collection(collection).settings.late:
            with self._all_or_none():
                self._insert_words(collection, [(row, data, words_checksum(row, data)) for row, data in words.items()])

    def write_values(self, collection: int, values: Mapping[int, Vector | None]) -> None:
        """Store the value vectors [d_v] of documents by their row numbers, of those that are still stored and wait."""
        self.lock_collection(collection)
        with self._all_or_none():
            entries = []
            for row in self._waiting_rows(collection, list(values)):
                with suppress(DocumentDamaged):  # which lookups and checks report
                    entries.append(with_value(row, values[row[1]]))
            self._update_values(collection, entries)

    def _keep_words(self, record: CollectionRecord, upsert: Upsert) -> Sequence[DocumentRecord]:
        """Return the documents of an upsert with their words; those with the key text of before keep its words."""
        documents = upsert.documents
        if not record.settings.late:
            return [replace(one, words=()) if one.words else one for one in documents]
        lacking = [one.id for one in documents if not one.words and one.key is not None and one.n_keys]
        rows = self.rows_among(record.id, lacking) if lacking and len(upsert.removed) else NO_ROWS
        if not len(rows):
            return documents
        try:
            stored = self.documents(record.id, rows)
        except DocumentDamaged:  # it is about to be replaced
            return documents
        words = self.words(record.id, np.concatenate([(one.row or 0) + np.arange(one.rows) for one in stored]))
        words_by_id = dict[str, tuple[DocumentRecord, tuple[bytes, ...]]]()
        for one in stored:
            numbers = range(one.row or 0, (one.row or 0) + one.rows)
            if words.keys() >= set(numbers):
                words_by_id[one.id] = one, tuple(words[number] for number in numbers)
        return [
            _with_words(one, *words_by_id[one.id]) if one.id in words_by_id and not one.words else one
            for one in documents
        ]

    def put_alias(self, alias: str, collection: str) -> str | None:
        """Let an alias stand for the collection of a name; return the collection for which it stood before.

        None means that the alias is new. Raises CollectionMissing, or CollectionExists if the alias is the name of a
        collection.
        """
        number = self._lock_named(collection, "FOR KEY SHARE").id
        with self._all_or_none():
            self._bump_catalogue()  # the lock under which names of collections and aliases are compared
            if self._all("SELECT 1 FROM softkv.collections WHERE name = ?", alias):
                raise CollectionExists(alias)
            previous = self._collection_behind(alias)
            self._run(
                "INSERT INTO softkv.aliases (alias, collection, checksum) VALUES (?, ?, ?)"
                " ON CONFLICT (alias) DO UPDATE SET (collection, checksum) = (excluded.collection, excluded.checksum)",
                *(alias, number, alias_checksum(alias, number)),
            )
        return previous

    def delete_alias(self, alias: str) -> str:
        """Delete an alias, not its collection; return the collection's name. Raises AliasMissing."""
        with self._all_or_none():
            self._bump_catalogue()
            collection = self._collection_behind(alias)
            if collection is None:
                raise AliasMissing(alias)
            self._run("DELETE FROM softkv.aliases WHERE alias = ?", alias)
        return collection

    def begin_re_encoding(self, job: ReEncoding, settings: CollectionSettings) -> ReEncoding:
        """Create the shadow of a job with these settings, and store the job; return it with the shadow's number.

        Raises ReEncodingActive if the collection has a job that has not ended.
        """
        record = self.lock_collection(job.collection)
        last = self.re_encoding(job.collection)
        if last is not None and last.active:
            raise ReEncodingActive(record.name)
        with self._all_or_none():
            shadow = self.create_collection(format_hidden_name("shadow", job.collection), settings)
            job = replace(job, shadow=shadow.id)
            self._run("DELETE FROM softkv.re_encodings WHERE collection = ?", job.collection)
            statement = "INSERT INTO softkv.re_encodings (collection, shadow, job) VALUES (?, ?, ?)"
            self._run(statement, job.collection, job.shadow, job.text())
        return job

    def save_re_encoding(self, job: ReEncoding) -> None:
        """Store the state of a job. The shadow of a job that has ended becomes a collection to delete."""
        with self._all_or_none():
            before = self.re_encoding(job.collection)
            if before is not None and before.shadow is not None and job.shadow is None:
                self._rename(before.shadow, format_hidden_name("discarded", before.shadow))
            statement = "UPDATE softkv.re_encodings SET shadow = ?, job = ? WHERE collection = ?"
            self._run(statement, job.shadow, job.text(), job.collection)

    def delete_copies(self, shadow: int, rows: RowNumbers) -> None:
        """Delete documents of a shadow with these row numbers int64[n], with the records of their originals."""
        with self._all_or_none():
            self._forget_copies(shadow, rows)
            self._delete(shadow, rows)

    def replace_collection(self, job: ReEncoding, settings: CollectionSettings) -> CollectionRecord:
        """Put the shadow of a job, with these settings, into the place of its collection, and end the job.

        Names, aliases and feedback of the collection are those of the shadow from the commit on, without feedback on
        vectors of another width. The collection becomes a hidden one to delete. Return the new record.
        """
        assert job.shadow is not None
        name, shadow = self.lock_collection(job.collection).name, job.shadow
        self.lock_collection(shadow)
        with self._all_or_none():
            self._rename(job.collection, format_hidden_name("replaced", job.collection))
            self._rename(shadow, name)
            self._save(self._collection("id", shadow), settings)
            for (alias,) in self._all("SELECT alias FROM softkv.aliases WHERE collection = ?", job.collection):
                statement = "UPDATE softkv.aliases SET collection = ?, checksum = ? WHERE alias = ?"
                self._run(statement, shadow, alias_checksum(alias, shadow), alias)
            self._move_feedback(job.collection, shadow, settings.dimension)
            record = self._collection("id", shadow)
            ended = replace(job, collection=shadow).ending("done", time.time(), record.documents, record.documents)
            self._run("DELETE FROM softkv.copied_rows WHERE shadow = ?", shadow)
            self._run("DELETE FROM softkv.re_encodings WHERE collection IN (?, ?)", job.collection, shadow)
            statement = "INSERT INTO softkv.re_encodings (collection, shadow, job) VALUES (?, NULL, ?)"
            self._run(statement, shadow, ended.text())
        return record

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete documents by id; return the deleted row numbers int64[n]. Unknown ids are ignored."""
        self.lock_collection(collection)
        return self._delete(collection, self.rows_among(collection, ids))

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the documents that match; return the deleted row numbers int64[n]."""
        self.lock_collection(collection)
        return self._delete(collection, self.rows_where(collection, condition))

    def _limit_feedback(self, collection: int, max_records: int, max_bytes: int) -> None:
        """Delete the oldest feedback of a collection beyond these records and bytes."""
        self._run(
            "DELETE FROM softkv.feedback WHERE collection = ? AND id <="
            " (SELECT id FROM softkv.feedback WHERE collection = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            *(collection, collection, max_records),
        )
        self._run(
            "DELETE FROM softkv.feedback WHERE id IN (SELECT id FROM"
            f" (SELECT id, sum({self.FEEDBACK_BYTES}) OVER (ORDER BY id DESC) AS size FROM softkv.feedback"
            "  WHERE collection = ?) AS sizes WHERE size > ?)",
            *(collection, max_bytes),
        )

    def _collection_behind(self, alias: str) -> str | None:
        """Return the name of the collection of an alias; None if there is no such alias."""
        if NUL in alias:
            return None
        rows = self._all(
            "SELECT name FROM softkv.aliases JOIN softkv.collections ON collections.id = collection WHERE alias = ?",
            alias,
        )
        return str(rows[0][0]) if rows else None

    def _rename(self, collection: int, name: str) -> None:
        record = self._collection("id", collection)
        self._run("UPDATE softkv.collections SET name = ? WHERE id = ?", name, collection)
        self._save(replace(record, name=name), record.settings)

    def _save(self, record: CollectionRecord, settings: CollectionSettings) -> None:
        columns = settings_row(settings)
        marks = ", ".join(["?"] * len(columns))
        self._run(
            f"UPDATE softkv.collections SET (checksum, {SETTINGS_COLUMNS}) = (?, {marks}) WHERE id = ?",
            *(settings_checksum(record.name, columns), *columns, record.id),
        )
        self._bump_catalogue()


def _with_words(document: DocumentRecord, stored: DocumentRecord, words: tuple[bytes, ...]) -> DocumentRecord:
    """Return a document with the words of the stored one if their keys are of the same texts."""
    is_same = (document.key, document.parts, document.n_keys) == (stored.key, stored.parts, stored.n_keys)
    return replace(document, words=words) if is_same else document


def pick_key(row_by_number: dict[int, tuple[Any, ...]], row: int) -> tuple[Any, ...]:
    """Return the columns of a key by its row number. If there is none, raise DocumentDamaged."""
    try:
        return row_by_number[row]
    except KeyError:
        raise DocumentDamaged(row, None, vectors=True) from None

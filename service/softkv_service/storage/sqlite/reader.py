"""Read transactions in SQLite: every method of one reader sees the same state."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from sqlite3 import Connection
from typing import Any, TypeVar

import numpy as np

from softkv_service.storage.cached_texts import CachedTexts
from softkv_service.storage.checksums import id_hash
from softkv_service.storage.conditions import ALL, Column, Condition, Order, Position, Visibility
from softkv_service.storage.errors import CollectionDamaged, DocumentDamaged
from softkv_service.storage.fields import is_utf8
from softkv_service.storage.interface import Cursor
from softkv_service.storage.key_rows import KeySums
from softkv_service.storage.re_encoding import OwnVectors
from softkv_service.storage.records import (
    CollectionUsage,
    ExpiryRows,
    FieldFacts,
    FieldKinds,
    FieldValue,
    KeyRows,
    RowNumbers,
    StoredDocument,
)
from softkv_service.storage.restricted import RestrictedSearch, visible_names
from softkv_service.storage.serialisation import TEXT_COLUMNS, TEXTS, texts_of
from softkv_service.storage.sql import ResultRows, SQLReader
from softkv_service.storage.sqlite import document_rows, vector_rows
from softkv_service.storage.sqlite.fields import read_column, read_facts, read_kinds, read_names, rows_in_order
from softkv_service.storage.sqlite.search import Search
from softkv_service.storage.sqlite.statements import (
    FEEDBACK_BYTES,
    Expression,
    compile_condition,
    format_numbers,
    format_unexpired,
    marks,
    parse_numbers,
)

_TEXTS = f"SELECT {TEXT_COLUMNS} FROM documents WHERE"
# The plus keeps SQLite from scanning the whole collection for a few of its rows.
_BY_ROW = '+collection = ? AND documents."row" IN (SELECT value FROM json_each(?))'
_TEXT_BYTES = f"total({' + '.join(f'ifnull(length(CAST({column} AS BLOB)), 0)' for column in TEXTS)})"
MAX_CACHED_ROWS = 256
"""Documents that are read with more others than this pass the cache by: an export would empty it."""
_Item = TypeVar("_Item")


class Reader(SQLReader):
    """One consistent state of the store, for one thread, within the block that opened it."""

    FEEDBACK_BYTES = FEEDBACK_BYTES
    BY_EXPIRY = "INDEXED BY documents_by_expiry"
    BY_ROW = "+documents.collection"
    JOIN_VECTORS = 'JOIN vectors ON vectors.document = documents."row"'
    ON_WORDS = 'words ON words.id = vectors."row" << 8'
    ON_PARTS = 'words ON words.id BETWEEN vectors."row" << 8 AND (vectors."row" << 8) + 255'
    # A few rows of a small index first, and then the document of each.
    FROM_WAITING = 'vectors INDEXED BY vectors_waiting CROSS JOIN documents ON documents."row" = vectors.document'

    def __init__(
        self,
        connection: Connection,
        gathered: Any = None,
        visibility: Visibility = ALL,
        cached_texts: CachedTexts | None = None,
    ) -> None:
        self._connection = connection
        self._cached_texts = cached_texts
        self.gathered = gathered
        self.visibility, self._now = visibility, visibility.instant
        self._stored = document_rows.EVERY.sql
        self._unexpired = document_rows.EVERY if self._now is None else Expression(format_unexpired(self._now))
        self._living = self._unexpired.sql

    def seeing(self, visibility: Visibility) -> Reader:
        """Return a reader of the same state that sees other documents."""
        return Reader(self._connection, self.gathered, visibility, self._cached_texts)

    def read_copies(self, shadow: int) -> tuple[RowNumbers, RowNumbers]:
        """Return the row numbers int64[n] of the originals of a shadow, ascending, and of their copies."""
        columns = self._connection.execute(
            'SELECT group_concat(source), group_concat("row") FROM'
            ' (SELECT source, "row" FROM copied_rows WHERE shadow = ? ORDER BY source)',
            (shadow,),
        ).fetchone()
        sources, rows = (parse_numbers(text) for text in columns)
        return sources, rows

    def count_own_vectors(self, collection: int) -> OwnVectors:
        """Count the documents with vectors that no encoder made, see `softkv_service.storage.interface.Reader`."""
        settings = self._collection("id", collection).settings
        if settings.encoder is None:
            own_keys, own_values = "keys > 0", "value_vector IS NOT NULL"
        else:
            own_keys = "keys > 0 AND (key IS NULL OR keys > 1 AND first IS NULL)"
            own_values = "value_vector IS NOT NULL"
            if settings.value_from == "value":
                own_values += " AND ltrim(value) NOT GLOB '\"*'"
        counts = self._connection.execute(
            f"SELECT count(*) FILTER (WHERE {own_keys}), count(*) FILTER (WHERE {own_values}),"
            f" count(*) FILTER (WHERE {own_keys} OR {own_values})"
            ' FROM documents JOIN vectors ON vectors."row" = documents."row" WHERE collection = ?',
            (collection,),
        ).fetchone()
        return OwnVectors(*counts)

    def count(self, collection: int, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """Count the documents of a collection that have one of `ids` and match `condition`."""
        if ids is None and self.visibility.joined(condition) is None:
            row = self._connection.execute("SELECT documents FROM collections WHERE id = ?", (collection,)).fetchone()
            stored = 0 if row is None else int(row[0])
            return stored - self.count_expired(collection).documents
        if ids is None:
            return self._count(collection, self._where(condition, collection))
        return len(self.existing(collection, ids, condition=condition))

    def usage(self, collection: int, condition: Condition | None = None) -> CollectionUsage:
        """Return numbers and size of the documents of a collection that match; raises CollectionMissing."""
        where, width = self._where(condition, collection), self._collection("id", collection).settings.dimension or 0
        documents, keyless, keys, size = self._connection.execute(
            f"SELECT count(*), total(keys = 0), total(keys), {_TEXT_BYTES} FROM documents"
            f" WHERE collection = ? AND {where.sql}",
            (collection, *where.parameters),
        ).fetchone()
        size += self._words_bytes(collection, where)
        return CollectionUsage(documents, int(keyless), int(keys), int(size) + 4 * width * int(keys))

    def _words_bytes(self, collection: int, where: Expression) -> float:
        """Return the bytes of the kept words of the documents that match."""
        if not self._collection("id", collection).settings.late:
            return 0
        (size,) = self._connection.execute(
            f"SELECT total(length(words.words)) FROM documents {self.JOIN_VECTORS} JOIN {self.ON_PARTS}"
            f" WHERE collection = ? AND {where.sql}",
            (collection, *where.parameters),
        ).fetchone()
        return float(size)

    def _read_words(self, collection: int, rows: RowNumbers) -> ResultRows:
        statement = (
            'SELECT words."row", words, checksum FROM json_each(?)'
            " JOIN words ON words.id BETWEEN value << 8 AND (value << 8) + 255 ORDER BY words.id"
        )
        return self._connection.execute(statement, (format_numbers(rows),)).fetchall()

    def existing(self, collection: int, ids: Sequence[str], *, condition: Condition | None = None) -> dict[str, int]:
        """Map each id that exists, of a document that matches, to its row number."""
        distinct = list(dict.fromkeys(filter(is_utf8, ids)))
        return document_rows.existing(self._connection, collection, distinct, self._where(condition, collection))

    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """Return the documents with these row numbers int64[n], in their order, without their vectors."""
        if self._cached_texts is None or len(rows) > MAX_CACHED_ROWS:
            return self._read_texts(collection, np.asarray(rows).tolist())
        return self._cached_texts.texts(rows, partial(self._read_texts, collection))

    def _read_texts(self, collection: int, rows: Sequence[int]) -> list[StoredDocument]:
        stored = self._connection.execute(f"{_TEXTS} {_BY_ROW}", (collection, format_numbers(rows))).fetchall()
        texts_by_row = {texts.row: texts for texts in texts_of(stored)}
        return [_pick(texts_by_row, row) for row in rows]

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """Return the ids of the documents with these row numbers int64[n], in their order."""
        id_by_row = {}
        for row, identity, stored_hash in self._connection.execute(
            f'SELECT "row", id, id_hash FROM documents WHERE {_BY_ROW}', (collection, format_numbers(rows))
        ):
            if id_hash(identity) != stored_hash:
                raise DocumentDamaged(row, identity, vectors=False)
            id_by_row[row] = identity
        return [_pick(id_by_row, row) for row in np.asarray(rows).tolist()]

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """Return the row numbers int64[n], from `first` to `last`, of the documents that match; ascending."""
        return document_rows.rows_where(self._connection, collection, self._where(condition, collection), first, last)

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """Return a field of all documents with row numbers above `after`.

        Returns None if it would take more than `most_bytes` of memory.
        """
        return read_column(self._connection, collection, field, after=after, most_bytes=most_bytes)

    def field_names(self, collection: int, *, after: str | None = None, limit: int) -> list[str]:
        """Return at most `limit` names of metadata fields after `after`, ordered by code point."""
        if self.visibility.condition is not None:
            return visible_names(self, collection, after, limit)
        return read_names(self._connection, collection, after, limit, self._now)

    def field_kinds(self, collection: int, name: str) -> FieldKinds:
        """Return which kinds of values (texts, numbers, …) a metadata field has, without reading all of its values."""
        visible = None if self.visibility.condition is None else format_numbers(self.rows_where(collection))
        return read_kinds(self._connection, collection, name, visible, self._now)

    def field_facts(
        self,
        collection: int,
        names: Sequence[str],
        *,
        condition: Condition | None = None,
        values: int = 0,
        after: FieldValue | None = None,
    ) -> list[FieldFacts]:
        """Return statistics of each of these fields over the documents that match.

        Args:
            values: how many distinct values to list: most frequent first, then in the order of values.
            after: list the values after this one.
        """
        every = self.visibility.joined(condition) is None and self._now is None
        rows = None if every else format_numbers(self.rows_where(collection, condition))
        return [read_facts(self._connection, collection, name, rows, values, after) for name in names]

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        documents: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
    ) -> Iterator[KeyRows]:
        """Yield all keys and their values in batches of `batch` documents, by row number.

        Args:
            documents: the documents' row numbers int64[n], ascending; None for all documents.
            damaged: receives each document whose vectors do not match their checksum; the document is left out. Without
                it, the first one is raised.

        Raises:
            CollectionDamaged: the collection lacks some of its documents.
        """
        record = self._collection("id", collection)
        if self.visibility.condition is not None:
            visible = self.rows_where(collection)
            documents = visible if documents is None else np.intersect1d(visible, documents, assume_unique=True)
        rows = document_rows.rows_of(self._connection, collection, documents, self._unexpired)
        if documents is None and self._now is None and len(rows) != record.documents:
            raise CollectionDamaged(record.name, f"it holds {record.documents} documents, {len(rows)} are found")
        for start in range(0, len(rows), batch):
            keys = vector_rows.keys_of(self._connection, rows[start : start + batch].tolist(), damaged)
            if keys is not None:
                yield keys

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Return row numbers, document numbers and checksums, int64[n] each, of keys from `first` to `last`, in all
        collections.
        """
        return vector_rows.checksums(self._connection, first, last)

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """Return sums over keys from `first` to `last`, in all collections, and over documents with keys from
        `document` to `last`.
        """
        return vector_rows.sums(self._connection, collection, document, first, last)

    def check_texts(self, after: Cursor | None, limit: int) -> tuple[Cursor | None, list[tuple[int, DocumentDamaged]]]:
        """Check the texts of up to `limit` documents of all collections against their checksums, after a cursor; None
        starts at the first document.

        Returns the cursor of the last document, or None at the end, and the damaged documents, each with the number of
        its collection.
        """
        rows = self._connection.execute(
            f'SELECT {TEXT_COLUMNS} FROM documents WHERE "row" > ? ORDER BY "row" LIMIT ?',
            (after[0] if after else 0, limit),
        ).fetchall()
        damaged = []
        for row in rows:
            try:
                texts_of([row])
            except DocumentDamaged as error:
                damaged.append((row[1], error))
        return ((rows[-1][0],) if rows else None), damaged

    def page_in_order(
        self,
        collection: int,
        order: Order,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: Position | None = None,
        limit: int = 1000,
    ) -> list[StoredDocument]:
        """Return at most `limit` documents after a position, in the order of a field, without their vectors."""
        where = self._where(condition, collection)
        if ids is not None:
            storable = json.dumps([identity for identity in ids if is_utf8(identity)])
            where = _and(Expression("documents.id IN (SELECT value FROM json_each(?))", (storable,)), where)
        return self._read_texts(collection, rows_in_order(self._connection, collection, order, after, limit, where))

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
        if ids is None:
            where = self._where(condition, collection)
            if after is not None:
                where = _and(Expression("documents.id > ?", (after,)), where)
            return self._page(collection, where, limit)
        documents: list[StoredDocument] = []
        for chunk in _chunks([identity for identity in ids if after is None or identity > after]):
            if len(documents) == limit:
                break
            every = self.visibility.joined(condition) is None
            matching = chunk if every else list(self.existing(collection, chunk, condition=condition))
            where = _and(_has_id(matching), self._unexpired)
            documents += self._page(collection, where, limit - len(documents))
        return documents

    def search(self, collection: int) -> Search | RestrictedSearch:
        """Return the collection's search in SQL, by `=` and by full text; raises CollectionMissing."""
        number, condition = self._collection("id", collection).id, self.visibility.condition
        search = Search(self._connection, number, self._now, condition)
        if condition is None:
            return search
        return RestrictedSearch(search, Search(self._connection, number, None), condition)

    def expiring(self, collection: int, *, first: int = 0) -> ExpiryRows:
        """Return the documents that expire, expired ones too, with row numbers from `first` on.

        They are ordered by their instants.
        """
        expiring = document_rows.expiring(self._connection, collection)
        later = expiring.rows >= first
        return ExpiryRows(expiring.rows[later], expiring.expires[later])

    def _where(self, condition: Condition | None, collection: int) -> Expression:
        """Compile a condition and the visibility of this reader to SQL."""
        condition = self.visibility.joined(condition)
        if condition is None:
            return self._unexpired
        where = compile_condition(condition, collection)
        return where if self._now is None else _and(self._unexpired, where)

    def _all(self, statement: str, *parameters: Any) -> ResultRows:
        return self._connection.execute(statement.replace("softkv.", ""), parameters).fetchall()

    def _vectors(self, collection: int, rows: Iterable[int]) -> dict[int, tuple[Any, ...]]:
        return vector_rows.read(self._connection, '"row"', rows)

    def _count(self, collection: int, where: Expression) -> int:
        (count,) = self._connection.execute(
            f"SELECT count(*) FROM documents WHERE collection = ? AND {where.sql}",
            (collection, *where.parameters),
        ).fetchone()
        return int(count)

    def _page(self, collection: int, where: Expression, limit: int) -> list[StoredDocument]:
        rows = self._connection.execute(
            f"{_TEXTS} collection = ? AND {where.sql} ORDER BY documents.id LIMIT ?",
            (collection, *where.parameters, limit),
        )
        return texts_of(rows)


def _and(left: Expression, right: Expression) -> Expression:
    return Expression(f"{left.sql} AND {right.sql}", left.parameters + right.parameters)


def _has_id(ids: Sequence[str]) -> Expression:
    return Expression(f"documents.id IN ({marks(ids)})", tuple(ids))


def _chunks(ids: Sequence[str], size: int = 1000) -> Iterator[list[str]]:
    """Yield sorted distinct ids in chunks; an id that is not UTF-8 cannot exist and is left out."""
    ordered = sorted({identity for identity in ids if is_utf8(identity)})
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _pick(items: dict[Any, _Item], row: int) -> _Item:
    try:
        return items[row]
    except KeyError:
        raise DocumentDamaged(row, None, vectors=False) from None

"""Read transactions in PostgreSQL: every method of one reader sees the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
from psycopg import Connection

from softkv_postgres import change_log, document_rows, vector_rows
from softkv_postgres.connections import work_memory
from softkv_postgres.fields import read_column, read_facts, read_kinds, read_names, rows_in_order
from softkv_postgres.search import Search
from softkv_postgres.statements import (
    FEEDBACK_BYTES,
    LAST,
    LIVING,
    TRUE,
    Expression,
    array,
    both,
    format_unexpired,
    living_at,
    numbers,
    where_passes,
    with_ids,
)
from softkv_service.storage import Cursor, KeySums, id_hash
from softkv_service.storage.conditions import ALL, Column, Condition, Order, Position, Visibility
from softkv_service.storage.errors import CollectionDamaged, CollectionMissing, DocumentDamaged
from softkv_service.storage.fields import is_utf8
from softkv_service.storage.re_encoding import OwnVectors
from softkv_service.storage.records import (
    CollectionUsage,
    ExpiryRows,
    Extent,
    FieldFacts,
    FieldKinds,
    FieldValue,
    KeyRows,
    RowNumbers,
    StoredDocument,
)
from softkv_service.storage.restricted import RestrictedSearch, visible_names
from softkv_service.storage.serialisation import NUL, TEXT_COLUMNS, TEXTS, texts_of
from softkv_service.storage.sql import ResultRows, SQLReader

_Item = TypeVar("_Item")
_TEXT_BYTES = f"coalesce(sum({' + '.join(f'coalesce(octet_length({column}), 0)' for column in TEXTS)}), 0)"


class Reader(SQLReader):
    """One consistent state of the store, for one thread, within the block that opened it.

    Args:
        connection: a connection in a transaction that sees one state; without one if there is a version.
        gathered: the result of the `gather` of `Store.reading`.
        version: the version of the one collection that is read; None for what the transaction sees.
        visibility: which documents are seen.
    """

    FEEDBACK_BYTES = FEEDBACK_BYTES
    JOIN_VECTORS = (
        'JOIN softkv.vectors ON vectors.collection = documents.collection AND vectors.document = documents."row"'
    )
    ON_WORDS = 'softkv.words ON words.collection = vectors.collection AND words."row" = vectors."row"'
    FROM_WAITING = (
        "softkv.vectors JOIN softkv.documents"
        ' ON documents.collection = vectors.collection AND documents."row" = vectors.document'
    )

    def __init__(
        self,
        connection: Connection[Any],
        gathered: Any = None,
        version: int | None = None,
        visibility: Visibility = ALL,
    ) -> None:
        self._connection = connection
        self.gathered = gathered
        self.visibility, self._version, self._now = visibility, version, visibility.instant
        self._stored = LIVING if version is None else living_at(version)
        self._living = format_unexpired(self._stored, self._now)

    def seeing(self, visibility: Visibility) -> Reader:
        """Return a reader of the same state that sees other documents."""
        return Reader(self._connection, self.gathered, self._version, visibility)

    def read_copies(self, shadow: int) -> tuple[RowNumbers, RowNumbers]:
        """Return the row numbers int64[n] of the originals of a shadow, ascending, and of their copies."""
        pairs = self._all('SELECT source, "row" FROM softkv.copied_rows WHERE shadow = %s ORDER BY source', shadow)
        sources, rows = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
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
                own_values += " AND NOT starts_with(ltrim(value), '\"')"
        rows = self._all(
            f"SELECT count(*) FILTER (WHERE {own_keys}), count(*) FILTER (WHERE {own_values}),"
            f" count(*) FILTER (WHERE {own_keys} OR {own_values})"
            " FROM softkv.documents JOIN softkv.vectors"
            ' ON vectors.collection = documents.collection AND vectors."row" = documents."row"'
            f" WHERE documents.collection = %s AND {self._living}",
            collection,
        )
        return OwnVectors(*rows[0])

    def version(self, collection: int) -> int:
        """Return the version of a collection that this reader sees; raises CollectionMissing."""
        rows = self._all("SELECT version FROM softkv.collections WHERE id = %s", collection)
        if not rows:
            raise CollectionMissing(collection)
        return int(rows[0][0])

    def extent(self, collection: int) -> Extent:
        """Return the extent of a collection that this reader sees; raises CollectionMissing."""
        rows = self._all("SELECT version, next_row FROM softkv.collections WHERE id = %s", collection)
        if not rows:
            raise CollectionMissing(collection)
        return Extent(*rows[0])

    def is_retained(self, collection: int) -> bool:
        """Return whether everything read of a version until now was complete; raises CollectionMissing."""
        return self._version is None or change_log.is_retained(self._connection, collection, self._version)

    def count(self, collection: int, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """Count the documents of a collection that have one of `ids` and match `condition`."""
        if ids is None and self.visibility.joined(condition) is None:
            stored = self._count_stored(collection)
            return stored - self.count_expired(collection).documents
        where = both(with_ids(ids), self._passes(condition, collection))
        statement = f"SELECT count(*) FROM softkv.documents WHERE collection = %s AND {self._living} AND {where.sql}"
        with work_memory(self._connection):
            return int(self._all(statement, collection, *where.parameters)[0][0])

    def _count_stored(self, collection: int) -> int:
        if self._version is not None:
            return change_log.count_at(self._connection, collection, self._version)
        rows = self._all("SELECT documents FROM softkv.collections WHERE id = %s", collection)
        return int(rows[0][0]) if rows else 0

    def expiring(
        self,
        collection: int,
        *,
        first: int = 0,
        last: int | None = None,
        after: int | None = None,
        until: int | None = None,
    ) -> ExpiryRows:
        """Return the documents with row numbers from `first` to `last` that expire, expired ones too.

        They are ordered by their instants.

        Args:
            after, until: only those that expire after an instant, and up to another; None for no limit.
        """
        instants = "expires IS NOT NULL"
        if after is not None:
            instants += f" AND expires > {int(after)}"
        if until is not None:
            instants += f" AND expires <= {int(until)}"
        rows = self._all(
            'SELECT array_agg("row" ORDER BY expires, "row"), array_agg(expires ORDER BY expires, "row")'
            f' FROM softkv.documents WHERE collection = %s AND {instants} AND "row" BETWEEN %s AND %s'
            f" AND {self._stored}",
            collection,
            first,
            LAST if last is None else last,
        )
        return ExpiryRows(*map(array, rows[0]))

    def find_expiries(self, collection: int, now: int) -> tuple[int | None, int | None]:
        """Return the last instant until `now` at which a document expires, and the first one after it.

        Each is None if there is no such document.
        """
        sides = [("max", "<="), ("min", ">")]
        statement = ", ".join(
            f"(SELECT {side}(expires) FROM softkv.documents WHERE collection = %s AND expires {operator} %s"
            f" AND {self._stored})"
            for side, operator in sides
        )
        ((last, following),) = self._all(f"SELECT {statement}", *(collection, now) * 2)
        return last, following

    def usage(self, collection: int, condition: Condition | None = None) -> CollectionUsage:
        """Return numbers and size of the documents of a collection that match; raises CollectionMissing."""
        where, width = self._passes(condition, collection), self._collection("id", collection).settings.dimension or 0
        statement = (
            f"SELECT count(*), count(*) FILTER (WHERE keys = 0), coalesce(sum(keys), 0), {_TEXT_BYTES}"
            f" FROM softkv.documents WHERE collection = %s AND {self._living} AND {where.sql}"
        )
        with work_memory(self._connection):
            ((documents, keyless, keys, size),) = self._all(statement, collection, *where.parameters)
        size += self._words_bytes(collection, where)
        return CollectionUsage(documents, keyless, int(keys), int(size) + 4 * width * int(keys))

    def _words_bytes(self, collection: int, where: Expression) -> int:
        """Return the bytes of the kept words of the documents that match."""
        if not self._collection("id", collection).settings.late:
            return 0
        statement = (
            "SELECT coalesce(sum(octet_length(kept.words)), 0) FROM softkv.words AS kept JOIN softkv.vectors"
            ' ON vectors.collection = kept.collection AND vectors."row" = kept."row"'
            " WHERE kept.collection = %s AND vectors.document IN"
            f' (SELECT "row" FROM softkv.documents WHERE collection = %s AND {self._living} AND {where.sql})'
        )
        return int(self._all(statement, collection, collection, *where.parameters)[0][0])

    def _read_words(self, collection: int, rows: RowNumbers) -> ResultRows:
        statement = 'SELECT "row", words, checksum FROM softkv.words WHERE collection = %s AND "row" = ANY(%s)'
        return self._all(statement, collection, numbers(rows))

    def existing(self, collection: int, ids: Sequence[str], *, condition: Condition | None = None) -> dict[str, int]:
        """Map each id that exists, of a document that matches, to its row number."""
        distinct, where = list(dict.fromkeys(filter(is_utf8, ids))), self._passes(condition, collection)
        return document_rows.existing(self._connection, collection, distinct, both(Expression(self._living), where))

    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """Return the documents with these row numbers int64[n], in their order, without their vectors."""
        rows_read = self._all(
            f'SELECT {TEXT_COLUMNS} FROM softkv.documents WHERE collection = %s AND "row" = ANY(%s)',
            collection,
            numbers(rows),
        )
        texts_by_row = {texts.row: texts for texts in texts_of(rows_read)}
        return [self._pick(collection, texts_by_row, row) for row in numbers(rows)]

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """Return the ids of the documents with these row numbers int64[n], in their order."""
        id_by_row = {}
        for row, identity, stored_hash in self._all(
            'SELECT "row", id, id_hash FROM softkv.documents WHERE collection = %s AND "row" = ANY(%s)',
            collection,
            numbers(rows),
        ):
            if id_hash(identity) != stored_hash:
                raise DocumentDamaged(row, identity, vectors=False)
            id_by_row[row] = identity
        return [self._pick(collection, id_by_row, row) for row in numbers(rows)]

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """Return the row numbers int64[n], from `first` to `last`, of the documents that match; ascending."""
        where = self._passes(condition, collection)
        statement = (
            'SELECT array_agg(documents."row") FROM softkv.documents WHERE collection = %s AND "row" BETWEEN %s AND %s'
            f" AND {self._living} AND {where.sql}"
        )
        parameters = (collection, first, LAST if last is None else last, *where.parameters)
        with work_memory(self._connection), self._connection.cursor() as cursor:
            row = cursor.execute(statement, parameters).fetchone()
        return np.sort(array(row[0] if row else None))

    def column(
        self, collection: int, field: str, *, after: int = 0, last: int | None = None, most_bytes: int | None = None
    ) -> Column | None:
        """Return a field of all documents, deleted ones too, with row numbers above `after` and up to `last`.

        Returns None if it would take more than `most_bytes` of memory.
        """
        return read_column(self._connection, collection, field, after=after, last=last, most_bytes=most_bytes)

    def field_names(self, collection: int, *, after: str | None = None, limit: int) -> list[str]:
        """Return at most `limit` names of metadata fields after `after`, ordered by code point."""
        if self.visibility.condition is not None:
            return visible_names(self, collection, after, limit)
        return read_names(self._connection, collection, after and after.partition(NUL)[0], limit, self._living)

    def field_kinds(self, collection: int, name: str) -> FieldKinds:
        """Return which kinds of values (texts, numbers, …) a metadata field has, without reading all of its values."""
        visible = None if self.visibility.condition is None else numbers(self.rows_where(collection))
        return read_kinds(self._connection, collection, name, visible, self._living)

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
        every = self.visibility.joined(condition) is None
        rows = None if every else numbers(self.rows_where(collection, condition))
        return [read_facts(self._connection, collection, name, rows, values, after, self._living) for name in names]

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        documents: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
        first: int = 0,
        last: int | None = None,
    ) -> Iterator[KeyRows]:
        """Yield all keys and their values in batches of `batch` documents, by row number; see
        `softkv_service.storage.Reader`.

        Args:
            first, last: the range of row numbers to read.
        """
        rows = self.rows_where(collection, first=first, last=last)
        is_complete = not first and last is None and self.visibility == ALL
        if is_complete and len(rows) != (count := self.count(collection)):
            name = self._collection("id", collection).name
            raise CollectionDamaged(name, f"it holds {count} documents, {len(rows)} are found")
        rows = rows if documents is None else np.intersect1d(rows, documents, assume_unique=True)
        for start in range(0, len(rows), batch):
            keys = vector_rows.keys_of(self._connection, collection, rows[start : start + batch].tolist(), damaged)
            if keys is not None:
                yield keys

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Return row numbers, document numbers and checksums, int64[n] each, of keys from `first` to `last`.

        Keys of documents that were deleted since are included.
        """
        return vector_rows.checksums(self._connection, collection, first, last)

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """Return sums over keys from `first` to `last`, and over documents with keys from `document` to `last`.

        Keys of documents that were deleted since are included.
        """
        return vector_rows.sums(self._connection, collection, document, first, last, self._living)

    def check_texts(self, after: Cursor | None, limit: int) -> tuple[Cursor | None, list[tuple[int, DocumentDamaged]]]:
        """Check the texts of up to `limit` documents of all collections against their checksums, after a cursor; None
        starts at the first document.

        Returns the cursor of the last document, or None at the end, and the damaged documents, each with the number of
        its collection.
        """
        rows = self._all(
            f"SELECT {TEXT_COLUMNS} FROM softkv.documents"
            f' WHERE (collection, "row") > (%s, %s) AND {LIVING} ORDER BY collection, "row" LIMIT %s',
            *(after or (0, 0)),
            limit,
        )
        damaged = []
        for row in rows:
            try:
                texts_of([row])
            except DocumentDamaged as error:
                damaged.append((row[1], error))
        return ((rows[-1][1], rows[-1][0]) if rows else None), damaged

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
        after_id = TRUE if after is None else Expression("documents.id > %s", (after.partition(NUL)[0],))
        where = both(with_ids(ids), after_id, self._passes(condition, collection))
        statement = (
            f"SELECT {TEXT_COLUMNS} FROM softkv.documents WHERE collection = %s AND {self._living} AND {where.sql}"
            " ORDER BY documents.id LIMIT %s"
        )
        with nullcontext() if self.visibility.joined(condition) is None else work_memory(self._connection):
            rows = self._all(statement, collection, *where.parameters, limit)
        return texts_of(rows)

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
        where = both(with_ids(ids), self._passes(condition, collection))
        rows = rows_in_order(self._connection, collection, order, after, limit, where, self._living)
        return self.texts(collection, np.array(rows, dtype=np.int64))

    def search(self, collection: int) -> Search | RestrictedSearch:
        """Return the collection's search in SQL, by `=` and by full text; raises CollectionMissing."""
        number, condition = self._collection("id", collection).id, self.visibility.condition
        search = Search(self._connection, number, self._living)
        if condition is None:
            return search
        return RestrictedSearch(search, Search(self._connection, number, LIVING), condition)

    def _passes(self, condition: Condition | None, collection: int) -> Expression:
        """Compile a condition and that of this reader's visibility to SQL; `_living` has the instant."""
        return where_passes(self.visibility.joined(condition), collection)

    def _all(self, statement: str, *parameters: Any) -> ResultRows:
        return self._connection.execute(statement.replace("?", "%s"), parameters).fetchall()

    def _vectors(self, collection: int, rows: Iterable[int]) -> dict[int, tuple[Any, ...]]:
        return vector_rows.read(self._connection, collection, '"row"', rows)

    def _pick(self, collection: int, items: dict[Any, _Item], row: int) -> _Item:
        if row in items:
            return items[row]
        self._collection("id", collection)  # the collection may be deleted while a version is read
        raise DocumentDamaged(row, None, vectors=False)

"""What can be read: every method of one reader sees the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from psycopg import Connection

from service.storage.checksums import id_hash
from service.storage.column import Column
from service.storage.conditions import Condition
from service.storage.errors import CollectionDamaged, CollectionMissing, DocumentDamaged
from service.storage.fields import is_utf8
from service.storage.interface import Cursor
from service.storage.key_rows import KeySums
from service.storage.postgres import change_log, document_rows, vector_rows
from service.storage.postgres.fields import read_column, read_facts, read_kinds, read_names
from service.storage.postgres.search import Search
from service.storage.postgres.statements import (
    COLLECTION_COLUMNS,
    LAST,
    LIVING,
    TEXT_COLUMNS,
    TRUE,
    Expression,
    array,
    both,
    living_at,
    numbers,
    where_passes,
    with_ids,
)
from service.storage.records import (
    CollectionRecord,
    DocumentRecord,
    FieldFacts,
    FieldKinds,
    FieldValue,
    KeyRows,
    Matrix,
    RowNumbers,
    StoredDocument,
    TextSpan,
)
from service.storage.serialisation import NUL, collection_of, texts_of

_Found = TypeVar("_Found")


class Reader:
    """One consistent state of the store; use it in one thread, within the block that gave it.

    Args:
        connection: in a transaction that sees one state; or, with a version, in none.
        gathered: what `Store.reading` was given to gather.
        version: of the one collection that it is asked about; None for what the transaction sees.
    """

    def __init__(self, connection: Connection[Any], gathered: Any = None, version: int | None = None) -> None:
        self._connection = connection
        self.gathered = gathered
        self._version = version
        self._living = LIVING if version is None else living_at(version)

    def collections(self) -> list[CollectionRecord]:
        """Every collection, by name."""
        return [collection_of(row) for row in self._all(f"SELECT {COLLECTION_COLUMNS} FROM collections ORDER BY name")]

    def version(self, collection: int) -> int:
        """Of a collection, as this reader sees it; raises CollectionMissing."""
        rows = self._all("SELECT version FROM collections WHERE id = %s", collection)
        if not rows:
            raise CollectionMissing(collection)
        return int(rows[0][0])

    def is_retained(self, collection: int) -> bool:
        """Whether all that was read of a version until now was there; raises CollectionMissing where none of it is."""
        return self._version is None or change_log.is_retained(self._connection, collection, self._version)

    def collection(self, name: str) -> CollectionRecord:
        """The collection of that name; raises CollectionMissing."""
        return self._collection("name", name)

    def count(self, collection: int, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """How many documents of a collection there are: among `ids`, passing `condition`."""
        if ids is None and condition is None:
            if self._version is not None:
                return change_log.count_at(self._connection, collection, self._version)
            kept = self._all("SELECT documents FROM collections WHERE id = %s", collection)
            return int(kept[0][0]) if kept else 0
        where = both(with_ids(ids), where_passes(condition, collection))
        statement = f"SELECT count(*) FROM documents WHERE collection = %s AND {self._living} AND {where.sql}"
        return int(self._all(statement, collection, *where.parameters)[0][0])

    def document(self, collection: int, identity: str) -> DocumentRecord | None:
        """The document with that id, or None."""
        found = self.page(collection, ids=[identity], limit=1)
        return found[0] if found else None

    def existing(self, collection: int, ids: Sequence[str]) -> dict[str, int]:
        """The row number of each of the ids that is there."""
        wanted = list(dict.fromkeys(filter(is_utf8, ids)))
        return document_rows.existing(self._connection, collection, wanted, self._living)

    def rows_among(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """The row numbers int64[n] of those of the ids that are there, ascending."""
        return np.sort(np.fromiter(self.existing(collection, ids).values(), dtype=np.int64))

    def documents(self, collection: int, rows: RowNumbers) -> list[DocumentRecord]:
        """The documents with those row numbers int64[n], in their order."""
        return vector_rows.of_documents(self._connection, collection, self.texts(collection, rows))

    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """The same without their vectors."""
        read = self._all(
            f'SELECT {TEXT_COLUMNS} FROM documents WHERE collection = %s AND "row" = ANY(%s)', collection, numbers(rows)
        )
        found = {texts.row: texts for texts in map(texts_of, read)}
        return [self._found(collection, found, row) for row in numbers(rows)]

    def parts(self, collection: int, rows: RowNumbers) -> list[TextSpan | None]:
        """What part of a key text each of the keys with these row numbers int64[n] is of; None of all of it."""
        return vector_rows.parts(self._connection, collection, rows)

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """The ids of the documents with those row numbers int64[n], in their order."""
        found = {}
        for row, identity, stored in self._all(
            'SELECT "row", id, id_hash FROM documents WHERE collection = %s AND "row" = ANY(%s)',
            collection,
            numbers(rows),
        ):
            if id_hash(identity) != stored:
                raise DocumentDamaged(row, identity, vectors=False)
            found[row] = identity
        return [self._found(collection, found, row) for row in numbers(rows)]

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """The row numbers int64[n] of the documents that pass, ascending; those from `first` to `last`."""
        where = where_passes(condition, collection)
        statement = (
            'SELECT array_agg(documents."row") FROM documents WHERE collection = %s AND "row" BETWEEN %s AND %s'
            f" AND {self._living} AND {where.sql}"
        )
        parameters = (collection, first, LAST if last is None else last, *where.parameters)
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(statement, parameters).fetchone()
        return np.sort(array(found[0] if found else None))

    def column(
        self, collection: int, field: str, *, after: int = 0, last: int | None = None, most_bytes: int | None = None
    ) -> Column | None:
        """A field of the metadata of all documents with row numbers above `after`, up to `last`, those gone too.

        None where it would take more than `most_bytes` of memory.
        """
        return read_column(self._connection, collection, field, after=after, last=last, most_bytes=most_bytes)

    def field_names(self, collection: int, *, after: str | None = None, limit: int) -> list[str]:
        """At most `limit` names of metadata fields, by code point, those after `after`."""
        return read_names(self._connection, collection, after and after.partition(NUL)[0], limit, self._living)

    def field_kinds(self, collection: int, name: str) -> FieldKinds:
        """Which kinds of values a metadata field has, without reading them all."""
        return read_kinds(self._connection, collection, name, self._living)

    def field_facts(
        self,
        collection: int,
        names: Sequence[str],
        *,
        condition: Condition | None = None,
        values: int = 0,
        after: FieldValue | None = None,
    ) -> list[FieldFacts]:
        """What each of these fields holds in the documents that pass.

        Args:
            values: how many of its values to name: those of most documents first, then in the order of values.
            after: the value behind which they begin.
        """
        rows = None if condition is None else numbers(self.rows_where(collection, condition))
        return [read_facts(self._connection, collection, name, rows, values, after, self._living) for name in names]

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        among: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
        first: int = 0,
        last: int | None = None,
    ) -> Iterator[KeyRows]:
        """All keys and their values, see `service.storage.Reader`.

        Args:
            first, last: only of documents with row numbers from `first` to `last`.
        """
        rows = self.rows_where(collection, first=first, last=last)
        if not first and last is None and len(rows) != (count := self.count(collection)):
            name = self._collection("id", collection).name
            raise CollectionDamaged(name, f"it holds {count} documents, {len(rows)} are found")
        rows = rows if among is None else np.intersect1d(rows, among, assume_unique=True)
        for start in range(0, len(rows), batch):
            found = vector_rows.keys_of(self._connection, collection, rows[start : start + batch].tolist(), damaged)
            if found is not None:
                yield found

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """See `service.storage.Reader`; keys of documents that died since are told as well."""
        return vector_rows.checksums(self._connection, collection, first, last)

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """See `service.storage.Reader`; keys of documents that died since are added up as well."""
        return vector_rows.sums(self._connection, collection, document, first, last, self._living)

    def damaged_texts(
        self, after: Cursor | None, limit: int
    ) -> tuple[Cursor | None, list[tuple[int, DocumentDamaged]]]:
        """Check the texts of at most `limit` documents, of any collection, behind a place; None: from the first.

        Returns the place of the last of them, None at the end; and the damaged ones, each with its collection's number.
        """
        rows = self._all(
            f"SELECT {TEXT_COLUMNS} FROM documents"
            f' WHERE (collection, "row") > (%s, %s) AND {LIVING} ORDER BY collection, "row" LIMIT %s',
            *(after or (0, 0)),
            limit,
        )
        damaged = []
        for row in rows:
            try:
                texts_of(row)
            except DocumentDamaged as error:
                damaged.append((row[1], error))
        return ((rows[-1][1], rows[-1][0]) if rows else None), damaged

    def sample(self, collection: int, size: int) -> RowNumbers:
        """The row numbers int64[n] of at most `size` documents with keys, as good as random and the same everywhere.

        They stand in the order of a hash of their ids.
        """
        statement = (
            f'SELECT "row" FROM documents WHERE collection = %s AND keys > 0 AND {self._living}'
            " ORDER BY id_hash LIMIT %s"
        )
        return np.array([row for (row,) in self._all(statement, collection, size)], dtype=np.int64)

    def keys(self, collection: int, rows: RowNumbers) -> Matrix:
        """float32[n, d]: the first key of each of the documents with those row numbers, in their order."""
        return vector_rows.first_keys(self._connection, collection, rows)

    def page(
        self,
        collection: int,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[DocumentRecord]:
        """At most `limit` documents in the order of their ids (by code point), those after `after`."""
        found = self.page_of_texts(collection, ids=ids, condition=condition, after=after, limit=limit)
        return vector_rows.of_documents(self._connection, collection, found)

    def page_of_texts(
        self,
        collection: int,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[StoredDocument]:
        """The same without vectors."""
        behind = TRUE if after is None else Expression("documents.id > %s", (after.partition(NUL)[0],))
        where = both(with_ids(ids), behind, where_passes(condition, collection))
        rows = self._all(
            f"SELECT {TEXT_COLUMNS} FROM documents WHERE collection = %s AND {self._living} AND {where.sql}"
            " ORDER BY documents.id LIMIT %s",
            collection,
            *where.parameters,
            limit,
        )
        return [texts_of(row) for row in rows]

    def search(self, collection: int) -> Search:
        """SQL's own ways to ask the collection, `=` and full text; raises CollectionMissing."""
        return Search(self._connection, self._collection("id", collection).id, self._living)

    def _collection(self, column: str, value: str | int, also: str = "") -> CollectionRecord:
        if isinstance(value, str) and NUL in value:
            raise CollectionMissing(value)
        rows = self._all(f"SELECT {COLLECTION_COLUMNS} FROM collections WHERE {column} = %s {also}", value)
        if not rows:
            raise CollectionMissing(value)
        return collection_of(rows[0])

    def _all(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, parameters).fetchall()

    def _found(self, collection: int, found: dict[Any, _Found], row: int) -> _Found:
        if row in found:
            return found[row]
        self._collection("id", collection)  # who reads a version keeps nobody from deleting the collection
        raise DocumentDamaged(row, None, vectors=False)

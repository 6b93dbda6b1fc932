"""What can be read: every method of one reader sees the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from sqlite3 import Connection
from typing import Any, TypeVar

import numpy as np

from service.storage.checksums import id_hash
from service.storage.column import Column
from service.storage.conditions import Condition
from service.storage.errors import CollectionDamaged, CollectionMissing, DocumentDamaged
from service.storage.fields import is_utf8
from service.storage.interface import Cursor
from service.storage.key_rows import KeySums
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
from service.storage.serialisation import collection_of, texts_of
from service.storage.sqlite import document_rows, vector_rows
from service.storage.sqlite.fields import read_column, read_facts, read_kinds, read_names
from service.storage.sqlite.search import Search
from service.storage.sqlite.statements import (
    COLLECTION_COLUMNS,
    TEXT_COLUMNS,
    Expression,
    compile_condition,
    format_numbers,
    marks,
)

_TEXTS = f"SELECT {TEXT_COLUMNS} FROM documents WHERE"
# The plus keeps SQLite from walking through the whole collection for a few of its rows.
_BY_ROW = '+collection = ? AND documents."row" IN (SELECT value FROM json_each(?))'
_ALL = Expression("1")
_Found = TypeVar("_Found")


class Reader:
    """One consistent state of the store; use it in one thread, within the block that gave it."""

    def __init__(self, connection: Connection, gathered: Any = None) -> None:
        self._connection = connection
        self.gathered = gathered

    def collections(self) -> list[CollectionRecord]:
        """Every collection, by name."""
        rows = self._connection.execute(f"SELECT {COLLECTION_COLUMNS} FROM collections ORDER BY name")
        return [collection_of(row) for row in rows]

    def collection(self, name: str) -> CollectionRecord:
        """The collection of that name; raises CollectionMissing."""
        return self._collection("name", name)

    def count(self, collection: int, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """How many documents of a collection there are: among `ids`, passing `condition`."""
        if ids is None and condition is None:
            kept = self._connection.execute("SELECT documents FROM collections WHERE id = ?", (collection,)).fetchone()
            return 0 if kept is None else int(kept[0])
        where = _where(condition, collection)
        if ids is None:
            return self._count(collection, where)
        return sum(self._count(collection, _both(_among(chunk), where)) for chunk in _chunks(ids))

    def document(self, collection: int, identity: str) -> DocumentRecord | None:
        """The document with that id, or None."""
        found = self.page(collection, ids=[identity], limit=1)
        return found[0] if found else None

    def existing(self, collection: int, ids: Sequence[str]) -> dict[str, int]:
        """The row number of each of the ids that is there."""
        return document_rows.existing(self._connection, collection, list(dict.fromkeys(filter(is_utf8, ids))))

    def rows_among(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """The row numbers int64[n] of those of the ids that are there, ascending."""
        return np.sort(np.fromiter(self.existing(collection, ids).values(), dtype=np.int64))

    def documents(self, collection: int, rows: RowNumbers) -> list[DocumentRecord]:
        """The documents with those row numbers int64[n], in their order."""
        return vector_rows.of_documents(self._connection, self.texts(collection, rows))

    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """The same without their vectors."""
        read = self._connection.execute(f"{_TEXTS} {_BY_ROW}", (collection, format_numbers(rows)))
        found = {texts.row: texts for texts in map(texts_of, read)}
        return [_found(found, row) for row in np.asarray(rows).tolist()]

    def parts(self, collection: int, rows: RowNumbers) -> list[TextSpan | None]:
        """What part of a key text each of the keys with these row numbers int64[n] is of; None of all of it."""
        return vector_rows.parts(self._connection, rows)

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """The ids of the documents with those row numbers int64[n], in their order."""
        found = {}
        for row, identity, stored in self._connection.execute(
            f'SELECT "row", id, id_hash FROM documents WHERE {_BY_ROW}', (collection, format_numbers(rows))
        ):
            if id_hash(identity) != stored:
                raise DocumentDamaged(row, identity, vectors=False)
            found[row] = identity
        return [_found(found, row) for row in np.asarray(rows).tolist()]

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """The row numbers int64[n] of the documents that pass, ascending; those from `first` to `last`."""
        return document_rows.rows_where(self._connection, collection, _where(condition, collection), first, last)

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """A field of the metadata of all documents whose row numbers are above `after`.

        None where it would take more than `most_bytes` of memory.
        """
        return read_column(self._connection, collection, field, after=after, most_bytes=most_bytes)

    def field_names(self, collection: int, *, after: str | None = None, limit: int) -> list[str]:
        """At most `limit` names of metadata fields, by code point, those after `after`."""
        return read_names(self._connection, collection, after, limit)

    def field_kinds(self, collection: int, name: str) -> FieldKinds:
        """Which kinds of values a metadata field has, without reading them all."""
        return read_kinds(self._connection, collection, name)

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
        rows = None if condition is None else format_numbers(self.rows_where(collection, condition))
        return [read_facts(self._connection, collection, name, rows, values, after) for name in names]

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        among: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
    ) -> Iterator[KeyRows]:
        """All keys and their values, see `service.storage.Reader`."""
        record = self._collection("id", collection)
        if (count := self.count(collection)) != record.documents:
            raise CollectionDamaged(record.name, f"it holds {record.documents} documents, {count} are found")
        rows = document_rows.rows_of(self._connection, collection, among)
        for start in range(0, len(rows), batch):
            found = vector_rows.keys_of(self._connection, rows[start : start + batch].tolist(), damaged)
            if found is not None:
                yield found

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """See `service.storage.Reader`; all collections share their numbers, and all of their keys are told."""
        return vector_rows.checksums(self._connection, first, last)

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """See `service.storage.Reader`; all collections share their numbers, and all of their keys are added up."""
        return vector_rows.sums(self._connection, collection, document, first, last)

    def damaged_texts(
        self, after: Cursor | None, limit: int
    ) -> tuple[Cursor | None, list[tuple[int, DocumentDamaged]]]:
        """Check the texts of at most `limit` documents, of any collection, behind a row number; None: from the first.

        Returns the last of these numbers, None at the end; and the damaged ones, each with its collection's number.
        """
        rows = self._connection.execute(
            f'SELECT {TEXT_COLUMNS} FROM documents WHERE "row" > ? ORDER BY "row" LIMIT ?',
            (after[0] if after else 0, limit),
        ).fetchall()
        damaged = []
        for row in rows:
            try:
                texts_of(row)
            except DocumentDamaged as error:
                damaged.append((row[1], error))
        return ((rows[-1][0],) if rows else None), damaged

    def sample(self, collection: int, size: int) -> RowNumbers:
        """The row numbers int64[n] of at most `size` documents with keys, as good as random and the same everywhere.

        They stand in the order of a hash of their ids.
        """
        found = self._connection.execute(
            'SELECT "row" FROM documents WHERE collection = ? AND keys > 0 ORDER BY id_hash LIMIT ?',
            (collection, size),
        )
        return np.fromiter((row for (row,) in found), dtype=np.int64)

    def keys(self, collection: int, rows: RowNumbers) -> Matrix:
        """float32[n, d]: the first key of each of the documents with those row numbers, in their order."""
        return vector_rows.first_keys(self._connection, rows)

    def page(
        self,
        collection: int,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[DocumentRecord]:
        """At most `limit` documents in the order of their ids (by code point), those after `after`.

        Where the next page starts after the last id of this one, a document that is there
        throughout is seen exactly once, whatever is written in between.
        """
        return vector_rows.of_documents(self._connection, self._pages(collection, ids, condition, after, limit))

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
        return self._pages(collection, ids, condition, after, limit)

    def _pages(
        self, collection: int, ids: Sequence[str] | None, condition: Condition | None, after: str | None, limit: int
    ) -> list[StoredDocument]:
        where = _where(condition, collection)
        if after is not None:
            where = _both(Expression("documents.id > ?", (after,)), where)
        if ids is None:
            return self._page(collection, where, limit)
        found: list[StoredDocument] = []
        for chunk in _chunks([each for each in ids if after is None or each > after]):
            if len(found) == limit:
                break
            found += self._page(collection, _both(_among(chunk), where), limit - len(found))
        return found

    def search(self, collection: int) -> Search:
        """SQL's own ways to ask the collection, `=` and full text; raises CollectionMissing."""
        return Search(self._connection, self._collection("id", collection).id)

    def _collection(self, column: str, value: str | int) -> CollectionRecord:
        row = self._connection.execute(
            f"SELECT {COLLECTION_COLUMNS} FROM collections WHERE {column} = ?", (value,)
        ).fetchone()
        if row is None:
            raise CollectionMissing(value)
        return collection_of(row)

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
        return [texts_of(row) for row in rows]


def _where(condition: Condition | None, collection: int) -> Expression:
    return _ALL if condition is None else compile_condition(condition, collection)


def _both(left: Expression, right: Expression) -> Expression:
    return Expression(f"{left.sql} AND {right.sql}", left.parameters + right.parameters)


def _among(ids: Sequence[str]) -> Expression:
    return Expression(f"documents.id IN ({marks(ids)})", tuple(ids))


def _chunks(ids: Sequence[str], size: int = 1000) -> Iterator[list[str]]:
    """Ids in their order, each once; what is not UTF-8 names no document."""
    ordered = sorted({each for each in ids if is_utf8(each)})
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _found(found: dict[Any, _Found], row: int) -> _Found:
    try:
        return found[row]
    except KeyError:
        raise DocumentDamaged(row, None, vectors=False) from None

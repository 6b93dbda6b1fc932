"""Rows that are searched and then forgotten: the same tables and indexes, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from service.storage.records import CollectionSettings, SearchRow
from service.storage.sqlite import document_rows
from service.storage.sqlite.connections import connect
from service.storage.sqlite.failures import translate_errors
from service.storage.sqlite.schema.migrations import create
from service.storage.sqlite.search import Search
from service.storage.sqlite.writer import Writer
from service.storage.storable import DocumentTexts, refuse_repeated


@contextmanager
def temporary_search(rows: Sequence[SearchRow]) -> Iterator[Search]:
    """A search over these rows, of which nothing is stored.

    It answers as a collection of the same rows does. Raises DocumentsRepeated or Unstorable.
    """
    refuse_repeated([row.id for row in rows])
    texts = [DocumentTexts.of(row.id, row.key, row.value, {}) for row in rows]
    with translate_errors(Path(":memory:")), closing(connect(None)) as connection:
        create(connection)
        # No vectors are stored, so these settings say nothing.
        record = Writer(connection).create_collection("rows", CollectionSettings("cosine", 1.0))
        connection.execute("BEGIN")
        document_rows.insert(connection, record.id, texts, [1] * len(texts))
        connection.execute("COMMIT")
        yield Search(connection, record.id)

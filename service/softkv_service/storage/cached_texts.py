"""The texts of documents that were read recently, and a reader of them that never waits."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Any

from softkv_service.storage.conditions import ALL, Visibility
from softkv_service.storage.errors import NotInMemory
from softkv_service.storage.records import RowNumbers, StoredDocument

MIN_BYTES, MAX_BYTES = 2**24, 2**28
ENTRY_BYTES = 400
"""About the bytes that a cached document takes beside its texts."""


class CachedTexts:
    """The documents of one store that were read last, without their vectors, by row number. Many threads may use it.

    A store uses a row number once, and each write of a document gives it another number. So no entry is out of date. A
    transaction that may be rolled back must not use the cache, because the store then gives its numbers again.

    Attributes:
        max_bytes: how many bytes the documents may take together; those that were used longest ago leave first.
    """

    def __init__(self, max_bytes: int = MIN_BYTES) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._by_row: OrderedDict[int, StoredDocument] = OrderedDict()
        self._lock = Lock()

    def resize(self, max_bytes: int) -> None:
        """Keep up to this many bytes of documents, within what is of use."""
        self.max_bytes = min(max(max_bytes, MIN_BYTES), MAX_BYTES)

    @property
    def full(self) -> bool:
        """Whether another document would soon take the place of one that was used."""
        return self._bytes > 0.9 * self.max_bytes

    def forget(self, rows: Iterable[int]) -> None:
        """Drop documents that were deleted or replaced."""
        with self._lock:
            for row in rows:
                if (document := self._by_row.pop(row, None)) is not None:
                    self._bytes -= _count_bytes(document)

    def get(self, rows: Iterable[int]) -> dict[int, StoredDocument]:
        """Return those of the documents with these row numbers that are in the cache, by row number."""
        documents = dict[int, StoredDocument]()
        with self._lock:
            for row in rows:
                document = self._by_row.get(row)
                if document is not None:
                    self._by_row.move_to_end(row)
                    documents[row] = document
        return documents

    def add(self, documents: Iterable[StoredDocument]) -> None:
        """Add documents that were read from the store."""
        with self._lock:
            for document in documents:
                size = _count_bytes(document)
                if document.row in self._by_row or size > self.max_bytes // 64:  # else a few large ones fill the cache
                    continue
                self._by_row[document.row] = document
                self._bytes += size
            while self._bytes > self.max_bytes:
                self._bytes -= _count_bytes(self._by_row.popitem(last=False)[1])

    def texts(
        self, rows: RowNumbers, read: Callable[[Sequence[int]], Sequence[StoredDocument]]
    ) -> list[StoredDocument]:
        """Return the documents with these row numbers int64[n], in their order.

        Args:
            rows: the row numbers.
            read: reads the documents that are not in the cache, in the order of their row numbers.
        """
        numbers: list[int] = rows.tolist()
        documents = self.get(numbers)
        if missing := [row for row in numbers if row not in documents]:
            additional = read(missing)
            self.add(additional)
            documents |= {document.row: document for document in additional}
        return [documents[row] for row in numbers]


def _count_bytes(document: StoredDocument) -> int:
    texts = (document.id, document.key, document.value, document.metadata)
    return ENTRY_BYTES + sum(map(sys.getsizeof, texts))


class CachedReader:
    """A reader of the documents in the cache; for all else, its methods raise NotInMemory.

    Attributes:
        gathered: the result of the `gather` of `Store.memory_reader`.
        visibility: which documents the reader sees.
    """

    def __init__(self, texts: CachedTexts, gathered: Any, visibility: Visibility = ALL) -> None:
        self._texts = texts
        self.gathered = gathered
        self.visibility = visibility

    def seeing(self, visibility: Visibility) -> CachedReader:
        """Return a reader that sees other documents."""
        return CachedReader(self._texts, self.gathered, visibility)

    def texts(self, _: int, rows: RowNumbers) -> list[StoredDocument]:
        """Return the documents with these row numbers int64[n], in their order, without their vectors."""
        return self._texts.texts(rows, _refuse)

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """Return the ids of the documents with these row numbers int64[n], in their order."""
        return [document.id for document in self.texts(collection, rows)]

    def __getattr__(self, name: str) -> Any:
        raise NotInMemory(f"{name} needs the store")


def _refuse(rows: Sequence[int]) -> Sequence[StoredDocument]:
    raise NotInMemory(f"{len(rows)} documents are not in memory")

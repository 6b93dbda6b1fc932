"""What is read of the documents that an answer names: no more than was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.retrieval.queries.question import Array, DocumentDetail
from service.storage import CollectionRecord, DocumentRecord, Reader, StoredDocument, TextSpan

Document = StoredDocument | DocumentRecord


@dataclass(frozen=True)
class BestKey:
    """Which key of a document is the most similar, from 0; and what part of the key text it is of, where of one."""

    index: int
    part: TextSpan | None


class DocumentReader(Protocol):
    """Documents by their row numbers int64[n], in order."""

    def ids(self, rows: Array) -> Sequence[str]:
        """Their ids."""

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """As much of them as is wanted; of a document of which nothing but its id is, that."""

    def spoke(self, found: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Which of its keys each of the documents found is told of by; `parts` int64[n] are those keys' numbers."""


@dataclass(frozen=True)
class StoredDocuments:
    """Documents of a collection, as its reader sees them.

    Attributes:
        wants: "ids" is enough only where no document has several keys.
    """

    record: CollectionRecord
    reader: Reader
    wants: DocumentDetail
    several: bool = False

    def ids(self, rows: Array) -> Sequence[str]:
        """See `DocumentReader`."""
        return self.reader.ids(self.record.id, rows)

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """See `DocumentReader`."""
        if self.wants == "vectors":
            return self.reader.documents(self.record.id, rows)
        if self.wants == "texts" or self.several:
            return self.reader.texts(self.record.id, rows)
        return self.reader.ids(self.record.id, rows)

    def spoke(self, found: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """See `DocumentReader`."""
        spoke: list[BestKey | None] = [None] * len(found)
        if self.several:
            several = [i for i, each in enumerate(found) if not isinstance(each, str) and each.n_keys > 1]
            for i, part in zip(several, self.reader.parts(self.record.id, parts[several]), strict=True):
                spoke[i] = BestKey(int(parts[i] - rows[i]), part)
        return spoke


@dataclass(frozen=True)
class MemoryDocuments:
    """Documents that came with the question, each with one key; their rows are their places."""

    given: Sequence[DocumentRecord]

    def ids(self, rows: Array) -> Sequence[str]:
        """See `DocumentReader`."""
        return [self.given[row].id for row in np.asarray(rows).tolist()]

    def documents(self, rows: Array) -> Sequence[Document]:
        """See `DocumentReader`."""
        return [self.given[row] for row in np.asarray(rows).tolist()]

    def spoke(self, found: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """See `DocumentReader`."""
        return [None] * len(found)

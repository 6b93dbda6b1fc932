"""Readers of the documents that an answer names: from a snapshot of the collection, or from the request itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from softkv_attention.lookup import Answer
from softkv_service.retrieval.collections import MAX_COMPONENTS, Snapshot, count_components, require_values
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.encoded import Array
from softkv_service.retrieval.question import DocumentDetail
from softkv_service.storage.records import DocumentRecord, StoredDocument, TextSpan

Document = StoredDocument | DocumentRecord


@dataclass(frozen=True)
class BestKey:
    """The most similar key of a document: its index from 0, and the part of the key text that it encodes.

    The part is None if the key text was not split. `first` is the first part, by which the text has a title.
    """

    index: int
    part: TextSpan | None
    first: TextSpan | None


class DocumentReader(Protocol):
    """A reader of documents by their row numbers int64[n], in order."""

    def ids(self, rows: Array) -> Sequence[str]:
        """Return the ids of the documents with these row numbers."""

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """Return each document with the fields that are needed, or only its id if nothing else is."""

    def find_best_keys(self, documents: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Return for each document the one of its keys that is most similar to the query; None if it has only one key.

        Args:
            documents: n documents, as `documents` returns them.
            rows: int64[n], their row numbers.
            parts: int64[n], the number of the most similar key of each.
        """

    def keys(self, rows: Array) -> Array:
        """Return float32[n, d], the keys with these row numbers."""


class VectorCount:
    """The number of components of the vectors that an answer has so far, for all of its queries together."""

    def __init__(self) -> None:
        self._components = 0

    def add(self, components: Sequence[int]) -> None:
        """Count the vectors of some documents, before they are read.

        Raises:
            InvalidContent: the answer would have more than MAX_COMPONENTS.
        """
        self._components += sum(components)
        if self._components > MAX_COMPONENTS:
            raise InvalidContent.at(
                "/include",
                f"the vectors of the matches have {self._components:,} components or more, and an answer holds "
                f"{MAX_COMPONENTS:,}: leave key_vector and value_vector out, or send fewer queries or a smaller top_k",
            )


@dataclass(frozen=True)
class StoredDocuments:
    """A reader of documents from a snapshot.

    Attributes:
        wants: how much of each document is needed: its id, its texts, or also its vectors. "ids" is sufficient only if
            no document has several keys.
    """

    snapshot: Snapshot
    wants: DocumentDetail

    @cached_property
    def _vectors(self) -> VectorCount:
        return VectorCount()

    def ids(self, rows: Array) -> Sequence[str]:
        """Return the ids of the documents with these row numbers."""
        return self.snapshot.reader.ids(self.snapshot.record.id, rows)

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """Return the documents with these row numbers, with the fields that are needed."""
        if self.wants in ("vectors", "values"):
            return self._with_vectors(rows)
        if self.wants == "texts" or self.snapshot.view.facts.several:
            return self.snapshot.reader.texts(self.snapshot.record.id, rows)
        return self.snapshot.reader.ids(self.snapshot.record.id, rows)

    def _with_vectors(self, rows: Array) -> Sequence[DocumentRecord]:
        self._vectors.add(
            count_components(self.snapshot.record, self.snapshot.reader.texts(self.snapshot.record.id, rows))
        )
        documents = self.snapshot.reader.documents(self.snapshot.record.id, rows)
        if self.wants == "values":
            require_values(self.snapshot.record.name, documents)
        return documents

    def find_best_keys(self, documents: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Return for each document the one of its keys that is most similar to the query; None if it has only one key.

        Args:
            documents: n documents, as `documents` returns them.
            rows: int64[n], their row numbers.
            parts: int64[n], the number of the most similar key of each.
        """
        spoke: list[BestKey | None] = [None] * len(documents)
        if self.snapshot.view.facts.several:
            several = [
                i for i, document in enumerate(documents) if not isinstance(document, str) and document.n_keys > 1
            ]
            both = np.concatenate([parts[several], rows[several]])
            spans = self.snapshot.reader.parts(self.snapshot.record.id, both)
            for i, part, first in zip(several, spans[: len(several)], spans[len(several) :], strict=True):
                spoke[i] = BestKey(int(parts[i] - rows[i]), part, first)
        return spoke

    def keys(self, rows: Array) -> Array:
        """Return float32[n, d], the keys with these row numbers; raises DocumentDamaged."""
        return self.snapshot.keys(rows)


@dataclass(frozen=True)
class MemoryDocuments:
    """A reader of documents that came with the query; each has one key, and its row is its index."""

    given: Sequence[DocumentRecord]

    def ids(self, rows: Array) -> Sequence[str]:
        """Return the ids of the documents with these row numbers."""
        return [self.given[row].id for row in np.asarray(rows).tolist()]

    def documents(self, rows: Array) -> Sequence[Document]:
        """Return the documents with these row numbers."""
        return [self.given[row] for row in np.asarray(rows).tolist()]

    def find_best_keys(self, documents: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Return None for each document, since each has only one key."""
        return [None] * len(documents)

    def keys(self, rows: Array) -> Array:
        """Return float32[n, d], the keys of the documents with these row numbers."""
        return np.stack([self.given[row].keys[0] for row in rows.tolist()])


def choose_matches(answer: Answer, reading: DocumentReader) -> Array:
    """Return the indices of the answer's matches among its best documents, the best one first.

    The answer has more documents than matches if several tie for the last place; then the id decides.
    """
    indices = np.arange(len(answer.numbers))
    if len(indices) <= answer.matches:
        return indices
    ids = np.array(reading.ids(answer.numbers), dtype=object)
    return np.lexsort((ids, -answer.similarities, -answer.weights))[: answer.matches]

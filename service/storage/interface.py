"""What every store of collections and documents promises, whatever database keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from service.storage.column import Column
from service.storage.conditions import Condition
from service.storage.errors import DocumentDamaged
from service.storage.idempotency import IdempotentWrite, Result
from service.storage.key_rows import KeySums
from service.storage.records import (
    Change,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    FieldFacts,
    FieldKinds,
    FieldValue,
    KeyRows,
    Matrix,
    Mode,
    Ranks,
    RowNumbers,
    SearchResult,
    StoredDocument,
    TextSpan,
    WriteRequest,
)

Cursor: TypeAlias = tuple[int, ...]
"""Where a reading of all texts stands; only the store that gave it knows what the numbers are."""


class DiskUsage(NamedTuple):
    """What a store lies on, in bytes."""

    total: int
    free: int


@dataclass(frozen=True)
class UncleanShutdown:
    """What was found of a process that did not close the store.

    Attributes:
        process: its number.
        log_bytes: of what it had committed and not written back.
        collections, documents: that are stored now.
        seconds: that opening the store took.
    """

    process: int
    log_bytes: int
    collections: int
    documents: int
    seconds: float


class Search(Protocol):
    """The database's own ways to ask one collection; `ranking` is what its full text ranks by."""

    ranking: str

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """The documents whose key is exactly this text, by id; of those that pass the condition."""

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """The documents whose key holds any of the question's words, best first as the database has it, then by id."""

    def ranks(self, question: str) -> tuple[RowNumbers, Ranks]:
        """All that `full_text` finds: row numbers int64[n], ascending, and ranks float64[n] ≥ 0, larger is better."""


class Reader(Protocol):
    """One consistent state of the store; use it in one thread, within the block that gave it.

    Attributes:
        gathered: what `Store.reading` was given to gather.
    """

    gathered: Any

    def collections(self) -> list[CollectionRecord]:
        """Every collection, by name."""

    def collection(self, name: str) -> CollectionRecord:
        """The collection of that name; raises CollectionMissing."""

    def count(self, collection: int, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """How many documents of a collection there are: among `ids`, passing `condition`."""

    def document(self, collection: int, identity: str) -> DocumentRecord | None:
        """The document with that id, or None."""

    def existing(self, collection: int, ids: Sequence[str]) -> dict[str, int]:
        """The row number of each of the ids that is there."""

    def rows_among(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """The row numbers int64[n] of those of the ids that are there, ascending."""

    def documents(self, collection: int, rows: RowNumbers) -> list[DocumentRecord]:
        """The documents with those row numbers int64[n], in their order."""

    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """The same without their vectors."""

    def parts(self, collection: int, rows: RowNumbers) -> list[TextSpan | None]:
        """What part of a key text each of the keys with these row numbers int64[n] is of; None of all of it."""

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """The ids of the documents with those row numbers int64[n], in their order."""

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """The row numbers int64[n] of the documents that pass, ascending; those from `first` to `last`."""

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """A field of all documents with row numbers above `after`, maybe of gone rows; None over `most_bytes`."""

    def field_names(self, collection: int, *, after: str | None = None, limit: int) -> list[str]:
        """At most `limit` names of metadata fields, by code point, those after `after`."""

    def field_kinds(self, collection: int, name: str) -> FieldKinds:
        """Which kinds of values a metadata field has, without reading them all."""

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

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        among: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
    ) -> Iterator[KeyRows]:
        """All keys and their values, those of so many documents at a time, by row number.

        Args:
            among: the documents' row numbers int64[n], ascending; None for all that there are.
            damaged: is told of each document whose vectors are not what was written, and which is left out; without
                it the first one is raised.
        """

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """int64[n] each: the numbers of a collection's keys from `first` to `last`, ascending, the documents that they
        are of, and the checksums of their rows; where collections share their numbers, those of others among them.
        """

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """The same of keys from `first` to `last` and of documents with keys from `document` to `last`, added up: what
        tells whether any of it is another one than it was.
        """

    def damaged_texts(
        self, after: Cursor | None, limit: int
    ) -> tuple[Cursor | None, list[tuple[int, DocumentDamaged]]]:
        """Check the texts of at most `limit` documents, of any collection, behind a place; None: from the first.

        Returns the place of the last of them, None at the end; and the damaged ones, each with its collection's number.
        """

    def sample(self, collection: int, size: int) -> RowNumbers:
        """The row numbers int64[n] of at most `size` documents with keys, the first by a hash of their ids."""

    def keys(self, collection: int, rows: RowNumbers) -> Matrix:
        """float32[n, d]: the first key of each of the documents with those row numbers, in their order."""

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

    def search(self, collection: int) -> Search:
        """SQL's own ways to ask the collection, `=` and full text; raises CollectionMissing."""


class Writer(Reader, Protocol):
    """The one write transaction; each method does all of its work or, where it raises, none."""

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` once the commit is on disk, before the block of `Store.writing` ends."""

    def keep_answer(self, once: IdempotentWrite[Result] | None, result: Result) -> None:
        """Store what a write is answered with, beside what it did, for `Store.writing`; without `once`, nothing."""

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """A new, empty collection; raises CollectionExists."""

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null and calibration; raises CollectionFixed where anything else differs."""

    def delete_collection(self, name: str) -> None:
        """Remove a collection with everything in it; raises CollectionMissing."""

    def upsert(self, collection: int, documents: Sequence[DocumentRecord], *, mode: Mode = "upsert") -> Change:
        """Store documents under new row numbers, in place of those with their ids, or (mode "skip") but for those.

        The collection's widths are set where they were not. Raises DocumentsExist (mode "create"),
        DocumentsRepeated, WidthMismatch or Unstorable.
        """

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete documents by id; the row numbers int64[n] that are gone. Unknown ids are silent."""

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the documents that pass; the row numbers int64[n] that are gone."""


class Store(Protocol):
    """Collections and documents; every method may be called from any thread, and blocks.

    A write that has returned is on disk, and whoever begins to read after that sees it.
    """

    @property
    def unclean_shutdown(self) -> UncleanShutdown | None:
        """The process that had it last and did not close it; None where it was closed."""

    @property
    def full(self) -> bool:
        """Whether the last write was refused for want of room."""

    def sizes(self) -> dict[str, int]:
        """Bytes that it takes: of the database, of its log, and of what else there is."""

    def disk(self) -> DiskUsage | None:
        """What it lies on; None where that is another machine's."""

    def close(self) -> None:
        """Wait for writers, then let go of it; a second call does nothing."""

    def writing(
        self, once: IdempotentWrite[Any] | None = None, *, deletes: bool = False, collection: int | None = None
    ) -> AbstractContextManager[Writer]:
        """The write transaction: commits when the block ends, rolls back when it raises.

        Args:
            once: raises as `refuse_answered` does before anything is written; else the block has to `keep_answer`.
            deletes: nothing is stored but what it was answered: room that is kept for that may be taken.
            collection: whose documents nobody else writes meanwhile; raises CollectionMissing.
        """

    def refuse_answered(self, request: WriteRequest) -> None:
        """For a write that may have been done before, ahead of all work on it.

        Raises: WriteAnswered where it was, and every new reader sees it; KeyReused where its key stands for another.
        """

    def reading(self, gather: Callable[[], Any] | None = None) -> AbstractContextManager[Reader]:
        """One consistent state for as long as the block runs.

        `gather` is called in the instant the state is taken; what it returns is `reader.gathered`.
        """

    def troubles(self) -> list[str]:
        """Why what is read now cannot be relied on; one line, or none."""

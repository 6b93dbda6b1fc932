"""Protocols of a store of collections and documents, which every database implements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from softkv_service.storage.cached_texts import CachedReader, CachedTexts
from softkv_service.storage.conditions import Column, Condition, Order, Position, Searched, Visibility
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.idempotency import IdempotentWrite, Result
from softkv_service.storage.key_rows import KeySums
from softkv_service.storage.re_encoding import OwnVectors, ReEncoding
from softkv_service.storage.records import (
    AliasRecord,
    Change,
    CollectionRecord,
    CollectionSettings,
    CollectionUsage,
    DocumentRecord,
    EncoderMeasurements,
    ExpiredCounts,
    ExpiryRows,
    FeedbackRecord,
    FieldFacts,
    FieldKinds,
    FieldValue,
    KeptWords,
    KeyRows,
    Matrix,
    Mode,
    Ranks,
    RowNumbers,
    SearchResult,
    StoredDocument,
    TextLengths,
    TextSpan,
    Vector,
    WaitingValues,
    WriteRequest,
)

Cursor: TypeAlias = tuple[int, ...]
"""A position in a scan of all texts; only the store that returned it can interpret the numbers."""
LEASE_SECONDS = 15.0
"""A process that has not renewed a lease for this time is taken for dead, and another one takes its work over."""


class DiskUsage(NamedTuple):
    """Size and free space of the file system of a store, in bytes."""

    total: int
    free: int


@dataclass(frozen=True)
class UncleanShutdown:
    """A report on a process that did not close the store.

    Attributes:
        process: the process id.
        log_bytes: bytes of its commits that were not written back to the file.
        collections, documents: how many collections and documents are stored now.
        seconds: how long opening the store took.
    """

    process: int
    log_bytes: int
    collections: int
    documents: int
    seconds: float


class Search(Protocol):
    """The searches of one collection in SQL, without vectors.

    `ranking` names the function that ranks full-text matches.
    """

    ranking: str

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key equals this text and that match the condition, ordered by id."""

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find documents whose key has any word of the question, ordered by the database's rank, then by id."""

    def lengths(self) -> TextLengths | None:
        """Return what `ranks` reads of each document that a restricted reader sees; None if it reads nothing of them.

        It is the same for each question about this state of the store.
        """

    def ranks(self, searched: Searched, lengths: TextLengths | None = None) -> tuple[RowNumbers, Ranks]:
        """Return row numbers int64[n], ascending, of all documents with a term of a search, and ranks float64[n] ≥ 0.

        A larger rank is better.

        Args:
            searched: the terms, or a text.
            lengths: what `lengths` returned; if missing, it is read.
        """


class Reader(Protocol):
    """One consistent state of the store, for one thread, within the block that opened it.

    Attributes:
        gathered: the result of the `gather` of `Store.reading`.
        visibility: which documents the reader sees; all of them at first.
    """

    gathered: Any
    visibility: Visibility

    def seeing(self, visibility: Visibility) -> Reader:
        """Return a reader of the same state that sees other documents, in place of those that this one sees.

        Documents with given row numbers are returned all the same: the caller has the numbers from this reader, or
        from a lookup among visible documents. Columns are of all documents, since masks follow from them. A sample and
        the counts of feedback and of expired documents heed no condition. Ranks of full text heed the condition: they
        count the words of visible documents alone.
        """

    def expiring(self, collection: int, *, first: int = 0) -> ExpiryRows:
        """Return the documents that expire, expired ones too, with row numbers from `first` on.

        They are ordered by their instants.
        """

    def count_expired(self, collection: int) -> ExpiredCounts:
        """Count the documents that have expired at the instant of this reader's visibility; none without an instant."""

    def collections_with_expired(self, now: int) -> list[int]:
        """Return the numbers of the collections that callers see and that may have expired documents."""

    def collections(self) -> list[CollectionRecord]:
        """Return the records of all collections that callers see, ordered by name."""

    def collection(self, name: str) -> CollectionRecord:
        """Return the collection of that name; raises CollectionMissing."""

    def record(self, collection: int) -> CollectionRecord:
        """Return the collection with that number, hidden or not; raises CollectionMissing."""

    def list_hidden(self) -> list[CollectionRecord]:
        """Return the collections that callers do not see, see `softkv_service.storage.re_encoding`."""

    def re_encodings(self) -> list[ReEncoding]:
        """Return the last job of each collection that moves it to another encoder."""

    def re_encoding(self, collection: int) -> ReEncoding | None:
        """Return the last job that moves a collection to another encoder, or None."""

    def read_copies(self, shadow: int) -> tuple[RowNumbers, RowNumbers]:
        """Return the row numbers int64[n] of the originals of a shadow, ascending, and of their copies."""

    def count_own_vectors(self, collection: int) -> OwnVectors:
        """Count the documents with vectors that no encoder made.

        Keys are the caller's own if there is no key text, or if there are several of the whole text. A value vector is
        if the value is not a text, or if the collection does not encode values. In a collection without an encoder all
        are.
        """

    def aliases(self) -> list[AliasRecord]:
        """Return all aliases, ordered by name."""

    def feedback(self, collection: int, *, after: int = 0, limit: int) -> list[FeedbackRecord]:
        """Return at most `limit` records of feedback with numbers above `after`, by number.

        Damaged records are left out; a check of the store reports them.
        """

    def count_feedback(self, collection: int, *, after: int = 0) -> int:
        """Count the records of feedback of a collection with numbers above `after`."""

    def feedback_bytes(self, collection: int) -> int:
        """Return the bytes of all feedback of a collection: its questions, ids and observations in UTF-8."""

    def count(self, collection: int, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """Count the documents of a collection that have one of `ids` and match `condition`."""

    def usage(self, collection: int, condition: Condition | None = None) -> CollectionUsage:
        """Return numbers and size of the documents of a collection that match; raises CollectionMissing."""

    def document(self, collection: int, identity: str) -> DocumentRecord | None:
        """Return the document with that id, or None."""

    def existing(self, collection: int, ids: Sequence[str], *, condition: Condition | None = None) -> dict[str, int]:
        """Map each id that exists, of a document that matches, to its row number."""

    def rows_among(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Return the row numbers int64[n] of the ids that exist, ascending."""

    def documents(self, collection: int, rows: RowNumbers) -> list[DocumentRecord]:
        """Return the documents with these row numbers int64[n], in their order."""

    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """Return the documents with these row numbers int64[n], in their order, without their vectors."""

    def parts(self, collection: int, rows: RowNumbers) -> list[TextSpan | None]:
        """Return the span of the key text that each key with these row numbers int64[n] encodes.

        None means the whole text.
        """

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """Return the ids of the documents with these row numbers int64[n], in their order."""

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """Return the row numbers int64[n], from `first` to `last`, of the documents that match; ascending."""

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """Return a field of all documents with row numbers above `after`, or None if it takes over `most_bytes`.

        It may contain rows of deleted documents.
        """

    def field_names(self, collection: int, *, after: str | None = None, limit: int) -> list[str]:
        """Return at most `limit` names of metadata fields after `after`, ordered by code point."""

    def field_kinds(self, collection: int, name: str) -> FieldKinds:
        """Return which kinds of values (texts, numbers, …) a metadata field has, without reading all of its values."""

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
            damaged: receives each document whose vectors are damaged, and which is left out. Without it, the first
                one is raised.
        """

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Return row numbers, document numbers and checksums, int64[n] each, of keys from `first` to `last`.

        Row numbers ascend. If collections share row numbers, keys of other collections are included.
        """

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """Return sums over keys from `first` to `last`, and over documents with keys from `document` to `last`.

        If a key or document is changed, added or removed, the sums change.
        """

    def check_texts(self, after: Cursor | None, limit: int) -> tuple[Cursor | None, list[tuple[int, DocumentDamaged]]]:
        """Check the texts of up to `limit` documents of all collections against their checksums, after a cursor; None
        starts at the first document.

        Returns the cursor of the last document, or None at the end, and the damaged documents, each with the number of
        its collection.
        """

    def sample(self, collection: int, size: int) -> RowNumbers:
        """Return the row numbers int64[n] of at most `size` documents with keys, the first ones in the order of a hash
        of their ids.
        """

    def keys(self, collection: int, rows: RowNumbers) -> Matrix:
        """Return float32[n, d], the keys with these row numbers, in their order; raises DocumentDamaged."""

    def words(self, collection: int, rows: RowNumbers) -> dict[int, bytes]:
        """Return the kept words of the keys with these row numbers, by row number; damaged ones are left out."""

    def count_words(self, collection: int) -> KeptWords:
        """Count the keys of visible documents whose words are kept, and those with a text whose words are not."""

    def rows_without_words(self, collection: int, *, after: int = 0, limit: int) -> RowNumbers:
        """Return the row numbers int64[n] of at most `limit` documents after a row with keys that lack their words."""

    def find_waiting_values(self, collection: int, *, limit: int | None = None) -> WaitingValues:
        """Return the visible documents whose value is a text without a vector.

        Args:
            limit: return only this number of those that are yet to be encoded, the oldest ones; None for all.
        """

    def collections_with_waiting_values(self) -> list[int]:
        """Return the numbers of the collections that have values to be encoded."""

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
        """Return at most `limit` documents after a position, in the order of a metadata field, without their vectors.

        If each page starts after the position of the last document of the page before, a document that exists
        throughout with the same value is returned exactly once, regardless of writes in between.
        """

    def search(self, collection: int) -> Search:
        """Return the collection's search in SQL, by `=` and by full text; raises CollectionMissing."""


class Writer(Reader, Protocol):
    """A write transaction. Each method does all of its work, or none if it raises."""

    def seeing(self, visibility: Visibility) -> Writer:
        """Return a writer of this transaction to which other documents than those exist.

        A new document with the id of an expired one takes its place; then `Change.expired` names the old one. One with
        the id of a hidden document, or that would be hidden, is refused.
        """

    def delete_expired(self, collection: int, now: int, limit: int) -> RowNumbers:
        """Delete up to `limit` documents that have expired at `now`; return their row numbers int64[n]."""

    def claim_expiry(self) -> bool:
        """Return whether this transaction may delete expired documents; False while one of another process does."""

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` after the commit is on disk, before the block of `Store.writing` ends."""

    def keep_answer(self, once: IdempotentWrite[Result] | None, result: Result) -> None:
        """Store the answer to the write `once`, in the transaction of the write itself.

        Do nothing if `once` is None.
        """

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Create an empty collection; raises CollectionExists or AliasExists."""

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null, calibration, expiry, defaults, projection and late of a collection.

        Without `late`, the kept words of its keys are deleted. Raise CollectionFixed if any other setting differs.
        """

    def lease(self, collection: int, owner: str) -> bool:
        """Take or renew the lease of a collection's work in the background; return False if another process has it."""

    def write_values(self, collection: int, values: Mapping[int, Vector | None]) -> None:
        """Store the value vectors [d_v] of documents by their row numbers, of those that are still stored and wait.

        None is for a document whose value the encoder refuses.
        """

    def write_words(self, collection: int, words: Mapping[int, bytes]) -> None:
        """Keep the words of keys by their row numbers, those that are still stored and lack them."""

    def delete_collection(self, name: str) -> None:
        """Delete a collection, everything in it and its aliases; raises CollectionMissing."""

    def put_alias(self, alias: str, collection: str) -> str | None:
        """Let an alias stand for the collection of a name; return the collection for which it stood before.

        None means that the alias is new. Raises CollectionMissing, or CollectionExists if the alias is the name of a
        collection.
        """

    def delete_alias(self, alias: str) -> str:
        """Delete an alias, not its collection; return the collection's name. Raises AliasMissing."""

    def write_feedback(
        self, collection: int, records: Sequence[FeedbackRecord], *, max_records: int, max_bytes: int
    ) -> None:
        """Store feedback; if the collection has more records or bytes than these then, delete the oldest."""

    def delete_feedback(self, collection: int, numbers: Sequence[int] | None = None) -> int:
        """Delete the records of a collection with these numbers, or all; return how many were deleted."""

    def begin_re_encoding(self, job: ReEncoding, settings: CollectionSettings) -> ReEncoding:
        """Create the shadow of a job with these settings, and store the job; return it with the shadow's number.

        Raises ReEncodingActive if the collection has a job that has not ended.
        """

    def save_re_encoding(self, job: ReEncoding) -> None:
        """Store the state of a job. The shadow of a job that has ended becomes a collection to delete."""

    def keep_copies(self, shadow: int, sources: RowNumbers, change: Change) -> None:
        """Record the documents from which those of a write to a shadow were made, int64[n] in order."""

    def delete_copies(self, shadow: int, rows: RowNumbers) -> None:
        """Delete documents of a shadow with these row numbers int64[n], with the records of their originals."""

    def delete_some(self, collection: int, limit: int) -> bool:
        """Delete some documents of a hidden collection; return whether there are more.

        A store in which a large deletion holds up no other transaction deletes nothing, and returns False.
        """

    def replace_collection(self, job: ReEncoding, settings: CollectionSettings) -> CollectionRecord:
        """Put the shadow of a job, with these settings, into the place of its collection, and end the job.

        Names, aliases and feedback of the collection are those of the shadow from the commit on, without feedback on
        vectors of another width. The collection becomes a hidden one to delete. Return the new record.
        """

    def upsert(self, collection: int, documents: Sequence[DocumentRecord], *, mode: Mode = "upsert") -> Change:
        """Store documents under new row numbers.

        Stored documents with the same ids are replaced, or kept with the mode "skip".

        Sets the collection's widths if they are None. Raises DocumentsExist (mode "create"),
        DocumentsRepeated, WidthMismatch or Unstorable.
        """

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete documents by id; return the deleted row numbers int64[n]. Unknown ids are ignored."""

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the documents that match; return the deleted row numbers int64[n]."""


class Store(Protocol):
    """Collections and documents; every method may be called from any thread, and blocks.

    A write that has returned is on disk, and every reader that begins after that sees it.
    """

    @property
    def unclean_shutdown(self) -> UncleanShutdown | None:
        """The report on the last process, if it did not close the store; else None."""

    @property
    def full(self) -> bool:
        """Whether the last write failed because the disk was full."""

    def sizes(self) -> dict[str, int]:
        """Return the bytes that the store takes: "database", "log" and "other"."""

    def disk(self) -> DiskUsage | None:
        """Return the disk's size and free bytes, or None if it may be remote."""

    def close(self) -> None:
        """Wait for writers, then close the store; idempotent."""

    def writing(
        self, once: IdempotentWrite[Any] | None = None, *, deletes: bool = False, collection: int | None = None
    ) -> AbstractContextManager[Writer]:
        """Run a write transaction: commit at the end of the block, or roll back if it raises.

        Args:
            once: the write with its idempotency key, which is checked by `refuse_answered` before anything is written.
                Then the block has to call `keep_answer`.
            deletes: nothing but the answer is stored, so the transaction may use the reserved disk space.
            collection: the collection to lock for other writers; raises CollectionMissing.
        """

    def refuse_answered(self, request: WriteRequest) -> None:
        """Check before all other work whether a write was done before.

        Raises:
            WriteAnswered: the write was done, and every new reader sees it.
            KeyReused: another write was done under its key.
        """

    def reading(self, gather: Callable[[], Any] | None = None) -> AbstractContextManager[Reader]:
        """Open a reader of one consistent state of the store, which is valid inside the block.

        `gather` is called at the instant the state is taken; its result is `reader.gathered`.
        """

    @property
    def cached_texts(self) -> CachedTexts | None:
        """The documents in memory, which `memory_reader` reads; None if the store keeps none there."""

    def memory_reader(self, gather: Callable[[], Any]) -> CachedReader | None:
        """Return a reader of the documents in memory, of the state that a new reader of the store would see.

        It never waits: neither for a lock, nor for a disk or a network. `gather` is called at the instant the state is
        taken. None means that the caller has to open a reader of the store.
        """

    def encoder_measurements(self, encoder: str) -> EncoderMeasurements | None:
        """Return what was measured of an encoder; None if nothing was, or the row is damaged: measure it again."""

    def keep_encoder_measurements(self, encoder: str, model: str, measurements: str) -> None:
        """Keep what was measured of an encoder, in place of older measurements; see `EncoderMeasurements`."""

    def measured_encoders(self) -> list[str]:
        """Return the names of the encoders of which measurements are kept, in order."""

    def troubles(self) -> list[str]:
        """Return a list with one line of text if reads are unreliable now; else an empty list."""

"""Readers and writers that see only the documents that pass a condition, and writers that keep to quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from service.storage.column import Column
from service.storage.conditions import Combination, Condition
from service.storage.errors import DocumentDamaged, OutsideFilter, QuotaExceeded
from service.storage.fields import Kind
from service.storage.idempotency import IdempotentWrite, Result
from service.storage.interface import Cursor, Reader, Search, Writer
from service.storage.key_rows import KeySums
from service.storage.re_encoding import OwnVectors, ReEncoding
from service.storage.records import (
    AliasRecord,
    Change,
    CollectionRecord,
    CollectionSettings,
    CollectionUsage,
    DocumentRecord,
    ExpiredCounts,
    ExpiryRows,
    FeedbackRecord,
    FieldFacts,
    FieldKinds,
    FieldType,
    FieldValue,
    KeyRows,
    Matrix,
    Mode,
    Ranks,
    RowNumbers,
    SearchResult,
    StoredDocument,
    TextSpan,
)

_KINDS: Mapping[FieldType, frozenset[Kind]] = {
    "null": frozenset({Kind.NULL}),
    "boolean": frozenset({Kind.BOOLEAN}),
    "integer": frozenset({Kind.NUMBER_BELOW, Kind.NUMBER, Kind.NUMBER_ABOVE}),
    "number": frozenset({Kind.NUMBER_BELOW, Kind.NUMBER, Kind.NUMBER_ABOVE}),
    "text": frozenset({Kind.TEXT}),
    "list": frozenset({Kind.LIST}),
    "object": frozenset({Kind.OBJECT}),
}
NAMES_AT_A_TIME = 64
OF_THE_KEY = "-- and the filter of the key"


@dataclass(frozen=True)
class Restriction:
    """The part of the collections that one caller reads and changes, and how much it may store.

    Attributes:
        condition: the caller sees only documents that pass it; None for all documents.
        prefixes: the collections whose names begin with one of these count for the quotas; empty for all.
        documents, bytes: the most documents, and the most bytes of them, that the caller's part may have after a write;
            None for no limit.
    """

    condition: Condition | None
    prefixes: tuple[str, ...] = ()
    documents: int | None = None
    bytes: int | None = None

    def at(self, now: int) -> Restriction:
        """Return the restriction of a request that started at `now`, in microseconds of Unix time."""
        condition = None if self.condition is None else self.condition.at(now)
        return self if condition is self.condition else replace(self, condition=condition)

    def reader(self, reader: Reader) -> Reader:
        """Return a reader that sees only the caller's part."""
        return reader if self.condition is None else RestrictedReader(reader, self.condition)

    def writer(self, writer: Writer) -> Writer:
        """Return a writer that sees and changes only the caller's part, and keeps to the quotas."""
        return RestrictedWriter(writer, self)

    def check_quotas(self, reader: Reader) -> None:
        """Check what the caller's part has in this state of the store.

        Raises:
            QuotaExceeded: it has more documents or bytes than it may.
        """
        if self.documents is None and self.bytes is None:
            return
        records = [record for record in reader.collections() if record.name.startswith(self.prefixes or "")]
        if self.condition is None and self.bytes is None:
            documents, size = sum(record.documents for record in records), 0
        else:
            usages = [reader.usage(record.id, self.condition) for record in records]
            documents, size = sum(usage.documents for usage in usages), sum(usage.bytes for usage in usages)
        for name, used, limit in (("documents", documents, self.documents), ("bytes", size, self.bytes)):
            if limit is not None and used > limit:
                raise QuotaExceeded(name, limit)


def join(first: Condition | None, second: Condition | None) -> Condition | None:
    """Return the condition that both conditions hold; None for none.

    Raises:
        InvalidCondition: together they nest too deep or compare with too many values.
    """
    if first is None or second is None:
        return second if first is None else first
    return Combination("AND", (first, second))


class RestrictedReader:
    """A reader that sees only the documents that pass a condition; all of them without one.

    Documents with given row numbers are returned as they are: the caller has these numbers from this reader, or from a
    lookup among the documents that pass. `column`, `sample` and `keys` are of the whole collection, since masks and the
    background follow from them.

    Attributes:
        whole: the reader that sees all documents.
        condition: the condition.
        gathered: the result of the `gather` of `Store.reading`.
    """

    def __init__(self, whole: Reader, condition: Condition | None) -> None:
        self.whole, self.condition = whole, condition
        self.gathered: Any = whole.gathered

    def leave_out_expired(self, now: int) -> Reader:
        """Return a reader that sees only the documents that pass and have not expired at `now`."""
        return RestrictedReader(self.whole.leave_out_expired(now), self.condition)

    def expiring(self, collection: int, *, first: int = 0) -> ExpiryRows:
        """Return the documents of the whole collection that expire, with row numbers from `first` on."""
        return self.whole.expiring(collection, first=first)

    def count_expired(self, collection: int) -> ExpiredCounts:
        """Count the expired documents of the whole collection that are left out."""
        return self.whole.count_expired(collection)

    def collections_with_expired(self, now: int) -> list[int]:
        """Return the numbers of the collections that may have expired documents."""
        return self.whole.collections_with_expired(now)

    def collections(self) -> list[CollectionRecord]:
        """Return the records of all collections, ordered by name; their counts are of all documents."""
        return self.whole.collections()

    def collection(self, name: str) -> CollectionRecord:
        """Return the collection of that name; its counts are of all documents. Raises CollectionMissing."""
        return self.whole.collection(name)

    def record(self, collection: int) -> CollectionRecord:
        """Return the collection with that number; its counts are of all documents. Raises CollectionMissing."""
        return self.whole.record(collection)

    def list_hidden(self) -> list[CollectionRecord]:
        """Return the collections that callers do not see."""
        return self.whole.list_hidden()

    def re_encodings(self) -> list[ReEncoding]:
        """Return the last job of each collection that moves it to another encoder."""
        return self.whole.re_encodings()

    def re_encoding(self, collection: int) -> ReEncoding | None:
        """Return the last job that moves a collection to another encoder, or None."""
        return self.whole.re_encoding(collection)

    def read_copies(self, shadow: int) -> tuple[RowNumbers, RowNumbers]:
        """Return the row numbers int64[n] of the documents that a shadow has copies of, and of the copies."""
        return self.whole.read_copies(shadow)

    def count_own_vectors(self, collection: int) -> OwnVectors:
        """Count the documents with vectors that no encoder made; hidden ones too."""
        return self.whole.count_own_vectors(collection)

    def aliases(self) -> list[AliasRecord]:
        """Return all aliases, ordered by name."""
        return self.whole.aliases()

    def feedback(
        self, collection: int, *, after: int = 0, limit: int, newest_first: bool = False
    ) -> list[FeedbackRecord]:
        """Return records of feedback of all callers; see `Reader.feedback`."""
        return self.whole.feedback(collection, after=after, limit=limit, newest_first=newest_first)

    def count_feedback(self, collection: int, *, after: int = 0) -> int:
        """Count the records of feedback of all callers with numbers above `after`."""
        return self.whole.count_feedback(collection, after=after)

    def count(self, collection: int, *, ids: Sequence[str] | None = None, condition: Condition | None = None) -> int:
        """Count the visible documents that have one of `ids` and match `condition`."""
        return self.whole.count(collection, ids=ids, condition=self._and(condition))

    def usage(self, collection: int, condition: Condition | None = None) -> CollectionUsage:
        """Return numbers and size of the visible documents that match."""
        return self.whole.usage(collection, self._and(condition))

    def document(self, collection: int, identity: str) -> DocumentRecord | None:
        """Return the visible document with that id, or None."""
        page = self.page(collection, ids=[identity], limit=1)
        return page[0] if page else None

    def existing(self, collection: int, ids: Sequence[str], *, condition: Condition | None = None) -> dict[str, int]:
        """Map each id of a visible document that matches to its row number."""
        return self.whole.existing(collection, ids, condition=self._and(condition))

    def rows_among(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Return the row numbers int64[n] of the ids of visible documents, ascending."""
        return np.sort(np.fromiter(self.existing(collection, ids).values(), dtype=np.int64))

    def documents(self, collection: int, rows: RowNumbers) -> list[DocumentRecord]:
        """Return the documents with these row numbers int64[n], in their order."""
        return self.whole.documents(collection, rows)

    def texts(self, collection: int, rows: RowNumbers) -> list[StoredDocument]:
        """Return the documents with these row numbers int64[n], in their order, without their vectors."""
        return self.whole.texts(collection, rows)

    def parts(self, collection: int, rows: RowNumbers) -> list[TextSpan | None]:
        """Return the span of the key text that each key with these row numbers int64[n] encodes."""
        return self.whole.parts(collection, rows)

    def ids(self, collection: int, rows: RowNumbers) -> list[str]:
        """Return the ids of the documents with these row numbers int64[n], in their order."""
        return self.whole.ids(collection, rows)

    def rows_where(
        self, collection: int, condition: Condition | None = None, *, first: int = 0, last: int | None = None
    ) -> RowNumbers:
        """Return the row numbers int64[n], from `first` to `last`, of the visible documents that match; ascending."""
        return self.whole.rows_where(collection, self._and(condition), first=first, last=last)

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """Return a field of all documents with row numbers above `after`, or None if it takes over `most_bytes`."""
        return self.whole.column(collection, field, after=after, most_bytes=most_bytes)

    def field_names(self, collection: int, *, after: str | None = None, limit: int) -> list[str]:
        """Return at most `limit` names after `after` of metadata fields that a visible document has."""
        names = list[str]()
        while len(names) < limit:
            batch = self.whole.field_names(collection, after=after, limit=NAMES_AT_A_TIME)
            facts = self.field_facts(collection, batch)
            names += [name for name, fact in zip(batch, facts, strict=True) if fact.count]
            if len(batch) < NAMES_AT_A_TIME:
                break
            after = batch[-1]
        return names[:limit]

    def field_kinds(self, collection: int, name: str) -> FieldKinds:
        """Return which kinds of values a metadata field has in visible documents.

        Of elements any kind may occur, and any text may be a date.
        """
        (facts,) = self.field_facts(collection, [name])
        kinds = frozenset(kind for named in facts.types for kind in _KINDS[named])
        return FieldKinds(kinds, frozenset(Kind) if Kind.LIST in kinds else frozenset(), Kind.TEXT in kinds)

    def field_facts(
        self,
        collection: int,
        names: Sequence[str],
        *,
        condition: Condition | None = None,
        values: int = 0,
        after: FieldValue | None = None,
    ) -> list[FieldFacts]:
        """Return statistics of each of these fields over the visible documents that match."""
        return self.whole.field_facts(collection, names, condition=self._and(condition), values=values, after=after)

    def vectors(
        self,
        collection: int,
        batch: int = 4096,
        *,
        among: RowNumbers | None = None,
        damaged: Callable[[DocumentDamaged], object] | None = None,
    ) -> Iterator[KeyRows]:
        """Yield the keys and values of the visible documents in batches, by row number."""
        rows = self.rows_where(collection)
        among = rows if among is None else np.intersect1d(rows, among, assume_unique=True)
        return self.whole.vectors(collection, batch, among=among, damaged=damaged)

    def key_checksums(self, collection: int, first: int, last: int) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Return row numbers, document numbers and checksums of all keys from `first` to `last`."""
        return self.whole.key_checksums(collection, first, last)

    def key_sums(self, collection: int, document: int, first: int, last: int) -> KeySums:
        """Return sums over all keys from `first` to `last`, and over documents from `document` to `last`."""
        return self.whole.key_sums(collection, document, first, last)

    def check_texts(self, after: Cursor | None, limit: int) -> tuple[Cursor | None, list[tuple[int, DocumentDamaged]]]:
        """Check the texts of up to `limit` documents of all collections against their checksums."""
        return self.whole.check_texts(after, limit)

    def sample(self, collection: int, size: int) -> RowNumbers:
        """Return the row numbers int64[n] of at most `size` documents of the whole collection."""
        return self.whole.sample(collection, size)

    def keys(self, collection: int, rows: RowNumbers) -> Matrix:
        """Return float32[n, d], the first key of each document with these row numbers, in their order."""
        return self.whole.keys(collection, rows)

    def page(
        self,
        collection: int,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[DocumentRecord]:
        """Return at most `limit` visible documents with ids after `after`, ordered by id."""
        return self.whole.page(collection, ids=ids, condition=self._and(condition), after=after, limit=limit)

    def page_of_texts(
        self,
        collection: int,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[StoredDocument]:
        """Return at most `limit` visible documents with ids after `after`, ordered by id, without their vectors."""
        return self.whole.page_of_texts(collection, ids=ids, condition=self._and(condition), after=after, limit=limit)

    def search(self, collection: int) -> Search:
        """Return the collection's search in SQL among the visible documents; raises CollectionMissing."""
        search = self.whole.search(collection)
        return search if self.condition is None else RestrictedSearch(search, self.condition)

    def _and(self, condition: Condition | None) -> Condition | None:
        return join(self.condition, condition)


class RestrictedSearch:
    """A search in SQL that returns only documents that pass a condition.

    The statement that it shows has a comment in place of that condition.
    """

    def __init__(self, whole: Search, condition: Condition) -> None:
        self._whole, self._condition = whole, condition
        self.ranking = whole.ranking

    def equal(self, key: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find visible documents whose key equals this text and that match the condition, ordered by id."""
        return self._search(self._whole.equal, key, limit, condition)

    def full_text(self, question: str, limit: int, condition: Condition | None = None) -> SearchResult:
        """Find visible documents whose key has any word of the question, ordered by rank, then by id.

        Rank weighs words by all documents.
        """
        return self._search(self._whole.full_text, question, limit, condition)

    def ranks(self, question: str) -> tuple[RowNumbers, Ranks]:
        """Return row numbers int64[n] and ranks float64[n] of all matches; a mask has to leave hidden ones out."""
        return self._whole.ranks(question)

    def _search(
        self, search: Callable[..., SearchResult], text: str, limit: int, condition: Condition | None
    ) -> SearchResult:
        shown = search(text, 0, condition)
        result = search(text, limit, join(self._condition, condition))
        return replace(
            result, statement=f"{shown.statement}\n{OF_THE_KEY}", parameters={**shown.parameters, "limit": limit}
        )


class RestrictedWriter(RestrictedReader):
    """A writer that sees and writes only the documents of one caller's part, and keeps to the quotas."""

    whole: Writer

    def __init__(self, whole: Writer, restriction: Restriction) -> None:
        super().__init__(whole, restriction.condition)
        self._restriction = restriction

    def leave_out_expired(self, now: int) -> Writer:
        """Return a writer of the caller's part to which documents that have expired at `now` do not exist."""
        return RestrictedWriter(self.whole.leave_out_expired(now), self._restriction)

    def delete_expired(self, collection: int, now: int, limit: int) -> RowNumbers:
        """Delete expired documents of the whole collection; see `Writer.delete_expired`."""
        return self.whole.delete_expired(collection, now, limit)

    def claim_expiry(self) -> bool:
        """Return whether this transaction may delete expired documents."""
        return self.whole.claim_expiry()

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` after the commit is on disk, before the block of `Store.writing` ends."""
        self.whole.after_commit(callback)

    def keep_answer(self, once: IdempotentWrite[Result] | None, result: Result) -> None:
        """Store the answer to the write `once`, in the transaction of the write itself."""
        self.whole.keep_answer(once, result)

    def create_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Create an empty collection; raises CollectionExists or AliasExists."""
        return self.whole.create_collection(name, settings)

    def update_collection(self, name: str, settings: CollectionSettings) -> CollectionRecord:
        """Change temperature, null and calibration of a collection; raises CollectionFixed."""
        return self.whole.update_collection(name, settings)

    def delete_collection(self, name: str) -> None:
        """Delete a collection, hidden documents too, and its aliases; raises CollectionMissing."""
        self.whole.delete_collection(name)

    def write_feedback(self, collection: int, records: Sequence[FeedbackRecord], *, max_records: int) -> None:
        """Store feedback; see `Writer.write_feedback`."""
        self.whole.write_feedback(collection, records, max_records=max_records)

    def delete_feedback(self, collection: int, numbers: Sequence[int] | None = None) -> int:
        """Delete feedback of all callers; see `Writer.delete_feedback`."""
        return self.whole.delete_feedback(collection, numbers)

    def begin_re_encoding(self, job: ReEncoding, settings: CollectionSettings) -> ReEncoding:
        """Create the shadow of a job, and store the job; see `Writer.begin_re_encoding`."""
        return self.whole.begin_re_encoding(job, settings)

    def save_re_encoding(self, job: ReEncoding) -> None:
        """Store the state of a job."""
        self.whole.save_re_encoding(job)

    def claim_re_encoding(self, collection: int, owner: str) -> bool:
        """Take over a job, or keep it; see `Writer.claim_re_encoding`."""
        return self.whole.claim_re_encoding(collection, owner)

    def keep_copies(self, shadow: int, sources: RowNumbers, change: Change) -> None:
        """Record the documents from which those of a write to a shadow were made."""
        self.whole.keep_copies(shadow, sources, change)

    def delete_copies(self, shadow: int, rows: RowNumbers) -> None:
        """Delete documents of a shadow, with the records of their originals."""
        self.whole.delete_copies(shadow, rows)

    def delete_some(self, collection: int, limit: int) -> bool:
        """Delete some documents of a hidden collection; see `Writer.delete_some`."""
        return self.whole.delete_some(collection, limit)

    def replace_collection(self, job: ReEncoding, settings: CollectionSettings) -> CollectionRecord:
        """Put the shadow of a job into the place of its collection; see `Writer.replace_collection`."""
        return self.whole.replace_collection(job, settings)

    def put_alias(self, alias: str, collection: str) -> str | None:
        """Let an alias stand for a collection, see `Writer.put_alias`."""
        return self.whole.put_alias(alias, collection)

    def delete_alias(self, alias: str) -> str:
        """Delete an alias, not its collection; return the collection's name. Raises AliasMissing."""
        return self.whole.delete_alias(alias)

    def upsert(self, collection: int, documents: Sequence[DocumentRecord], *, mode: Mode = "upsert") -> Change:
        """Store documents, see `Writer.upsert`.

        Raises:
            OutsideFilter: a document does not pass, or its id is that of a hidden document.
            QuotaExceeded: the caller's part would have too much. In both cases the transaction has to be rolled back.
        """
        ids = [document.id for document in documents]
        self._refuse_hidden(collection, ids)
        change = self.whole.upsert(collection, documents, mode=mode)
        self._refuse_hidden(collection, ids)
        if len(change.added):
            self._restriction.check_quotas(self.whole)
        return change

    def delete_ids(self, collection: int, ids: Sequence[str]) -> RowNumbers:
        """Delete visible documents by id; return the deleted row numbers int64[n]. Other ids are ignored."""
        return self.whole.delete_ids(collection, list(self.existing(collection, ids)))

    def delete_where(self, collection: int, condition: Condition) -> RowNumbers:
        """Delete the visible documents that match; return the deleted row numbers int64[n]."""
        joined = self._and(condition)
        assert joined is not None
        return self.whole.delete_where(collection, joined)

    def _refuse_hidden(self, collection: int, ids: Sequence[str]) -> None:
        if self.condition is None:
            return
        visible = self.existing(collection, ids)
        if hidden := [identity for identity in self.whole.existing(collection, ids) if identity not in visible]:
            raise OutsideFilter(hidden)

"""Collections as the caller of one key sees them: only its part, and with its quotas.

Every call of such a caller has a `RestrictedCatalogue` in place of the catalogue. So no route can pass the restriction
by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, TypeVar

from service.encoding import Encoders
from service.retrieval.collections.aliases import Aliases
from service.retrieval.collections.catalogue import Catalogue, CatalogueChange, ClusterStatus
from service.retrieval.collections.collection import Collection
from service.retrieval.collections.costs import Costs
from service.retrieval.collections.key_background import KeySample
from service.retrieval.collections.lookup_queue import LookupQueue, Plan, PlannedReading
from service.retrieval.collections.snapshot import Snapshot
from service.retrieval.errors import CollectionUnsound
from service.storage import (
    Change,
    CollectionRecord,
    Condition,
    DocumentDamaged,
    DocumentRecord,
    FeedbackRecord,
    IdempotentWrite,
    Mode,
    Reader,
    Restriction,
    Store,
)

T = TypeVar("T")


class RestrictedLookups:
    """The queue of a collection's queries, for questions of a caller that sees only a part."""

    def __init__(self, queue: LookupQueue, collection: str, condition: Condition | None) -> None:
        self._queue, self._collection, self._condition = queue, collection, condition

    @property
    def waiting(self) -> int:
        """The number of questions of all callers that wait for a scan."""
        return self._queue.waiting

    async def ask(self, plan: Plan[T], size: int, read: int = 0, count: int = 1, *, plain: bool = False) -> T:
        """Ask the questions of a plan, built for a restricted snapshot, in the next batch; see `LookupQueue.ask`."""
        condition = self._condition
        with _without_ids(self._collection, condition):
            return await self._queue.ask(
                lambda snapshot: plan(snapshot.restrict(condition)), size, read, count, plain=plain
            )

    async def read(self, reading: Callable[[Snapshot], T], size: int, read: int = 0) -> T:
        """Return what a function reads of a restricted snapshot of the next batch, see `LookupQueue.read`."""
        return await self.ask(partial(PlannedReading, reading), size, read)


class RestrictedCollection:
    """A collection as one caller sees it. It reads and changes only the documents of the caller's part.

    Attributes:
        whole: the collection itself.
        restriction: the caller's part, and its quotas.
        lookups: the queue of its queries.
    """

    def __init__(self, collection: Collection, restriction: Restriction) -> None:
        self.whole, self.restriction = collection, restriction
        self.lookups = RestrictedLookups(collection.lookups, collection.name, restriction.condition)

    def current(self) -> RestrictedCollection:
        """Return the collection that is in use under this name, for the same caller; see `Collection.current`."""
        return RestrictedCollection(self.whole.current(), self.restriction)

    @property
    def record(self) -> CollectionRecord:
        """The collection's settings and counts, as of the last write; the counts are of all documents."""
        return self.whole.record

    @property
    def encoders(self) -> Encoders:
        """The encoders of the service."""
        return self.whole.encoders

    @property
    def sample(self) -> KeySample:
        """A sample of the keys of the whole collection, from which its background follows."""
        return self.whole.sample

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.whole.name

    @property
    def ready(self) -> bool:
        """Whether the collection can be queried."""
        return self.whole.ready

    @property
    def loaded(self) -> bool:
        """Whether the collection's keys are in memory."""
        return self.whole.loaded

    @property
    def size(self) -> int:
        """The number of documents of the whole collection, which is what a question costs."""
        return self.whole.size

    @property
    def keys(self) -> int:
        """The number of keys of the caller's documents; blocks."""
        if self.restriction.condition is None:
            return self.whole.keys
        with self.reading() as (record, reader):
            return reader.usage(record.id).keys

    def costs(self, record: CollectionRecord, reader: Reader) -> Costs | None:
        """Return what the collection costs; None for a caller that sees only a part of it.

        Args:
            record, reader: as `reading` yields them.
        """
        return None if self.restriction.condition is not None else self.whole.costs(record, reader)

    def with_counts(self, record: CollectionRecord, reader: Reader) -> CollectionRecord:
        """Return a record that counts the documents of the whole collection that have not expired.

        Args:
            record, reader: as `reading` yields them.
        """
        return self.whole.with_counts(record, reader)

    def count_expired(self, record: CollectionRecord, reader: Reader) -> int:
        """Count the documents that have expired, but are not deleted yet; 0 for a caller that sees only a part.

        Args:
            record, reader: as `reading` yields them.
        """
        return self.whole.count_expired(record, reader) if self.restriction.condition is None else 0

    def visible(self, record: CollectionRecord, reader: Reader) -> CollectionRecord:
        """Return a record that counts only the documents that the caller sees.

        Args:
            record, reader: as `reading` yields them.
        """
        if self.restriction.condition is None:
            return self.whole.visible(record, reader)
        usage = reader.usage(record.id)
        return replace(record, documents=usage.documents, keyless=usage.keyless)

    @contextmanager
    def reading(self) -> Iterator[tuple[CollectionRecord, Reader]]:
        """Open a reader of the caller's part, and yield it with the collection's record at the same instant."""
        with _without_ids(self.name, self.restriction.condition), self.whole.reading() as (record, reader):
            yield record, reader.seeing(reader.visibility.restrict(self.restriction.condition))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open a restricted snapshot: a consistent view of the store and the keys, valid inside the block."""
        with _without_ids(self.name, self.restriction.condition), self.whole.snapshot() as snapshot:
            yield snapshot.restrict(self.restriction.condition)

    def write(
        self,
        documents: Sequence[DocumentRecord],
        *,
        mode: Mode = "upsert",
        replacing: DocumentRecord | None = None,
        existing: frozenset[str] = frozenset(),
        delete: Sequence[str] = (),
        once: IdempotentWrite[Change] | None = None,
    ) -> Change:
        """Store documents within the caller's part, all or none; see `Collection.write`."""
        return self.whole.write(
            documents,
            mode=mode,
            replacing=replacing,
            existing=existing,
            delete=delete,
            once=once,
            within=self.restriction,
        )

    def update(
        self,
        changed: Callable[[DocumentRecord], DocumentRecord],
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Replace documents of the caller's part in one transaction; see `Collection.update`."""
        return self.whole.update(changed, ids=ids, condition=condition, once=once, within=self.restriction)

    def delete(
        self,
        *,
        ids: Sequence[str] | None = None,
        condition: Condition | None = None,
        once: IdempotentWrite[int] | None = None,
    ) -> int:
        """Delete documents of the caller's part; see `Collection.delete`."""
        return self.whole.delete(ids=ids, condition=condition, once=once, within=self.restriction)

    def write_feedback(self, records: Sequence[FeedbackRecord], *, once: IdempotentWrite[int] | None = None) -> int:
        """Store what the caller said of answers; see `Collection.write_feedback`."""
        return self.whole.write_feedback(records, once=once, within=self.restriction)

    def delete_feedback(self, numbers: Sequence[int] | None, *, once: IdempotentWrite[int] | None = None) -> int:
        """Delete feedback of all callers; see `Collection.delete_feedback`."""
        return self.whole.delete_feedback(numbers, once=once)


AnyCollection: TypeAlias = Collection | RestrictedCollection


class RestrictedCatalogue:
    """The collections by name, as one caller sees them.

    It creates, changes and deletes whole collections as the catalogue does. So only routes that a caller with a filter
    may not call do that.
    """

    def __init__(self, catalogue: Catalogue, restriction: Restriction) -> None:
        self._whole, self._restriction = catalogue, restriction

    @property
    def store(self) -> Store:
        """The store of all collections."""
        return self._whole.store

    @property
    def encoders(self) -> Encoders:
        """The encoders of the service."""
        return self._whole.encoders

    @property
    def aliases(self) -> Aliases:
        """The aliases of all collections; only callers without a filter change them."""
        return self._whole.aliases

    def collection(self, name: str) -> RestrictedCollection:
        """Return the collection of that name, or raise CollectionNotFound."""
        return RestrictedCollection(self._whole.collection(name), self._restriction)

    def collections(self) -> list[RestrictedCollection]:
        """Return all collections, by name."""
        return [RestrictedCollection(collection, self._restriction) for collection in self._whole.collections()]

    def page(
        self, prefixes: Sequence[str], after: str | None, limit: int | None
    ) -> tuple[list[RestrictedCollection], bool]:
        """Return a page of up to `limit` collections by name, and whether more follow; see `Catalogue.page`."""
        page, more = self._whole.page(prefixes, after, limit)
        return [RestrictedCollection(collection, self._restriction) for collection in page], more

    def loading(self) -> list[str]:
        """Return the names of collections that are still being loaded."""
        return self._whole.loading()

    def failures(self) -> list[str]:
        """Return a line for each reason why answers are unreliable."""
        return self._whole.failures()

    def shards(self) -> ClusterStatus | None:
        """Return the status of the cluster that holds the keys; None if this process holds them. Blocks."""
        return self._whole.shards()

    async def refresh(self) -> None:
        """Bring the collections up to date with the store."""
        await self._whole.refresh()

    async def create(
        self, name: str, fields: Mapping[str, Any], *, once: IdempotentWrite[CatalogueChange] | None = None
    ) -> tuple[Collection, bool]:
        """Create a collection, or confirm that it exists; see `Catalogue.create`."""
        return await self._whole.create(name, fields, once=once)

    def change(
        self,
        name: str,
        changes: Mapping[str, Any],
        *,
        once: IdempotentWrite[CatalogueChange] | None = None,
        of: CollectionRecord | None = None,
    ) -> Collection:
        """Change a collection's settings; see `Catalogue.change`."""
        return self._whole.change(name, changes, once=once, of=of)

    def delete(self, name: str, *, once: IdempotentWrite[None] | None = None) -> None:
        """Delete a collection and all its documents; see `Catalogue.delete`."""
        self._whole.delete(name, once=once)


AnyCatalogue: TypeAlias = Catalogue | RestrictedCatalogue


@contextmanager
def _without_ids(collection: str, condition: Condition | None) -> Iterator[None]:
    """Raise an error without ids in place of one about damaged documents: they may be hidden from the caller."""
    try:
        yield
    except (DocumentDamaged, CollectionUnsound) as error:
        if condition is None:
            raise
        raise CollectionUnsound(collection) from error

"""The collections of one data directory, by name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from softkv_attention.lookup import Limits
from softkv_service.encoding import Encoders
from softkv_service.logs import log
from softkv_service.retrieval.calibration import has_conformal_sets
from softkv_service.retrieval.collections.aliases import Aliases
from softkv_service.retrieval.collections.collection import MAX_UNLOADED_DOCUMENTS, Collection
from softkv_service.retrieval.collections.expiry import Clock, read_clock
from softkv_service.retrieval.collections.keys_in_memory import LoadedCollections
from softkv_service.retrieval.collections.restricted import Handle
from softkv_service.retrieval.collections.sealed import SealedBlocks
from softkv_service.retrieval.collections.settings import (
    check_temperature,
    resolve_settings,
    settings_before_calibration,
)
from softkv_service.retrieval.errors import CollectionConflict, CollectionMoved, CollectionNotFound, RetrievalError
from softkv_service.retrieval.verdict import CALIBRATED, require_calibration
from softkv_service.scheduling import WRITES
from softkv_service.storage import HIDDEN, Cursor, IdempotentWrite, Reader, ReEncoding, Store, Writer
from softkv_service.storage.errors import CollectionExists, CollectionMissing, StorageError, StoreUnavailable
from softkv_service.storage.instants import SECOND
from softkv_service.storage.records import CollectionRecord, CollectionSettings


@dataclass(frozen=True)
class ServerStatus:
    """The status of one shard server; fields that only the server knows are None if it did not answer.

    Attributes:
        machine: the machine that the server runs on.
        leaving: whether the server stops as soon as others hold its shards.
        ranges: the number of shards that the server holds.
        keys: the number of live keys in these shards.
        coming: the number of shards that the server loads, or will load.
        lag: how many versions the server is behind the store, for the collection that is furthest behind.
        trouble: why the server's last sync with the store failed; None also if it succeeded.
    """

    name: str
    machine: str | None
    leaving: bool
    ranges: int
    keys: int | None
    coming: int | None
    lag: int | None
    trouble: str | None


@dataclass(frozen=True)
class ClusterStatus:
    """The status of all servers, and of the replicas of all shards.

    The counts are None while the store is unavailable.

    Attributes:
        copies: the number of replicas that each shard should have.
        ranges: the number of shards.
        whole: the number of shards that `copies` servers hold, or all servers if these are fewer.
        unheld: the number of shards without a ready replica.
        servers: all servers, by name.
    """

    copies: int
    ranges: int | None
    whole: int | None
    unheld: int | None
    servers: tuple[ServerStatus, ...]

    @property
    def fewer(self) -> int | None:
        """The number of shards with some ready replicas, but fewer than `copies`."""
        if self.ranges is None or self.whole is None or self.unheld is None:
            return None
        return self.ranges - self.whole - self.unheld


WARMED_SMALL = 16
"""Small collections that are asked a first question at a start."""

TEXT_CHECK_BATCH = 256
TEXT_CHECK_PAUSE_SECONDS = 0.005
"""Documents whose texts are checked at a time after a start, and the pause in between, for other threads."""


@dataclass(frozen=True)
class CatalogueChange:
    """The effect of a write to the catalogue, as its own transaction sees it.

    Attributes:
        record: the collection's record after the write.
        reader: a reader that sees the write.
        created: whether the collection is new.
    """

    collection: Collection
    record: CollectionRecord
    reader: Reader
    created: bool


class Catalogue(Handle):
    """Collections by name. Methods that touch storage block, so call them off the event loop.

    A handle with a restriction returns collections as its caller sees them. It creates, changes and deletes whole
    collections. So only routes that a caller with a filter may not call do that.

    Args:
        originals: a directory for the float32 vectors of large collections; None keeps them in memory.
        sealed: a directory for sealed blocks: files with the coded keys of large collections, which make the next start
            faster. None writes no files.
        limits: of the collections' memories.
        max_loaded: the most small collections whose keys are in memory at once; None for no limit. If there are more,
            a start reads the keys of none of them, and the first call to each does.
        clock: the clock by which documents expire.
    """

    def __init__(
        self,
        store: Store,
        encoders: Encoders | None,
        originals: Path | None = None,
        sealed: Path | None = None,
        limits: Limits = Limits(),
        max_loaded: int | None = None,
        max_loaded_bytes: int | None = None,
        clock: Clock = read_clock,
    ) -> None:
        super().__init__()
        self.limits = limits
        self.clock = clock
        self.loaded = LoadedCollections(max_loaded, max_loaded_bytes)
        self.store = store
        self.encoders = Encoders() if encoders is None else encoders
        self._directories = {"originals": originals, "sealed": sealed}
        self._collections: dict[str, Collection] = {}
        self._shadows: dict[int, Collection] = {}  # by number: what jobs fill, under the names of the originals
        self._replaced: dict[int, Collection] = {}  # by number: calls that began before the move still read them
        with store.reading() as reader:
            records, aliases = reader.collections(), reader.aliases()
            shadows = self._shadow_records(reader)
        self.aliases = Aliases(store, aliases, self._publish_after)
        small = {record.id for record in records if record.documents <= MAX_UNLOADED_DOCUMENTS}
        unread = small if max_loaded is not None and len(small) > max_loaded else set[int]()
        for record in records:
            made = self._unread(record) if record.id in unread else self._of(record, ready=False)
            self._collections[record.name] = made
        if names := [record.name for record in records if record.settings.has_lost_calibration]:
            log.warning("calibrations of a collection's own texts are not read any more", collections=names)
        if names := [record.name for record in records if has_conformal_sets(record.settings.calibration)]:
            log.warning("conformal sets of stored calibrations are not read any more", collections=names)
        self._shadows |= {number: self._of(record, ready=False) for number, record in shadows.items()}
        if sealed is not None:
            SealedBlocks.remove_others(sealed, [*(record.id for record in records), *shadows])

    def rebuild(self) -> None:
        """Load the keys of every collection, the smallest first; of small ones while there is room."""
        waiting = [c for c in [*self._collections.values(), *self._shadows.values()] if not c.ready]
        for collection in sorted(waiting, key=lambda collection: collection.record.documents):
            try:
                if self.loaded.full and collection.record.documents <= MAX_UNLOADED_DOCUMENTS:
                    collection.leave_in_store()
                else:
                    collection.rebuild()
            except MemoryError:
                collection.reload("there was no memory for its keys")
            except StoreUnavailable as error:
                collection.reload(str(error))
            except CollectionNotFound:
                pass  # deleted meanwhile
            except StorageError as error:
                collection.trouble = str(error)

    def warm(self) -> None:
        """Ask collections one question of each kind, so that later questions find all code loaded; blocks.

        Only some of the small ones are asked, because these compute nothing on first use that takes long.
        """
        loaded = sorted((c for c in self.collections() if c.loaded), key=lambda collection: -collection.size)
        large = [collection for collection in loaded if collection.size > MAX_UNLOADED_DOCUMENTS]
        for collection in loaded[: len(large) + WARMED_SMALL]:
            collection.warm()

    def tidy_idle(self) -> None:
        """Begin background work of the collections to which nothing was written since the last call; never waits."""
        for collection in [*self._collections.values()]:
            collection.tidy_if_idle()

    def check_texts(self) -> None:
        """Check every stored text against its checksum, slowly, in the background; record the damage."""
        after: Cursor | None = None
        while True:
            try:
                with self.store.reading() as reader:
                    after, damaged = reader.check_texts(after, TEXT_CHECK_BATCH)
            except StorageError:  # the service stops, or the file is damaged, which the store reports by itself
                return
            for number, error in damaged:
                for collection in self.collections():
                    if collection.record.id == number:
                        collection.damage.note(error)
            if after is None:
                return
            time.sleep(TEXT_CHECK_PAUSE_SECONDS)

    def check_keys(self) -> None:
        """Check the stored keys of collections that are not in memory, slowly, in the background; record the damage."""
        for collection in self.collections():
            if not collection.loaded:
                try:
                    collection.check_keys()
                except StorageError:  # the service stops, or the file is damaged, which the store reports by itself
                    return
                except RetrievalError:  # it was deleted, or cannot be read, which /readyz reports
                    continue
                time.sleep(TEXT_CHECK_PAUSE_SECONDS)

    def close(self) -> None:
        """Release what the catalogue holds; the store is closed by its owner."""

    def loading(self) -> list[str]:
        """Return the names of collections that are still being loaded."""
        return [
            collection.name for collection in self.collections() if not collection.ready and collection.trouble is None
        ]

    def failures(self) -> list[str]:
        """Return a line for each reason why answers are unreliable.

        Reasons are a collection that cannot be read, damaged documents, and a file that fails.
        """
        collections = self.collections()
        unread = [
            f"collection {collection.name}: {collection.trouble}"
            for collection in collections
            if not collection.ready and collection.trouble
        ]
        return [
            *self.store.troubles(),
            *unread,
            *(line for collection in collections for line in collection.damage.report()),
        ]

    def shards(self) -> ClusterStatus | None:
        """Return the status of the cluster that holds the keys; None if this process holds them. Blocks."""
        return None

    def collection(self, name: str) -> Collection:
        """Return the collection of that name, or raise CollectionNotFound."""
        if (collection := self._collections.get(name)) is None:
            raise CollectionNotFound(name)
        return collection if collection.restriction is self.restriction else collection.restrict(self.restriction)

    def collections(self) -> list[Collection]:
        """Return all collections, by name."""
        return [self._collections[name].restrict(self.restriction) for name in sorted(self._collections)]

    def page(self, prefixes: Sequence[str], after: str | None, limit: int | None) -> tuple[list[Collection], bool]:
        """Return a page of up to `limit` collections by name, and whether more follow.

        Args:
            prefixes: return only collections whose name begins with one of these; without any, all collections.
            after: begin after this name; None for the first page.
            limit: None for no limit. With 0 no more follow, as for documents: a page that never advances has no next
                page.
        """
        collections = [
            collection
            for collection in self.collections()
            if not prefixes or collection.name.startswith(tuple(prefixes))
        ]
        if after is not None:
            collections = [collection for collection in collections if collection.name > after]
        return collections[:limit], bool(limit) and len(collections) > (limit or 0)

    async def create(
        self, name: str, fields: Mapping[str, Any], *, once: IdempotentWrite[CatalogueChange] | None = None
    ) -> tuple[Collection, bool]:
        """Create a collection and return it with True; if it exists with the same fields, return it with False.

        Args:
            fields: the fields that were sent; the others take their defaults.
            once: makes a repeated request get its first answer; None without an Idempotency-Key.

        Raises:
            CollectionConflict: the collection exists with other settings.
            AliasExists: an alias has that name.
        """
        if name not in self._collections:
            settings = await resolve_settings(self.encoders, fields)
            try:
                return await WRITES.run(self._create, name, settings, once), True
            except CollectionExists:
                await self.refresh()
        if once is None:
            return _confirm_settings(self.collection(name), fields), False
        return await WRITES.run(self._confirm_once, name, fields, once), False

    def _confirm_once(self, name: str, fields: Mapping[str, Any], once: IdempotentWrite[CatalogueChange]) -> Collection:
        with self.store.writing(once) as writer:
            collection = _confirm_settings(self.collection(name), fields)
            writer.keep_answer(once, CatalogueChange(collection, collection.record, writer, created=False))
        return collection

    def _create(
        self, name: str, settings: CollectionSettings, once: IdempotentWrite[CatalogueChange] | None
    ) -> Collection:
        with self.store.writing(once) as writer:
            record = writer.create_collection(name, settings)
            collection = self._of(record, ready=True)
            writer.keep_answer(once, CatalogueChange(collection, record, writer, created=True))
            self._publish_after(writer, lambda: self._collections.__setitem__(name, collection))
        self.loaded.use(collection, collection.memory_bytes)
        return collection

    def change(
        self,
        name: str,
        changes: Mapping[str, Any],
        *,
        once: IdempotentWrite[CatalogueChange] | None = None,
        of: CollectionRecord | None = None,
    ) -> Collection:
        """Change a collection's settings: temperature, null, calibration, defaults, expiry, projection or late.

        With another projection the calibration is removed, since it is of other similarities. If the calibration is
        removed, the temperature and null from before it are restored.

        Args:
            changes: the new value of each field to change.
            once: makes a repeated request get its first answer; None without an Idempotency-Key.
            of: the record that the collection must still have; None for any.

        Raises:
            CollectionConflict: the collection is not the one of the record `of` any more, or has other settings.
        """
        number = self.collection(name).record.id
        with self.store.writing(once, collection=number) as writer:
            # Look it up again: another collection may have taken the name while this call waited for the lock.
            collection, stored = self.collection(name), writer.collection(name)
            if of is not None and (stored.id, stored.settings) != (of.id, of.settings):
                raise CollectionConflict(f"collection {name!r} was changed meanwhile: send the same once more")
            if changes.get("projection", stored.settings.projection) != stored.settings.projection:
                changes = {**changes, "calibration": None}
            settings = replace(stored.settings, **settings_before_calibration(stored.settings, changes) | dict(changes))
            check_temperature(settings)
            if settings.null == CALIBRATED:
                require_calibration(replace(stored, settings=settings), "/null")
            record = writer.update_collection(name, settings)
            writer.keep_answer(once, CatalogueChange(collection, record, writer, created=False))

            def publish() -> None:
                if collection.record.id == record.id:
                    collection.record = record

            self._publish_after(writer, publish)
        return collection

    def delete(self, name: str, *, once: IdempotentWrite[None] | None = None) -> None:
        """Delete a collection and all its documents; its waiting queries fail with CollectionNotFound."""
        with self.store.writing(once, deletes=True) as writer:
            self.collection(name)
            job = writer.re_encoding(writer.collection(name).id)
            writer.delete_collection(name)
            writer.keep_answer(once, None)

            def forget() -> None:
                self.aliases.forget(name)
                self._forget(name)
                if job is not None and job.shadow is not None:
                    self._forget_shadow(job.shadow)

            self._publish_after(writer, forget)

    def shadow(self, job: ReEncoding) -> Collection | None:
        """Return the collection that a job fills; None if the job has ended, or this process has not seen it yet."""
        return None if job.shadow is None else self._shadows.get(job.shadow)

    def begin_re_encoding(
        self,
        job: ReEncoding,
        settings: CollectionSettings,
        name: str,
        once: IdempotentWrite[ReEncoding] | None = None,
    ) -> ReEncoding:
        """Store a job that moves the collection of this name to another encoder, and create its shadow.

        Args:
            job: the job, without a shadow.
            settings: the settings of the shadow.
            once: makes a repeated request get its first answer; None without an Idempotency-Key.

        Raises:
            ReEncodingActive: the collection has a job that has not ended.
        """
        with self.store.writing(once, collection=job.collection) as writer:
            if writer.record(job.collection).name != name:
                raise CollectionMoved(name)
            job = writer.begin_re_encoding(job, settings)
            assert job.shadow is not None
            writer.keep_answer(once, job)
            number, record = job.shadow, replace(writer.record(job.shadow), name=name)
            shadow = self._of(record, ready=True)
            self._publish_after(writer, lambda: self._shadows.setdefault(number, shadow))
        return job

    def end_re_encoding(self, writer: Writer, job: ReEncoding, shadow: int | None) -> None:
        """Store a job that was cancelled or has failed; its shadow is deleted later.

        Args:
            shadow: the number of the shadow that it had.
        """
        writer.save_re_encoding(job)
        if shadow is not None:
            self._publish_after(writer, lambda: self._forget_shadow(shadow))

    def replace_collection(self, writer: Writer, job: ReEncoding, settings: CollectionSettings) -> None:
        """Put the shadow of a job into the place of its collection, for every call that begins after the commit."""
        record = writer.replace_collection(job, settings)
        self._publish_after(writer, lambda: self._move(record))

    def _move(self, record: CollectionRecord) -> None:
        """Let the shadow with the number of this record be the collection of its name."""
        before = self._collections.get(record.name)
        if before is None or before.record.id == record.id:
            return
        shadow = self._shadows.pop(record.id)
        shadow.record = record
        self._collections[record.name] = shadow
        self._replaced[before.record.id] = before
        before.moved_to = shadow

    def delete_hidden(self, number: int, limit: int) -> bool:
        """Delete a hidden collection that no job fills, or a part of it; return whether there is more to delete.

        Calls that still read it fail with CollectionNotFound from now on.
        """
        if (replaced := self._replaced.pop(number, None)) is not None:
            replaced.mark_deleted()
        with suppress(CollectionMissing), self.store.writing(deletes=True) as writer:
            record = writer.record(number)
            if not record.name.startswith(HIDDEN):
                return False
            if writer.delete_some(number, limit):
                return True
            writer.delete_collection(record.name)
        return False

    def _forget_shadow(self, number: int) -> None:
        if (shadow := self._shadows.pop(number, None)) is not None:
            shadow.mark_deleted()

    @staticmethod
    def _shadow_records(reader: Reader) -> dict[int, CollectionRecord]:
        """Return the records of all shadows that jobs fill, by number, under the names of the originals."""
        hidden = {record.id for record in reader.list_hidden()}
        return {
            job.shadow: replace(reader.record(job.shadow), name=reader.record(job.collection).name)
            for job in reader.re_encodings()
            if job.shadow is not None and job.shadow in hidden
        }

    async def refresh(self) -> None:
        """Bring the collections up to date with the store. Do nothing if no other process writes to the store."""

    def _publish_after(self, writer: Writer, publish: Callable[[], object]) -> None:
        """Register a function that applies a transaction's changes to the collections in memory, once it is committed.

        Args:
            writer: the transaction.
            publish: the function.
        """
        writer.after_commit(publish)

    def _forget(self, name: str) -> None:
        if (collection := self._collections.pop(name, None)) is not None:
            collection.mark_deleted()

    def _of(self, record: CollectionRecord, *, ready: bool) -> Collection:
        return Collection(
            record,
            self.store,
            self.encoders,
            ready=ready,
            limits=self.limits,
            loaded=self.loaded,
            unread=False,
            clock=self.clock,
            **self._directories,
        )

    def _unread(self, record: CollectionRecord) -> Collection:
        """Return a collection whose keys are read by the first call."""
        return Collection(
            record,
            self.store,
            self.encoders,
            ready=True,
            limits=self.limits,
            loaded=self.loaded,
            unread=True,
            clock=self.clock,
            **self._directories,
        )


def _confirm_settings(collection: Collection, fields: Mapping[str, Any]) -> Collection:
    settings = collection.record.settings
    differing = [
        f"{field} is {_show(field, getattr(settings, field))}, not {_show(field, sent)}"
        for field, sent in fields.items()
        if not _same(getattr(settings, field), sent)
    ]
    if differing:
        raise CollectionConflict(
            f"collection {collection.name!r} exists with other settings: {'; '.join(differing)}. "
            "PATCH changes temperature, null, defaults, expire_after and late; for the rest delete it, or choose "
            "another name"
        )
    return collection


def _show(field: str, value: Any) -> str:
    """Return a setting as requests have it: a duration in seconds, defaults as the JSON that they are."""
    if field == "defaults" and value is not None:
        return str(value)
    return json.dumps(value / SECOND if field == "expire_after" and value is not None else value)


def _same(stored: Any, sent: Any) -> bool:
    """Return whether a stored setting equals the sent one; False and 0 count as different."""
    return bool(stored == sent) and (stored is False) == (sent is False)

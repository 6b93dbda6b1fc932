"""All collections of one data directory, by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from service.encoding import LoadingEncoder
from service.retrieval.collections.collection import Collection
from service.retrieval.collections.null import CALIBRATED, require_calibration
from service.retrieval.collections.sealed import SealedBlocks
from service.retrieval.collections.settings import check_temperature, resolve_settings, settings_before_calibration
from service.retrieval.errors import CollectionConflict, CollectionNotFound
from service.scheduling import WRITES
from service.storage import (
    CollectionExists,
    CollectionRecord,
    CollectionSettings,
    Cursor,
    IdempotentWrite,
    Reader,
    StorageError,
    Store,
    StoreUnavailable,
    Writer,
)


@dataclass(frozen=True)
class NodeStatus:
    """One slot; what only it knows is None where it did not answer in time.

    Attributes:
        node: the machine that it runs on.
        leaving: whether it goes as soon as others hold what it has.
        ranges: how many it has ready, as the store knows it.
        keys: how many live in them.
        coming: how many ranges it reads, or is to read.
        lag: how many versions it is behind the store, of the collection of which it is the most.
        trouble: why its last look at the store did not succeed; None also where it did.
    """

    name: str
    node: str
    leaving: bool
    ranges: int
    keys: int | None
    coming: int | None
    lag: int | None
    trouble: str | None


@dataclass(frozen=True)
class ClusterStatus:
    """All slots together, and how the ranges of all collections are held; no ranges while the store cannot be asked.

    Attributes:
        copies: how many slots are to hold each range.
        ranges: how many there are.
        whole: how many of them as many slots have ready, or more.
        unheld: how many of them no slot has ready.
        slots: those that were seen lately, by name.
    """

    copies: int
    ranges: int | None
    whole: int | None
    unheld: int | None
    slots: tuple[NodeStatus, ...]

    @property
    def fewer(self) -> int | None:
        """How many ranges some slots have ready, but fewer than `copies`."""
        if self.ranges is None or self.whole is None or self.unheld is None:
            return None
        return self.ranges - self.whole - self.unheld


log = structlog.get_logger("softkv")

TEXT_CHECK_BATCH = 256
TEXT_CHECK_PAUSE_SECONDS = 0.005
"""Documents whose texts are checked at a time after a start, and the pause in between, in which others run."""


@dataclass(frozen=True)
class CatalogueChange:
    """What a write to the catalogue did, as its own transaction sees it.

    Attributes:
        record: of the collection, as it is now.
        reader: sees what was written.
    """

    collection: Collection
    record: CollectionRecord
    reader: Reader
    created: bool


class Catalogue:
    """Collections by name; the methods that touch storage block, so call them off the event loop.

    Args:
        originals: a directory for the float32 vectors of large collections; None keeps them in memory.
        sealed: a directory for the blocks of large collections, which the next start then need not code again; None
            for none.
    """

    def __init__(
        self,
        store: Store,
        encoder: LoadingEncoder | None,
        originals: Path | None = None,
        sealed: Path | None = None,
    ) -> None:
        self.store = store
        self.encoder = encoder
        self._directories = {"originals": originals, "sealed": sealed}
        self._collections: dict[str, Collection] = {}
        with store.reading() as reader:
            for record in reader.collections():
                self._collections[record.name] = self._of(record, ready=False)
        if low_bit := [each.name for each in self._collections.values() if each.record.low_bit]:
            log.info("low-bit codes were removed, these are answered from codes of 8 bits", collections=low_bit)
        if sealed is not None:
            SealedBlocks.remove_others(sealed, [each.record.id for each in self._collections.values()])

    def rebuild(self) -> None:
        """Read every collection's keys into memory, the smallest first."""
        waiting = [(c.record.documents, name) for name, c in self._collections.items() if not c.ready]
        for _, name in sorted(waiting):
            if (collection := self._collections.get(name)) is None:
                continue
            try:
                collection.rebuild()
            except MemoryError:
                collection.read_anew("there was no memory for its keys")
            except StoreUnavailable as error:
                collection.read_anew(str(error))
            except CollectionNotFound:
                pass  # deleted meanwhile
            except StorageError as error:
                collection.trouble = str(error)

    def warm(self) -> None:
        """Ask every collection a question of each kind; blocks."""
        for collection in self.collections():
            collection.warm()

    def check_texts(self) -> None:
        """Hold every stored text against its checksum, slowly, beside whatever else runs; what is damaged is noted."""
        after: Cursor | None = None
        while True:
            try:
                with self.store.reading() as reader:
                    after, damaged = reader.damaged_texts(after, TEXT_CHECK_BATCH)
            except StorageError:  # the service stops; or the file proved damaged, which the store remembers
                return
            for number, error in damaged:
                for collection in self.collections():
                    if collection.record.id == number:
                        collection.damage.note(error)
            if after is None:
                return
            time.sleep(TEXT_CHECK_PAUSE_SECONDS)

    def close(self) -> None:
        """Let go of who scans beside this process; the store is not the catalogue's to close."""

    def loading(self) -> list[str]:
        """What a probe should say is still being read."""
        return [each.name for each in self.collections() if not each.ready and each.trouble is None]

    def failed(self) -> list[str]:
        """What keeps answers from being sound: collections that cannot be read, damage, a file that fails."""
        collections = self.collections()
        unread = [f"collection {each.name}: {each.trouble}" for each in collections if not each.ready and each.trouble]
        return [*self.store.troubles(), *unread, *(line for each in collections for line in each.damage.report())]

    def shards(self) -> ClusterStatus | None:
        """What holds the keys where they are not in this process; None where they are. Blocks."""
        return None

    def collection(self, name: str) -> Collection:
        """The collection of that name."""
        try:
            return self._collections[name]
        except KeyError:
            raise CollectionNotFound(name) from None

    def collections(self) -> list[Collection]:
        """Every collection, by name."""
        return [self._collections[name] for name in sorted(self._collections)]

    def page(self, prefix: str, after: str | None, limit: int | None) -> tuple[list[Collection], bool]:
        """Up to `limit` collections of that prefix by name, the first one behind `after`; and whether more follow.

        With a limit of 0 none do, as for documents: a page that never moves on has no next one.
        """
        found = [each for each in self.collections() if each.name.startswith(prefix)]
        if after is not None:
            found = [each for each in found if each.name > after]
        return found[:limit], bool(limit) and len(found) > (limit or 0)

    async def create(
        self, name: str, wanted: Mapping[str, Any], *, once: IdempotentWrite[CatalogueChange] | None = None
    ) -> tuple[Collection, bool]:
        """A new collection, or the one that is there where the fields sent are equal (then False).

        `wanted` holds the fields that were sent; the others take their defaults.
        """
        if name not in self._collections:
            settings = await resolve_settings(self.encoder, wanted)
            try:
                return await WRITES.run(self._create, name, settings, once), True
            except CollectionExists:
                await self.refresh()
        if once is None:
            return _confirm_settings(self.collection(name), wanted), False
        return await WRITES.run(self._confirm_once, name, wanted, once), False

    def _confirm_once(self, name: str, wanted: Mapping[str, Any], once: IdempotentWrite[CatalogueChange]) -> Collection:
        with self.store.writing(once) as writer:
            collection = _confirm_settings(self.collection(name), wanted)
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
        return collection

    def change(
        self,
        name: str,
        changes: Mapping[str, Any],
        *,
        once: IdempotentWrite[CatalogueChange] | None = None,
        of: CollectionRecord | None = None,
    ) -> Collection:
        """Set temperature, null, or a calibration; None takes that away, with the temperature and null it brought.

        Raises:
            CollectionConflict: it is another collection than that record's by now, or has other settings.
        """
        number = self.collection(name).record.id
        with self.store.writing(once, collection=number) as writer:
            # Looked up again: another collection may have taken the name while this call waited for its turn.
            collection, stored = self.collection(name), writer.collection(name)
            if of is not None and (stored.id, stored.settings) != (of.id, of.settings):
                raise CollectionConflict(f"collection {name!r} was changed meanwhile: send the same once more")
            settings = replace(stored.settings, **settings_before_calibration(stored.settings, changes) | dict(changes))
            check_temperature(settings)
            if settings.null == CALIBRATED:
                require_calibration(replace(stored, settings=settings), "/null")
            record = writer.update_collection(name, settings)
            writer.keep_answer(once, CatalogueChange(collection, record, writer, created=False))
            self._publish_after(writer, lambda: setattr(collection, "record", record))
        return collection

    def delete(self, name: str, *, once: IdempotentWrite[None] | None = None) -> None:
        """Remove a collection and all its documents; questions to it that wait are told that it is gone."""
        with self.store.writing(once, deletes=True) as writer:
            self.collection(name)
            writer.delete_collection(name)
            writer.keep_answer(once, None)
            self._publish_after(writer, lambda: self._deleted(name))

    async def refresh(self) -> None:
        """Have what there is be what the store has; it is, where nobody else writes it."""

    def _publish_after(self, writer: Writer, publish: Callable[[], object]) -> None:
        """Apply a transaction's changes to memory once it is committed."""
        writer.after_commit(publish)

    def _deleted(self, name: str) -> None:
        if (collection := self._collections.pop(name, None)) is not None:
            collection.mark_deleted()

    def _of(self, record: CollectionRecord, *, ready: bool) -> Collection:
        return Collection(record, self.store, self.encoder, ready=ready, **self._directories)


def _confirm_settings(collection: Collection, wanted: Mapping[str, Any]) -> Collection:
    settings = collection.record.settings
    differing = [
        f"{field} is {getattr(settings, field)!r}, not {sent!r}"
        for field, sent in wanted.items()
        if not _same(getattr(settings, field), sent)
    ]
    if differing:
        raise CollectionConflict(
            f"collection {collection.name!r} exists with other settings: {'; '.join(differing)}. "
            "PATCH changes temperature and null; for the rest delete it, or choose another name"
        )
    return collection


def _same(stored: Any, sent: Any) -> bool:
    """Equality in which false is not 0."""
    return bool(stored == sent) and (stored is False) == (sent is False)

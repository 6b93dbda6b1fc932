"""Every collection of one data directory, and the encoder that serves them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from service.encoding.encoder import Encoder
from service.encoding.queue.loading import LoadingEncoder
from service.encoding.queue.queue import EncodingQueue
from service.retrieval.collections.collection import Collection
from service.retrieval.collections.lookup_queue import Lookups
from service.retrieval.collections.null import default_null
from service.retrieval.errors import (
    CollectionConflict,
    CollectionNotFound,
    EncoderUnavailable,
    InvalidContent,
)
from service.retrieval.temperature import default_temperature
from service.storage import CollectionExists, CollectionSettings, StorageError, Store

CHECKED = 256
PAUSE_SECONDS = 0.005
"""Documents whose texts are checked at a time after a start, and the pause in between, in which others run."""


class Catalogue:
    """Collections by name; the methods that touch storage block, so call them off the event loop.

    Args:
        originals: a directory for the float32 vectors of large collections; None keeps them in memory.
    """

    def __init__(self, store: Store, encoder: LoadingEncoder | None, originals: Path | None = None) -> None:
        self.store = store
        self.encoder = encoder
        self._originals = originals
        self._collections: dict[str, Collection] = {}
        self._lookups: WeakKeyDictionary[Collection, Lookups] = WeakKeyDictionary()
        with store.reading() as reader:
            for record in reader.collections():
                self._collections[record.name] = Collection(record, store, ready=False, originals=originals)

    def rebuild(self) -> None:
        """Read every collection's keys into memory, the smallest first."""
        with self.store.reading() as reader:
            waiting = [(reader.count(c.record.id), name) for name, c in self._collections.items() if not c.ready]
        for _, name in sorted(waiting):
            if (collection := self._collections.get(name)) is None:
                continue
            try:
                collection.rebuild()
            except MemoryError:
                collection.read_anew("there was no memory for its keys")
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
        after: int | None = 0
        while after is not None:
            try:
                with self.store.reading() as reader:
                    after, damaged = reader.damaged_texts(after, CHECKED)
            except StorageError:  # the service stops; or the file proved damaged, which the store remembers
                return
            for number, error in damaged:
                for collection in self.collections():
                    if collection.record.id == number:
                        collection.damage.note(error)
            time.sleep(PAUSE_SECONDS)

    def loading(self) -> list[str]:
        """What a probe should say is still being read."""
        return [each.name for each in self.collections() if not each.ready and each.trouble is None]

    def failed(self) -> list[str]:
        """What keeps answers from being sound: collections that cannot be read, damage, a file that fails."""
        collections = self.collections()
        unread = [f"collection {each.name}: {each.trouble}" for each in collections if not each.ready and each.trouble]
        return [*self.store.troubles(), *unread, *(line for each in collections for line in each.damage.told())]

    def collection(self, name: str) -> Collection:
        """The collection of that name."""
        try:
            return self._collections[name]
        except KeyError:
            raise CollectionNotFound(name) from None

    def lookups(self, name: str) -> Lookups:
        """Where the questions to a collection wait."""
        collection = self.collection(name)
        if collection not in self._lookups:
            self._lookups[collection] = Lookups(collection)
        return self._lookups[collection]

    def collections(self) -> list[Collection]:
        """Every collection, by name."""
        return [self._collections[name] for name in sorted(self._collections)]

    async def queue(self, wanted_by: CollectionSettings | None = None) -> EncodingQueue:
        """The encoder's queue, once it is loaded; for a collection, whose vectors must be of this encoder."""
        if self.encoder is None:
            raise InvalidContent.at(
                "", "this service runs without an encoder (ENCODER=none): send vectors, not texts, or start it with one"
            )
        if wanted_by is not None and wanted_by.encoder != self.encoder.name:
            raise _other_encoder(wanted_by, repr(self.encoder.name), f"ENCODER={wanted_by.encoder}")
        queue = await self.encoder.ready()
        if queue is None:
            reason = self.encoder.failure or "it is still loading; try again in a moment, or see /readyz"
            raise EncoderUnavailable(f"the encoder {self.encoder.name!r} is not ready: {reason}")
        if wanted_by is not None and wanted_by.precision != queue.encoder.precision:
            raise _other_encoder(wanted_by, f"it in {queue.encoder.precision}", f"PRECISION={wanted_by.precision}")
        return queue

    def loaded(self, settings: CollectionSettings) -> Encoder | None:
        """The encoder that a collection's vectors are of, where it is this service's and loaded."""
        encoder = None if self.encoder is None else self.encoder.encoder
        same = encoder is not None and (encoder.name, encoder.precision) == (settings.encoder, settings.precision)
        return encoder if same else None

    async def create(self, name: str, wanted: Mapping[str, Any]) -> tuple[Collection, bool]:
        """A new collection, or the one that is there where the fields sent are equal (then False).

        `wanted` holds the fields that were sent; the others take their defaults.
        """
        if name in self._collections:
            return _confirm(self._collections[name], wanted), False
        settings = await self.settle(wanted)
        try:
            return await asyncio.to_thread(self._create, name, settings), True
        except CollectionExists:
            return _confirm(self.collection(name), wanted), False

    def _create(self, name: str, settings: CollectionSettings) -> Collection:
        with self.store.writing() as writer:
            collection = Collection(
                writer.create_collection(name, settings), self.store, ready=True, originals=self._originals
            )
            writer.after_commit(lambda: self._collections.__setitem__(name, collection))
        return collection

    async def settle(self, wanted: Mapping[str, Any]) -> CollectionSettings:
        """The settings a new collection gets: what was sent, defaults for the rest."""
        encoder = await self._encoder(wanted.get("encoder", self.encoder.name if self.encoder else None))
        dimension = wanted.get("dimension")
        if encoder is not None and dimension not in (None, encoder.dimension):
            raise InvalidContent.at(
                "/dimension",
                f"the encoder {encoder.name!r} makes keys of width {encoder.dimension}, dimension is {dimension}: "
                'leave it out, or send "encoder": null and bring vectors',
            )
        similarity = wanted.get("similarity", encoder.similarity if encoder else "cosine")
        width = encoder.dimension if encoder else dimension
        settings = CollectionSettings(
            similarity=similarity,
            temperature=default_temperature(
                similarity, encoder=encoder.temperatures if encoder else None, dimension=width
            ),
            dimension=width,
            value_dimension=wanted.get("value_dimension"),
            encoder=encoder.name if encoder else None,
            precision=encoder.precision if encoder else None,
            value_from=wanted.get("value_from", "value"),
            null=default_null(encoder is not None),
        )
        settings = replace(settings, **{k: wanted[k] for k in ("temperature", "null") if wanted.get(k) is not None})
        check_settings(settings)
        return settings

    async def _encoder(self, name: str | None) -> Encoder | None:
        if name is None:
            return None
        if self.encoder is None or name != self.encoder.name:
            runs = repr(self.encoder.name) if self.encoder else "none"
            raise InvalidContent.at(
                "/encoder",
                f"the service's encoder is {runs}, encoder is {name!r}: leave it out, or send null",
            )
        return (await self.queue()).encoder

    def change(self, name: str, changes: Mapping[str, Any]) -> Collection:
        """Set temperature or null."""
        collection = self.collection(name)
        with self.store.writing() as writer:
            settings = replace(collection.record.settings, **changes)
            check_settings(settings)
            record = writer.update_collection(name, settings)
            writer.after_commit(lambda: setattr(collection, "record", record))
        return collection

    def delete(self, name: str) -> None:
        """Remove a collection and all its documents; questions to it that wait are told that it is gone."""
        self.collection(name)
        with self.store.writing() as writer:
            writer.delete_collection(name)
            writer.after_commit(lambda: self._collections.pop(name).gone())


def _other_encoder(recorded: CollectionSettings, runs: str, setting: str) -> InvalidContent:
    return InvalidContent.at(
        "",
        f"the collection's texts were encoded by {recorded.encoder!r} in {recorded.precision} and this service runs "
        f"{runs}: send vectors, or start the service with {setting}",
    )


def check_settings(settings: CollectionSettings) -> None:
    """Refuse a temperature or a null that no query could use."""
    if not (settings.temperature == 0 or settings.temperature >= 1e-30):
        raise InvalidContent.at(
            "/temperature", f"temperature is {settings.temperature}: send 0, or a number from 1e-30 on"
        )


def _confirm(collection: Collection, wanted: Mapping[str, Any]) -> Collection:
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

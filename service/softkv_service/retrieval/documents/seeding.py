"""Background loading of ready-made documents into collections, while the service answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from subprocess import SubprocessError
from typing import Any, Protocol

import numpy as np

from softkv_service.encoding import EncodingError, QueueClosed
from softkv_service.logs import log
from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.documents.documents import upsert
from softkv_service.retrieval.documents.prepare import SentDocument
from softkv_service.retrieval.errors import DemoLoading, RetrievalError
from softkv_service.storage.errors import StorageError

BATCH = 256
Array = np.ndarray[Any, np.dtype[np.float32]]


class PrecomputedVectors(Protocol):
    """A source of vectors that were computed before, by text, so that loading needs no encoder."""

    def of(self, text: str) -> Array | None:
        """Return the vector of a text; None if it is unknown."""


class Seed(Protocol):
    """A ready-made collection to load when the service starts: its name, its settings and its documents."""

    @property
    def name(self) -> str:
        """The collection's name."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the collection, as fields of PUT /v1/collections/{name}."""

    @property
    def documents(self) -> Callable[[], Iterator[Mapping[str, Any]]]:
        """A function that yields its documents."""

    def vectors(self, checksum: str | None) -> PrecomputedVectors:
        """Return the precomputed vectors of its texts for the encoder with that checksum."""


@dataclass
class Progress:
    """The progress of loading one ready-made collection.

    Attributes:
        total: the number of documents; None until they have been listed.
        answers: whether the collection may be queried during loading. It may if it had documents when the service
            started, and none of the documents to load is known to be missing.
    """

    name: str
    done: int = 0
    total: int | None = None
    failure: str | None = None
    answers: bool = False

    @property
    def finished(self) -> bool:
        """Whether every document is stored."""
        return self.total is not None and self.done == self.total

    @property
    def over(self) -> bool:
        """Whether loading has ended: every document is stored, or it failed."""
        return self.finished or self.failure is not None


class Seeding:
    """A background loader of seeds (ready-made collections), one after another.

    Documents that are stored already are not encoded again.
    """

    def __init__(self, catalogue: Catalogue, seeds: Sequence[Seed]) -> None:
        loaded = {collection.name for collection in catalogue.collections() if collection.record.documents}
        self.progress = {seed.name: Progress(seed.name, answers=seed.name in loaded) for seed in seeds}
        self._catalogue = catalogue
        self._seeds = seeds

    def loading(self) -> list[str]:
        """Return a line for each collection that is still being loaded, with its progress."""
        return [
            f"{p.name} ({p.done} of {p.total})" if p.total is not None else p.name
            for p in self.progress.values()
            if not p.over
        ]

    def holds(self, name: str) -> bool:
        """Return whether a collection is a seed that is being loaded, so that callers may not use it yet."""
        progress = self.progress.get(name)
        return not (progress is None or progress.answers or progress.over)

    def check(self, name: str) -> None:
        """Raise DemoLoading if the collection is a seed whose documents are still missing."""
        if not self.holds(name):
            return
        progress, encoder = self.progress[name], self._catalogue.encoders.default
        if progress.total is not None:
            raise DemoLoading(name, f"{progress.done:,} of {progress.total:,} documents")
        if encoder is not None and encoder.state == "loading":
            raise DemoLoading(name, f"the encoder {encoder.name} first")
        before = next(p.name for p in self.progress.values() if not p.over)
        raise DemoLoading(name, "its documents are listed" if before == name else f"{before} first")

    def failures(self) -> list[str]:
        """Return a line for each collection that could not be loaded, with the reason."""
        return [f"{p.name}: {p.failure}" for p in self.progress.values() if p.failure is not None]

    async def run(self) -> None:
        """Load every seed; a failure is reported and does not stop the others.

        If the service stops meanwhile, return: its next start loads the rest.
        """
        for seed in self._seeds:
            progress = self.progress[seed.name]
            try:
                await self._load(seed, progress)
            except QueueClosed:
                log.info("demo collection incomplete, the next start loads the rest", name=seed.name)
                return
            except (RetrievalError, StorageError, EncodingError, OSError, SubprocessError) as error:
                progress.failure = str(error)
                log.error("demo collection not loaded", name=seed.name, reason=str(error))

    async def _load(self, seed: Seed, progress: Progress) -> None:
        documents = await asyncio.to_thread(lambda: [SentDocument(**document) for document in seed.documents()])
        if not progress.answers:
            await self._encoder()
        settings = dict(seed.settings)
        if any(collection.name == seed.name for collection in self._catalogue.collections()):
            settings.pop("late", None)  # which callers may have changed
        await self._catalogue.create(seed.name, settings)
        ids = await asyncio.to_thread(self._catalogue.collection(seed.name).ids)
        missing = [document for document in documents if document.id not in ids]
        progress.answers = not missing
        progress.done, progress.total = len(documents) - len(missing), len(documents)
        if not missing:
            return
        await self._encoder()
        encoder, keyed = self._catalogue.encoders.default, seed.settings.get("value_from") == "key"
        checksum = None if encoder is None or encoder.encoder is None else encoder.encoder.checksum
        vectors = await asyncio.to_thread(seed.vectors, checksum)
        for start in range(0, len(missing), BATCH):
            batch = [_with_vectors(document, vectors, keyed) for document in missing[start : start + BATCH]]
            await upsert(self._catalogue.collection(seed.name), batch, [f"/{start + i}" for i in range(len(batch))])
            progress.done += len(batch)

    async def _encoder(self) -> None:
        """Wait until the encoder is loaded, however long that takes; a request would time out."""
        await self._catalogue.encoders.wait()


def _with_vectors(document: SentDocument, vectors: PrecomputedVectors, keyed: bool) -> SentDocument:
    """Return a document with its precomputed vectors.

    Args:
        document: the document.
        vectors: the precomputed vectors, by text.
        keyed: whether the key vector is also the value vector.
    """
    key, value = document.key, document.value
    if key is not None and document.vectors is None:
        document = replace(document, key_vector=vectors.of(key))
    if isinstance(value, str) and not keyed and document.value_vector is None:
        document = replace(document, value_vector=vectors.of(value))
    return document

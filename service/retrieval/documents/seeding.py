"""Filling collections with ready-made documents in the background, while the service answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from subprocess import SubprocessError
from typing import Any, Protocol

import numpy as np
import structlog

from service.encoding import EncodingError
from service.retrieval.collections import Catalogue
from service.retrieval.documents.documents import upsert
from service.retrieval.documents.prepare import SentDocument
from service.retrieval.errors import DemoLoading, RetrievalError
from service.storage import StorageError

log = structlog.get_logger("softkv")
BATCH = 256
Array = np.ndarray[Any, np.dtype[np.float32]]


class PrecomputedVectors(Protocol):
    """Vectors of texts that need not be encoded."""

    def of(self, text: str) -> Array | None:
        """The vector of a text; None where it is not known."""


class Seed(Protocol):
    """A collection to be: its name, its settings, and its documents."""

    @property
    def name(self) -> str:
        """The collection's name."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Fields of PUT /v1/collections/{name}."""

    @property
    def documents(self) -> Callable[[], Iterator[Mapping[str, Any]]]:
        """Its documents, from the first."""

    def vectors(self, checksum: str | None) -> PrecomputedVectors:
        """What is known of its texts' vectors by the encoder of that checksum."""


@dataclass
class Progress:
    """How far one collection is.

    Attributes:
        total: None until its documents have been listed.
        answers: whether it may be asked meanwhile, as one that held documents when the service started; until some of
            the seed's prove to be missing.
    """

    name: str
    done: int = 0
    total: int | None = None
    failure: str | None = None
    answers: bool = False

    @property
    def finished(self) -> bool:
        """Whether every document is there."""
        return self.total is not None and self.done == self.total

    @property
    def over(self) -> bool:
        """Whether nothing more is written: every document is there, or it failed."""
        return self.finished or self.failure is not None


class Seeding:
    """Loads seeds one after another; documents that are there already are not encoded again."""

    def __init__(self, catalogue: Catalogue, seeds: Sequence[Seed]) -> None:
        held = {each.name for each in catalogue.collections() if each.record.documents}
        self.progress = {seed.name: Progress(seed.name, answers=seed.name in held) for seed in seeds}
        self._catalogue = catalogue
        self._seeds = seeds

    def loading(self) -> list[str]:
        """What is not complete yet, with how far it is."""
        return [
            f"{p.name} ({p.done} of {p.total})" if p.total is not None else p.name
            for p in self.progress.values()
            if not p.over
        ]

    def holds(self, name: str) -> bool:
        """Whether the collection of that name is being loaded, so that nobody else is let at it."""
        progress = self.progress.get(name)
        return not (progress is None or progress.answers or progress.over)

    def check(self, name: str) -> None:
        """Refuse what is asked of a collection that is being loaded.

        Raises:
            DemoLoading: it is a seed of which documents are missing yet.
        """
        if not self.holds(name):
            return
        progress, encoder = self.progress[name], self._catalogue.encoder
        if progress.total is not None:
            raise DemoLoading(name, f"{progress.done:,} of {progress.total:,} documents")
        if encoder is not None and encoder.state == "loading":
            raise DemoLoading(name, f"the encoder {encoder.name} first")
        before = next(p.name for p in self.progress.values() if not p.over)
        raise DemoLoading(name, "its documents are listed" if before == name else f"{before} first")

    def failed(self) -> list[str]:
        """What could not be loaded, and why."""
        return [f"{p.name}: {p.failure}" for p in self.progress.values() if p.failure is not None]

    async def run(self) -> None:
        """Load every seed; one that fails is reported and does not stop the others."""
        for seed in self._seeds:
            progress = self.progress[seed.name]
            try:
                await self._load(seed, progress)
            except (RetrievalError, StorageError, EncodingError, OSError, SubprocessError) as error:
                progress.failure = str(error)
                log.error("demo collection not loaded", name=seed.name, reason=str(error))

    async def _load(self, seed: Seed, progress: Progress) -> None:
        documents = await asyncio.to_thread(lambda: [SentDocument(**document) for document in seed.documents()])
        if not progress.answers:
            await self._encoder()
        await self._catalogue.create(seed.name, seed.settings)
        there = await asyncio.to_thread(self._catalogue.collection(seed.name).ids)
        missing = [document for document in documents if document.id not in there]
        progress.answers = not missing
        progress.done, progress.total = len(documents) - len(missing), len(documents)
        if not missing:
            return
        await self._encoder()
        encoder, keyed = self._catalogue.encoder, seed.settings.get("value_from") == "key"
        checksum = None if encoder is None or encoder.encoder is None else encoder.encoder.checksum
        known = await asyncio.to_thread(seed.vectors, checksum)
        for start in range(0, len(missing), BATCH):
            batch = [_with_vectors(document, known, keyed) for document in missing[start : start + BATCH]]
            await upsert(self._catalogue.collection(seed.name), batch, [f"/{start + i}" for i in range(len(batch))])
            progress.done += len(batch)

    async def _encoder(self) -> None:
        """Wait for it, however long it loads; a request would give up."""
        if self._catalogue.encoder is not None:
            await self._catalogue.encoder.settled()


def _with_vectors(document: SentDocument, known: PrecomputedVectors, keyed: bool) -> SentDocument:
    """The document with the vectors that are known of its texts; with `keyed` its key's stands for the value's."""
    key, value = document.key, document.value
    if key is not None and document.vectors is None:
        document = replace(document, key_vector=known.of(key))
    if isinstance(value, str) and not keyed and document.value_vector is None:
        document = replace(document, value_vector=known.of(value))
    return document

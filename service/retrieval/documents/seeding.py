"""Filling collections with ready-made documents in the background, while the service answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from subprocess import SubprocessError
from typing import Any, Protocol

import structlog

from service.encoding import EncodingError
from service.retrieval.collections import Catalogue
from service.retrieval.documents.documents import upsert
from service.retrieval.documents.prepare import SentDocument
from service.retrieval.errors import RetrievalError
from service.storage import StorageError

log = structlog.get_logger("softkv")
BATCH = 256


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


@dataclass
class Progress:
    """How far one collection is; `total` is None until its documents have been listed."""

    name: str
    done: int = 0
    total: int | None = None
    failure: str | None = None

    @property
    def finished(self) -> bool:
        """Whether every document is there."""
        return self.total is not None and self.done == self.total


class Seeding:
    """Loads seeds one after another; documents that are there already are not encoded again."""

    def __init__(self, catalogue: Catalogue, seeds: Sequence[Seed]) -> None:
        self.progress = {seed.name: Progress(seed.name) for seed in seeds}
        self._catalogue = catalogue
        self._seeds = seeds

    def loading(self) -> list[str]:
        """What is not complete yet, with how far it is."""
        return [
            f"{p.name} ({p.done} of {p.total})" if p.total is not None else p.name
            for p in self.progress.values()
            if not p.finished and p.failure is None
        ]

    def failed(self) -> list[str]:
        """What could not be loaded, and why."""
        return [f"{p.name}: {p.failure}" for p in self.progress.values() if p.failure is not None]

    async def run(self) -> None:
        """Load every seed; one that fails is reported and does not stop the others."""
        for seed in self._seeds:
            progress = self.progress[seed.name]
            try:
                await self._load(seed, progress)
                log.info("demo collection loaded", name=seed.name, documents=progress.total)
            except (RetrievalError, StorageError, EncodingError, OSError, SubprocessError) as error:
                progress.failure = str(error)
                log.error("demo collection not loaded", name=seed.name, reason=str(error))

    async def _load(self, seed: Seed, progress: Progress) -> None:
        await self._catalogue.create(seed.name, seed.settings)
        documents = await asyncio.to_thread(lambda: [SentDocument(**document) for document in seed.documents()])
        there = await asyncio.to_thread(self._catalogue.collection(seed.name).ids)
        missing = [document for document in documents if document.id not in there]
        progress.done, progress.total = len(documents) - len(missing), len(documents)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            await upsert(self._catalogue.collection(seed.name), batch, [f"/{start + i}" for i in range(len(batch))])
            progress.done += len(batch)

"""Deletion of expired documents in the background. They are absent already, so it only frees their space."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from softkv_service.logs import log
from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.errors import RetrievalError
from softkv_service.scheduling import CALLER, READS, WRITES
from softkv_service.storage.errors import StorageError, StoreClosed

INTERVAL_SECONDS = 5.0
"""Interval at which expired documents are looked for."""
DELETED_AT_ONCE = 250
"""Documents in one transaction: writers wait for it."""
PAUSE_SECONDS = 0.02
"""The pause after a transaction, in which others write."""


class ExpirySweep:
    """The deletion of expired documents of all collections, a few at a time.

    Where several processes share a store, one of them deletes at a time. A collection that cannot be written now is
    tried again later: its documents stay absent.

    Args:
        catalogue: the collections of the service.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def run(self) -> None:
        """Delete expired documents until this is cancelled, or the store is closed."""
        CALLER.set("")  # after the work of every caller
        with suppress(StoreClosed):
            while True:
                await self.sweep()
                await asyncio.sleep(INTERVAL_SECONDS)

    async def sweep(self) -> None:
        """Delete the documents that have expired by now.

        Raises:
            StoreClosed: the store was closed.
        """
        try:
            numbers = await READS.run(self._find)
        except StorageError as error:
            if isinstance(error, StoreClosed):
                raise
            return
        for collection in self._catalogue.collections():
            if collection.record.id in numbers:
                try:
                    while await WRITES.run(collection.delete_expired, DELETED_AT_ONCE):
                        await asyncio.sleep(PAUSE_SECONDS)
                except (StorageError, RetrievalError, MemoryError) as error:
                    if isinstance(error, StoreClosed):
                        raise
                    log.warning("expired documents stay for now", collection=collection.name, reason=str(error))

    def _find(self) -> frozenset[int]:
        with self._catalogue.store.reading() as reader:
            return frozenset(reader.collections_with_expired(self._catalogue.clock()))

"""Words that keys lack, made in the background: those of keys that were there before the collection kept words.

A key has the same words for its whole life, since every write gives it another row number. So words that were made
of a document that was replaced meanwhile are not stored, and a process that is killed loses at most one batch.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from softkv_service.encoding import EncodingError, EncodingQueue, WordModel, Words
from softkv_service.logs import log
from softkv_service.retrieval.collections import Catalogue, Collection, find_words_queue
from softkv_service.retrieval.documents.re_encoding import MAX_SLICE, MIN_SLICE, SLICE_SECONDS
from softkv_service.retrieval.errors import RetrievalError
from softkv_service.scheduling import CALLER, READS, WRITES
from softkv_service.storage.errors import CollectionMissing, DocumentDamaged, StorageError, StoreClosed
from softkv_service.storage.records import DocumentRecord

INTERVAL_SECONDS = 5.0
"""Interval at which collections are looked at."""
FORGET_SECONDS = 3600.0
"""For so long rows that had their words are passed: a caller may switch `late` off and on between two looks."""
BATCH = 64
"""Documents whose words are stored in one transaction."""
PAUSE_SECONDS = 0.02
"""The pause after a transaction, in which others write."""
PATIENCE_SECONDS = 10.0
"""For so long texts wait behind all questions and uploads. Then they take turns with uploads."""
IN_TURN = "words that keys lack"
"""The caller in whose name they take turns."""


class MissingWords:
    """The making of words that keys lack, for all collections that keep words.

    Where several processes share a store, one of them makes the words of a collection.

    Args:
        catalogue: the collections of the service.
        interval_seconds, patience_seconds: see the constants.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._catalogue = catalogue
        self._interval, self._patience = interval_seconds, patience_seconds
        self._owner = secrets.token_hex(8)
        self._slice = MIN_SLICE
        self._after: dict[int, int] = {}  # by collection, the row up to which no key lacks its words

    async def run(self) -> None:
        """Make missing words until this is cancelled, or the store is closed."""
        CALLER.set("")  # texts come after those of every caller
        looked = time.monotonic()
        with suppress(StoreClosed):
            while True:
                await self.fill()
                await asyncio.sleep(self._interval)
                if time.monotonic() - looked > FORGET_SECONDS:
                    self._after, looked = {}, time.monotonic()

    async def fill(self) -> None:
        """Make the words that keys lack now.

        Raises:
            StoreClosed: the store was closed.
        """
        keeping = [one for one in self._catalogue.collections() if one.record.settings.late]
        numbers = {one.record.id for one in keeping}
        self._after = {number: after for number, after in self._after.items() if number in numbers}
        for collection in keeping:
            try:
                while await self._fill_some(collection):
                    await asyncio.sleep(PAUSE_SECONDS)
            except (EncodingError, RetrievalError, StorageError, MemoryError) as error:
                if isinstance(error, StoreClosed):
                    raise
                if not isinstance(error, CollectionMissing):
                    log.warning("words are missing for now", collection=collection.name, reason=str(error))

    async def _fill_some(self, collection: Collection) -> bool:
        """Make the words of the next documents of a collection; return whether there may be more."""
        number = collection.record.id
        documents = await READS.run(self._read, number)
        if not documents or not await WRITES.run(self._claim, number):
            return False
        queue = await find_words_queue(self._catalogue.encoders, collection.record.settings)
        if queue is None:
            return False
        texts = {row: text for document in documents for row, text in _texts_of(document)}
        words = await self._encode(queue, list(dict.fromkeys(texts.values())))
        if not await WRITES.run(self._write, number, {row: words[text] for row, text in texts.items()}):
            return False
        self._after[number] = max(document.row or 0 for document in documents)
        return True

    def _read(self, number: int) -> list[DocumentRecord]:
        """Return the next documents with keys that lack their words; damaged ones are left out, and passed."""
        with self._catalogue.store.reading() as reader:
            while True:
                rows = reader.rows_without_words(number, after=self._after.get(number, 0), limit=BATCH)
                documents = list[DocumentRecord]()
                for row in rows.tolist():
                    with suppress(DocumentDamaged):  # which lookups and checks report
                        documents += reader.documents(number, np.array([row]))
                if documents or not len(rows):
                    return documents
                self._after[number] = int(rows[-1])

    def _claim(self, number: int) -> bool:
        """Return whether this process makes the words of a collection."""
        with self._catalogue.store.writing(collection=number) as writer:
            return writer.claim_words(number, self._owner)

    def _write(self, number: int, words: dict[int, Words]) -> bool:
        """Store words by row number; return False if another process makes those of the collection."""
        with self._catalogue.store.writing(collection=number) as writer:
            if not writer.claim_words(number, self._owner):
                return False
            writer.write_words(number, {row: one.vectors.tobytes() for row, one in words.items()})
        return True

    async def _encode(self, queue: EncodingQueue[WordModel], texts: Sequence[str]) -> dict[str, Words]:
        """Return the words of each text, a slice at a time, so that no question waits long."""
        words, start = dict[str, Words](), 0
        while start < len(texts):
            batch, began = texts[start : start + self._slice], time.perf_counter()
            try:
                async with asyncio.timeout(self._patience):
                    encoded = await queue.encode(batch, "document")
            except TimeoutError:
                CALLER.set(IN_TURN)
                try:
                    encoded = await queue.encode(batch, "document")
                finally:
                    CALLER.set("")
            seconds = time.perf_counter() - began
            if seconds > 2 * SLICE_SECONDS:
                self._slice = max(MIN_SLICE, self._slice // 2)
            elif seconds < SLICE_SECONDS:
                self._slice = min(MAX_SLICE, 2 * self._slice)
            words |= dict(zip(batch, encoded.read_words(), strict=True))
            start += len(batch)
        return words


def _texts_of(document: DocumentRecord) -> list[tuple[int, str]]:
    """Return row number and text of each key of a stored document."""
    key, row = document.key or "", document.row or 0
    parts = document.parts or ((0, len(key)),) * document.n_keys
    return [(row + i, key[start:end]) for i, (start, end) in enumerate(parts)]

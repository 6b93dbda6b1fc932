"""Words and values that rows lack, encoded in the background: what a write leaves, so that it ends soon.

Values that are texts wait from their write on. Words are missing of keys that were stored before their collection kept
words. A row has the same texts for its whole life, since every write gives it another number. So what was encoded of a
document that was replaced meanwhile is not stored, and a process that is killed loses at most one batch.

Texts come after those of every caller. After a time without progress they take turns with uploads.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

from softkv_service.encoding import Encoded, EncodingError, EncodingQueue, TextModel, TextRefused, Words, read_part
from softkv_service.logs import log
from softkv_service.retrieval.collections import (
    Catalogue,
    Collection,
    find_words_queue,
    get_encoding_queue,
    read_value_texts,
)
from softkv_service.retrieval.documents.re_encoding import MAX_SLICE, MIN_SLICE, SLICE_SECONDS
from softkv_service.retrieval.errors import RetrievalError
from softkv_service.scheduling import CALLER, READS, WRITES
from softkv_service.storage.errors import CollectionMissing, DocumentDamaged, StorageError, StoreClosed
from softkv_service.storage.records import DocumentRecord, Vector

Model = TypeVar("Model", bound=TextModel)
T = TypeVar("T")

INTERVAL_SECONDS = 5.0
"""Interval at which collections are looked at, unless a write leaves values."""
SHOW_SECONDS = 3.0
"""The shortest interval at which values are shown: that copies a block of keys."""
FORGET_SECONDS = 3600.0
"""For so long rows that had their words are passed: a caller may switch `late` off and on between two looks."""
BATCH = 64
"""Documents whose words are stored in one transaction."""
VALUES = 256
"""Documents whose values are stored in one transaction."""
PAUSE_SECONDS = 0.02
"""The pause after a transaction, in which others write."""
PATIENCE_SECONDS = 10.0
"""For so long texts wait behind all questions and uploads. Then they take turns with uploads."""
LONG_SLICE, LONG_SLICE_SECONDS = 32, 0.3
"""The least texts of a slice for which no question waits, and about how long it takes. They fill a batch."""
IN_TURN = "what rows lack"
"""The caller in whose name they take turns."""


class Backfill:
    """The encoding of words and values that rows lack, for all collections.

    Where several processes share a store, one of them encodes those of a collection.

    Args:
        catalogue: the collections of the service.
        interval_seconds, show_seconds, patience_seconds: see the constants.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        show_seconds: float = SHOW_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._catalogue = catalogue
        self._interval, self._patience = interval_seconds, patience_seconds
        self._show_seconds = show_seconds
        self._owner = secrets.token_hex(8)
        self._slice = MIN_SLICE
        self._after: dict[int, int] = {}  # by collection, the row up to which no key lacks its words
        self._shown: dict[int, float] = {}  # by collection, when values were shown last

    async def run(self) -> None:
        """Encode what rows lack until this is cancelled, or the store is closed."""
        CALLER.set("")  # texts come after those of every caller
        looked, left = time.monotonic(), asyncio.Event()
        self._catalogue.encoders.left = left.set
        with suppress(StoreClosed):
            while True:
                left.clear()
                await self.fill()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await left.wait()
                if time.monotonic() - looked > FORGET_SECONDS:
                    self._after, looked = {}, time.monotonic()

    async def fill(self) -> None:
        """Encode what rows lack now.

        Raises:
            StoreClosed: the store was closed.
        """
        collections = self._catalogue.collections()
        numbers = {one.record.id for one in collections}
        self._after = {number: after for number, after in self._after.items() if number in numbers}
        self._shown = {number: when for number, when in self._shown.items() if number in numbers}
        try:
            waiting = await READS.run(self._find_collections)
        except StoreClosed:
            raise
        except StorageError as error:  # such as a database that restarts
            log.warning("words or values are missing for now", reason=str(error))
            return
        for collection in collections:
            try:
                while collection.record.id in waiting and await self._fill_values(collection):
                    await asyncio.sleep(PAUSE_SECONDS)
                await READS.run(collection.show_values)
                while collection.record.settings.late and await self._fill_words(collection):
                    await asyncio.sleep(PAUSE_SECONDS)
            except (EncodingError, RetrievalError, StorageError, MemoryError) as error:
                if isinstance(error, StoreClosed):
                    raise
                if not isinstance(error, CollectionMissing):
                    log.warning("words or values are missing for now", collection=collection.name, reason=str(error))

    def _find_collections(self) -> set[int]:
        """Return the numbers of the collections with values that wait."""
        with self._catalogue.store.reading() as reader:
            return set(reader.collections_with_waiting_values())

    async def _fill_values(self, collection: Collection) -> bool:
        """Encode the values of the next documents of a collection; return whether there may be more."""
        number = collection.record.id
        settings = collection.record.settings
        queue = await get_encoding_queue(self._catalogue.encoders, settings)
        words = await find_words_queue(self._catalogue.encoders, settings)
        queues: list[EncodingQueue[Any]] = [queue] if words is None else [queue, words]
        await self._wait_for_uploads(queues)
        texts = await READS.run(self._read_values, number)
        if not texts or not await WRITES.run(self._claim, number):
            return False
        # Equal texts are encoded once, and those of similar length share a batch.
        distinct = sorted({text for text in texts.values() if text is not None}, key=len)
        vectors = await self._encode_values(queue, distinct, queues)
        of_rows = {row: None if text is None else vectors[text] for row, text in texts.items()}
        if not await WRITES.run(self._write_values, number, of_rows):
            return False
        now = time.monotonic()
        if now - self._shown.setdefault(number, now) >= self._show_seconds:
            await READS.run(collection.show_values)
            self._shown[number] = time.monotonic()
        return True

    async def _wait_for_uploads(self, queues: Sequence[EncodingQueue[Any]]) -> None:
        """Wait while an upload puts texts into these queues. One that waits for its client is not waited for."""
        uploads, began = self._catalogue.encoders.uploads, time.monotonic()
        while time.monotonic() - began < self._patience:
            seconds = min(queue.seconds_since_upload for queue in queues)
            if seconds and not (uploads.expected and seconds < uploads.gap_seconds):
                break
            await uploads.wait_for_end(uploads.gap_seconds / 4)

    def _read_values(self, number: int) -> dict[int, str | None]:
        """Return the texts of the next values that wait, by row number; None for a damaged one."""
        with self._catalogue.store.reading() as reader:
            return read_value_texts(reader, number, reader.find_waiting_values(number, limit=VALUES).waiting)

    async def _encode_values(
        self, queue: EncodingQueue, texts: Sequence[str], queues: Sequence[EncodingQueue[Any]]
    ) -> dict[str, Vector | None]:
        """Return the vector of each text; None for one that the encoder refuses.

        Args:
            queue: the queue of the encoder.
            texts: the texts.
            queues: the queues into which uploads to the collection put their texts.
        """
        try:
            return dict(await self._encode(queue, texts, _vectors_of, queues))
        except TextRefused as error:
            reasons = error.messages
            log.warning("values cannot be encoded", reason=next(iter(reasons.values())))
        vectors = dict[str, Vector | None]()
        for text in texts:  # those that were encoded are in the queue's cache
            try:
                vectors |= await self._encode(queue, [text], _vectors_of)
            except TextRefused:
                vectors[text] = None
        return vectors

    def _write_values(self, number: int, vectors: dict[int, Vector | None]) -> bool:
        """Store vectors by row number; return False if another process encodes those of the collection."""
        with self._catalogue.store.writing(collection=number) as writer:
            if not writer.claim_backfill(number, self._owner):
                return False
            writer.write_values(number, vectors)
        return True

    async def _fill_words(self, collection: Collection) -> bool:
        """Make the words of the next documents of a collection; return whether there may be more."""
        number = collection.record.id
        documents = await READS.run(self._read, number)
        if not documents or not await WRITES.run(self._claim, number):
            return False
        queue = await find_words_queue(self._catalogue.encoders, collection.record.settings)
        if queue is None:
            return False
        texts = {row: text for document in documents for row, text in _texts_of(document)}
        words = await self._encode(queue, list(dict.fromkeys(texts.values())), Encoded.read_words)
        if not await WRITES.run(self._write_words, number, {row: words[text] for row, text in texts.items()}):
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
        """Return whether this process encodes what rows of a collection lack."""
        with self._catalogue.store.writing(collection=number) as writer:
            return writer.claim_backfill(number, self._owner)

    def _write_words(self, number: int, words: dict[int, Words]) -> bool:
        """Store words by row number; return False if another process makes those of the collection."""
        with self._catalogue.store.writing(collection=number) as writer:
            if not writer.claim_backfill(number, self._owner):
                return False
            writer.write_words(number, {row: one.vectors.tobytes() for row, one in words.items()})
        return True

    async def _encode(
        self,
        queue: EncodingQueue[Model],
        texts: Sequence[str],
        read: Callable[[Encoded], Sequence[T]],
        queues: Sequence[EncodingQueue[Any]] = (),
    ) -> dict[str, T]:
        """Return by text what an encoder makes of it. Texts are encoded in slices, so no question or upload waits long.

        Args:
            queue: the queue of the encoder.
            texts: the texts.
            read: returns what was made of each text of a slice.
            queues: the queues whose uploads come before each slice, if they are not in the encoder's.
        """
        # Such an encoder computes questions beside other texts, or on another machine.
        is_aside = queue.encoder.has_query_lane or queue.encoder.kind == "remote"
        aim, least = (LONG_SLICE_SECONDS, LONG_SLICE) if is_aside else (SLICE_SECONDS, MIN_SLICE)
        made, start = dict[str, T](), 0
        while start < len(texts):
            if len(queues) > 1:
                await self._wait_for_uploads(queues)
            batch, began = texts[start : start + max(least, self._slice)], time.perf_counter()
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
            if seconds > 2 * aim:
                self._slice = max(least, self._slice // 2)
            elif seconds < aim:
                self._slice = min(MAX_SLICE, 2 * self._slice)
            made |= dict(zip(batch, read(encoded), strict=True))
            start += len(batch)
        return made


def _vectors_of(encoded: Encoded) -> list[Vector]:
    """Return float32[d], the vector of each text."""
    return list(encoded.vectors)


def _texts_of(document: DocumentRecord) -> list[tuple[int, str]]:
    """Return row number and text of each key of a stored document."""
    key, row = document.key or "", document.row or 0
    parts = document.parts or ((0, len(key)),) * document.n_keys
    return [(row + i, read_part(key, part, parts[0])[0]) for i, part in enumerate(parts)]

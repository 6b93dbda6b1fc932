"""Values and words that rows lack, encoded in the background: what a write leaves, so that it ends soon.

Values that are texts wait from their write on. Words are missing of keys that were stored before their collection kept
words. A row has the same texts for its whole life, since every write gives it another number. So what was encoded of a
document that was replaced meanwhile is not stored, and a process that is killed loses at most one batch.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import numpy as np

from softkv_service.encoding import Encoded, EncodingQueue, Words, read_part
from softkv_service.logs import log
from softkv_service.retrieval.collections import (
    Catalogue,
    Collection,
    find_words_queue,
    get_encoding_queue,
    read_value_texts,
)
from softkv_service.retrieval.documents.work import Kind, Slices, WorkOver, vectors_of
from softkv_service.scheduling import READS, WRITES
from softkv_service.storage import Reader
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import DocumentRecord, Vector

FORGET_SECONDS = 3600.0
"""For so long rows that had their words are passed: a caller may switch `late` off and on between two looks."""
WORDS = 64
"""Documents whose words are stored in one transaction."""
VALUES = 256
"""Documents whose values are stored in one transaction."""


class MissingValues(Kind):
    """Values that are texts, which a write has left without vectors."""

    name = "the encoding of values"

    def find(self, reader: Reader) -> dict[int, str | None]:
        """Return the collections with values that wait."""
        waiting = set(reader.collections_with_waiting_values())
        collections = self.catalogue.collections()
        return {one.record.id: one.record.settings.encoder for one in collections if one.record.id in waiting}

    async def batches(self, number: int) -> AsyncGenerator[None]:
        """Encode the values of a collection, the oldest ones first."""
        collection = _find(self.catalogue, number)
        while texts := await READS.run(self._read, number):
            settings = collection.record.settings
            queue = await get_encoding_queue(self.catalogue.encoders, settings)
            words = await find_words_queue(self.catalogue.encoders, settings)
            # Equal texts are encoded once, and those of similar length share a batch.
            distinct = sorted({text for text in texts.values() if text is not None}, key=len)
            # Uploads put their texts into both.
            uploads: list[EncodingQueue[Any]] = [queue] if words is None else [queue, words]
            vectors, refused = await self.slices.encode(queue, distinct, vectors_of, uploads=uploads)
            if refused:
                log.warning("values cannot be encoded", reason=next(iter(refused.values())))
            made = {row: None if text is None else vectors.get(text) for row, text in texts.items()}
            await WRITES.run(self._write, number, made)
            yield

    def _read(self, number: int) -> dict[int, str | None]:
        """Return the texts of the next values that wait, by row number; None for a damaged one."""
        with self.catalogue.store.reading() as reader:
            return read_value_texts(reader, number, reader.find_waiting_values(number, limit=VALUES).waiting)

    def _write(self, number: int, vectors: dict[int, Vector | None]) -> None:
        with self.catalogue.store.writing(collection=number) as writer:
            self.lease(writer, number)
            writer.write_values(number, vectors)


class MissingWords(Kind):
    """Words of keys that were stored before their collection kept words."""

    name = "the encoding of words"

    def __init__(self, catalogue: Catalogue, slices: Slices, owner: str) -> None:
        super().__init__(catalogue, slices, owner)
        self._after, self._forgot = dict[int, int](), time.monotonic()  # the row up to which no key lacks its words

    def find(self, reader: Reader) -> dict[int, str | None]:
        """Return the collections with keys that lack their words."""
        if time.monotonic() - self._forgot > FORGET_SECONDS:
            self._after, self._forgot = {}, time.monotonic()
        late = {one.record.id: one.record.settings for one in self.catalogue.collections() if one.record.settings.late}
        for number in set(self._after) - set(late):
            del self._after[number]
        return {
            number: settings.encoder
            for number, settings in late.items()
            if len(reader.rows_without_words(number, after=self._after.get(number, 0), limit=1))
        }

    async def batches(self, number: int) -> AsyncGenerator[None]:
        """Make the words of the keys of a collection, in the order of their rows."""
        collection = _find(self.catalogue, number)
        while documents := await READS.run(self._read, number):
            queue = await find_words_queue(self.catalogue.encoders, collection.record.settings)
            if queue is None:  # it keeps no words any more, or nothing reads them
                raise WorkOver
            texts = {row: text for document in documents for row, text in _texts_of(document)}
            words, _ = await self.slices.encode(queue, list(dict.fromkeys(texts.values())), Encoded.read_words)
            await WRITES.run(self._write, number, {row: words[text] for row, text in texts.items() if text in words})
            self._after[number] = max(document.row or 0 for document in documents)
            yield

    def _read(self, number: int) -> list[DocumentRecord]:
        """Return the next documents with keys that lack their words; damaged ones are left out, and passed."""
        with self.catalogue.store.reading() as reader:
            while True:
                rows = reader.rows_without_words(number, after=self._after.get(number, 0), limit=WORDS)
                documents = list[DocumentRecord]()
                for row in rows.tolist():
                    with suppress(DocumentDamaged):  # which lookups and checks report
                        documents += reader.documents(number, np.array([row]))
                if documents or not len(rows):
                    return documents
                self._after[number] = int(rows[-1])

    def _write(self, number: int, words: dict[int, Words]) -> None:
        with self.catalogue.store.writing(collection=number) as writer:
            self.lease(writer, number)
            writer.write_words(number, {row: one.vectors.tobytes() for row, one in words.items()})


def _find(catalogue: Catalogue, number: int) -> Collection:
    """Return the collection with this number; raise WorkOver if it was deleted."""
    for collection in catalogue.collections():
        if collection.record.id == number:
            return collection
    raise WorkOver


def _texts_of(document: DocumentRecord) -> list[tuple[int, str]]:
    """Return row number and text of each key of a stored document."""
    key, row = document.key or "", document.row or 0
    parts = document.parts or ((0, len(key)),) * document.n_keys
    return [(row + i, read_part(key, part, parts[0])[0]) for i, part in enumerate(parts)]

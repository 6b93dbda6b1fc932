"""Values that wait: texts of values that a write has left to be encoded, so that it ends when its keys are encoded.

The store has zeros in place of their vectors, and a state of its own beside them. Answers that blend values, or return
their vectors, need them: if few are missing, such a call encodes them itself.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

import numpy as np

from softkv_attention.arrays import I64
from softkv_service.encoding import Encoders, EncodingError, TextRefused
from softkv_service.retrieval.collections.settings import get_encoding_queue
from softkv_service.retrieval.errors import EncoderMissing, EncoderUnavailable, InvalidContent, ValuesPending
from softkv_service.scheduling import READS, WRITES
from softkv_service.storage import Reader, Store
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import CollectionRecord, DocumentRecord, Vector

T = TypeVar("T")


class WithValues(Protocol):
    """The part of a collection that values are read from and stored in.

    Attributes:
        record: its settings.
        encoders: the encoders of the service.
        store: the store of all collections.
    """

    record: CollectionRecord
    encoders: Encoders
    store: Store

    def write_values(self, vectors: Mapping[int, Vector | None]) -> None:
        """Store value vectors [d_v] of documents by their row numbers; blocks."""

    def show_values(self) -> object:
        """Show the values that were stored, in the keys in memory; blocks."""


MAX_ENCODED = 256
"""The most documents whose values an answer encodes itself."""
ATTEMPTS = 3
"""The number of times that it does so, because other callers may write meanwhile."""


def find_waiting(numbers: I64, documents: Sequence[DocumentRecord]) -> I64:
    """Return the row numbers int64[m], ascending, of those of some documents whose values wait.

    Args:
        numbers: int64[n], the row numbers of the documents.
    """
    return np.sort(numbers[[document.value_waits for document in documents]]) if len(documents) else numbers[:0]


def require_values(name: str, documents: Sequence[DocumentRecord]) -> None:
    """Raise ValuesPending if values of stored documents of a collection are yet to be encoded."""
    rows = [document.row for document in documents if document.value_waits]
    if rows:
        raise ValuesPending(name, np.array(rows, dtype=np.int64))


async def with_values(collection: WithValues, call: Callable[[], Awaitable[T]]) -> T:
    """Return the result of a call; encode the values that it lacks, if they are few.

    Raises:
        ValuesPending: they are more than MAX_ENCODED, or the encoder is not available.
        InvalidContent: the encoder refuses some of them.
    """
    try:
        return await call()
    except ValuesPending as error:
        return await retry_with_values(collection, call, error)


async def retry_with_values(collection: WithValues, call: Callable[[], Awaitable[T]], error: ValuesPending) -> T:
    """Return the result of a call that lacked values, which are encoded first; see `with_values`."""
    for _ in range(ATTEMPTS):
        # Some may be in the store, and not be shown yet.
        texts = await READS.run(_read_waiting, collection, error.rows)
        if len(texts) > MAX_ENCODED:
            raise ValuesPending(error.name, np.array(list(texts))) from None
        try:
            await _encode(collection, texts)
        except (EncoderMissing, EncoderUnavailable, EncodingError) as reason:
            raise error from reason
        try:
            return await call()
        except ValuesPending as pending:
            error = pending
    raise error


async def _encode(collection: WithValues, texts: Mapping[int, str]) -> None:
    """Encode values of documents by their row numbers, and show them."""
    if texts:
        queue = await get_encoding_queue(collection.encoders, collection.record.settings)
        distinct = list(dict.fromkeys(texts.values()))
        try:
            encoded = await queue.encode(distinct, "document")
        except TextRefused as error:
            reason = next(iter(error.messages.values()))
            raise InvalidContent.at(
                "/include",
                f"the answer needs the values of all documents that it attends to, and {len(error.messages)} of them "
                f"cannot be encoded: {reason} Change or delete these documents, or leave output and value_vector out",
            ) from None
        vectors = dict(zip(distinct, encoded.vectors, strict=True))
        await WRITES.run(collection.write_values, {row: vectors[text] for row, text in texts.items()})
    await READS.run(collection.show_values)


def _read_waiting(collection: WithValues, rows: I64) -> dict[int, str]:
    """Return the texts of the values of those of some documents that wait in the store, by row number."""
    with collection.store.reading() as reader:
        waiting = np.intersect1d(rows, np.concatenate(reader.find_waiting_values(collection.record.id)))
        texts = read_value_texts(reader, collection.record.id, waiting)
    return {row: text for row, text in texts.items() if text is not None}


def read_value_texts(reader: Reader, collection: int, rows: I64) -> dict[int, str | None]:
    """Return the text of the value of stored documents by their row numbers int64[n]; None for a damaged one."""
    with suppress(DocumentDamaged):
        return {document.row: json.loads(document.value) for document in reader.texts(collection, rows)}
    texts = dict[int, str | None]()
    for row in rows.tolist():
        texts[row] = None
        with suppress(DocumentDamaged):  # which lookups and checks report
            (document,) = reader.texts(collection, np.array([row], dtype=np.int64))
            texts[row] = json.loads(document.value)
    return texts

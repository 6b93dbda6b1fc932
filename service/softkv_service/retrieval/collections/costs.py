"""The costs of a collection in memory and on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softkv_service.storage import Reader
from softkv_service.storage.records import CollectionRecord, StoredDocument

SAMPLE_DOCUMENTS, SAMPLE_VECTORS = 128, 16
"""Documents whose texts, and whose vectors, are measured for the bytes on disk."""

# Measured in SQLite: the overhead of a document, of a key and of a field with all indexes, and the fill of pages.
DOCUMENT_BYTES, KEY_BYTES, FIELD_BYTES, PAGES = 110, 40, 28, 1.1


MAX_COMPONENTS = 10_000_000
"""The most components of stored vectors that are read for one answer. In JSON each takes about ten bytes."""


@dataclass(frozen=True)
class Costs:
    """The costs of a collection in this process.

    Attributes:
        memory_bytes: the bytes of its keys, values and codes in memory; None if other processes hold them.
        disk_bytes: about how many bytes it takes in the database.
        questions: the number of questions since the start.
        p99_seconds: the time in which 99 of 100 calls with questions were answered; None before the first.
    """

    memory_bytes: int | None
    disk_bytes: int
    questions: int
    p99_seconds: float | None


def count_components(record: CollectionRecord, documents: Sequence[StoredDocument]) -> list[int]:
    """Return for each document of a collection how many components its stored vectors have."""
    width, value_width = record.settings.dimension or 0, record.settings.value_dimension or 0
    return [document.n_keys * width + value_width for document in documents]


def estimate_disk_bytes(record: CollectionRecord, reader: Reader) -> int:
    """Return about how many bytes a collection takes in the database, with its indexes.

    A sample of its documents is measured, so the time does not grow with the collection. Free pages and the log are not
    counted.

    Raises:
        DocumentDamaged: a document of the sample is damaged.
    """
    rows = reader.sample(record.id, SAMPLE_DOCUMENTS)
    if len(rows):
        texts = reader.texts(record.id, rows)
        measured = reader.documents(record.id, rows[:SAMPLE_VECTORS])
    else:
        texts, measured = reader.page_of_texts(record.id, limit=SAMPLE_DOCUMENTS), []
    if not texts:
        return 0
    text_bytes = sum(map(_text_bytes, texts)) / len(texts)
    vector_bytes = 0.0
    for document in measured:
        value_bytes = 0 if document.value_vector is None else document.value_vector.nbytes
        vector_bytes += document.keys.nbytes + document.n_keys * (KEY_BYTES + value_bytes)
    return round(PAGES * (record.documents * text_bytes + record.attendable * vector_bytes / max(len(measured), 1)))


def _text_bytes(document: StoredDocument) -> float:
    """Return about how many bytes the texts of a document take, with their indexes."""
    key = 0 if document.key is None else len(document.key.encode())
    metadata = len(document.metadata.encode())
    fields = document.metadata.count(":")
    # An id is in three indexes, a key in two and in full text, a field in two.
    return (
        DOCUMENT_BYTES
        + 3 * len(document.id.encode())
        + 2.7 * key
        + len(document.value.encode())
        + 3 * metadata
        + FIELD_BYTES * fields
    )

"""Python values as they stand in the tables of any store, and back: vectors as bytes, records with their checksums."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from service.storage.checksums import document_checksum, settings_checksum, vectors_checksum
from service.storage.errors import CollectionDamaged, DocumentDamaged, Unstorable
from service.storage.records import (
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    JSONText,
    Matrix,
    StoredDocument,
    TextSpan,
    Vector,
)
from service.storage.storable import SENT, json_text

# In the order of CollectionSettings, but for `basis` and `thin_seed`, by which an earlier version kept low-bit codes:
# the checksum counts them, so they are read, and written as those of a collection without such codes.
SETTINGS_COLUMNS = (
    "similarity, temperature, dimension, value_dimension, encoder, precision, value_from, basis, null_key, thin_seed, "
    "calibration"
)
PROVEN = "proven"
NULL_NAMES = ("auto", "lenient", "strict", "calibrated")


def blob(vector: ArrayLike) -> bytes:
    """A vector [d] as little-endian float32."""
    return np.asarray(vector, dtype="<f4").tobytes()


def vector_of(data: bytes) -> Vector:
    """The vector [d] of such bytes; read-only, as it shares their memory."""
    return np.frombuffer(data, dtype="<f4")


def matrix_of(blobs: Sequence[bytes]) -> Matrix:
    """The vectors of such bytes, float32[n, d]; read-only, and of no width where there are none."""
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1 if blobs else 0)


def settings_row(settings: CollectionSettings) -> tuple[str | float | None, ...]:
    """The settings in the order of SETTINGS_COLUMNS."""
    null = settings.null
    named = null is False or (isinstance(null, str) and null in NULL_NAMES)
    if not (named or (isinstance(null, int | float) and not isinstance(null, bool))):
        raise Unstorable(f'null is {null!r}: wanted "auto", "lenient", "strict", "calibrated", a similarity or False')
    similarity, temperature, *others, _, calibration = astuple(settings)
    null_key = json_text(null if named else float(null), "null")
    return similarity, float(temperature), *others, PROVEN, null_key, None, calibration


def collection_of(row: tuple[Any, ...]) -> CollectionRecord:
    """The record of a row of COLLECTION_COLUMNS; raises CollectionDamaged."""
    number, name, documents, keyless, checksum, *stored = row
    if settings_checksum(name, tuple(stored)) != checksum:
        raise CollectionDamaged(name, "its settings are not what was written")
    *settings, basis, null, thin_seed, calibration = stored
    settings += [json.loads(null), calibration]
    kept = CollectionSettings(*settings)
    return CollectionRecord(number, name, kept, documents, keyless, (basis, thin_seed) != (PROVEN, None))


class StoredVectors(NamedTuple):
    """A row of the table `vectors`, known to be what was written."""

    row: int
    document: int
    part: TextSpan | None
    key: bytes | None
    value: bytes | None


def texts_of(row: tuple[Any, ...]) -> StoredDocument:
    """The row of TEXT_COLUMNS; raises DocumentDamaged."""
    number, collection, identity, key, value, metadata, keys, checksum = row
    if document_checksum(number, collection, identity, key, value, metadata, keys) != checksum:
        raise DocumentDamaged(number, identity, vectors=False)
    marked = value.startswith(SENT)
    text = value[len(SENT) :] if marked else value
    value_sent = marked or not _is_key_text(text, key)
    return StoredDocument(number, identity, key, JSONText(text), JSONText(metadata), keys, value_sent)


def _is_key_text(value: str, key: str | None) -> bool:
    """Whether the JSON of a value is that of the key text; a long text is encoded only if it has an escape."""
    if key is None or not value.startswith('"'):
        return key is None and value == "null"
    return value == json_text(key, "the key") if "\\" in value else value[1:-1] == key


def vectors_of(row: tuple[Any, ...]) -> StoredVectors:
    """The row of VECTOR_COLUMNS; raises DocumentDamaged, with the document's row number."""
    *content, checksum = row
    number, document, first, last, key, value = content
    if None in (number, document) or vectors_checksum(*content) != checksum:
        raise DocumentDamaged(document or number, None, vectors=True)
    return StoredVectors(number, document, None if first is None else TextSpan(first, last), key, value)


def document_of(texts: StoredDocument, vectors: Sequence[StoredVectors]) -> DocumentRecord:
    """The record of a document, from its row and those of its vectors in order."""
    value = vectors[0].value
    return DocumentRecord(
        id=texts.id,
        key=texts.key,
        value=json.loads(texts.value),
        keys=matrix_of([each.key for each in vectors if each.key is not None]),
        value_vector=None if value is None else vector_of(value),
        metadata=json.loads(texts.metadata),
        row=texts.row,
        parts=tuple(each.part for each in vectors if each.part is not None),
        value_sent=texts.value_sent,
    )


def vector_entries(row: int, document: DocumentRecord) -> Iterator[tuple[Any, ...]]:
    """The rows of VECTOR_COLUMNS of a document that stands under this number."""
    value = None if document.value_vector is None else blob(document.value_vector)
    keys: Sequence[bytes | None] = [blob(key) for key in document.keys] or [None]
    parts: Sequence[TextSpan | None] = document.parts or list(repeat(None, len(keys)))
    for number, (key, part) in enumerate(zip(keys, parts, strict=True), start=row):
        entry = (number, row, *(part or (None, None)), key, value)
        yield (*entry, vectors_checksum(*entry))

"""Documents and settings as every store's tables hold them, and back: JSON texts, vectors as bytes, checked rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from service.storage.checksums import document_checksum, settings_checksum, vectors_checksum
from service.storage.errors import CollectionDamaged, DocumentDamaged, DocumentsRepeated, Unstorable, WidthMismatch
from service.storage.fields import FieldRow, field_rows, is_utf8, nesting_problem
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

NUL = "\0"
SENT = " "
"""Before the JSON of a value that was sent and is the key text; without it such a value was never sent."""


@dataclass(frozen=True)
class DocumentTexts:
    """A document without its vectors, as it will stand in the tables."""

    id: str
    key: str | None
    value: str
    metadata: str
    fields: tuple[FieldRow, ...]

    @classmethod
    def of(
        cls, identity: str, key: str | None, value: Any, metadata: Mapping[str, Any], *, value_sent: bool = True
    ) -> DocumentTexts:
        """Raises Unstorable for what neither JSON nor UTF-8 can say, or metadata that is nested too much."""
        what = f"of document {identity!r}"
        if (excess := nesting_problem(metadata)) is not None:
            raise Unstorable(f"metadata {what} is too deep or too long, {excess}: put some of it into the value")
        text = json_text(metadata, f"metadata {what}")
        if (where := "id" if NUL in identity else find_nul(key, metadata)) is not None:
            raise Unstorable(
                f"the {where} {what} holds a NUL (U+0000), which PostgreSQL keeps in no text: leave it out"
            )
        searched = tuple(field_rows(metadata))
        if not all(map(is_utf8, (identity, key or "", *_strings(searched)))):
            raise Unstorable(f"id, key or metadata {what} holds half of a surrogate pair, which UTF-8 cannot say")
        mark = SENT if value_sent and value == key else ""
        return cls(identity, key, mark + json_text(value, f"value {what}"), text, searched)


def json_text(value: Any, what: str) -> str:
    """Any JSON as text that reads back as the same; `what` names it in an error."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise Unstorable(f"{what} is not JSON that can be stored: {error}") from None
    if is_utf8(text):
        return text
    # Half of a surrogate pair is JSON but not UTF-8: written as an escape it is both.
    return json.dumps(value, separators=(",", ":"))


def refuse_surrogates(asked: Iterable[Any]) -> None:
    """Raise Unstorable for a text among what is asked that no database can be given."""
    if not all(is_utf8(each) for each in asked if isinstance(each, str)):
        raise Unstorable("the question holds half of a surrogate pair, which UTF-8 cannot say: send whole characters")


def find_nul(key: str | None, metadata: Mapping[str, Any]) -> str | None:
    """Where a NUL stands, which PostgreSQL keeps in no text and so no store does: "key", "metadata", or nowhere.

    A value may hold one, since it is kept as JSON and nothing compares it.
    """
    if key is not None and NUL in key:
        return "key"
    return "metadata" if _holds_nul(metadata) else None


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return NUL in value
    if isinstance(value, Mapping):
        return any(NUL in str(name) or _holds_nul(each) for name, each in value.items())
    return isinstance(value, list | tuple) and any(map(_holds_nul, value))


def refuse_repeated(ids: Sequence[str]) -> None:
    """Raise DocumentsRepeated where an id comes twice."""
    repeated = [identity for identity, times in Counter(ids).items() if times > 1]
    if repeated:
        raise DocumentsRepeated(repeated)


def with_widths(settings: CollectionSettings, documents: Sequence[DocumentRecord]) -> CollectionSettings:
    """The settings with the widths of the first document that has such vectors, where they had none.

    Raises WidthMismatch for a document that does not fit them.
    """
    dimension, value_dimension = settings.dimension, settings.value_dimension
    for each in documents:
        if len(each.keys):
            dimension = dimension or each.keys.shape[1]
            if each.keys.shape[1] != dimension:
                raise WidthMismatch(each.id, "key_vector", dimension, each.keys.shape[1])
        value_width = _value_width(each)
        if value_width is not None:
            value_dimension = value_dimension or value_width
            if value_width != value_dimension:
                vector = "value_vector"
                if each.value_vector is None:
                    vector = "the value (the key vector, as no value_vector came)"
                raise WidthMismatch(each.id, vector, value_dimension, value_width)
    return replace(settings, dimension=dimension, value_dimension=value_dimension)


def _value_width(document: DocumentRecord) -> int | None:
    """None where there is neither a value vector nor a key."""
    if document.value_vector is not None:
        return len(document.value_vector)
    return document.keys.shape[1] if len(document.keys) else None


def _strings(searched: Sequence[FieldRow]) -> Iterator[str]:
    for row in searched:
        yield row.field
        if isinstance(row.value, str):
            yield row.value


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

"""Conversion of documents and settings to the form in which every store's tables hold them, and back: JSON texts,
vectors as bytes, rows with checksums.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from softkv_service.storage.checksums import (
    FAILED,
    WAITING,
    alias_checksum,
    document_checksums,
    feedback_checksum,
    measurements_checksum,
    settings_checksum,
    vectors_checksum,
    words_checksum,
)
from softkv_service.storage.errors import (
    AliasDamaged,
    CollectionDamaged,
    DocumentDamaged,
    DocumentsRepeated,
    Unstorable,
    WidthMismatch,
)
from softkv_service.storage.fields import FieldRow, field_rows, is_utf8, nesting_problem
from softkv_service.storage.records import (
    DROPPED_CALIBRATION,
    AliasRecord,
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    EncoderMeasurements,
    FeedbackRecord,
    JSONText,
    Matrix,
    StoredDocument,
    TextSpan,
    Vector,
)

NUL = "\0"
_FLOAT32 = np.dtype("<f4")
SENT = " "
"""Precedes the JSON of a value that was sent and equals the key text; without it, such a value was not sent."""


class DocumentTexts(NamedTuple):
    """The texts of a document (id, key, value, metadata) in the form in which the tables store them, and its expiry."""

    id: str
    key: str | None
    value: str
    metadata: str
    fields: tuple[FieldRow, ...]
    expires: int | None = None

    @classmethod
    def of(
        cls,
        identity: str,
        key: str | None,
        value: Any,
        metadata: Mapping[str, Any],
        *,
        value_sent: bool = True,
        expires: int | None = None,
    ) -> DocumentTexts:
        """Serialise a document.

        Raises Unstorable for values that are not JSON or UTF-8, and for metadata that is nested too deeply.
        """
        subject = f"of document {identity!r}"
        if metadata and (excess := nesting_problem(metadata)) is not None:
            raise Unstorable(f"metadata {subject} is too deep or too long, {excess}: put some of it into the value")
        text = json_text(metadata, f"metadata {subject}")
        has_escapes = "\\u" in text  # as in the JSON of a NUL and of half of a surrogate pair
        where = "id" if NUL in identity else find_nul(key, metadata if has_escapes else {})
        if where is not None:
            raise Unstorable(
                f"the {where} {subject} holds a NUL (U+0000), which PostgreSQL keeps in no text: leave it out"
            )
        searched = tuple(field_rows(metadata)) if metadata else ()
        texts = "".join((identity, key or "", *(_strings(searched) if has_escapes else ())))
        if not (texts.isascii() or is_utf8(texts)):
            raise Unstorable(f"id, key or metadata {subject} holds half of a surrogate pair, which UTF-8 cannot say")
        mark = SENT if value_sent and value == key else ""
        return cls(identity, key, mark + json_text(value, f"value {subject}"), text, searched, expires)


_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def json_text(value: Any, subject: str) -> str:
    """Serialise a JSON value to text that parses to an equal value. `subject` names the value in an error."""
    try:
        text = _encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unstorable(f"{subject} is not JSON that can be stored: {error}") from None
    if text.isascii() or is_utf8(text):
        return text
    # An unpaired surrogate is JSON but not UTF-8; written as an escape it is both.
    return json.dumps(value, separators=(",", ":"))


def refuse_surrogates(values: Iterable[Any]) -> None:
    """Raise Unstorable for a text with an unpaired surrogate, which no database accepts."""
    if not all(is_utf8(value) for value in values if isinstance(value, str)):
        raise Unstorable("the question holds half of a surrogate pair, which UTF-8 cannot say: send whole characters")


def find_nul(key: str | None, metadata: Mapping[str, Any]) -> str | None:
    """Return "key" or "metadata" if that one contains a NUL character, else None.

    No store accepts NUL there, since PostgreSQL cannot.

    A value may contain a NUL, since it is stored as JSON and never compared.
    """
    if key is not None and NUL in key:
        return "key"
    return "metadata" if _contains_nul(metadata) else None


def _contains_nul(value: Any) -> bool:
    if isinstance(value, str):
        return NUL in value
    if isinstance(value, (dict, Mapping)):
        # Without a call for each number, since most metadata has few texts.
        deeper = [item for item in value.values() if not isinstance(item, (int, float))]
        return NUL in "".join(map(str, value)) or any(map(_contains_nul, deeper))
    return isinstance(value, (list, tuple)) and any(map(_contains_nul, value))


def refuse_repeated(ids: Sequence[str]) -> None:
    """Raise DocumentsRepeated if an id occurs twice."""
    repeated = [identity for identity, times in Counter(ids).items() if times > 1]
    if repeated:
        raise DocumentsRepeated(repeated)


def with_widths(settings: CollectionSettings, documents: Sequence[DocumentRecord]) -> CollectionSettings:
    """Return the settings with their widths set by the first document with vectors, if they were None.

    Raises WidthMismatch for a document with other widths.
    """
    dimension, value_dimension = settings.dimension, settings.value_dimension
    for document in documents:
        if len(document.keys):
            dimension = dimension or document.keys.shape[1]
            if document.keys.shape[1] != dimension:
                raise WidthMismatch(document.id, "key_vector", dimension, document.keys.shape[1])
        value_width = _value_width(document)
        if value_width is not None:
            value_dimension = value_dimension or value_width
            if value_width != value_dimension:
                vector = "value_vector"
                if document.value_vector is None:
                    vector = "the value (the key vector, as no value_vector came)"
                raise WidthMismatch(document.id, vector, value_dimension, value_width)
    return replace(settings, dimension=dimension, value_dimension=value_dimension)


def _value_width(document: DocumentRecord) -> int | None:
    """Return the width of a document's values, or None if it has neither a value vector nor a key."""
    if document.value_vector is not None:
        return len(document.value_vector)
    return document.keys.shape[1] if len(document.keys) else None


def _strings(searched: Sequence[FieldRow]) -> Iterator[str]:
    for field, _, _, value in searched:
        yield field
        if isinstance(value, str):
            yield value


# In the order of CollectionSettings.
SETTINGS_COLUMNS = (
    "similarity, temperature, dimension, value_dimension, encoder, precision, value_from, null_key, calibration, "
    "encoder_model, expire_after, defaults, projection, late"
)
COLLECTION_COLUMNS = f"id, name, documents, keyless, first_expiry, checksum, {SETTINGS_COLUMNS}"
TEXTS = ("id", "key", "value", "metadata")
TEXT_COLUMNS = (
    'documents."row", documents.collection, documents.id, documents.key, documents.value, documents.metadata, '
    "documents.keys, documents.expires, documents.checksum"
)
ALIAS_COLUMNS = "alias, aliases.collection, aliases.checksum, collections.name"
FEEDBACK_COLUMNS = "id, query, document, correct, at, observed, checksum"
NULL_NAMES = ("auto", "lenient", "strict", "calibrated")


def blob(vector: ArrayLike) -> bytes:
    """Encode a vector [d] as little-endian float32."""
    return np.asarray(vector, dtype=_FLOAT32).tobytes()


def vector_of(data: bytes) -> Vector:
    """Decode a vector [d] from little-endian float32 bytes.

    The vector is read-only, since it shares the memory of the bytes.
    """
    return np.frombuffer(data, dtype="<f4")


def matrix_of(blobs: Sequence[bytes]) -> Matrix:
    """Decode n vectors from little-endian float32 bytes, as read-only float32[n, d].

    Without vectors the shape is [0, 0].
    """
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1 if blobs else 0)


def settings_row(settings: CollectionSettings) -> tuple[str | float | None, ...]:
    """Return the settings in the order of SETTINGS_COLUMNS, which is that of their fields."""
    null = settings.null
    named = null is False or (isinstance(null, str) and null in NULL_NAMES)
    if not (named or (isinstance(null, int | float) and not isinstance(null, bool))):
        raise Unstorable(f'null is {null!r}: wanted "auto", "lenient", "strict", "calibrated", a similarity or False')
    # SQLite stores -0.0 as 0, and checksums are of what is stored.
    columns = vars(settings) | {
        "temperature": float(settings.temperature) + 0.0,
        "null": json_text(null if named else float(null) + 0.0, "null"),
        "late": 1 if settings.late else None,
    }
    return tuple(columns.values())


def collection_of(row: tuple[Any, ...]) -> CollectionRecord:
    """Decode a row of COLLECTION_COLUMNS; raises CollectionDamaged."""
    number, name, documents, keyless, first_expiry, checksum, *columns = row
    if settings_checksum(name, tuple(columns)) != checksum:
        raise CollectionDamaged(name, "its settings are not what was written")
    stored: dict[str, Any] = dict(zip((field.name for field in fields(CollectionSettings)), columns, strict=True))
    stored |= {"null": json.loads(stored["null"]), "late": stored["late"] is not None}
    current = _drop_self_calibration(CollectionSettings(**stored))
    return CollectionRecord(number, name, current, documents, keyless, first_expiry)


def _drop_self_calibration(settings: CollectionSettings) -> CollectionSettings:
    """Return the settings without a calibration that an earlier version made of the collection's own texts.

    Temperature and null key are those from before it, unless they were changed since.
    """
    if settings.calibration is None or '"source":"self"' not in settings.calibration:
        return settings
    stored = json.loads(settings.calibration)
    (temperature, null), set_by_it = stored["was"], (stored["temperature"], "auto")
    return replace(
        settings,
        temperature=temperature if settings.temperature == set_by_it[0] else settings.temperature,
        null=null if settings.null == set_by_it[1] else settings.null,
        calibration=DROPPED_CALIBRATION,
    )


def measurements_of(encoder: str, row: tuple[str, str, int] | None) -> EncoderMeasurements | None:
    """Decode a row of `encoder_measurements`: model, measurements and checksum; None if it is damaged or missing."""
    if row is None or measurements_checksum(encoder, row[0], row[1]) != row[2]:
        return None
    return EncoderMeasurements(row[0], row[1])


def alias_of(row: tuple[Any, ...]) -> AliasRecord:
    """Decode a row of ALIAS_COLUMNS; raises AliasDamaged."""
    alias, number, checksum, collection = row
    if alias_checksum(alias, number) != checksum:
        raise AliasDamaged(alias)
    return AliasRecord(alias, collection)


def feedback_row(record: FeedbackRecord) -> tuple[Any, ...]:
    """Return a record in the order of FEEDBACK_COLUMNS, without its number and with its checksum."""
    content = record.query, record.document, record.correct, record.at, record.observed
    return *content, feedback_checksum(*content)


def feedback_of(row: tuple[Any, ...]) -> FeedbackRecord | None:
    """Decode a row of FEEDBACK_COLUMNS; None if it is damaged, since one record may be missing."""
    number, query, document, correct, instant, observed, checksum = row
    content = query, document, bool(correct), instant, observed
    return FeedbackRecord(*content, number) if feedback_checksum(*content) == checksum else None


class StoredVectors(NamedTuple):
    """A row of the table `vectors` whose checksum was verified.

    `waiting` is WAITING or FAILED if its value is a text without a vector; then `value` is zeros.
    """

    row: int
    document: int
    part: TextSpan | None
    key: bytes | None
    value: bytes | None
    waiting: int | None


def texts_of(rows: Iterable[tuple[Any, ...]]) -> list[StoredDocument]:
    """Decode rows of TEXT_COLUMNS, all checksums in one call; raises DocumentDamaged for the first damaged one."""
    rows = list(rows)
    documents = []
    for row, checksum in zip(rows, document_checksums([row[:-1] for row in rows]), strict=True):
        number, _, identity, key, value, metadata, keys, expires, stored = row
        if checksum != stored:
            raise DocumentDamaged(number, identity, vectors=False)
        marked = value.startswith(SENT)
        text = value[len(SENT) :] if marked else value
        value_sent = marked or not _is_key_text(text, key)
        documents.append(
            StoredDocument(number, identity, key, JSONText(text), JSONText(metadata), keys, value_sent, expires)
        )
    return documents


def _is_key_text(value: str, key: str | None) -> bool:
    """Return whether the JSON of a value is that of the key text; a text is encoded only if its JSON has an escape."""
    if key is None or not value.startswith('"'):
        return key is None and value == "null"
    return value == json_text(key, "the key") if "\\" in value else value[1:-1] == key


def vectors_of(row: tuple[Any, ...]) -> StoredVectors:
    """Decode a row of VECTOR_COLUMNS; raises DocumentDamaged with the document's row number."""
    *content, checksum = row
    number, document, first, last, key, value, waiting = content
    if None in (number, document) or vectors_checksum(*content) != checksum:
        raise DocumentDamaged(document or number, None, vectors=True)
    return StoredVectors(number, document, None if first is None else TextSpan(first, last), key, value, waiting)


def with_value(row: tuple[Any, ...], value: Vector | None) -> tuple[bytes | None, int | None, int, int]:
    """Return the value of a row of VECTOR_COLUMNS that waits, its state, its checksum, and its row number.

    Args:
        row: the row as it is stored.
        value: the value vector [d_v]; None if the encoder refuses the text.

    Raises:
        DocumentDamaged: the row is not what was written.
    """
    vectors_of(row)
    number, document, first, last, key, before, _, _ = row
    data, state = (before, FAILED) if value is None else (blob(value), None)
    return data, state, vectors_checksum(number, document, first, last, key, data, state), number


def document_of(texts: StoredDocument, vectors: Sequence[StoredVectors]) -> DocumentRecord:
    """Build the record of a document from its texts and its vectors, in order."""
    value = vectors[0].value
    return DocumentRecord(
        id=texts.id,
        key=texts.key,
        value=json.loads(texts.value),
        keys=matrix_of([vector.key for vector in vectors if vector.key is not None]),
        value_vector=None if value is None else vector_of(value),
        metadata=json.loads(texts.metadata),
        row=texts.row,
        parts=tuple(vector.part for vector in vectors if vector.part is not None),
        value_sent=texts.value_sent,
        expires=texts.expires,
        value_waits=vectors[0].waiting is not None,
    )


def vector_entries(rows: Sequence[int], documents: Sequence[DocumentRecord]) -> list[tuple[Any, ...]]:
    """Return the values of VECTOR_COLUMNS for each key of documents that are stored under these row numbers."""
    entries = list[tuple[int, int, int | None, int | None, bytes | None, bytes | None, int | None]]()
    for row, document in zip(rows, documents, strict=True):
        waiting = WAITING if document.value_waits else None
        value = None if document.value_vector is None else blob(document.value_vector)
        keys: Sequence[bytes | None] = list(map(blob, document.keys)) or [None]
        parts = document.parts or [(None, None)] * len(keys)
        entries += [
            (number, row, first, last, key, value, waiting)
            for number, (key, (first, last)) in enumerate(zip(keys, parts, strict=True), start=row)
        ]
    return [(*entry, vectors_checksum(*entry)) for entry in entries]


def word_entries(rows: Sequence[int], documents: Sequence[DocumentRecord]) -> list[tuple[int, bytes, int]]:
    """Return row number, words and checksum of each key of documents that are stored under these row numbers."""
    return [
        (number, words, words_checksum(number, words))
        for row, document in zip(rows, documents, strict=True)
        for number, words in enumerate(document.words, start=row)
    ]


def words_of(rows: Iterable[tuple[Any, ...]]) -> dict[int, bytes]:
    """Decode rows of `words`: row number, words and checksum. Damaged ones are left out.

    The parts of a key follow each other, and each has the checksum of all.
    """
    words = dict[int, bytes]()
    for number, parts in groupby(rows, itemgetter(0)):
        _, contents, checksums = zip(*parts, strict=True)
        joined = b"".join(contents)
        if {*checksums} == {words_checksum(number, joined)}:
            words[number] = joined
    return words

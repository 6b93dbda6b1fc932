"""Python values as they stand in the tables, and back: JSON texts, vectors as bytes, records."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from service.storage.errors import Unstorable
from service.storage.records import (
    CollectionRecord,
    CollectionSettings,
    DocumentRecord,
    Null,
    RowNumbers,
    Vector,
)

COLLECTION_COLUMNS = (
    "id, name, similarity, temperature, dimension, value_dimension, encoder, precision, value_from, null_key"
)
DOCUMENT_COLUMNS = 'documents.id, key, documents.value, key_vector, value_vector, metadata, documents."row"'


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


def is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def blob(vector: ArrayLike) -> bytes:
    """A vector [d] as little-endian float32."""
    return np.asarray(vector, dtype="<f4").tobytes()


def vector_of(data: bytes) -> Vector:
    """The vector [d] of such bytes; read-only, as it shares their memory."""
    return np.frombuffer(data, dtype="<f4")


def numbers_of(text: str | None) -> RowNumbers:
    """Row numbers int64[n] from what `group_concat` makes of them, much faster than row by row; None for none."""
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def numbers_text(rows: Any) -> str:
    """Row numbers as the JSON list that `json_each` reads: one parameter for any number of them."""
    return json.dumps(np.asarray(rows, dtype=np.int64).tolist())


def settings_row(settings: CollectionSettings) -> tuple[Any, ...]:
    """The settings in the order of COLLECTION_COLUMNS, id and name left out."""
    null = settings.null
    if not (null is False or null == "auto" or (isinstance(null, int | float) and null is not True)):
        raise Unstorable(f'null is {null!r}: wanted "auto", a similarity or False')
    return (
        settings.similarity,
        float(settings.temperature),
        settings.dimension,
        settings.value_dimension,
        settings.encoder,
        settings.precision,
        settings.value_from,
        json_text(null if null is False or null == "auto" else float(null), "null"),
    )


def collection_of(row: tuple[Any, ...]) -> CollectionRecord:
    """The record of a row of COLLECTION_COLUMNS."""
    (
        number,
        name,
        similarity,
        temperature,
        dimension,
        value_dimension,
        encoder,
        precision,
        value_from,
        null,
    ) = row
    settings = CollectionSettings(
        similarity=similarity,
        temperature=temperature,
        dimension=dimension,
        value_dimension=value_dimension,
        encoder=encoder,
        precision=precision,
        value_from=value_from,
        null=cast(Null, json.loads(null)),
    )
    return CollectionRecord(number, name, settings)


def document_of(row: tuple[Any, ...]) -> DocumentRecord:
    """The record of a row of DOCUMENT_COLUMNS."""
    identity, key, value, key_vector, value_vector, metadata, number = row
    return DocumentRecord(
        id=identity,
        key=key,
        value=json.loads(value),
        key_vector=vector_of(key_vector),
        value_vector=None if value_vector is None else vector_of(value_vector),
        metadata=json.loads(metadata),
        row=number,
    )

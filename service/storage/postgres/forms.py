"""What the statements are made of: columns in their order, numbers of any size, digests of names, folded texts."""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.storage.fields import EncodedValue, FieldRow, Kind, encode_value
from service.storage.forms import SETTINGS_COLUMNS

COLLECTION_COLUMNS = f"id, name, documents, keyless, checksum, {SETTINGS_COLUMNS}"
TEXT_COLUMNS = (
    'documents."row", documents.collection, documents.id, documents.key, documents.value, documents.metadata, '
    "documents.keys, documents.checksum"
)
VECTOR_COLUMNS = '"row", document, first, last, key_vector, value_vector, checksum'

LAST = 2**63 - 1  # no row number is higher
LIVING = "documents.died IS NULL"
PREFIX = 200  # characters of a text that its index holds: a row of a b-tree is a third of a page at most


def living_at(version: int) -> str:
    """Which rows are facts of a version."""
    return f"documents.born <= {int(version)} AND (documents.died IS NULL OR documents.died > {int(version)})"


def digest(name: str) -> bytes:
    """Under which a field's name stands; two names have two."""
    return blake2b(name.encode(), digest_size=16).digest()


def folded(text: str | None) -> str | None:
    """A text with its case folded; None where that is the text itself."""
    if text is None:
        return None
    other = text.casefold()
    return None if other == text else other


def numbers(rows: Any) -> list[int]:
    """Row numbers as one parameter, for any number of them."""
    return np.asarray(rows, dtype=np.int64).tolist()  # type: ignore[no-any-return]


def array(rows: list[int] | None) -> NDArray[np.int64]:
    """int64[n] of what an aggregate gave; None for none."""
    return np.array(rows or [], dtype=np.int64)


def is_number(kind: int) -> bool:
    """Whether values of this kind stand in the column `number`."""
    return kind <= Kind.NUMBER_ABOVE


def kind_of(kind: int) -> int:
    """The kind as it stands in the table: numbers of all sizes have one, since `numeric` holds them all."""
    return int(Kind.NUMBER) if kind in (Kind.NUMBER_BELOW, Kind.NUMBER_ABOVE) else int(kind)


def number_entry(kind: int, value: Any) -> tuple[Decimal, bool]:
    """A number or a boolean as it stands in the columns `number`, exactly, and `whole`."""
    if isinstance(value, bytes):
        scalar = _integer(kind, value)
        return Decimal(scalar), 0 <= scalar < 2**64
    return Decimal(value), not isinstance(value, float)


def field_entry(collection: int, row: int, field: FieldRow) -> tuple[Any, ...]:
    """A row of the table `fields`."""
    begin = (collection, digest(field.field), field.element, kind_of(field.kind))
    if is_number(field.kind):
        return (*begin, *number_entry(field.kind, field.value), None, None, row)
    text = str(field.value)
    return (*begin, None, None, text, folded(text) if field.kind == Kind.TEXT else None, row)


def stored_of(kind: int, number: Decimal | None, whole: bool | None, text: str | None) -> EncodedValue:
    """A value of the table as `stored` gives it."""
    if number is None:
        return EncodedValue(Kind(kind), text or "")
    if kind != Kind.NUMBER:
        return EncodedValue(Kind(kind), int(number))
    if -(2**63) <= number < 2**63:
        return EncodedValue(Kind.NUMBER, int(number) if whole else float(number))
    return encode_value(int(number))


def _integer(kind: int, form: bytes) -> int:
    negative = kind == Kind.NUMBER_BELOW
    number = int.from_bytes(bytes(255 - byte for byte in form)[4:] if negative else form[4:], "big")
    return -number if negative else number

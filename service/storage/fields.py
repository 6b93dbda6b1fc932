"""Metadata as filters compare it: scalars with a kind, in one total order that SQLite's own is.

JSON has numbers without a limit, SQLite stops at 64 bits; JSON tells `true` from 1, SQLite does
not. So a scalar is stored as (kind, value), and comparing two such pairs in SQL is exact:
integers with floats, integers of any size, text by code point.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from service.storage.checksums import AS_BYTES

Scalar: TypeAlias = str | int | float | bool | None

_INT64 = 2**63


class Kind(IntEnum):
    """What a stored value is, in the order of comparison; the three kinds of number stand together."""

    NULL = 0
    BOOLEAN = 1
    NUMBER_BELOW = 2  # under the range of int64
    NUMBER = 3
    NUMBER_ABOVE = 4  # over the range of int64
    TEXT = 5
    LIST = 6


class Stored(NamedTuple):
    """A scalar or a list as it stands in the table `fields`."""

    kind: Kind
    value: int | float | str | bytes


class FieldRow(NamedTuple):
    """One row of the table `fields`, without collection and document."""

    field: str
    element: int
    kind: int
    value: int | float | str | bytes


def ordered_kinds(kind: Kind) -> tuple[Kind, Kind]:
    """The first and the last of the kinds among which a value of this kind is ordered: texts, or all numbers."""
    return (Kind.TEXT, Kind.TEXT) if kind is Kind.TEXT else (Kind.NUMBER_BELOW, Kind.NUMBER_ABOVE)


def is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def casefold(text: bytes) -> bytes:
    """A text in UTF-8 as it is compared where case is ignored: Unicode's full case folding, so ß is ss.

    Bytes that a disk has made no UTF-8 stay as they are.
    """
    return text.decode(errors=AS_BYTES).casefold().encode(errors=AS_BYTES)


def is_scalar(value: Any) -> bool:
    """Whether a JSON value is a text, a finite number, true, false or null."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def stored(value: Scalar | Sequence[Scalar]) -> Stored:
    """The pair that a scalar or a list of scalars is stored as and compared by.

    >>> stored(True), stored(1.0) == stored(1)
    (Stored(kind=<Kind.BOOLEAN: 1>, value=1), True)
    """
    if value is None:
        return Stored(Kind.NULL, 0)
    if isinstance(value, bool):
        return Stored(Kind.BOOLEAN, int(value))
    if isinstance(value, str):
        return Stored(Kind.TEXT, value)
    if isinstance(value, int | float):
        if -_INT64 <= value < _INT64:
            return Stored(Kind.NUMBER, value)
        # Every float out here is a whole number, so both sorts of number share one form.
        return _beyond(int(value))
    return Stored(Kind.LIST, json.dumps([_canonical(*stored(each)) for each in value]))


def field_rows(metadata: Mapping[str, Any]) -> Iterator[FieldRow]:
    """The rows for one document's metadata. A null is not stored: a missing field reads as one."""
    for field, value in metadata.items():
        if value is None:
            continue
        yield FieldRow(field, 0, *stored(value))
        if not isinstance(value, str | int | float):
            yield from (FieldRow(field, 1, *each) for each in dict.fromkeys(stored(each) for each in value))


def _beyond(number: int) -> Stored:
    """Bytes that order as whole numbers of any size do: the length first, then the digits."""
    digits = abs(number).to_bytes((number.bit_length() + 7) // 8, "big")
    form = len(digits).to_bytes(4, "big") + digits
    if number > 0:
        return Stored(Kind.NUMBER_ABOVE, form)
    return Stored(Kind.NUMBER_BELOW, bytes(255 - byte for byte in form))


def _canonical(kind: Kind, value: int | float | str | bytes) -> tuple[int, int | float | str]:
    """A list's element for its text: equal elements are written alike, 1.0 as 1."""
    if isinstance(value, bytes):
        return int(kind), value.hex()
    return int(kind), int(value) if isinstance(value, float) and value.is_integer() else value

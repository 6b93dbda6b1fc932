"""Metadata as filters compare it: scalars with a kind, in one total order that SQLite's own is.

JSON has numbers without a limit, SQLite stops at 64 bits; JSON tells `true` from 1, SQLite does
not. So a scalar is stored as (kind, value), and comparing two such pairs in SQL is exact:
integers with floats, integers of any size, text by code point.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from service.storage.checksums import AS_BYTES

Scalar: TypeAlias = str | int | float | bool | None

# What a document's nested metadata may take at most: each of its paths is stored once more, for filters.
MAX_LEVELS = 32
MAX_PATHS = 65_536  # characters

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
    OBJECT = 7  # equal to nothing that a filter can say, but no null either


class EncodedValue(NamedTuple):
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


def encode_value(value: Any) -> EncodedValue:
    """The pair that a JSON value is stored as and compared by.

    >>> stored(True), stored(1.0) == stored(1)
    (Stored(kind=<Kind.BOOLEAN: 1>, value=1), True)
    """
    if value is None:
        return EncodedValue(Kind.NULL, 0)
    if isinstance(value, bool):
        return EncodedValue(Kind.BOOLEAN, int(value))
    if isinstance(value, str):
        return EncodedValue(Kind.TEXT, value)
    if isinstance(value, int | float):
        if -_INT64 <= value < _INT64:
            return EncodedValue(Kind.NUMBER, value)
        # Every float out here is a whole number, so both sorts of number share one form.
        return _beyond(int(value))
    if isinstance(value, Mapping):
        return EncodedValue(Kind.OBJECT, "")
    return EncodedValue(Kind.LIST, json.dumps([_element(each) for each in value]))


def decode_scalar(kind: int, value: int | float | str | bytes) -> Scalar:
    """The scalar that stands as this pair.

    Of a number past int64 only the value is kept: it is an integer where 64 bits without a sign hold it, else a float
    where one is equal to it.
    """
    if isinstance(value, bytes):
        return _from_beyond(kind, value)
    if kind == Kind.NULL:
        return None
    if kind == Kind.BOOLEAN:
        return bool(value)
    return value + 0.0 if isinstance(value, float) else value  # which makes -0.0 a 0.0


def field_rows(metadata: Mapping[str, Any]) -> Iterator[FieldRow]:
    """The rows for one document's metadata. A null is not stored: a missing field reads as one."""
    for field, value in paths(metadata).items():
        if value is None:
            continue
        yield FieldRow(field, 0, *encode_value(value))
        if isinstance(value, list | tuple):
            elements = dict.fromkeys(encode_value(each) for each in value if is_scalar(each))
            yield from (FieldRow(field, 1, *each) for each in elements)


def paths(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What stands at each path: a field's name, or names one in the other with dots between.

    Where one path can be read in two ways, the longer first name wins, so an exact name with a dot in it wins always.

    >>> paths({"loc": {"page": 3, "line": None}, "loc.line": 7})
    {'loc': {'page': 3, 'line': None}, 'loc.line': 7, 'loc.page': 3}
    """
    found = dict(metadata)
    for name in sorted((name for name, value in metadata.items() if isinstance(value, Mapping)), key=len, reverse=True):
        for path, value in paths(metadata[name]).items():
            found.setdefault(f"{name}.{path}", value)
    return found


def nesting_problem(metadata: Mapping[str, Any]) -> str | None:
    """Which of MAX_LEVELS and MAX_PATHS metadata exceeds, in words; None where it keeps to both."""
    level: list[tuple[int | None, Any]] = [(0, metadata)]  # with the length of its path; in a list nothing has one
    characters = 0
    for depth in range(MAX_LEVELS + 1):
        deeper: list[tuple[int | None, Any]] = []
        for length, value in level:
            if isinstance(value, Mapping):
                dot = int(depth > 0)
                deeper += [(None if length is None else length + dot + len(name), value[name]) for name in value]
            elif isinstance(value, list | tuple):
                deeper += [(None, each) for each in value]
        if not deeper:
            return None
        if depth > 0:  # the names of the metadata itself may be as many and as long as they like
            characters += sum(length for length, _ in deeper if length is not None)
        if characters > MAX_PATHS:
            return f"the paths of its nested fields take more than {MAX_PATHS:,} characters"
        level = deeper
    return f"it nests more than {MAX_LEVELS} deep"


def _beyond(number: int) -> EncodedValue:
    """Bytes that order as whole numbers of any size do: the length first, then the digits."""
    digits = abs(number).to_bytes((number.bit_length() + 7) // 8, "big")
    form = len(digits).to_bytes(4, "big") + digits
    if number > 0:
        return EncodedValue(Kind.NUMBER_ABOVE, form)
    return EncodedValue(Kind.NUMBER_BELOW, bytes(255 - byte for byte in form))


def _from_beyond(kind: int, form: bytes) -> int | float:
    negative = kind == Kind.NUMBER_BELOW
    number = int.from_bytes(bytes(255 - byte for byte in form)[4:] if negative else form[4:], "big")
    if not negative and number < 2 * _INT64:
        return number
    number = -number if negative else number
    try:
        return float(number) if float(number) == number else number
    except OverflowError:
        return number


def _element(value: Any) -> tuple[int, int | float | str]:
    """A list's element for its text: equal scalars are written alike, 1.0 as 1, and nothing nested as a scalar is."""
    if isinstance(value, Mapping | list | tuple):
        return int(Kind.OBJECT), json.dumps(value)
    kind, form = encode_value(value)
    if isinstance(form, bytes):
        return int(kind), form.hex()
    return int(kind), int(form) if isinstance(form, float) and form.is_integer() else form

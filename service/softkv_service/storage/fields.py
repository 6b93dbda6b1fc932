"""Metadata values in the form in which filters compare them: scalars with a kind, in a total order that SQLite uses
too.

JSON numbers are unlimited, SQLite's have 64 bits; JSON distinguishes `true` from 1, SQLite does
not. So a scalar is stored as (kind, value), and comparing two such pairs in SQL is exact:
integers with floats, integers of any size, text by code point.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from softkv_service.storage.checksums import AS_BYTES
from softkv_service.storage.instants import parse_instant

Scalar: TypeAlias = str | int | float | bool | None

# Limits of nested metadata: each of its paths is stored once more, for filters.
MAX_LEVELS = 32
MAX_PATHS = 65_536  # characters

_INT64 = 2**63
_SCALARS = frozenset({str, int, float, bool, type(None)})


class Kind(IntEnum):
    """The kind of a stored value, in the order of comparison; the three kinds of number are adjacent."""

    NULL = 0
    BOOLEAN = 1
    NUMBER_BELOW = 2  # under the range of int64
    NUMBER = 3
    NUMBER_ABOVE = 4  # over the range of int64
    TEXT = 5
    LIST = 6
    OBJECT = 7  # equal to no operand of a filter, but not null either


_NUMBER, _TEXT = int(Kind.NUMBER), int(Kind.TEXT)


class EncodedValue(NamedTuple):
    """A scalar or a list in the form in which the table `fields` stores it."""

    kind: Kind
    value: int | float | str | bytes


INSTANT = 2
"""The `element` of a row that holds the instant of a text that is a date."""


FieldRow: TypeAlias = tuple[str, int, int, int | float | str | bytes]
"""One row of the table `fields`, without collection and document: the field, the element, the kind and the value.

The element is 0 for the field's value, 1 for an element of its list, and INSTANT for the instant of a text that is an
ISO 8601 date: microseconds of Unix time.
"""


def kind_range(kind: Kind) -> tuple[Kind, Kind]:
    """Return the first and last of the kinds that are comparable with this kind: texts, or all numbers."""
    return (Kind.TEXT, Kind.TEXT) if kind is Kind.TEXT else (Kind.NUMBER_BELOW, Kind.NUMBER_ABOVE)


def is_utf8(text: str) -> bool:
    """Return whether a text can be encoded as UTF-8: it has no unpaired surrogate."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def casefold(text: bytes) -> bytes:
    """Fold the case of a text in UTF-8 for comparison: Unicode's full case folding, so ß becomes ss.

    Damaged bytes that are not UTF-8 stay as they are.
    """
    return text.decode(errors=AS_BYTES).casefold().encode(errors=AS_BYTES)


def is_scalar(value: Any) -> bool:
    """Return whether a JSON value is a text, a finite number, true, false or null."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))


def encode_value(value: Any) -> EncodedValue:
    """Encode a JSON value as the pair that is stored and compared.

    >>> encode_value(True), encode_value(1.0) == encode_value(1)
    (EncodedValue(kind=<Kind.BOOLEAN: 1>, value=1), True)
    """
    if isinstance(value, str):
        return EncodedValue(Kind.TEXT, value)
    if value is None:
        return EncodedValue(Kind.NULL, 0)
    if isinstance(value, bool):
        return EncodedValue(Kind.BOOLEAN, int(value))
    if isinstance(value, (int, float)):
        if -_INT64 <= value < _INT64:
            return EncodedValue(Kind.NUMBER, value)
        # Every float outside int64 is a whole number, so integers and floats share one form.
        return _encode_large(int(value))
    if isinstance(value, list) or not isinstance(value, Mapping):  # a check by ABC takes longer
        return EncodedValue(Kind.LIST, json.dumps([_element(element) for element in value]))
    return EncodedValue(Kind.OBJECT, "")


def decode_scalar(kind: int, value: int | float | str | bytes) -> Scalar:
    """Decode the scalar of a stored pair.

    A number outside int64 keeps only its value. It is decoded as an integer if an unsigned 64-bit integer holds it,
    else as a float if one is equal to it.
    """
    if isinstance(value, bytes):
        return _decode_large(kind, value)
    if kind == Kind.NULL:
        return None
    if kind == Kind.BOOLEAN:
        return bool(value)
    return value + 0.0 if isinstance(value, float) else value  # turns -0.0 into 0.0


def field_rows(metadata: Mapping[str, Any]) -> Iterator[FieldRow]:
    """Yield the rows for one document's metadata. Nulls are not stored: a missing field reads as null."""
    for field, value in (metadata if is_shallow(metadata) else paths(metadata)).items():
        if isinstance(value, str):
            yield field, 0, _TEXT, value
            if (instant := parse_instant(value)) is not None:
                yield field, INSTANT, _NUMBER, instant
        elif value is not None:
            kind, form = encode_value(value)
            yield field, 0, int(kind), form  # SQLite takes an int in half the time of a `Kind`
            if kind is Kind.LIST:
                elements = [encode_value(element) for element in value if is_scalar(element)]
                yield from dict.fromkeys((field, 1, int(kind), form) for kind, form in elements)


def is_shallow(metadata: Mapping[str, Any]) -> bool:
    """Return whether all values are scalars, or lists of scalars, as is usual."""
    return _SCALARS.issuperset(map(type, metadata.values())) or all(
        type(value) in _SCALARS or (type(value) is list and _SCALARS.issuperset(map(type, value)))
        for value in metadata.values()
    )


def paths(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Map each path to its value: a field's name, or nested names joined by dots.

    If a path can be read in two ways, the longer first name wins, so an exact name with a dot always wins.

    >>> paths({"loc": {"page": 3, "line": None}, "loc.line": 7})
    {'loc': {'page': 3, 'line': None}, 'loc.line': 7, 'loc.page': 3}
    """
    value_by_path = dict(metadata)
    for name in sorted((name for name, value in metadata.items() if isinstance(value, Mapping)), key=len, reverse=True):
        for path, value in paths(metadata[name]).items():
            value_by_path.setdefault(f"{name}.{path}", value)
    return value_by_path


def nesting_problem(metadata: Mapping[str, Any]) -> str | None:
    """Return a sentence about which of MAX_LEVELS and MAX_PATHS the metadata exceeds, or None if it exceeds neither."""
    if is_shallow(metadata):
        return None
    level: list[tuple[int | None, Any]] = [(0, metadata)]  # with the length of its path; None inside a list
    characters = 0
    for depth in range(MAX_LEVELS + 1):
        deeper: list[tuple[int | None, Any]] = []
        for length, value in level:
            if isinstance(value, Mapping):
                dot = int(depth > 0)
                deeper += [(None if length is None else length + dot + len(name), value[name]) for name in value]
            elif isinstance(value, list | tuple):
                deeper += [(None, element) for element in value]
        if not deeper:
            return None
        if depth > 0:  # top-level names are not limited
            characters += sum(length for length, _ in deeper if length is not None)
        if characters > MAX_PATHS:
            return f"the paths of its nested fields take more than {MAX_PATHS:,} characters"
        level = deeper
    return f"it nests more than {MAX_LEVELS} deep"


def _encode_large(number: int) -> EncodedValue:
    """Encode a large integer as bytes that sort like the numbers: first the length, then the digits."""
    digits = abs(number).to_bytes((number.bit_length() + 7) // 8, "big")
    form = len(digits).to_bytes(4, "big") + digits
    if number > 0:
        return EncodedValue(Kind.NUMBER_ABOVE, form)
    return EncodedValue(Kind.NUMBER_BELOW, bytes(255 - byte for byte in form))


def _decode_large(kind: int, form: bytes) -> int | float:
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
    """Encode an element for the text of its list, so that equal scalars, such as 1.0 and 1, get equal texts."""
    if isinstance(value, str):
        return _TEXT, value
    if isinstance(value, (dict, list, tuple)):
        return int(Kind.OBJECT), json.dumps(value)
    kind, form = encode_value(value)
    if isinstance(form, bytes):
        return int(kind), form.hex()
    return int(kind), int(form) if isinstance(form, float) and form.is_integer() else form

"""Instants and durations in requests and answers: when a document expires, and how long new documents live."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from service.schemas.wire import finite_number

SECOND = 1_000_000
"""Microseconds, in which instants and durations are stored."""

MAX_DURATION = 1000 * 366 * 86_400 * SECOND
"""The longest life of a document, about a thousand years: its end is a date that every program can read."""

EXPIRES = (
    "The instant from which on the document is absent, in UTC (RFC 3339), beside any other field of the document. Left "
    "out if it never expires."
)
"""The description of the field in answers."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_DATE_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([smhdw])", re.ASCII)
_SHOWN = 60
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_instant(value: Any) -> int:
    """Return an instant in microseconds of Unix time; a part of a microsecond is cut off.

    Args:
        value: a text of RFC 3339, or seconds of Unix time.
    """
    if isinstance(value, str):
        instant = _parse_date_time(value)
    elif type(value) in (int, float):
        number = finite_number(value)
        instant = value * SECOND if type(value) is int else _whole_microseconds(number)
    else:
        raise _no_instant(value)
    if not _FIRST <= instant <= _LAST:
        hint = "" if isinstance(value, str) else ", in seconds, not milliseconds, since 1970"
        raise _refusal("instant", f"an instant of the years 1 to 9999{hint}", value)
    return instant


def _refusal(kind: str, expected: str, value: Any) -> PydanticCustomError:
    text = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else json.dumps(value)
    return PydanticCustomError(kind, "wanted {expected}, got {text}", {"expected": expected, "text": text[:_SHOWN]})


def _no_instant(value: Any) -> PydanticCustomError:
    expected = 'a date with a time and a zone (RFC 3339), such as "2026-11-26T12:00:00Z", or seconds since 1970'
    return _refusal("instant", expected, value)


def _whole_microseconds(seconds: float) -> int:
    return round(seconds * SECOND) if abs(seconds) < 2**53 else int(seconds) * SECOND


def _parse_date_time(text: str) -> int:
    match = _DATE_TIME.fullmatch(text)
    if match is not None:
        date, clock, fraction, offset = match.groups()
        seconds = timedelta(seconds=1) if clock.endswith(":60") else timedelta()  # a leap second ends with its minute
        clock = f"{clock[:6]}59" if seconds else clock
        try:
            local = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if offset in 'Zz' else offset}")
            return (local - _EPOCH + seconds) // _MICROSECOND + (
                0 if seconds else int((fraction or "")[:6].ljust(6, "0"))
            )
        except ValueError:
            pass
    raise _no_instant(text)


def format_instant(instant: int) -> str:
    """Return an instant, in microseconds of Unix time, as a text of RFC 3339 in UTC.

    >>> format_instant(1_764_158_400_000_000)
    '2025-11-26T12:00:00Z'
    """
    return (_EPOCH + instant * _MICROSECOND).isoformat().replace("+00:00", "Z")


def parse_duration(value: Any) -> int:
    """Return a duration in microseconds, from seconds or from a text such as `30d`."""
    seconds = None
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        seconds = None if match is None else float(match[1]) * _UNITS[match[2]]
    elif type(value) in (int, float):
        seconds = finite_number(value)
    if seconds is None or not 1 / SECOND <= seconds <= MAX_DURATION / SECOND:
        expected = 'seconds or a text such as "30d" (units s m h d w), more than 0 and at most 1,000 years'
        raise _refusal("duration", expected, value)
    return round(seconds * SECOND)


def format_duration(duration: int | None) -> float | int | None:
    """Return a duration, in microseconds, as seconds; None for none."""
    if duration is None:
        return None
    return duration / SECOND if duration % SECOND else duration // SECOND


Timestamp = TypeAliasType(
    "Timestamp",
    Annotated[
        int,
        PlainValidator(parse_instant),
        WithJsonSchema(
            {
                "description": "A date with a time and a zone (RFC 3339), or seconds since 1970-01-01T00:00:00Z.",
                "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
                "examples": ["2026-12-24T18:00:00Z", 1798135200],
            }
        ),
    ],
)
Duration = TypeAliasType(
    "Duration",
    Annotated[
        int,
        PlainValidator(parse_duration),
        WithJsonSchema(
            {
                "description": "Seconds, or a number and a unit: `s`, `m`, `h`, `d` or `w`.",
                "anyOf": [
                    {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,6})?[smhdw]$"},
                    {"type": "number", "exclusiveMinimum": 0},
                ],
                "examples": ["30d", 3600],
            }
        ),
    ],
)

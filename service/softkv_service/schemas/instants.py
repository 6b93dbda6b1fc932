"""Instants and durations in requests and answers: when a document expires, and how long new documents live."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from softkv_service.schemas.wire import finite_number
from softkv_service.storage.instants import (
    INSTANTS,
    MAX_DURATION,
    SECOND,
    format_instant,
    parse_duration,
    parse_instant,
)

_SHOWN = 60
DURATION_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,6})?[smhdw]$"
_DATE_TIME = re.compile(
    r"(?P<minute>\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:)(?P<second>\d{2})(?:\.\d+)?(?P<zone>[Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)


def _validate_instant(value: Any) -> int:
    """Return an instant in microseconds of Unix time; a part of a microsecond is cut off.

    Args:
        value: a text of RFC 3339, seconds of Unix time, or a duration from now on, such as `30d`.
    """
    if isinstance(value, str):
        duration = parse_duration(value)
        instant = _parse_date_time(value) if duration is None else time.time_ns() // 1000 + duration
    else:
        instant = _to_microseconds(value) if type(value) in (int, float) else None
    if instant is None:
        expected = (
            'a date with a time and a zone (RFC 3339), such as "2026-11-26T12:00:00Z", seconds since 1970, or a time '
            'from now on, such as "30d"'
        )
        raise _refusal("instant", expected, value)
    if instant not in INSTANTS:
        hint = "" if isinstance(value, str) else ", in seconds, not milliseconds, since 1970"
        raise _refusal("instant", f"an instant of the years 1 to 9999{hint}", value)
    return instant


def _refusal(kind: str, expected: str, value: Any) -> PydanticCustomError:
    text = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else json.dumps(value)
    return PydanticCustomError(kind, "wanted {expected}, got {text}", {"expected": expected, "text": text[:_SHOWN]})


def _parse_date_time(text: str) -> int | None:
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    if match["second"] != "60":
        return parse_instant(text)
    before = parse_instant(f"{match['minute']}59{match['zone']}")
    return None if before is None else before + SECOND  # a leap second ends with its minute


def _to_microseconds(value: int | float) -> int:
    seconds = finite_number(value)
    if isinstance(value, int):
        return value * SECOND
    return round(seconds * SECOND) if abs(seconds) < 2**53 else int(seconds) * SECOND


def _validate_duration(value: Any) -> int:
    """Return a duration in microseconds, from seconds or from a text such as `30d`."""
    if isinstance(value, str):
        duration = parse_duration(value)
    else:
        duration = _to_microseconds(value) if type(value) in (int, float) else None
    if duration is None or not 0 < duration <= MAX_DURATION:
        expected = 'seconds or a text such as "30d" (units s m h d w), more than 0 and at most 1,000 years'
        raise _refusal("duration", expected, value)
    return duration


def format_duration(duration: int | None) -> float | int | None:
    """Return a duration, in microseconds, as seconds; None for none."""
    if duration is None:
        return None
    return duration / SECOND if duration % SECOND else duration // SECOND


def format_time(seconds: float | None) -> str | None:
    """Return a time in seconds of Unix time as a text of RFC 3339 in UTC, to the second; None for none."""
    return None if seconds is None else format_instant(int(seconds) * SECOND)


Timestamp = TypeAliasType(
    "Timestamp",
    Annotated[
        int,
        PlainValidator(_validate_instant),
        WithJsonSchema(
            {
                "description": "A date with a time and a zone (RFC 3339), seconds since 1970-01-01T00:00:00Z, or a "
                "time from now on: a number and a unit, `s`, `m`, `h`, `d` or `w`.",
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "string", "pattern": DURATION_PATTERN},
                    {"type": "number"},
                ],
                "examples": ["2026-12-24T18:00:00Z", 1798135200, "30d"],
            }
        ),
    ],
)
Duration = TypeAliasType(
    "Duration",
    Annotated[
        int,
        PlainValidator(_validate_duration),
        WithJsonSchema(
            {
                "description": "Seconds, or a number and a unit: `s`, `m`, `h`, `d` or `w`.",
                "anyOf": [
                    {"type": "string", "pattern": DURATION_PATTERN},
                    {"type": "number", "exclusiveMinimum": 0},
                ],
                "examples": ["30d", 3600],
            }
        ),
    ],
)

"""Instants and durations in microseconds: of ISO 8601 texts, of texts such as `30d`, and relative to a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = datetime(1970, 1, 1)
SECOND = 1_000_000
"""The microseconds of a second: instants and durations are in microseconds."""
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND, "w": 604_800 * SECOND}
MAX_DURATION = 365_250 * _UNITS["d"]
"""1,000 years: the present plus or minus a duration is in the range of a date."""
_MAX_CHARACTERS = 64
INSTANTS = range(
    (datetime(1, 1, 1) - _LOCAL_EPOCH).days * _UNITS["d"],
    ((datetime(9999, 12, 31) - _LOCAL_EPOCH).days + 1) * _UNITS["d"],
)
"""The instants of the years 1 to 9999, which are dates in every program."""

# The hours are checked here, because later versions of Python also accept 24:00.
_ISO = re.compile(
    r"(?:\d{4}-\d\d-\d\d|\d{8})"
    r"(?:[Tt ](?:[01]\d|2[0-3])(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?(?:[Zz]|[+-](?:[01]\d|2[0-3])(?::?\d\d)?)?)?",
    re.ASCII,
)
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([smhdw])", re.ASCII)
_RELATIVE = re.compile(r"now(?:([+-])(\d{1,12}(?:\.\d{1,6})?[smhdw]))?", re.ASCII)


def parse_instant(text: str) -> int | None:
    """Return the instant of an ISO 8601 text in microseconds of Unix time; None if the text is not a date.

    A calendar date counts, alone (midnight) or with a time after `T` or a space, with or without the separators. A
    text without a zone is in UTC. Digits after the microseconds are dropped. The years are 1 to 9999, also in UTC.

    >>> parse_instant("1970-01-02"), parse_instant("19700101T000001.5Z"), parse_instant("tomorrow")
    (86400000000, 1500000, None)
    """
    if not text[:4].isdigit() or len(text) > _MAX_CHARACTERS or not _ISO.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}Z" if text[-1] == "z" else text)
    except ValueError:
        return None
    since = moment - (_EPOCH if moment.tzinfo else _LOCAL_EPOCH)
    instant = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
    return instant if instant in INSTANTS else None


def format_instant(microseconds: int) -> str:
    """Return an instant of the years 1 to 9999 as RFC 3339 writes it, in UTC.

    >>> format_instant(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


def parse_duration(text: str) -> int | None:
    """Return a duration such as `30d` in microseconds; None if the text is not one, or is over 1,000 years.

    Its units are s, m, h, d and w: seconds, minutes, hours, days and weeks.

    >>> parse_duration("1.5h"), parse_duration("1 year")
    (5400000000, None)
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    units, _, fraction = match[1].partition(".")
    duration = int(units) * _UNITS[match[2]] + int(fraction or 0) * _UNITS[match[2]] // 10 ** len(fraction)
    return duration if duration <= MAX_DURATION else None


@dataclass(frozen=True)
class Instant:
    """An instant with which a filter compares, as in `{"datetime": "now-7d"}`.

    Attributes:
        microseconds: of Unix time; of a relative instant, since the start of the request.
        relative: whether the instant follows from the time of each request.
    """

    microseconds: int
    relative: bool = False

    @classmethod
    def parse(cls, text: str) -> Instant | None:
        """Return the instant of an ISO 8601 text, `now`, or `now` plus or minus a duration; None for other texts."""
        if match := _RELATIVE.fullmatch(text):
            offset = parse_duration(match[2]) if match[2] else 0
            return None if offset is None else cls(-offset if match[1] == "-" else offset, relative=True)
        microseconds = parse_instant(text)
        return None if microseconds is None else cls(microseconds)

    def at(self, now: int) -> Instant:
        """Return the absolute instant, for a request that started at `now`, in microseconds of Unix time."""
        return Instant(now + self.microseconds) if self.relative else self

    @property
    def absolute(self) -> int:
        """The instant in microseconds of Unix time. Raises ValueError if it is relative: `at` comes first."""
        if self.relative:
            raise ValueError(f"Expected an absolute instant, got {self.tree['datetime']}. Call at(now) first.")
        return self.microseconds

    @property
    def tree(self) -> dict[str, str]:
        """The instant as the JSON object that a filter has."""
        if not self.relative:
            return {"datetime": format_instant(self.microseconds)}
        if not self.microseconds:
            return {"datetime": "now"}
        sign, distance = "-" if self.microseconds < 0 else "+", abs(self.microseconds)
        unit = next((unit for unit in "dhm" if distance % _UNITS[unit] == 0), "s")
        units, fraction = divmod(distance, _UNITS[unit])
        return {"datetime": f"now{sign}{units}{f'.{fraction:06}' if fraction else ''}{unit}"}

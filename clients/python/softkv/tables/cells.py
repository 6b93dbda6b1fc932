"""The JSON form of a cell, by its type, and the fields of a document that a cell may become."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

try:  # several times faster, but it makes floats of whole numbers beyond 64 bits
    from orjson import loads as _loads
except ImportError:
    _loads = None  # type: ignore[assignment]

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
LONGEST_NUMBER = 400
"""The most characters of a number in a text; the shortest form of a float has 24, and a longer text is no number."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PRINTED_SCALAR = re.compile(r"np\.float\d+\(([^()]*)\)")
_PACKED = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
# Bytes of JSON by their kind, so that a whole number of 19 digits or more is found faster than by a pattern.
_KINDS = bytes(ord("d" if byte in b"0123456789" else " " if byte in b"[:,- \t\n\r" else ".") for byte in range(256))
_LONG_NUMBER = b" " + 19 * b"d"
_UUID_BYTES = 16
_TIMES = (date, np.datetime64, np.timedelta64)
_SHOWN = 40


class Floats(list[float]):
    """The numbers of a vector, which is also there as an array."""

    def __init__(self, array: NDArray[Any]) -> None:
        super().__init__(array.tolist())
        self.array = array


class BadCell(Exception):
    """A cell that cannot be part of a document; the text says why."""


def shorten(cell: object) -> str:
    """Return the beginning of a cell, for a message."""
    text = str(cell)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def is_empty(cell: Any) -> bool:
    """Return whether a cell is null, a text without a character, or no time: NaT of pandas and NumPy."""
    return cell is None or (not cell if isinstance(cell, str) else is_no_time(cell))


def is_no_time(cell: Any) -> bool:
    """Return whether a cell is NaT, which alone among times differs from itself."""
    return isinstance(cell, _TIMES) and bool(cell != cell)


def to_json(cell: Any) -> Any:
    """Return a typed cell as a JSON value. Times become ISO 8601, durations seconds, decimals numbers, and NaT null.

    Raises:
        BadCell: it has no JSON form, or would lose digits.
    """
    match cell:
        case None | str() | bool() | int():
            return cell
        case BadCell():  # that its reader has made
            raise cell
        case float():
            return _finite(cell)
        case np.floating():
            return _finite(cell.item())
        case Decimal():
            return _decimal(cell)
        case timedelta():
            return cell.total_seconds()
        case _ if is_no_time(cell):
            return None
        case np.datetime64() | np.timedelta64():
            return to_json(_to_time(cell))
        case np.ndarray() if cell.dtype.kind in "mM":
            return [to_json(part) for part in cell]
        case date() | time():  # a datetime is a date
            return cell.isoformat()
        case UUID():
            return str(cell)
        case bytes() | bytearray() | memoryview():
            raise BadCell(f"wanted JSON, got {len(cell)} bytes: write them as a text, or leave the column out")
        case Mapping():
            return {str(name): to_json(part) for name, part in cell.items()}
        case list() | tuple() | set() | frozenset():
            return [to_json(part) for part in cell]
    if hasattr(cell, "tolist"):  # NumPy's arrays and scalars
        return to_json(cell.tolist())
    raise BadCell(f"wanted JSON, got {type(cell).__name__}: write it as a text, or leave the column out")


def _to_time(cell: np.datetime64 | np.timedelta64) -> date | timedelta:
    """Return a time of NumPy as Python has it, in microseconds at most.

    Raises:
        BadCell: it is a number without a unit, or beyond the years of Python.
    """
    unit, _ = np.datetime_data(cell.dtype)
    if unit in ("ns", "ps", "fs", "as"):
        cell = cell.astype(f"{type(cell).__name__}[us]")
    time_of_python = cell.item()
    if not isinstance(time_of_python, date | timedelta):
        raise BadCell(f"wanted a time of the years 1 to 9999, got {cell}: write it as text")
    return time_of_python


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise BadCell(f"wanted a number, got {number}: JSON has no such number, so leave the cell empty")
    return number


def _decimal(number: Decimal) -> int | float:
    nearest = _finite(float(number))  # before int, which would write all digits of 1E+999999999
    if number == (integer := int(number)) and abs(integer) < 2**63:
        return integer
    if Decimal(repr(nearest)) != number:
        raise BadCell(f"{shorten(number)} has more digits than a number of 64 bits holds: write the column as text")
    return nearest


def to_id(cell: Any) -> str:
    """Return the id of a document: a text, a whole number in decimal, or a UUID, also as its 16 bytes.

    Raises:
        BadCell: it is something else.
    """
    match cell:
        case str():
            return cell
        case bytes() if len(cell) == _UUID_BYTES:
            return str(UUID(bytes=cell))
        case UUID():
            return str(cell)
        case int() if not isinstance(cell, bool):
            return str(cell)
        case float() | np.floating() if math.isfinite(cell) and abs(float(cell)) >= 2.0 ** (bits := _whole_bits(cell)):
            raise BadCell(
                f"{cell} is a float beyond 2^{bits}, which has lost its last digits: write it as text or Int64"
            )
        case float() | Decimal() if math.isfinite(cell) and cell == int(cell):
            return str(int(cell))
    if hasattr(cell, "item"):
        return to_id(cell.item())
    raise BadCell(f"wanted an id as a text or a whole number, got {type(cell).__name__} {shorten(cell)}")


def _whole_bits(number: float | np.floating[Any]) -> int:
    """Return how many bits a float has for digits; from 2 to this power on, several whole numbers are one float."""
    return np.finfo(type(number)).nmant + 1


def to_text(cell: Any) -> str:
    """Return the text of a key; numbers and booleans are written as JSON.

    Raises:
        BadCell: it is a list, an object or bytes.
    """
    value = to_json(cell)
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise BadCell(f"wanted a text, got a list or an object: {shorten(value)}")
    return json.dumps(value)


def is_duration(cell: Any) -> bool:
    """Return whether a cell is a text such as 30d."""
    return isinstance(cell, str) and _DURATION.fullmatch(cell) is not None


def to_instant(cell: Any, now: datetime) -> str | float | int | None:
    """Return the instant at which a document expires: a time without a zone is in UTC, and 30d is 30 days from `now`.

    Args:
        cell: a text of RFC 3339, a duration such as 30d (units s m h d w), seconds since 1970, a date or a datetime.
        now: the time from which durations count.

    Raises:
        BadCell: it is something else.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if duration := _DURATION.fullmatch(text):
            return _iso(now + timedelta(seconds=float(duration[1]) * _SECONDS[duration[2]]))
        if is_number(text):
            return force_number(text)
        try:
            cell = datetime.fromisoformat(text)
        except ValueError:
            raise BadCell(
                f"wanted an instant such as 2027-01-31T12:00:00Z, or a duration such as 30d, got {shorten(text)}"
            ) from None
    if isinstance(cell, np.datetime64 | np.timedelta64):
        cell = _to_time(cell)
    if isinstance(cell, timedelta):
        return _iso(now + cell)
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime.combine(cell, time())
    if isinstance(cell, datetime):
        return _iso(cell if cell.tzinfo else cell.replace(tzinfo=UTC))
    value = to_json(cell)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadCell(f"wanted an instant, got {shorten(value)}")
    return value


def _iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def to_vector(cell: Any) -> Any:
    """Return the numbers of a vector, which may be written as a text: a JSON list, or as NumPy prints it.

    Raises:
        BadCell: the text is not a vector.
    """
    if isinstance(cell, list) and any(isinstance(number, Decimal) for number in cell):
        return to_json(cell)
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if "..." in text or "…" in text:
        raise BadCell(
            f"the vector {shorten(text)!r} was shortened as it was printed, so its numbers are lost: "
            "write the table again with vectors as JSON lists, or as Parquet"
        )
    inside = _PRINTED_SCALAR.sub(r"\1", text.removeprefix("array(")).strip("[](){}")
    try:
        vector = [float(number) for number in re.split(r"[\s,;]+", inside.strip())]
    except ValueError:
        advice = ": write its numbers as a list, and not in base64" if _PACKED.fullmatch(text) else ""
        raise BadCell(f"wanted a vector such as [0.1, 0.2], got {shorten(text)!r}{advice}") from None
    if not all(map(math.isfinite, vector)):
        raise BadCell(f"wanted finite numbers, got {shorten(text)}: leave the cell empty")
    return vector


def to_finite(vector: Any) -> Any:
    """Return a vector whose numbers JSON can have: an array unchanged, another as a list.

    Raises:
        BadCell: a number is not finite, or JSON lacks an item's type.
    """
    if not isinstance(vector, np.ndarray):
        return to_json(vector)
    if vector.dtype.kind == "f" and not np.isfinite(vector).all():
        raise BadCell(f"wanted finite numbers, got {shorten(vector.tolist())}: leave the cell empty")
    return vector


def is_number(text: str) -> bool:
    """Return whether a text is written as a number."""
    return len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) is not None


def force_number(text: str) -> int | float:
    """Return the number that a text reads as, whatever its form.

    Raises:
        BadCell: it is not a finite number, or a whole number beyond 64 bits.
    """
    stripped = text.strip()
    if not is_number(stripped) or not math.isfinite(number := float(stripped)):
        raise BadCell(f"wanted a number, got {shorten(text)!r}")
    try:
        integer = int(stripped)
    except ValueError:
        return number
    if not -(2**63) <= integer < 2**64:
        raise BadCell(f"{shorten(text)} is a whole number beyond 64 bits: leave it a text")
    return integer


def refuse_constant(name: str) -> NoReturn:
    """Raise ValueError for a constant that Python reads and JSON does not have, such as NaN."""
    raise ValueError(f"{name} is not a JSON number; send null or leave the field out")


def parse_json(content: bytes) -> Any:
    """Parse JSON in UTF-8, without the constants that Python adds to it.

    Raises:
        ValueError: the content is not JSON.
    """
    if _loads is not None and _LONG_NUMBER not in content.translate(_KINDS):
        with suppress(ValueError):  # json reads more, and names the flaw
            return _loads(content)
    return json.loads(content.decode(), parse_constant=refuse_constant)


def find_repeated(names: Iterable[str]) -> list[str]:
    """Return the names that come more than once, each once."""
    seen: set[str] = set()
    return list(dict.fromkeys(name for name in names if name in seen or seen.add(name)))  # type: ignore[func-returns-value]

"""Conversion of values to JSON and base64 vectors, and of arrays in responses back. NumPy is imported when the first
vector is converted.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from softkv.errors import Invalid
from softkv.problems import invalid_value, invalid_value_at

Instant: TypeAlias = datetime | str | float
"""A date with a time and a zone, as a datetime or a text of RFC 3339; seconds since 1970; or "30d" from now on."""

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float32]
    Vector: TypeAlias = NDArray[Any] | Sequence[float]
    Matrix: TypeAlias = NDArray[Any] | Sequence[Sequence[float]] | Sequence[NDArray[Any]]


class Omitted(Enum):
    """The type of OMITTED, the mark of an argument that is left out, where None has its own meaning."""

    OMITTED = "omitted"

    def __repr__(self) -> str:
        return "OMITTED"


_RECURSIVE_JSON = "wanted JSON, got what holds itself, or lists and objects within others without end: send it flatter"
OMITTED: Final = Omitted.OMITTED
OmittedType: TypeAlias = Literal[Omitted.OMITTED]


def drop_omitted(**fields: Any) -> dict[str, Any]:
    """Return the arguments that are neither None nor OMITTED, as fields of a request."""
    return {name: value for name, value in fields.items() if value is not None and value is not OMITTED}


def encode_json(content: Any) -> bytes:
    """Encode a value as JSON in UTF-8. NumPy numbers, arrays and dates are converted.

    Raises:
        Invalid: the content has no JSON form, or an integer of more than 64 bits, or an object has one name twice.
    """
    try:
        if isinstance(content, _CONTAINERS) and _has_other_names(content):
            _check_names(content, "")
        text = _ENCODER.encode(content)
        if _MANY_DIGITS.search(text):
            _check_integers(json.loads(text), "")
        return text.encode()
    except UnicodeEncodeError:
        pointer, _ = next(filter(_has_surrogate, _find_values(content, "")), ("", ""))
        detail = "wanted Unicode text, got a lone surrogate: send well-formed UTF-8"
        raise invalid_value_at(pointer, detail) from None
    except RecursionError:
        raise invalid_value("", _RECURSIVE_JSON) from None
    except Invalid as error:
        pointer = next(_find_without_json(content, ""), "")
        raise error if error.errors[0].pointer else invalid_value_at(pointer, error.detail) from None
    except ValueError as error:
        if "Circular" in str(error):
            raise invalid_value("", _RECURSIVE_JSON) from None
        pointer, value = next(filter(_is_not_finite, _find_values(content, "")), ("", error))
        raise invalid_value_at(
            pointer, f"wanted JSON, which has no NaN and no Infinity, got {value}: send null or a text"
        ) from None


def _has_other_names(content: Any) -> bool:
    """Return whether an object in lists and mappings has a name of another type than text."""
    for name, item in content.items() if isinstance(content, dict) else (("", item) for item in content):
        if type(name) is not str or (isinstance(item, _CONTAINERS) and _has_other_names(item)):
            return True
    return False


def _check_names(content: Any, pointer: str) -> None:
    """Raise Invalid if an object has a name that is neither text nor number, or two names that are one in JSON."""
    if isinstance(content, dict):
        _check_object(content, pointer)
    for step, item in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(item, _CONTAINERS):
            _check_names(item, _pointer_to(step, pointer))


def _check_object(content: Mapping[Any, Any], pointer: str) -> None:
    """Raise Invalid if a name of another type cannot become a text, or becomes another name of its object."""
    names: set[str] = set()
    for name in content:
        if not isinstance(name, str | int | float | None):
            raise invalid_value_at(pointer, f"wanted texts as the names of an object, got {name!r}: write it as a text")
        text = name if isinstance(name, str) else json.dumps(name)
        if text in names:
            raise invalid_value_at(pointer, f'two names of an object are "{text}" in JSON: rename one of them')
        names.add(text)


def _find_values(content: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Yield each value in lists and mappings with its pointer, and before it its name with that of the object."""
    if isinstance(content, dict):
        for name, item in content.items():
            yield pointer, name
            yield from _find_values(item, _pointer_to(name, pointer))
    elif isinstance(content, list | tuple):
        for index, item in enumerate(content):
            yield from _find_values(item, _pointer_to(index, pointer))
    elif isinstance(content, str | int | float | None):
        yield pointer, content
    else:
        yield from _find_values(to_json_value(content), pointer)


def _is_not_finite(value: tuple[str, Any]) -> bool:
    """Return whether a value, here with its pointer, is NaN or infinite."""
    return isinstance(value[1], float) and not math.isfinite(value[1])


def _has_surrogate(value: tuple[str, Any]) -> bool:
    """Return whether a value, here with its pointer, is a text with half a character."""
    return isinstance(value[1], str) and any("\ud800" <= character <= "\udfff" for character in value[1])


def _find_without_json(content: Any, pointer: str) -> Iterator[str]:
    """Yield the pointer of each value in lists and mappings that has no JSON form."""
    if isinstance(content, _CONTAINERS):
        for step, item in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _find_without_json(item, _pointer_to(step, pointer))
    elif not isinstance(content, str | int | float | None):
        try:
            converted = to_json_value(content)
        except Invalid:
            yield pointer
        else:
            yield from _find_without_json(converted, pointer)


def _pointer_to(step: object, pointer: str) -> str:
    """Return the JSON pointer of a step below a pointer."""
    return f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"


def _check_integers(content: Any, pointer: str) -> None:
    """Raise Invalid if JSON has an integer of more than 64 bits, which JSON parsers round.

    Args:
        content: the JSON value.
        pointer: its position in the request.
    """
    if isinstance(content, dict | list):
        for step, item in content.items() if isinstance(content, dict) else enumerate(content):
            _check_integers(item, _pointer_to(step, pointer))
    elif isinstance(content, int) and not MIN_INTEGER <= content <= MAX_INTEGER:
        raise invalid_value_at(pointer, "wanted integers of at most 64 bits, got a larger one: send it as text")


def to_json_value(value: Any) -> Any:
    """Convert a NumPy number, an array, a date, a set or a tuple to a JSON value.

    Raises:
        Invalid: the value has no JSON form, or is NaT or a length of time.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("m", "M"):
        return _to_dates(value, kind)
    if isinstance(value, date | timedelta) and value != value:  # the NaT of pandas, which equals nothing
        raise invalid_value("", f"wanted JSON, which has no NaT: {_SEND_NULL}")
    if isinstance(value, timedelta):
        raise invalid_value("", _LENGTH_OF_TIME)
    for method in ("tolist", "isoformat"):  # of arrays and their scalars; of dates and times
        convert = getattr(value, method, None)
        if convert is not None:
            return convert() if not hasattr(value, "detach") else as_array(value, "").tolist()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise invalid_value(
        "", f"wanted JSON: texts, numbers, true, false, null, lists, objects; got {type(value).__name__}"
    )


def _to_dates(value: Any, kind: str) -> Any:
    """Return NumPy's dates as those of Python, of nanoseconds up to the microsecond.

    Raises:
        Invalid: a date is NaT or outside of the years 1 to 9999, or the values are lengths of time.
    """
    import numpy as np

    if not isinstance(value, np.ndarray | np.generic):
        return value.tolist()  # a column of pandas, whose items are converted next
    if kind == "m":
        raise invalid_value("", _LENGTH_OF_TIME)
    if np.isnat(value).any():
        raise invalid_value("", f"wanted JSON, which has no NaT: {_SEND_NULL}")
    dates = value.tolist()
    if all(isinstance(item, date) for item in np.asarray(dates, dtype=object).flat):
        return dates
    dates = value.astype("datetime64[us]").tolist()  # of nanoseconds, which Python's datetime does not have
    if not all(isinstance(item, date) for item in np.asarray(dates, dtype=object).flat):
        raise invalid_value("", f"wanted dates of the years 1 to 9999, got {value}: send them as texts")
    return dates


MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
_CONTAINERS = (dict, list, tuple)
_SEND_NULL = "send null, or leave the field out"
_LENGTH_OF_TIME = "wanted JSON, which has no length of time: send its total_seconds() as a number"
_MANY_DIGITS = re.compile(r"[0-9]{19}")  # of an integer that may have more than 64 bits, or of a text
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=to_json_value)

VECTOR_FORMAT = "base64"
_TEXT_KINDS = "OSTU"  # NumPy's kinds of texts and of arbitrary objects


def is_vector(value: Any) -> bool:
    """Return whether the value is one vector: neither a text nor several vectors or texts."""
    dimensions = getattr(value, "ndim", None)
    if dimensions is not None:
        kind = getattr(getattr(value, "dtype", None), "kind", "f")  # a memoryview has no dtype, torch's has no kind
        return bool(dimensions == 1) and kind not in _TEXT_KINDS
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_number, value))


def encode_vector(vector: Any, pointer: str) -> dict[str, str]:
    """Encode a vector as base64 of little-endian float32.

    Raises:
        Invalid: the value is not a vector, or a number is not finite as float32; `pointer` names the field of the
            request.
    """
    return {VECTOR_FORMAT: b64encode(as_float32(vector, pointer).data).decode("ascii")}


def as_float32(vector: Any, pointer: str) -> Array:
    """Convert a vector to contiguous little-endian float32.

    Raises:
        Invalid: the value is not a vector, or a number is not finite as float32; `pointer` names the field of the
            request.
    """
    import numpy as np

    array = _numeric_array(vector, pointer)
    if array.ndim != 1:
        raise invalid_value_at(pointer, f"wanted a vector, got an array of shape {array.shape}")
    if array.dtype != "<f4":
        with np.errstate(over="ignore"):
            array = array.astype("<f4")
    finite = np.isfinite(array)
    if not finite.all():
        index = int(np.flatnonzero(~finite)[0])
        raise invalid_value_at(pointer, f"number {index} is not finite as float32: keep magnitudes below 3.4e38")
    return np.ascontiguousarray(array)


def decode_array(content: Any) -> Array:
    """Decode an array from a response as float32; null, the wire form of a number that is not finite, becomes NaN."""
    import numpy as np

    if not isinstance(content, dict):
        return np.asarray(content, dtype=np.float32)
    array = np.frombuffer(b64decode(content[VECTOR_FORMAT]), dtype="<f4").astype(np.float32)
    return array.reshape(content["shape"]) if "shape" in content else array


def decode_optional_array(content: Any) -> Array | None:
    """Decode an array from a response; return None for null."""
    return None if content is None else decode_array(content)


def to_nested_lists(array: Any, pointer: str) -> Any:
    """Convert an array of any shape to nested lists of numbers.

    Raises:
        Invalid: the array contains something other than numbers.
    """
    return _numeric_array(array, pointer, kinds="biuf").tolist()


def _numeric_array(value: Any, pointer: str, kinds: str = "iuf") -> NDArray[Any]:
    """Convert a value to a NumPy array of one of these kinds of numbers.

    Raises:
        Invalid: the rows differ in length, some numbers are masked, or the type is not numeric.
    """
    import numpy as np

    array = as_array(value, pointer)
    if np.ma.is_masked(array):
        raise invalid_value_at(pointer, "wanted numbers, got an array that masks some: fill them, or leave the row out")
    array = np.asarray(array)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind == "O" and all(type(number) in (int, float) for number in array.flat):
        with suppress(OverflowError):
            array = array.astype(np.float64)  # integers of more than 64 bits
    if array.dtype.kind not in kinds and array.size:
        names = {"U": "texts", "S": "bytes", "O": "a list with null or other values", "b": "booleans", "M": "dates"}
        came = names.get(array.dtype.kind, str(array.dtype))
        raise invalid_value_at(pointer, f"wanted numbers, got {came}")
    return array


def as_array(value: Any, pointer: str) -> NDArray[Any]:
    """Convert a value to a NumPy array of any type: a tensor of torch, too, and with the masks of masked arrays.

    Raises:
        Invalid: the rows differ in length, or a tensor has no numbers.
    """
    import numpy as np

    try:
        value = _detach(value)
        if isinstance(value, list | tuple) and any(map(np.ma.is_masked, value)):
            return np.ma.stack(value)
        return np.asanyarray(value)
    except ValueError:
        raise invalid_value_at(pointer, "wanted rows of one length, got some that are longer than others") from None
    except RuntimeError as error:  # of torch
        raise invalid_value_at(pointer, f"wanted numbers, got a tensor that has none to read: {error}") from None


def _detach(value: Any) -> Any:
    """Return the numbers of a tensor of torch, or of a list of them, without gradients and in a type of NumPy."""
    if isinstance(value, list | tuple):
        return [_detach(item) for item in value] if value and hasattr(value[0], "detach") else value
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().to_dense().cpu()
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor  # as bfloat16


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or getattr(value, "ndim", None) == 0

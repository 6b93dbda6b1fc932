"""Values on their way into a request's body."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from softkv.problems import invalid_value, invalid_value_at

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float32]
    Vector: TypeAlias = NDArray[Any] | Sequence[float]
    Matrix: TypeAlias = NDArray[Any] | Sequence[Sequence[float]] | Sequence[NDArray[Any]]


class Omitted(Enum):
    """Says that a field is left out, where None says something itself."""

    OMITTED = "omitted"

    def __repr__(self) -> str:
        return "OMITTED"


_RECURSIVE_JSON = "wanted JSON, got what holds itself, or lists and objects within others without end: send it flatter"
OMITTED: Final = Omitted.OMITTED
OmittedType: TypeAlias = Literal[Omitted.OMITTED]


def drop_omitted(**fields: Any) -> dict[str, Any]:
    """The fields that were given: neither None nor OMITTED."""
    return {name: given for name, given in fields.items() if given is not None and given is not OMITTED}


def encode_json(content: Any) -> bytes:
    """JSON in UTF-8; numbers, arrays and dates of other libraries as JSON has them.

    Raises:
        Invalid: what is in it is no JSON.
    """
    try:
        return _ENCODER.encode(content).encode()
    except UnicodeEncodeError:
        raise invalid_value("", "wanted Unicode text, got a lone surrogate: send well-formed UTF-8") from None
    except RecursionError:
        raise invalid_value("", _RECURSIVE_JSON) from None
    except ValueError as error:
        if "Circular" in str(error):
            raise invalid_value("", _RECURSIVE_JSON) from None
        raise invalid_value(
            "", f"wanted JSON, which has no NaN and no Infinity: send null or a text ({error})"
        ) from None


def to_json_value(given: Any) -> Any:
    """What JSON has in place of a number or an array of NumPy's, or of a date.

    Raises:
        Invalid: there is nothing in its place.
    """
    for method in ("tolist", "isoformat"):  # of arrays and their scalars; of dates and times
        convert = getattr(given, method, None)
        if convert is not None:
            return convert()
    if isinstance(given, set | frozenset | tuple):
        return list(given)
    raise invalid_value(
        "", f"wanted JSON: texts, numbers, true, false, null, lists, objects; got {type(given).__name__}"
    )


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=to_json_value)

VECTOR_FORMAT = "base64"
MAX_COMPONENTS = 65_536
_TEXT_KINDS = "OSTU"  # kinds of NumPy's types that are texts, or anything


def is_vector(given: Any) -> bool:
    """Whether this is one vector, not a text, and not several of either, as an array or a column of texts is."""
    dimensions = getattr(given, "ndim", None)
    if dimensions is not None:
        return bool(dimensions == 1) and getattr(given.dtype, "kind", "f") not in _TEXT_KINDS
    return isinstance(given, Sequence) and not isinstance(given, str) and all(map(_is_number, given))


def vector_width(given: Any) -> int:
    """How many components a vector has."""
    return len(given)


def encode_vector(given: Any, pointer: str) -> dict[str, str]:
    """A vector → its form on the wire.

    Raises:
        Invalid: it is none, or holds what is not finite as float32; `pointer` says where in the request.
    """
    return {VECTOR_FORMAT: b64encode(as_float32(given, pointer).data).decode("ascii")}


def as_float32(given: Any, pointer: str) -> Array:
    """A vector → little-endian float32, in one piece.

    Raises:
        Invalid: as `outgoing`.
    """
    import numpy as np

    array = _numeric_array(given, pointer)
    if array.ndim != 1:
        raise invalid_value_at(pointer, f"wanted a vector, got an array of shape {array.shape}")
    if not array.size:
        raise invalid_value_at(pointer, "wanted at least one number, got none")
    if array.size > MAX_COMPONENTS:
        raise invalid_value_at(pointer, f"wanted at most {MAX_COMPONENTS} numbers, got {array.size}")
    if array.dtype != "<f4":
        with np.errstate(over="ignore"):
            array = array.astype("<f4")
    finite = np.isfinite(array)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        raise invalid_value_at(pointer, f"number {at} is not finite as float32: keep magnitudes below 3.4e38")
    return np.ascontiguousarray(array)


def decode_array(given: Any) -> Array:
    """What came over the wire → float32; null, of a number that is not finite, is NaN."""
    import numpy as np

    if not isinstance(given, dict):
        return np.asarray(given, dtype=np.float32)
    array = np.frombuffer(b64decode(given[VECTOR_FORMAT]), dtype="<f4").astype(np.float32)
    return array.reshape(given["shape"]) if "shape" in given else array


def decode_optional_array(given: Any) -> Array | None:
    """The same, and None of null."""
    return None if given is None else decode_array(given)


def to_nested_lists(given: Any, pointer: str) -> Any:
    """An array of any shape → nested lists.

    Raises:
        Invalid: it holds what are no numbers.
    """
    return _numeric_array(given, pointer, kinds="biuf").tolist()


def _numeric_array(given: Any, pointer: str, kinds: str = "iuf") -> NDArray[Any]:
    import numpy as np

    try:
        array = np.asarray(given)
    except ValueError:
        raise invalid_value_at(pointer, "wanted rows of one length, got some that are longer than others") from None
    if array.dtype.kind not in kinds and array.size:
        raise invalid_value_at(pointer, f"wanted numbers, got an array of {array.dtype}")
    return array


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) or getattr(given, "ndim", None) == 0

"""Vectors: arrays here, base64 of little-endian float32 on the wire. NumPy is imported when there is one."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from softkv.problems import misfit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float32]
    Vector: TypeAlias = NDArray[Any] | Sequence[float]
    Matrix: TypeAlias = NDArray[Any] | Sequence[Sequence[float]] | Sequence[NDArray[Any]]

FORMAT = "base64"
MOST_COMPONENTS = 65_536
_TEXTS = "OSTU"  # kinds of NumPy's types that are texts, or anything


def is_vector(given: Any) -> bool:
    """Whether this is one vector, not a text, and not several of either, as an array or a column of texts is."""
    dimensions = getattr(given, "ndim", None)
    if dimensions is not None:
        return bool(dimensions == 1) and getattr(given.dtype, "kind", "f") not in _TEXTS
    return isinstance(given, Sequence) and not isinstance(given, str) and all(map(_is_number, given))


def width(given: Any) -> int:
    """How many components a vector has."""
    return len(given)


def outgoing(given: Any, pointer: str) -> dict[str, str]:
    """A vector → its form on the wire.

    Raises:
        Invalid: it is none, or holds what is not finite as float32; `pointer` says where in the request.
    """
    return {FORMAT: b64encode(single(given, pointer).data).decode("ascii")}


def single(given: Any, pointer: str) -> Array:
    """A vector → little-endian float32, in one piece.

    Raises:
        Invalid: as `outgoing`.
    """
    import numpy as np

    array = _numbers(given, pointer)
    if array.ndim != 1:
        raise misfit(pointer, f"wanted a vector, got an array of shape {array.shape}")
    if not array.size:
        raise misfit(pointer, "wanted at least one number, got none")
    if array.size > MOST_COMPONENTS:
        raise misfit(pointer, f"wanted at most {MOST_COMPONENTS} numbers, got {array.size}")
    if array.dtype != "<f4":
        with np.errstate(over="ignore"):
            array = array.astype("<f4")
    finite = np.isfinite(array)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        raise misfit(pointer, f"number {at} is not finite as float32: keep magnitudes below 3.4e38")
    return np.ascontiguousarray(array)


def incoming(given: Any) -> Array:
    """What came over the wire → float32; null, of a number that is not finite, is NaN."""
    import numpy as np

    if not isinstance(given, dict):
        return np.asarray(given, dtype=np.float32)
    array = np.frombuffer(b64decode(given[FORMAT]), dtype="<f4").astype(np.float32)
    return array.reshape(given["shape"]) if "shape" in given else array


def maybe_incoming(given: Any) -> Array | None:
    """The same, and None of null."""
    return None if given is None else incoming(given)


def nested(given: Any, pointer: str) -> Any:
    """An array of any shape → nested lists.

    Raises:
        Invalid: it holds what are no numbers.
    """
    return _numbers(given, pointer, kinds="biuf").tolist()


def _numbers(given: Any, pointer: str, kinds: str = "iuf") -> NDArray[Any]:
    import numpy as np

    try:
        array = np.asarray(given)
    except ValueError:
        raise misfit(pointer, "wanted rows of one length, got some that are longer than others") from None
    if array.dtype.kind not in kinds and array.size:
        raise misfit(pointer, f"wanted numbers, got an array of {array.dtype}")
    return array


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) or getattr(given, "ndim", None) == 0

"""Vectors in JSON: a list of numbers, or base64 of little-endian float32."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, TypeVar

import numpy as np
from annotated_types import Ge, Len
from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from softkv_service.schemas.wire import Distinct, DocumentedAs, Wire

Array = np.ndarray[Any, np.dtype[np.float32]]

MAX_WIDTH = 65_536
_FLOAT32 = np.dtype("<f4")
EXAMPLES = [[0.1, -0.4, 0.9], {"base64": "zczMPQ=="}]

Scalar = TypeVar("Scalar")
Nested = list[Scalar] | list[list[Scalar]] | list[list[list[Scalar]]] | list[list[list[list[Scalar]]]]
"""Lists of one to four levels, written out because generators of clients leave out recursive types."""


class Base64Vector(Wire):
    """A vector as base64."""

    base64: str = Field(
        pattern="^[A-Za-z0-9+/]*={0,2}$",
        description="Little-endian float32, in the standard alphabet, with padding.",
        json_schema_extra={"contentEncoding": "base64"},
    )


class Base64Array(Base64Vector):
    """An array as base64, with its shape if it has two dimensions or more."""

    shape: list[Annotated[int, Ge(0)]] | None = Field(None, min_length=2)


def parse_vector(content: Any) -> Array:
    """Convert a vector in JSON to float32 [d], and check that its numbers are finite."""
    if isinstance(content, list):
        vector = _from_numbers(content)
    elif isinstance(content, dict) and isinstance(content.get("base64"), str) and len(content) == 1:
        vector = _from_base64(content["base64"])
    else:
        raise PydanticCustomError(
            "vector", 'wanted a list of numbers or {"base64": "…"}, got {got}', {"got": _kind(content)}
        )
    if not vector.size:
        raise PydanticCustomError("vector_empty", "wanted at least one number, got none")
    if vector.size > MAX_WIDTH:
        raise PydanticCustomError(
            "vector_wide", "wanted at most {most} numbers, got {size}", {"most": MAX_WIDTH, "size": vector.size}
        )
    if np.count_nonzero(np.isfinite(vector)) < vector.size:
        position = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise PydanticCustomError(
            "vector_not_finite",
            "number {position} is not finite as float32: keep magnitudes below 3.4e38",
            {"position": position},
        )
    return vector


def _from_numbers(numbers: list[Any]) -> Array:
    if not set(map(type, numbers)) <= {int, float}:
        position = next(i for i, number in enumerate(numbers) if type(number) not in (int, float))
        raise PydanticCustomError(
            "vector_number",
            "wanted numbers, got {got} at position {position}",
            {"got": _kind(numbers[position]), "position": position},
        )
    with np.errstate(over="ignore"):
        try:
            return np.asarray(numbers, dtype=np.float64).astype(np.float32)
        except OverflowError:
            return np.asarray([np.inf], dtype=np.float32)


def _from_base64(text: str) -> Array:
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("vector_base64", "wanted standard base64 with padding") from None
    if len(raw) % 4:
        raise PydanticCustomError(
            "vector_base64",
            "wanted little-endian float32, 4 bytes a number, got {size} bytes",
            {"size": len(raw)},
        )
    return np.frombuffer(raw, dtype=_FLOAT32).astype(np.float32, copy=False)


def _kind(content: Any) -> str:
    names = {bool: "true or false", str: "a text", dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(content), "a number")


def write_vector(vector: np.ndarray[Any, Any], vector_format: str) -> Any:
    """Return the JSON form of an array: nested lists of numbers, or base64.

    Base64 of an array of rank 2 or more has the shape beside it.

    Args:
        vector: the array.
        vector_format: "numbers" or "base64".
    """
    if vector_format != "base64":
        return np.ascontiguousarray(vector)
    text = base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode("ascii")
    return {"base64": text} if vector.ndim < 2 else {"base64": text, "shape": list(vector.shape)}


Vector = TypeAliasType(
    "Vector",
    Annotated[
        Array,
        PlainValidator(parse_vector),
        DocumentedAs(Annotated[list[float], Len(1, MAX_WIDTH)] | Base64Vector),
        Distinct(),
        Field(description="A vector, as numbers or as base64 of little-endian float32.", examples=EXAMPLES),
    ],
)
VectorAnswer = TypeAliasType(
    "VectorAnswer",
    Annotated[
        Any,
        DocumentedAs(Annotated[list[float], Len(0, MAX_WIDTH)] | Base64Vector),
        Distinct(),
        Field(description="A vector, in the requested `vector_format`.", examples=EXAMPLES),
    ],
)
NestedAnswer = TypeAliasType(
    "NestedAnswer",
    Annotated[
        Any,
        DocumentedAs(Nested[float] | list[Any] | Base64Array),
        Field(
            description="An array: nested lists (null for a number that is not finite), or base64 of little-endian "
            "float32, with its shape beside it if it has two dimensions or more.",
            examples=[[[0.88, 0.12]], {"base64": "rkdhP4/C9T0=", "shape": [1, 2]}],
        ),
    ],
)

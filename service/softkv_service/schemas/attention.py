"""Models of attention on arrays in the request: the arrays, and every intermediate result. Nothing is stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from softkv_service.schemas.collection import SIMILARITIES
from softkv_service.schemas.vector import Nested
from softkv_service.schemas.wire import DocumentedAs, InParts, Normaliser, Number, Temperature, VectorFormat, Wire

MAX_HOPFIELD_STEPS = 100

Array = np.ndarray[Any, np.dtype[np.float64]]
DeeplyNested = list[list[list[list[list[Any]]]]]


def _parse_nested(lists: Any, kinds: tuple[type, ...], expected: str) -> Any:
    """Return the scalars of nested lists, and the shape of the lists.

    Args:
        lists: JSON, with lists of one shape.
        kinds: the types that a scalar may have.
        expected: what the error says that it expected.

    Raises:
        PydanticCustomError: the lists have no single shape, or a scalar has another type.
    """
    if not isinstance(lists, list):
        raise PydanticCustomError("array", "wanted {wanted} in nested lists", {"wanted": expected})
    level: list[Any] = [lists]
    shape: list[int] = []
    while level and isinstance(level[0], list):
        lengths = {len(item) if isinstance(item, list) else -1 for item in level}
        if len(lengths) != 1 or -1 in lengths:
            raise PydanticCustomError(
                "array", "the lists at depth {depth} differ in length: wanted one shape", {"depth": len(shape)}
            )
        shape.append(lengths.pop())
        level = [inner for item in level for inner in item]
        if len(shape) > 8:
            raise PydanticCustomError("array", "wanted at most 8 levels of lists")
    if any(type(item) not in kinds for item in level):
        raise PydanticCustomError("array", "wanted {wanted} and nothing else", {"wanted": expected})
    return level, shape


def _numbers(lists: Any) -> Array:
    level, shape = _parse_nested(lists, (int, float), "numbers")
    try:
        array = np.asarray(level, dtype=np.float64).reshape(shape)
    except OverflowError:
        array = np.asarray([np.inf])
    if not np.isfinite(array).all():
        raise PydanticCustomError("array", "wanted finite numbers")
    return array


def _bools(lists: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    level, shape = _parse_nested(lists, (bool,), "true or false")
    return np.asarray(level, dtype=np.bool_).reshape(shape)


NestedNumbers = TypeAliasType(
    "NestedNumbers",
    Annotated[
        Array,
        PlainValidator(_numbers),
        DocumentedAs(Nested[float] | DeeplyNested),
        Field(description="Nested lists of numbers, of one shape.", examples=[[[1.0, 0.0], [0.0, 1.0]]]),
    ],
)
NestedBools = TypeAliasType(
    "NestedBools",
    Annotated[
        np.ndarray[Any, np.dtype[np.bool_]],
        PlainValidator(_bools),
        DocumentedAs(Nested[bool] | DeeplyNested),
        Field(description="Nested lists of true and false, of one shape.", examples=[[[True, False]]]),
    ],
)


class Parameters(Wire):
    """The weights of two similarities that have some: `W` for bilinear; `W_q`, `W_k` and `v` for additive."""

    W: NestedNumbers | None = Field(None, description="bilinear, qᵀWk: [d_q, d_k]")
    W_q: NestedNumbers | None = Field(None, description="additive, vᵀtanh(W_q q + W_k k): [h, d_q]")
    W_k: NestedNumbers | None = Field(None, description="additive: [h, d_k]")
    v: NestedNumbers | None = Field(None, description="additive: [h]")


class Projections(Wire):
    """The matrices of multi-head attention: W_Q, W_K and W_V are applied before attention, W_O after it."""

    W_Q: NestedNumbers = Field(description="[d_model, n_heads · d_k]")
    W_K: NestedNumbers = Field(description="[d_model, n_heads · d_k]")
    W_V: NestedNumbers = Field(description="[d_model, n_heads · d_v]")
    W_O: NestedNumbers = Field(description="[n_heads · d_v, d_model]")
    n_heads: int = Field(1, ge=1, description="The number of heads into which each projection is split.")


class AttentionRequest(Wire):
    """Queries, keys and values as nested lists of numbers. Dimensions before the last two, if any, broadcast."""

    query: NestedNumbers = Field(description="[..., m, d]")
    key: NestedNumbers = Field(description="[..., n, d]")
    value: NestedNumbers = Field(description="[..., n, d_v]")
    similarity: Literal["cosine", "dot", "scaled_dot", "gaussian", "bilinear", "additive"] = Field(
        "scaled_dot",
        description=f"{SIMILARITIES.removesuffix('.')}; bilinear: qᵀWk; additive: vᵀtanh(W_q q + W_k k).",
    )
    temperature: Temperature = 1.0
    mask: NestedBools | None = Field(None, description="true = may attend; broadcasts to [..., m, n]")
    bias: NestedNumbers | None = Field(None, description="added to the logits; broadcasts to [..., m, n]")
    null: Number | None = Field(None, description="The similarity of an additional key, whose value is zero.")
    normaliser: Normaliser = "softmax"
    parameters: Parameters | None = Field(None, description="Only for the similarities bilinear and additive.")
    projections: Projections | None = Field(None, description="Multi-head attention.")
    hopfield_steps: int | None = Field(
        None,
        ge=0,
        le=MAX_HOPFIELD_STEPS,
        description="The number of Hopfield updates: each output becomes the next query, and the energy "
        "falls. Send the key as the value too, and no bias, null or projections.",
    )
    include: Annotated[list[Literal["weights", "logits"]], InParts] = Field(
        default=["weights", "logits"],
        description="The matrices to return, which have one number for each query and key. They are the "
        "largest part of an answer.",
    )
    intermediates: bool = Field(False, description="Whether to return every intermediate array too, by name.")
    vector_format: VectorFormat = "numbers"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": [[1, 0]],
                    "key": [[1, 0], [0, 1]],
                    "value": [[10], [20]],
                    "similarity": "dot",
                    "temperature": 0.5,
                    "intermediates": True,
                },
                {
                    "query": [[0.9, 0.1]],
                    "key": [[1, 0], [0, 1]],
                    "value": [[1, 0], [0, 1]],
                    "similarity": "dot",
                    "temperature": 0.25,
                    "hopfield_steps": 3,
                    "intermediates": True,
                },
            ]
        }
    )

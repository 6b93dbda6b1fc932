"""Stateless attention on the wire: arrays in, every intermediate out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.schemas.sweep import SweptTemperature
from service.schemas.wire import Number, VectorFormat, Wire

Array = np.ndarray[Any, np.dtype[np.float64]]


def _nested(given: Any, kinds: tuple[type, ...], wanted: str) -> Any:
    """Nested lists of one shape → array; says where the shape breaks."""
    if not isinstance(given, list):
        raise PydanticCustomError("array", "wanted {wanted} in nested lists", {"wanted": wanted})
    level: list[Any] = [given]
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
        raise PydanticCustomError("array", "wanted {wanted} and nothing else", {"wanted": wanted})
    return level, shape


def _numbers(given: Any) -> Array:
    level, shape = _nested(given, (int, float), "numbers")
    try:
        array = np.asarray(level, dtype=np.float64).reshape(shape)
    except OverflowError:
        array = np.asarray([np.inf])
    if not np.isfinite(array).all():
        raise PydanticCustomError("array", "wanted finite numbers")
    return array


def _bools(given: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    level, shape = _nested(given, (bool,), "true or false")
    return np.asarray(level, dtype=np.bool_).reshape(shape)


NESTED: dict[str, Any] = {"type": "array", "items": {}, "description": "Nested lists of numbers, of one shape."}
Numbers = Annotated[Array, PlainValidator(_numbers), WithJsonSchema({**NESTED, "example": [[1.0, 0.0]]})]
Bools = Annotated[
    np.ndarray[Any, np.dtype[np.bool_]],
    PlainValidator(_bools),
    WithJsonSchema({"type": "array", "items": {}, "description": "Nested lists of true (may attend) and false."}),
]


class Parameters(Wire):
    """What the similarities with parameters need: bilinear `W`; additive `W_q`, `W_k`, `v`."""

    W: Numbers | None = Field(None, description="bilinear: [d_q, d_k]")
    W_q: Numbers | None = Field(None, description="additive: [h, d_q]")
    W_k: Numbers | None = Field(None, description="additive: [h, d_k]")
    v: Numbers | None = Field(None, description="additive: [h]")


class Projections(Wire):
    """W_Q, W_K, W_V before attention and W_O after it, in heads."""

    W_Q: Numbers = Field(description="[d_model, n_heads · d_k]")
    W_K: Numbers = Field(description="[d_model, n_heads · d_k]")
    W_V: Numbers = Field(description="[d_model, n_heads · d_v]")
    W_O: Numbers = Field(description="[n_heads · d_v, d_model]")
    n_heads: int = Field(1, ge=1)


class AttentionRequest(Wire):
    """Arrays to attend over; shapes are query [..., m, d], key [..., n, d], value [..., n, d_v]."""

    query: Numbers
    key: Numbers
    value: Numbers
    similarity: Literal["cosine", "dot", "scaled_dot", "gaussian", "bilinear", "additive"] = "scaled_dot"
    temperature: SweptTemperature = 1.0
    mask: Bools | None = Field(None, description="true = may attend; broadcasts to [..., m, n]")
    bias: Numbers | None = Field(None, description="added to the logits; broadcasts to [..., m, n]")
    null: Number | None = Field(None, description="The similarity of one more key, whose value is zero.")
    normaliser: Literal["softmax", "sparsemax", "entmax15", "one_hot"] = "softmax"
    parameters: Parameters | None = None
    projections: Projections | None = None
    hopfield_steps: int | None = Field(None, ge=0, le=100, description="Attend again and again; the energy falls.")
    intermediates: bool = Field(False, description="Also every array on the way, by name.")
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
                }
            ]
        }
    )


class AttentionAnswer(Wire):
    """What attention gives; of the same nesting as the arrays that came."""

    output: Any
    weights: Any
    logits: Any
    log_partition: Any
    null_weight: Any
    intermediates: dict[str, Any] | None = None

"""Attention over arrays that come with the request, with all intermediate arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from softkv_attention import SIMILARITIES, Additive, Attended, Bilinear, Similarity, attend
from softkv_attention.heads import Heads, join_heads
from softkv_attention.hopfield import recall
from softkv_service.retrieval.errors import InvalidContent, TooLarge

Array = np.ndarray[Any, Any]
PARAMETERS = {"bilinear": ("W",), "additive": ("W_q", "W_k", "v")}


@dataclass(frozen=True)
class Arrays:
    """The arguments of attention on arrays in a request, with the shapes of `softkv_attention.attend`."""

    query: Array
    key: Array
    value: Array
    similarity: str = "scaled_dot"
    temperature: float = 1.0
    mask: Array | None = None
    bias: Array | None = None
    null: float | None = None
    normaliser: str = "softmax"
    parameters: Mapping[str, Array] | None = None
    projections: Mapping[str, Any] | None = None
    hopfield_steps: int | None = None
    intermediates: bool = True


@dataclass(frozen=True)
class Attention:
    """The result of attention on arrays: the output, and every intermediate array by name if requested."""

    output: Array
    attended: Attended[Any]
    intermediates: dict[str, Array]


MAX_LOGITS = 4_000_000
"""The most numbers in any array that a request asks for."""
MAX_DIFFERENCES = 16_000_000
"""The most differences of the similarity `gaussian`, one for each query, key and component."""
PART_LOGITS = 1 << 18


def attend_over_arrays(arrays: Arrays) -> Attention:
    """Compute attention on the arrays of a request.

    Raises:
        TooLarge: an array would have more than MAX_LOGITS numbers, or `gaussian` more than MAX_DIFFERENCES.
        InvalidContent: parameters that the similarity lacks or does not use, or Hopfield steps that do not fit.
        AttentionError: shapes or values that do not fit.
    """
    _check_shapes(arrays)
    similarity = _similarity(arrays)
    options: dict[str, Any] = {
        "similarity": similarity,
        "temperature": arrays.temperature,
        "bias": arrays.bias,
        "null": arrays.null,
        "normaliser": arrays.normaliser,
    }
    if arrays.projections is not None:
        return _attend_in_heads(arrays, options)
    if arrays.hopfield_steps is not None:
        return _recall(arrays, options)
    attended = _attend_in_parts(arrays.query, arrays.key, arrays.value, mask=arrays.mask, **options)
    return Attention(
        attended.output, attended, _collect_intermediates(arrays, arrays.query, arrays.key, arrays.value, attended)
    )


def _attend_in_heads(arrays: Arrays, options: dict[str, Any]) -> Attention:
    if arrays.hopfield_steps is not None:
        raise InvalidContent.at("/hopfield_steps", "Hopfield steps attend without projections: leave one of them out")
    heads = Heads(**dict(arrays.projections or {}))
    query, key, value = heads.queries(arrays.query), heads.keys(arrays.key), heads.values(arrays.value)
    attended = _attend_in_parts(query, key, value, mask=_mask_of_heads(arrays.mask), **options)
    intermediates = _collect_intermediates(arrays, query, key, value, attended)
    intermediates |= {"heads": attended.output, "concatenated": join_heads(attended.output)}
    return Attention(heads.join(attended.output), attended, intermediates)


def _mask_of_heads(mask: Array | None) -> Array | None:
    """Return a mask [..., m, n] as [..., 1, m, n], which holds in every head."""
    return mask if mask is None or mask.ndim < 3 else mask[..., None, :, :]


def _attend_in_parts(
    query: Array, key: Array, value: Array, *, mask: Array | None, bias: Array | None, **options: Any
) -> Attended[Any]:
    """Attend as `softkv_attention.attend` does, but over a part of the logits at a time.

    The arrays that it needs meanwhile take six times the memory of the logits.
    """
    leading = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    shape = (*leading, query.shape[-2], key.shape[-2])
    with suppress(ValueError):  # attend says that mask or bias does not fit
        shape = np.broadcast_shapes(shape, *(array.shape for array in (mask, bias) if array is not None))
    axis = int(np.argmax(shape[:-1])) - len(shape)
    step = max(1, PART_LOGITS * shape[axis] // max(1, math.prod(shape)))
    if step >= shape[axis] or shape[-2:] != (query.shape[-2], key.shape[-2]):
        return attend(query, key, value, mask=mask, bias=bias, **options)

    def cut(array: Array | None, start: int, axis: int = axis) -> Any:
        """Return a view of the part of an array that begins at `start`; the array itself if it broadcasts there."""
        if array is None or array.ndim < -axis or array.shape[axis] == 1:
            return array
        return array[(..., slice(start, start + step), *(slice(None),) * (-axis - 1))]  # type: ignore[arg-type]

    fields = dict[str, Any]()
    for start in range(0, shape[axis], step):
        keys = (key, value) if axis == -2 else (cut(key, start), cut(value, start))
        part: Attended[Any] = attend(cut(query, start), *keys, mask=cut(mask, start), bias=cut(bias, start), **options)
        for name, numbers in part._asdict().items():
            if numbers is None:
                fields[name] = None
                continue
            along = axis + 1 if name in ("log_partition", "null_weight") else axis  # these two are [..., m]
            if start == 0:
                sizes = list(numbers.shape)
                sizes[along] = shape[axis]
                fields[name] = np.empty(sizes)
            cut(fields[name], start, along)[...] = numbers
    return Attended(**fields)


def _recall(arrays: Arrays, options: dict[str, Any]) -> Attention:
    unsupported = [name for name in ("bias", "null") if options[name] is not None]
    unsupported += ["value"] if not np.array_equal(arrays.key, arrays.value) else []
    unsupported += ["normaliser"] if arrays.normaliser != "softmax" else []
    if unsupported:
        raise InvalidContent.at(
            f"/{unsupported[0]}",
            "a Hopfield memory recalls its keys by softmax: send the key as the value too, and no bias and no null",
        )
    retrieval = recall(
        arrays.query,
        arrays.key,
        steps=arrays.hopfield_steps or 0,
        similarity=arrays.similarity,
        temperature=arrays.temperature,
        mask=arrays.mask,
    )
    last = attend(retrieval.states[-1], arrays.key, arrays.value, mask=arrays.mask, **options)
    return Attention(
        retrieval.states[-1],
        last,
        {"states": retrieval.states, "weights": retrieval.weights, "energies": retrieval.energies},
    )


def _collect_intermediates(
    arrays: Arrays, query: Array, key: Array, value: Array, attended: Attended[Any]
) -> dict[str, Array]:
    """Return query, key, value, similarities, logits and weights, for the step-by-step view."""
    if not arrays.intermediates:
        return {}
    compare = _similarity(arrays)
    similarities = (SIMILARITIES[compare] if isinstance(compare, str) else compare)(query, key)
    return {
        "query": query,
        "key": key,
        "value": value,
        "similarities": similarities,
        "logits": attended.logits,
        "weights": attended.weights,
        "null_weight": attended.null_weight,
    }


def _similarity(arrays: Arrays) -> str | Similarity:
    names = PARAMETERS.get(arrays.similarity, ())
    sent = {name for name, array in (arrays.parameters or {}).items() if array is not None}
    if sent != set(names):
        needs = f"needs {', '.join(names)}" if names else "has no parameters"
        raise InvalidContent.at(
            "/parameters", f"{arrays.similarity} {needs}, parameters hold {', '.join(sorted(sent)) or 'nothing'}"
        )
    parameters = {name: (arrays.parameters or {})[name] for name in names}
    if arrays.similarity == "bilinear":
        return Bilinear(**parameters)
    if arrays.similarity == "additive":
        return Additive(**parameters)
    return arrays.similarity


def _check_shapes(arrays: Arrays) -> None:
    """Raise InvalidContent for arrays that are not lists of vectors, and TooLarge for arrays that would be too large.

    A small request can ask for large arrays: leading dimensions broadcast, and a product of two vectors is a matrix.
    """
    for name in ("query", "key", "value"):
        if getattr(arrays, name).ndim < 2:
            raise InvalidContent.at(
                f"/{name}", f"{name} is a list of vectors, [..., rows, width]: wanted two levels of lists"
            )
    try:
        batch = np.broadcast_shapes(arrays.query.shape[:-2], arrays.key.shape[:-2], arrays.value.shape[:-2])
    except ValueError:
        raise InvalidContent.at(
            "", "the leading dimensions of query, key and value do not broadcast: send the same number of each"
        ) from None
    rows, n = math.prod(_leading(arrays, batch)) * arrays.query.shape[-2], arrays.key.shape[-2]
    numbers, width = max(_sizes(arrays, rows * ((arrays.hopfield_steps or 0) + 1))), _width(arrays)
    differences = rows * n * width if arrays.similarity == "gaussian" else 0
    for count, limit in ((numbers, MAX_LOGITS), (differences, MAX_DIFFERENCES)):
        if count > limit:
            raise TooLarge.at("", f"this asks for {count} numbers, the service computes {limit} at a time: send less")


def _leading(arrays: Arrays, batch: tuple[int, ...]) -> tuple[int, ...]:
    """Return the dimensions of the logits before the last two.

    Args:
        arrays: the request.
        batch: the leading dimensions of its query, key and value together.
    """
    leading, mask = batch, arrays.mask
    if arrays.projections:
        leading, mask = (*batch, arrays.projections["n_heads"]), _mask_of_heads(mask)
    for array in (mask, arrays.bias):
        with suppress(ValueError):  # attend says that it does not fit
            leading = leading if array is None else np.broadcast_shapes(leading, array.shape[:-2])
    return leading


def _width(arrays: Arrays) -> int:
    """Return the number of components of a query, in a head if there are some."""
    projections = arrays.projections
    if projections is None:
        return int(arrays.query.shape[-1])
    return int(projections["W_Q"].shape[-1] // projections["n_heads"])


def _sizes(arrays: Arrays, rows: int) -> Iterator[int]:
    """Yield the number of numbers in each array that a request asks for.

    Args:
        arrays: the request.
        rows: the number of rows of its logits, in all heads and steps.
    """
    value_width = arrays.value.shape[-1]
    if projections := arrays.projections:
        for name, array in (("W_Q", arrays.query), ("W_K", arrays.key), ("W_V", arrays.value)):
            yield math.prod(array.shape[:-1]) * projections[name].shape[-1]
        yield rows // projections["n_heads"] * projections["W_O"].shape[-1]
        value_width = projections["W_V"].shape[-1] // projections["n_heads"]
    parameters = [array for array in (arrays.parameters or {}).values() if array is not None]
    if arrays.similarity == "bilinear":
        yield from (math.prod(arrays.query.shape[:-1]) * array.shape[-1] for array in parameters)
    hidden = max((array.shape[0] for array in parameters), default=1) if arrays.similarity == "additive" else 1
    yield rows * arrays.key.shape[-2] * hidden
    yield rows * value_width

"""Attention over arrays that come with the request, with all intermediate arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention import SIMILARITIES, Additive, Attended, Bilinear, Similarity, attend
from attention.heads import Heads, join_heads
from attention.hopfield import recall
from service.retrieval.errors import InvalidContent, TooLarge

Array = np.ndarray[Any, Any]
PARAMETERS = {"bilinear": ("W",), "additive": ("W_q", "W_k", "v")}


@dataclass(frozen=True)
class Arrays:
    """The arguments of attention on arrays in a request, with the shapes of `attention.attend`."""

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


def attend_over_arrays(arrays: Arrays) -> Attention:
    """Compute attention on the arrays of a request.

    Raises:
        TooLarge: there would be more than MAX_LOGITS logits.
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
    attended: Attended[Any] = attend(arrays.query, arrays.key, arrays.value, mask=arrays.mask, **options)
    return Attention(
        attended.output, attended, _collect_intermediates(arrays, arrays.query, arrays.key, arrays.value, attended)
    )


def _attend_in_heads(arrays: Arrays, options: dict[str, Any]) -> Attention:
    if arrays.hopfield_steps is not None:
        raise InvalidContent.at("/hopfield_steps", "Hopfield steps attend without projections: leave one of them out")
    heads = Heads(**dict(arrays.projections or {}))
    steps = heads.steps(arrays.query, arrays.key, arrays.value, arrays.mask, **options)
    intermediates = _collect_intermediates(arrays, steps.query, steps.key, steps.value, steps.attended)
    intermediates |= {"heads": steps.attended.output, "concatenated": join_heads(steps.attended.output)}
    return Attention(steps.output, steps.attended, intermediates)


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
    """Raise InvalidContent for arrays that are not lists of vectors, and TooLarge for more than MAX_LOGITS logits."""
    for name in ("query", "key", "value"):
        if getattr(arrays, name).ndim < 2:
            raise InvalidContent.at(
                f"/{name}", f"{name} is a list of vectors, [..., rows, width]: wanted two levels of lists"
            )
    try:
        # A small request can broadcast to many numbers.
        batch = np.broadcast_shapes(arrays.query.shape[:-2], arrays.key.shape[:-2], arrays.value.shape[:-2])
    except ValueError:
        raise InvalidContent.at(
            "", "the leading dimensions of query, key and value do not broadcast: send the same number of each"
        ) from None
    pairs = math.prod(batch) * arrays.query.shape[-2] * arrays.key.shape[-2]
    per_pair = (arrays.projections or {}).get("n_heads", 1) * ((arrays.hopfield_steps or 0) + 1)
    if arrays.similarity == "additive":
        per_pair *= max(
            (array.shape[0] for array in (arrays.parameters or {}).values() if array is not None), default=1
        )
    if pairs * per_pair > MAX_LOGITS:
        raise TooLarge.at(
            "", f"this asks for {pairs * per_pair} numbers, the service computes {MAX_LOGITS} at a time: send less"
        )

"""Tensors as the lookups take them: dense, of a known type, with numbers; and outside every graph of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor, fx

from softkv_attention.arrays import F64
from softkv_attention.errors import ParameterError, ShapeError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

NO_NUMBERS = (
    "attention over a memory reads numbers, and tensors of an export, a graph of torch.fx, the device meta or "
    "is_grads_batched have none: leave the layer out of the graph, and use torch.func.jacrev for Jacobians"
)


def not_compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that torch.compile calls as it is. Its errors show the comment, and those of torch.export."""

    @wraps(function)
    def eager(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if not torch.compiler.is_compiling():
            return function(*arguments, **options)
        disable: Any = torch.compiler.disable
        result: Result = disable(function)(*arguments, **options)  # no graph holds rows: compile without fullgraph
        return result

    return eager


def is_traced() -> bool:
    """Return whether torch.jit traces: all calls of a trace share one object of options, and pass only tensors."""
    traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced


def kind_of(queries: Any, width: int | None) -> torch.dtype:
    """Return the type that lookups of queries float[..., width] compute in.

    Raises:
        ParameterError: they are not a dense tensor of a known type.
        ShapeError: they have another width.
    """
    if not isinstance(queries, Tensor):
        is_proxy = isinstance(queries, fx.Proxy)
        remedy = "make the layer a leaf module of the tracer" if is_proxy else "send torch.as_tensor(queries)"
        raise ParameterError(f"queries must be a tensor, got {type(queries).__name__}: {remedy}")
    layout = "nested" if queries.is_nested else queries.layout
    if queries.dtype not in (torch.bfloat16, torch.float16, torch.float32, torch.float64) or layout != torch.strided:
        raise ParameterError(
            f"queries must be a dense tensor of bfloat16, float16, float32 or float64, got {queries.dtype} ({layout}): "
            "send queries.float(), with all numbers"
        )
    if queries.ndim < 1 or (width is not None and queries.shape[-1] != width):
        raise ShapeError(
            f"queries must be [..., {width}] as the keys or W_Q are, got {tuple(queries.shape)}: "
            "encode both with the same model"
        )
    return torch.float64 if queries.dtype == torch.float64 else torch.float32


def broadcast(name: str, numbers: float | Sequence[float] | Tensor, shape: tuple[int, ...], device: Any) -> Tensor:
    """Return a number or a tensor that broadcasts to a shape as float64[shape].

    Raises:
        ShapeError: a tensor does not broadcast.
        ParameterError: it is neither.
    """
    if not isinstance(numbers, Tensor):
        try:
            numbers = torch.as_tensor(numbers, dtype=torch.float64, device=device)
        except (TypeError, ValueError, RuntimeError):
            raise ParameterError(
                f"{name} must be a number or a tensor, got {numbers!r}: give what it stands for as a number"
            ) from None
    numbers = numbers.to(device, torch.float64)
    try:
        return numbers.expand(shape)
    except RuntimeError:
        raise ShapeError(
            f"{name} must be a number or broadcast to {tuple(shape)}, one for each query or head, "
            f"got {tuple(numbers.shape)}"
        ) from None


def as_float64(tensor: Tensor) -> F64:
    """Return the numbers of a tensor, of float64, as an array.

    Raises:
        ParameterError: it has none.
    """
    try:
        return tensor.detach().cpu().numpy()
    except RuntimeError as error:
        raise ParameterError(NO_NUMBERS) from error


def as_tensor(array: F64, like: Tensor) -> Tensor:
    """Return an array as a tensor on the device of another one."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.device)

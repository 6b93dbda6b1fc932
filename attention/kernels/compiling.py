"""Compiling a function with numba, for the types that it is called with."""

# numba has types of its own and none that mypy knows.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types

Function = TypeVar("Function", bound=Callable[..., Any])

KERNELS: list[tuple[Any, tuple[Any, ...]]] = []
"""Every compiled function with the types of its arguments, in the order in which they were defined."""


def compiled(*arguments: Any, fastmath: bool) -> Callable[[Function], Function]:
    """Compile to run without the interpreter's lock, and keep the machine code on disk where there is a place.

    It is done on the first call, or in `machine_code.prepare`.

    Args:
        arguments: the types of all arguments; the function is called with no others.
    """

    def compile_it(function: Function) -> Function:
        try:
            kernel = njit(nogil=True, fastmath=fastmath, cache=True)(function)
        except RuntimeError:  # numba found no such place: compile anew in every process
            kernel = njit(nogil=True, fastmath=fastmath)(function)
        KERNELS.append((kernel, arguments))
        return cast("Function", kernel)

    return compile_it


def array(kind: Any, dimensions: int) -> Any:
    """The type of a contiguous array."""
    return types.Array(kind, dimensions, "C")


def record(kind: type, *fields: Any) -> Any:
    """The type of a NamedTuple whose fields have these types."""
    return types.NamedTuple(fields, kind)

"""Compiling a function with numba."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*, fastmath: bool) -> Callable[[Function], Function]:
    """Compile to run without the interpreter's lock, and keep the machine code on disk where there is a place."""

    def compile_it(function: Function) -> Function:
        try:
            return cast("Function", njit(nogil=True, fastmath=fastmath, cache=True)(function))
        except RuntimeError:  # numba found no such place: compile anew in every process
            return cast("Function", njit(nogil=True, fastmath=fastmath)(function))

    return compile_it

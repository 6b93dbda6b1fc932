"""Functions that a caller chooses, either by name or by passing the function itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from softkv_attention.errors import ParameterError

Function = TypeVar("Function", bound=Callable[..., object])


def resolve(kind: str, choice: str | Function, table: Mapping[str, Function], otherwise: str) -> Function:
    """Return the function called `choice` in the table, or `choice` itself if it is a function.

    Raises:
        ParameterError: the name is not in the table; `otherwise` describes the functions that may be passed instead.
    """
    if isinstance(choice, str):
        if choice in table:
            return table[choice]
    elif callable(choice):
        return choice
    raise ParameterError(f"{kind} must be one of {', '.join(table)}, got {choice!r}: or pass {otherwise}")

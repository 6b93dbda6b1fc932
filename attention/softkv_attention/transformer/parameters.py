"""Walks over parameters, which are frozen dataclasses of arrays, nested like the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from softkv_attention.arrays import Array, is_array

Parameters = TypeVar("Parameters")


def arrays(parameters: object, name: str = "") -> Iterator[tuple[str, Array]]:
    """Yield each array with its path, such as `layers.0.feed_forward.inner.weight`, in the order of the fields."""
    if is_array(parameters):
        yield name, parameters
    for part, child in children(parameters):
        yield from arrays(child, f"{name}.{part}" if name else part)


def map_arrays(function: Callable[[Array], Array], parameters: Parameters) -> Parameters:
    """Return the parameters with a function applied to each array, for instance to convert their type.

    on_torch = map_arrays(torch.from_numpy, parameters)
    """
    if is_array(parameters):
        return cast(Parameters, function(parameters))
    if isinstance(parameters, tuple):
        return cast(Parameters, tuple(map_arrays(function, child) for child in parameters))
    if dataclasses.is_dataclass(parameters):
        fields = {part: map_arrays(function, child) for part, child in children(parameters)}
        return cast(Parameters, dataclasses.replace(cast(Any, parameters), **fields))
    return parameters


def children(parameters: object) -> list[tuple[str, object]]:
    """Return the fields of a dataclass, or the items of a tuple, by name; an empty list for anything else."""
    if isinstance(parameters, tuple):
        return [(str(i), child) for i, child in enumerate(parameters)]
    if dataclasses.is_dataclass(parameters):
        return [(field.name, getattr(parameters, field.name)) for field in dataclasses.fields(parameters)]
    return []

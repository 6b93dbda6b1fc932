"""Records as they travel: plain arrays in as few bytes as hold their numbers, and what JSON holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from attention.lookup.codes.moments import Residuals, Spread
from attention.lookup.memory.facts import Facts
from attention.lookup.parts.processes.messages import packed, unpacked
from attention.shared_memory import Array

NARROW = "narrow"


def to_bytes(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One message. float64 that float32 holds, and int64 that lie close together, take half of their bytes."""
    narrow, smaller = dict[str, int | None](), dict[str, Array]()
    for name, array in arrays.items():
        smaller[name] = array
        if array.dtype == np.float64 and array.size:
            with np.errstate(over="ignore"):
                half = array.astype(np.float32)
            if np.array_equal(half, array):
                smaller[name], narrow[name] = half, None
        elif array.dtype == np.int64 and array.size:
            least = int(array.min())
            if int(array.max()) - least < 2**32:
                smaller[name], narrow[name] = (array - least).astype(np.uint32), least
    return packed({**said, NARROW: narrow}, smaller)


def of_bytes(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """What was said, and the arrays as they were."""
    said, arrays = unpacked(message)
    for name, least in said.pop(NARROW).items():
        arrays[name] = arrays[name].astype(np.float64) if least is None else arrays[name].astype(np.int64) + least
    return said, arrays


def facts_told(each: Facts) -> tuple[dict[str, Any], dict[str, Array]]:
    """The facts of some rows, for those who hold none."""
    plain = ("similarity", "n", "documents", "most_keys", "value_dimension", "key_norm", "value_norm", "blocks")
    said = {name: getattr(each, name) for name in plain}
    arrays: dict[str, Array] = {"longest": each.longest}
    if (spread := each.value_spread) is not None:
        named = {part.name: getattr(spread, part.name) for part in fields(spread)}
        residuals = named.pop("residuals")
        arrays |= {"mean": named.pop("mean"), "residuals": residuals.total}
        said["spread"] = {**named, "residual_count": residuals.count}
    return said, arrays


def facts_heard(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Facts:
    """What `facts_told` gave."""
    told = dict(said)
    spread = told.pop("spread", None)
    spreads: tuple[Spread, ...] = ()
    if spread is not None:
        residuals = Residuals(spread.pop("residual_count"), arrays["residuals"])
        spreads = (Spread(**spread, mean=arrays["mean"], residuals=residuals),)
    return Facts(**told, longest=arrays["longest"], value_spreads=spreads)


def several(records: Sequence[tuple[dict[str, Any], dict[str, Array]]]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Some messages as one."""
    arrays = {f"{index} {name}": array for index, (_, own) in enumerate(records) for name, array in own.items()}
    return {"each": [said for said, _ in records]}, arrays


def each_of(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[tuple[dict[str, Any], dict[str, Array]]]:
    """What `several` gave."""
    found = [(dict(own), dict[str, Array]()) for own in said["each"]]
    for name, array in arrays.items():
        index, _, own_name = name.partition(" ")
        found[int(index)][1][own_name] = array
    return found

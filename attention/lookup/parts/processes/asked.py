"""What another process is asked: one scan of one part for some queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from attention.dtypes import F32, F64
from attention.lookup.memory.facts import Facts
from attention.lookup.parts.gathered import Gathered
from attention.shared_memory import Array


@dataclass(frozen=True, eq=False)
class Asked:
    """The arguments of `Whole.gather`, and what the one who asks knows of all parts.

    Attributes:
        errors: float64[q, 3], how far scanned similarities of this part can be off, see `QuantisationError`: it
            follows from sums that are kept where rows are written.
        key_norm: the largest ‖k‖ of all parts.
    """

    vectors: F64
    ks: Sequence[int]
    listed: int
    most: int
    temperatures: F64 | None
    outputs: bool
    fine: bool
    thresholds: F32
    errors: F64
    key_norm: float

    def message(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What is said, and the arrays, see `messages.packed`."""
        said = {name: getattr(self, name) for name in ("listed", "most", "outputs", "fine", "key_norm")}
        arrays: dict[str, Array] = {"vectors": self.vectors, "thresholds": self.thresholds, "errors": self.errors}
        if self.temperatures is not None:
            arrays["temperatures"] = self.temperatures
        return {**said, "ks": list(map(int, self.ks))}, arrays

    @classmethod
    def of(cls, said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Asked:
        """What `message` gave."""
        return cls(
            vectors=arrays["vectors"],
            ks=said["ks"],
            listed=said["listed"],
            most=said["most"],
            temperatures=arrays.get("temperatures"),
            outputs=said["outputs"],
            fine=said["fine"],
            thresholds=arrays["thresholds"],
            errors=arrays["errors"],
            key_norm=said["key_norm"],
        )


def facts_of(similarity: str, rows: int, value_dimension: int | None, key_norm: float) -> Facts:
    """As much of the facts as a scan needs to know; every row a document."""
    return Facts(similarity, rows, rows, np.empty(0, dtype=np.int64), 1, value_dimension, key_norm, 0.0, 0, ())


def told(found: Gathered) -> tuple[dict[str, Any], dict[str, Array]]:
    """What was gathered, as `messages.packed` takes it."""
    record = {each.name: getattr(found, each.name) for each in fields(found)}
    arrays = {name: value for name, value in record.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in record.items() if name not in arrays}, arrays


def heard(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Gathered:
    """What `told` gave."""
    record: dict[str, Any] = {each.name: arrays.get(each.name, said.get(each.name)) for each in fields(Gathered)}
    return Gathered(**record)

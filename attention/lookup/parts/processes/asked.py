"""What another process is asked: one scan of one part for some queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from attention.dtypes import F32, F64
from attention.lookup.memory.facts import Facts
from attention.lookup.parts.gathered import Gathered, Wanted
from attention.shared_memory import Array

Record = TypeVar("Record", Wanted, Gathered)


@dataclass(frozen=True, eq=False)
class Asked:
    """What is wanted, and what the one who asks knows of all parts.

    Attributes:
        thresholds: float32[q], where lists open.
        errors: float64[q, 3], how far scanned similarities of this part can be off, see `QuantisationError`: it
            follows from sums that are kept where rows are written.
        key_norm: the largest ‖k‖ of all parts.
    """

    wanted: Wanted
    thresholds: F32
    errors: F64
    key_norm: float

    def message(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What is said, and the arrays, see `messages.packed`."""
        said, arrays = told(self.wanted)
        own = {"ks": list(map(int, self.wanted.ks)), "key_norm": self.key_norm}
        return {**said, **own}, {**arrays, "thresholds": self.thresholds, "errors": self.errors}

    @classmethod
    def of(cls, said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Asked:
        """What `message` gave."""
        return cls(heard(Wanted, said, arrays), arrays["thresholds"], arrays["errors"], said["key_norm"])


def facts_of(similarity: str, rows: int, value_dimension: int | None, key_norm: float) -> Facts:
    """As much of the facts as a scan needs to know; every row a document."""
    return Facts(similarity, rows, rows, np.empty(0, dtype=np.int64), 1, value_dimension, key_norm, 0.0, 0, ())


def told(record: Wanted | Gathered) -> tuple[dict[str, Any], dict[str, Array]]:
    """What is wanted or was gathered, as `messages.packed` takes it."""
    named = {each.name: getattr(record, each.name) for each in fields(record)}
    arrays = {name: value for name, value in named.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in named.items() if name not in arrays}, arrays


def heard(kind: type[Record], said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Record:
    """What `told` gave."""
    named: dict[str, Any] = {each.name: arrays.get(each.name, said.get(each.name)) for each in fields(kind)}
    return kind(**named)

"""What is stored, and what a search finds of it, as plain frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
Matrix: TypeAlias = NDArray[np.float32]
RowNumbers: TypeAlias = NDArray[np.int64]
Null: TypeAlias = float | Literal["auto", "lenient", "strict", False]


# What a write does with a document whose id is taken: replaces it, refuses everything, or leaves it as it is.
Mode: TypeAlias = Literal["upsert", "create", "skip"]


@dataclass(frozen=True)
class CollectionSettings:
    """What a collection is; everything but `temperature` and `null` is fixed once it holds documents.

    `dimension` and `value_dimension` are None until the first write that commits sets them.
    `null` is "auto", "lenient" or "strict", a similarity, or False for no null key.
    """

    similarity: str
    temperature: float
    dimension: int | None = None
    value_dimension: int | None = None
    encoder: str | None = None
    precision: str | None = None
    value_from: Literal["value", "key"] = "value"
    null: Null = False


@dataclass(frozen=True)
class CollectionRecord:
    """A stored collection; `id` is never given to another one, even after this one is deleted.

    `documents` is how many it holds, `keyless` how many of these have no key vector.
    """

    id: int
    name: str
    settings: CollectionSettings
    documents: int = 0
    keyless: int = 0


@dataclass(frozen=True, eq=False)
class DocumentRecord:
    """A document with its vectors, float32 [d] and [d_v].

    `value` is any JSON, `metadata` any JSON object. A `value_vector` of None says that the key vector is the value.
    `row` is None until the document is stored, and another number each time it is written.
    """

    id: str
    key: str | None
    value: Any
    key_vector: Vector
    value_vector: Vector | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    row: int | None = None


@dataclass(frozen=True, eq=False)
class Change:
    """What a write did: the new row numbers int64[n], in the documents' order, and those that are gone.

    `skipped` are the ids, in the documents' order, of those that were left out because they exist.
    """

    added: RowNumbers
    removed: RowNumbers
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchRow:
    """A row as the database answers it; `value` is any JSON."""

    id: str
    key: str | None
    value: Any


@dataclass(frozen=True)
class SearchResult:
    """The statement that was run, what stood for its parameters, and its rows in order."""

    statement: str
    parameters: Mapping[str, Any]
    rows: list[SearchRow]

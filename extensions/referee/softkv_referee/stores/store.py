"""The protocol of a vector store: read its vectors, ask its search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]

SIMILARITIES = ("cosine", "dot", "gaussian")
"""The similarities that order documents as a store's distance does; gaussian is −‖q − k‖²/2."""

WIDEST = 1000
"""The number of candidates that the widest search of a graph keeps, the largest of pgvector."""


class StoreError(Exception):
    """An error of a store, or of what was asked of it. The text says what to do."""


class StoreUnreachable(StoreError):
    """No store answers at the address."""


@dataclass(frozen=True)
class Page:
    """Some rows of a store.

    Attributes:
        ids: their ids.
        vectors: float32[n, d], a row for each id.
        without_vector: the ids of rows that have no vector.
    """

    ids: list[str]
    vectors: F32
    without_vector: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Search:
    """A description of a store's search.

    Attributes:
        index: the index that answers, in words; None if the store compares every vector.
        widest: what the widest search changes, in words; None if the search has no such setting.
        rebuild: what to do about an index that lost rows.
        note: a sentence about what can be said of this store, or an empty text.
    """

    index: str | None
    widest: str | None
    rebuild: str
    note: str = ""


class Store(Protocol):
    """An open store with one collection, which is only read.

    Attributes:
        similarity: cosine, dot or gaussian.
    """

    similarity: str

    def count(self) -> int:
        """Return the number of rows that the store counts."""

    def pages(self) -> Iterator[Page]:
        """Yield every row."""

    def read_filter(self, condition: Any) -> Any:
        """Return a filter as the store's client takes it.

        Raises:
            StoreError: the store cannot read it.
        """

    def passing(self, condition: Any) -> list[str]:
        """Return the ids of all rows that pass a filter, without a search by vector."""

    def search(self, queries: F64, k: int, condition: Any = None, *, widest: bool = False) -> list[list[str]]:
        """Return the ids that the store's own search returns for each query [q, d], best first."""

    def describe(self, query: F64, k: int, condition: Any = None) -> Search:
        """Return what answers a query [d]."""

    def close(self) -> None:
        """Close the connection."""


def choose_name(names: Sequence[str], name: str | None, unit: str, address: str) -> str:
    """Return the name of the collection, which may be left out if there is only one.

    Raises:
        StoreError: there is no such collection, or there are several.
    """
    listed = ", ".join(sorted(names)) or "none"
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise StoreError(f"{address} has the {unit}s {listed}: name one after the address")
    if name not in names:
        raise StoreError(f"{address} has no {unit} {name!r}, its {unit}s are {listed}")
    return name


def require_json_filter(condition: Any, example: str) -> dict[str, Any]:
    """Return a filter that is an object of JSON.

    Raises:
        StoreError: it is something else.
    """
    if not isinstance(condition, dict):
        raise StoreError(f"expected a filter as a JSON object such as {example}, got {condition!r}")
    return condition


def require_no_settings(settings: Mapping[str, str], store: str, names: Sequence[str] = ()) -> None:
    """Raise StoreError if a setting is unknown to the search of a store."""
    if unknown := sorted(set(settings) - set(names)):
        takes = f"takes {', '.join(names)}" if names else "has no settings of a search"
        raise StoreError(f"--set {unknown[0]}: {store} {takes}")


def parse_whole(settings: Mapping[str, str]) -> dict[str, int]:
    """Return settings as whole numbers of at least 1.

    Raises:
        StoreError: one is something else.
    """
    for name, text in settings.items():
        if not text.isdecimal() or int(text) < 1:
            raise StoreError(f"--set {name}={text}: expected a whole number of at least 1")
    return {name: int(text) for name, text in settings.items()}

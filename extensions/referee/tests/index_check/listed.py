"""A store in memory whose search is exact, except for the faults that a test gives it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softkv_referee.index_check.exact import similarities
from softkv_referee.stores import Page, Search


@dataclass
class ListedStore:
    """Rows with the ids r0, r1, …; a filter is a number, which the rows that it divides pass.

    Attributes:
        vectors: float32[n, d].
        lost: rows that no search finds.
        narrow: the rows that only the widest search finds.
        filtered_afterwards: whether a filter is applied to the k nearest of all rows.
        ghosts: ids that each search returns first.
        ignores_filters: whether results do not pass the filter.
        extra: how many more rows the store counts than it lists.
    """

    vectors: Any
    similarity: str = "cosine"
    lost: Collection[int] = ()
    narrow: Collection[int] = ()
    filtered_afterwards: bool = False
    ghosts: list[str] = field(default_factory=list)
    ignores_filters: bool = False
    extra: int = 0

    def count(self) -> int:
        return len(self.vectors) + self.extra

    def pages(self) -> Iterator[Page]:
        for start in range(0, len(self.vectors), 64):
            part = self.vectors[start : start + 64]
            yield Page([f"r{start + row}" for row in range(len(part))], part)

    def read_filter(self, condition: Any) -> int:
        return int(condition)

    def passing(self, condition: Any) -> list[str]:
        return [f"r{row}" for row in range(0, len(self.vectors), condition)]

    def search(self, queries: Any, k: int, condition: Any = None, *, widest: bool = False) -> list[list[str]]:
        table = similarities(self.similarity, queries, self.vectors.astype(np.float64))
        table[:, [*self.lost, *(() if widest else self.narrow)]] = -np.inf
        if condition is not None and not self.filtered_afterwards and not self.ignores_filters:
            table[:, np.arange(len(self.vectors)) % condition > 0] = -np.inf
        results = []
        for line in table:
            rows = [int(row) for row in np.argsort(-line, kind="stable")[:k] if np.isfinite(line[row])]
            if condition is not None and not self.ignores_filters:
                rows = [row for row in rows if row % condition == 0]
            results.append([*self.ghosts, *(f"r{row}" for row in rows)][:k])
        return results

    def describe(self, query: Any, k: int, condition: Any = None) -> Search:
        return Search("a list", "finds the rows that are narrow", "read the list again")

    def close(self) -> None:
        """Nothing is open."""

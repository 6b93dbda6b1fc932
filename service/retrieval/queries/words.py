"""The words of a question: how documents rank by them in full text, and what that adds to their logits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup import Afar
from service.retrieval.collections import Snapshot
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.bias import clip_addends

MAX_WORDS, MAX_QUERY_CHARACTERS = 500, 10_000
"""Of a query whose words are ranked: full text takes as long as there are words, whether documents hold them or not."""

Explanation: TypeAlias = Mapping[str, Any]
"""What one addend of one document is made of, as JSON."""


@dataclass(frozen=True, eq=False)
class FullTextTerm:
    """A weight times how a document ranks in full text.

    Attributes:
        rows: int64[r], the documents that hold a word of the question, ascending.
        ranks: float64[r].
    """

    weight: float
    ranking: str
    rows: I64
    ranks: F64

    def of(self, rows: I64) -> F64:
        """See `Addend`."""
        with np.errstate(over="ignore"):
            return clip_addends(self.weight * self._ranks_of(rows))

    def told(self, rows: I64) -> list[Explanation]:
        """See `Addend`."""
        both = zip(self._ranks_of(rows).tolist(), self.of(rows).tolist(), strict=True)
        return [{"of": "full_text", "rank": rank, "addend": addend} for rank, addend in both]

    def _ranks_of(self, rows: I64) -> F64:
        if not len(self.rows):
            return np.zeros(len(rows))
        places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[places] == rows, self.ranks[places], 0.0)


class RankCache:
    """How documents rank for some texts, found ahead of the scan: full text may take longer than many of these."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._found: dict[str, tuple[str, I64, F64]] = {}

    def find(self, snapshot: Snapshot, texts: Iterable[str]) -> None:
        """Rank the documents that a snapshot has."""
        if not isinstance(snapshot.view, Afar):
            self._found = {text: _rank(snapshot, text) for text in dict.fromkeys(texts)}
            self._version = snapshot.version

    def of(self, snapshot: Snapshot, text: str) -> tuple[str, I64, F64]:
        """The ranking, row numbers int64[r] and ranks float64[r]; asked once more of another version."""
        known = self._found.get(text) if snapshot.version == self._version else None
        return _rank(snapshot, text) if known is None else known


def _rank(snapshot: Snapshot, text: str) -> tuple[str, I64, F64]:
    search = snapshot.reader.search(snapshot.record.id)
    return search.ranking, *search.ranks(text)


def check_words(queries: Sequence[Any]) -> None:
    """Refuse words of a vector, and more of them than are ranked in the time of some scans."""
    if not all(isinstance(query, str) for query in queries):
        raise InvalidContent.at(
            "/full_text", "a vector has no words: send each query as a text, or leave full_text out"
        )
    for query in queries:
        if not fits_full_text(query):
            raise InvalidContent.at(
                "/full_text",
                f"a query of {len(query.split()):,} words and {len(query):,} characters came, full text takes at most "
                f"{MAX_WORDS:,} and {MAX_QUERY_CHARACTERS:,}: send a shorter one, or leave full_text out",
            )


def fits_full_text(text: str) -> bool:
    """Whether a text is short enough to have its words ranked."""
    return len(text) <= MAX_QUERY_CHARACTERS and len(text.split()) <= MAX_WORDS

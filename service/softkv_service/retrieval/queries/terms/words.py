"""Words: the full-text rank of a document, times a weight, is added to its logit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import Query, WeightedSum, find_words
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import Explanation, clip_addends
from softkv_service.retrieval.verdict import require_calibration
from softkv_service.storage.conditions import Searched, SearchTerm, parse_search, with_bigrams
from softkv_service.storage.errors import InvalidSearch
from softkv_service.storage.records import CollectionRecord

MAX_WORDS, MAX_QUERY_CHARACTERS = 500, 10_000
"""Limits of a text that is ranked in full text: the time grows with its words, even those that no document has."""


@dataclass(frozen=True, eq=False)
class FullTextTerm:
    """A term that adds a weight times its full-text rank to a document's logit.

    Attributes:
        rows: int64[r], the ascending rows of documents that contain a word of the query, or one of its terms.
        ranks: float64[r].
    """

    weight: float
    ranking: str
    rows: I64
    ranks: F64

    def of(self, rows: I64) -> F64:
        """Return float64[n], the numbers to add to the logits of the documents with these row numbers."""
        with np.errstate(over="ignore"):
            return clip_addends(self.weight * self._ranks_of(rows))

    def explain(self, rows: I64) -> list[Explanation]:
        """Return for each document with these row numbers how the number that is added to its logit is computed, as
        JSON.
        """
        pairs = zip(self._ranks_of(rows).tolist(), self.of(rows).tolist(), strict=True)
        return [{"of": "full_text", "rank": rank, "addend": addend} for rank, addend in pairs]

    def _ranks_of(self, rows: I64) -> F64:
        if not len(self.rows):
            return np.zeros(len(rows))
        indices = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[indices] == rows, self.ranks[indices], 0.0)


class RankCache:
    """A cache of the full-text ranks of some query texts.

    They are computed before the scan, because full text may take longer than many scans.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._found: dict[Searched, tuple[str, I64, F64]] = {}

    def find(self, snapshot: Snapshot, texts: Iterable[Searched]) -> None:
        """Rank the documents of a snapshot (a collection at one version) for these texts, and keep the ranks."""
        self._found = {text: _rank(snapshot, text) for text in dict.fromkeys(texts)}
        self._version = snapshot.version

    def of(self, snapshot: Snapshot, text: Searched) -> tuple[str, I64, F64]:
        """Return the full-text ranking of a text, or of terms: its name, row numbers int64[r] and ranks float64[r].

        It is computed again if the snapshot has another version than the cached ranking.
        """
        cached = self._found.get(text) if snapshot.version == self._version else None
        return _rank(snapshot, text) if cached is None else cached


def _rank(snapshot: Snapshot, text: Searched) -> tuple[str, I64, F64]:
    search = snapshot.reader.search(snapshot.record.id)
    if snapshot.restriction is None:
        return search.ranking, *search.ranks(text)
    # The name has the state: documents without keys count as well, and the view lacks them.
    lengths = snapshot.lasting(("lengths", snapshot.state), search.lengths)
    return search.ranking, *search.ranks(text, lengths)


def resolve_words(record: CollectionRecord, question: CollectionQuestion) -> CollectionQuestion:
    """Return a question with the calibration's weight in place of "auto", and with the terms of a search of its own.

    Raises:
        InvalidContent: "auto" is sent for a collection that is not calibrated, or the text that is ranked is invalid.
    """
    weight, searched = question.full_text, question.searched
    if isinstance(weight, Mapping):
        searched, weight = parse_full_text_query(weight["query"]), weight["weight"]
    if weight == "auto":
        weight = require_calibration(record, "/full_text").full_text
    if weight is question.full_text:
        return question
    return question.copy_with(full_text=weight, searched=searched)


def check_words(queries: Sequence[Any]) -> None:
    """Raise InvalidContent if a query is a vector, or has too many words to rank."""
    if not all(isinstance(query, str) for query in queries):
        raise InvalidContent.at(
            "/full_text",
            'a vector has no words: send each query as a text, or the words as {"weight": …, "query": …}, or leave '
            "full_text out",
        )
    for query in queries:
        if not fits_full_text(query):
            raise InvalidContent.at("/full_text", describe_length(query))


def check_sums(queries: Sequence[Query], question: CollectionQuestion) -> None:
    """Raise InvalidContent for full text with a weighted sum that has no words."""
    without_words = any(isinstance(query, WeightedSum) and find_words(query) is None for query in queries)
    if question.searched is None and without_words:
        raise InvalidContent.at(
            "/full_text",
            "full text takes the words of the text parts with a positive weight, and a query has none: send a text "
            'part, or the words as {"weight": …, "query": …}, or leave full_text out',
        )


def fits_full_text(text: str) -> bool:
    """Return whether a text is short enough to be ranked in full text. Each bigram counts as a word."""
    return len(text) <= MAX_QUERY_CHARACTERS and len(with_bigrams(text).split()) <= MAX_WORDS


def parse_full_text_query(text: str, pointer: str = "/full_text/query") -> tuple[SearchTerm, ...]:
    """Return the terms of a text that full text ranks: words, "phrases" and the beginnings of words, as in `micro*`.

    Raises:
        InvalidContent: the text is too long or invalid; the error has this pointer.
    """
    if not fits_full_text(text):
        raise InvalidContent.at(pointer, describe_length(text))
    try:
        return parse_search(text)
    except InvalidSearch as error:
        raise InvalidContent.at(pointer, str(error)) from None


def describe_length(text: str) -> str:
    """Return the message of the error for a text that is too long for full text."""
    words = len(with_bigrams(text).split())
    return (
        f"a query of {words:,} words and {len(text):,} characters came, full text takes at most "
        f"{MAX_WORDS:,} and {MAX_QUERY_CHARACTERS:,}: send a shorter one, or leave full_text out"
    )

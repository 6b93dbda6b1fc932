"""Words: the full-text rank of a document, times a weight, is added to its logit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_service.retrieval.calibration import Calibration
from softkv_service.retrieval.collections import Collection, Snapshot
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import Query, WeightedSum, find_words
from softkv_service.retrieval.queries.terms.term import Addends, QueryTerm
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import Explanation, clip_addends
from softkv_service.retrieval.verdict import require_calibration
from softkv_service.scheduling import READS
from softkv_service.storage.conditions import Searched, SearchTerm, parse_search, with_bigrams
from softkv_service.storage.errors import InvalidSearch
from softkv_service.storage.records import CollectionRecord

MAX_WORDS, MAX_QUERY_CHARACTERS = 500, 10_000
"""Limits of a text that is ranked in full text: the time grows with its words, even those that no document has."""


@dataclass(frozen=True, eq=False)
class WordAddends(Addends):
    """A weight times the full-text rank of each document.

    Attributes:
        rows: int64[r], the ascending rows of documents that contain a word of the query, or one of its terms.
        ranks: float64[r].
    """

    weight: float
    ranking: str
    rows: I64
    ranks: F64

    @property
    def by_row(self) -> tuple[I64, F64]:
        """The documents that contain a word, and the number that is added to the logit of each."""
        return self.rows, self._weigh(self.ranks)

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these row numbers how the number that is added to its logit is computed, as
        JSON.
        """
        ranks = self._ranks_of(rows)
        pairs = zip(ranks.tolist(), self._weigh(ranks).tolist(), strict=True)
        return [[{"of": "full_text", "rank": rank, "addend": addend}] for rank, addend in pairs]

    def _weigh(self, ranks: F64) -> F64:
        with np.errstate(over="ignore"):
            return clip_addends(self.weight * ranks)

    def _ranks_of(self, rows: I64) -> F64:
        if not len(self.rows):
            return np.zeros(len(rows))
        indices = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[indices] == rows, self.ranks[indices], 0.0)


@dataclass(frozen=True, eq=False)
class WordsTerm(QueryTerm):
    """The full text of a question: what each query ranks, and the weight of the ranks.

    Attributes:
        weight: the factor of the ranks.
        texts: what each query ranks: its words, or the terms of a search of its own.
    """

    weight: float
    texts: Sequence[Searched]
    ranks: RankCache = field(default_factory=lambda: RankCache())

    @classmethod
    def of(cls, queries: Sequence[Query], question: CollectionQuestion) -> WordsTerm:
        """Return the full text of a question that `resolve_words` has returned; raise as `find_texts`."""
        searched = question.searched
        texts: Sequence[Searched] = find_texts(queries) if searched is None else [searched] * len(queries)
        return cls(question.text_terms.full_text, texts)

    async def prepare(self, collection: Collection) -> WordsTerm:
        """Rank the documents before the lookup."""

        def rank() -> None:
            with collection.snapshot() as snapshot:
                self.ranks.find(snapshot, self.texts)

        await READS.run(rank)
        return self

    def addends(self, snapshot: Snapshot, query: int) -> WordAddends:
        """Return the addends for the query with this index; queries that rank the same share them."""
        weight, text = self.weight, self.texts[query]
        return snapshot.once(("words", weight, text), lambda: WordAddends(weight, *self.ranks.of(snapshot, text)))


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


def find_texts(queries: Sequence[Query]) -> list[str]:
    """Return the words of each query.

    Raises:
        InvalidContent: a query is a vector, a weighted sum without words, or has too many words to rank.
    """
    texts = list[str]()
    for query in queries:
        text = find_words(query)
        if text is None and isinstance(query, WeightedSum):
            raise InvalidContent.at(
                "/full_text",
                "full text takes the words of the text parts with a positive weight, and a query has none: send a text "
                'part, or the words as {"weight": …, "query": …}, or leave full_text out',
            )
        if text is None:
            raise InvalidContent.at(
                "/full_text",
                'a vector has no words: send each query as a text, or the words as {"weight": …, "query": …}, or leave '
                "full_text out",
            )
        texts.append(text)
    for text in texts:
        if not fits_full_text(text):
            raise InvalidContent.at("/full_text", describe_length(text))
    return texts


def may_rank(record: CollectionRecord, default: Any, texts: Sequence[str | None]) -> bool:
    """Return whether a default of full text has an effect on queries with these words; None for one without words."""
    weight = default["weight"] if isinstance(default, Mapping) else default
    if weight == "auto" and Calibration.read(record.settings.calibration) is None:
        return False
    return weight is not default or all(text is not None and fits_full_text(text) for text in texts)


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

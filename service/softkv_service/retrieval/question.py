"""A question to a collection: what a caller asks, and what the service adds to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Literal, Self, TypeAlias

from softkv.questions import MATCH_FIELDS, Compare, MatchField, Null, Question, Sweep
from softkv_service.encoding import LATE
from softkv_service.retrieval.calibration import RerankerSettings, TextTerms
from softkv_service.storage.conditions import SearchTerm

NullChoice: TypeAlias = Null

DEFAULT_TOP_K = 10

MAX_DIVERSE_HEAD = 1000
"""The most documents that `diversity` looks at; it looks at ten for each match, and at least at 100."""

DocumentDetail: TypeAlias = Literal["ids", "texts", "vectors", "values"]
"""The detail read of matching documents: their ids, everything but their vectors, or everything.

With "vectors", vectors of values may be missing that are yet to be encoded.
"""

TEXTS, VECTORS = frozenset({"key", "value", "metadata", "sent_value"}), frozenset({"key_vector", "value_vector"})


def required_detail(fields: Collection[str]) -> DocumentDetail:
    """Return how much of each document must be read from the store: its id, its texts, or also its vectors.

    Args:
        fields: the fields that were requested.
    """
    if not VECTORS.isdisjoint(fields):
        return "values" if "value_vector" in fields else "vectors"
    return "ids" if TEXTS.isdisjoint(fields) and "highlight" not in fields else "texts"


class CollectionQuestion(Question):
    """A question as a collection answers it; for None, the collection's setting applies, or the default.

    Attributes:
        now: the start of the request in microseconds of Unix time, at which relative instants count. Only a question
            without such instants may leave it out.
        defaults: the names of options that are a default of the collection, or joined to one.
        searched: the terms that full text ranks in place of the words of each query; None for those words.
        reranker: the reranker with its name and a number as its weight; None without one.
    """

    now: int | None = None
    defaults: frozenset[str] = frozenset()
    searched: tuple[SearchTerm, ...] | None = None
    reranker: RerankerSettings | None = None

    @classmethod
    def of(cls, request: Question | Sweep | Compare, now: int) -> Self:
        """Return a question with the options that a caller has sent, at an instant, and without its queries."""
        options = {name: value for name, value in vars(request).items() if name in cls._names}
        return cls(**options | {"query": None, "queries": None, "now": now})

    @cached_property
    def fields(self) -> Sequence[MatchField]:
        """The fields of each match."""
        return MATCH_FIELDS if self.include is None else self.include

    @cached_property
    def head(self) -> int | None:
        """The number of documents that the lookup is to return, the best ones; None for its default."""
        if self.diversity is None:
            return self.top_k
        matches = DEFAULT_TOP_K if self.top_k is None else self.top_k
        return min(max(10 * matches, 100), MAX_DIVERSE_HEAD) if matches else 0

    @property
    def shares_places(self) -> bool:
        """Whether documents may share the place of a heavier match."""
        return self.diversity is not None

    @cached_property
    def explained(self) -> bool:
        """Whether each match has the terms of its logit."""
        return "explanation" in self.fields

    @cached_property
    def reads(self) -> DocumentDetail:
        """The detail of documents that the fields take."""
        return required_detail(self.fields)

    @property
    def compares_words(self) -> bool:
        """Whether its words are compared with those of documents, by late interaction."""
        return self.reranker is not None and self.reranker.model == LATE

    @cached_property
    def text_terms(self) -> TextTerms:
        """The terms that the text of each query adds to logits; for a question that `resolve_words` has returned."""
        assert self.full_text is None or isinstance(self.full_text, int | float)
        return TextTerms(self.full_text or 0.0, self.reranker)

    @property
    def adding_terms(self) -> list[str]:
        """The terms that add to logits, as a reason names them, without late interaction, which adds no mass."""
        is_reranked = self.reranker is not None and not self.compares_words
        terms = {"full text": self.full_text, "the bias": self.bias, "the reranker": is_reranked}
        return [name for name, option in terms.items() if option]

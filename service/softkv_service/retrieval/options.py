"""The options of a query, as far as they are independent of a collection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from softkv_service.retrieval.calibration import Rerank, TextTerms
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.storage.conditions import Combination, Comparison, SearchTerm
from softkv_service.storage.instants import Instant, parse_instant

NullChoice = float | Literal["auto", "lenient", "strict", "calibrated", False]
FullTextWish: TypeAlias = float | Literal["auto"] | Mapping[str, Any] | None
"""The weight of full text, or a mapping with this `weight` and the `query` that is ranked; None for no full text."""

DEFAULT_TOP_K = 10

MAX_SET_SIZE = 1000
"""The most matches of a set with `top_p` if `top_k` is not sent."""

MAX_DIVERSE_HEAD = 1000
"""The most documents that `diversity` looks at; it looks at ten for each match, and at least at 100."""


@dataclass(frozen=True)
class Aggregation:
    """The metadata field to aggregate over all documents, such as `metadata.year`, and how: mean, vote or quantiles.

    Attributes:
        pointer: the position of the aggregation in the request, for errors.

    Raises:
        InvalidContent: quantiles were sent for another aggregate.
    """

    field: str
    how: Literal["mean", "vote", "quantile"]
    quantiles: Sequence[float] | None = None
    pointer: str = "/read"

    def __post_init__(self) -> None:
        if self.quantiles is not None and self.how != "quantile":
            raise InvalidContent.at(f"{self.pointer}/quantiles", f'a {self.how} has no quantiles: ask "as": "quantile"')


@dataclass(frozen=True)
class ValueRange:
    """The numbers, or the dates, from one bound up to another, which is not included; None for no bound.

    Attributes:
        low, high: the bounds as they were sent: numbers, or ISO 8601 dates.
        pointer: the position of the range in the request, for errors.

    Raises:
        InvalidContent: there is no bound, a text is not a date, the bounds are not of one kind, or no value fits.
    """

    low: float | str | None
    high: float | str | None
    pointer: str = "/group_by/ranges"

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if not bounds:
            raise InvalidContent.at(self.pointer, "wanted a range with a bound, got null for both: give one of them")
        for bound in bounds:
            if isinstance(bound, str) and parse_instant(bound) is None:
                raise InvalidContent.at(
                    self.pointer, f"a bound is a number or an ISO 8601 date, as 2026-11-01, got {bound[:60]!r}"
                )
        if len({isinstance(bound, str) for bound in bounds}) > 1:
            raise InvalidContent.at(self.pointer, "one bound is a number and the other a date: give two of one kind")
        if self.start >= self.end:
            raise InvalidContent.at(self.pointer, f"no value is from {self.low} up to {self.high}: order the bounds")

    @property
    def of_dates(self) -> bool:
        """Whether the bounds are dates."""
        return isinstance(self.high if self.low is None else self.low, str)

    @property
    def start(self) -> float:
        """The lower bound as a number, an instant of a date; minus infinity without one."""
        return -math.inf if self.low is None else _order_of(self.low)

    @property
    def end(self) -> float:
        """The upper bound as a number, an instant of a date; infinity without one."""
        return math.inf if self.high is None else _order_of(self.high)

    def condition(self, field: str) -> Combination:
        """Return the condition that the documents with a value of the field in the range pass."""
        bounds = (">=", self.low), ("<", self.high)
        comparisons = [Comparison(field, name, _operand(bound)) for name, bound in bounds if bound is not None]
        return Combination("AND", tuple(comparisons))


def _order_of(bound: float | str) -> float:
    operand = _operand(bound)
    return operand.absolute if isinstance(operand, Instant) else operand


def _operand(bound: float | str) -> float | Instant:
    """Return a bound as a filter compares with it: a number, or the instant of a date."""
    if not isinstance(bound, str):
        return bound
    instant = parse_instant(bound)
    assert instant is not None
    return Instant(instant)


@dataclass(frozen=True)
class Grouping:
    """The metadata field by which documents are grouped, such as `metadata.year`, and the size of the answer.

    Attributes:
        groups: the most groups to list.
        documents: the most documents to list in each.
        ranges: ranges of numbers or dates, a group each; None for a group of each value.
        after: the number of heavier groups to skip, which earlier pages listed.

    Raises:
        InvalidContent: two ranges overlap.
    """

    field: str
    groups: int
    documents: int
    ranges: Sequence[ValueRange] | None = None
    after: int = 0

    @property
    def last(self) -> int:
        """The number of groups up to the last one that is listed."""
        return self.after + self.groups

    def __post_init__(self) -> None:
        ordered = sorted(self.ranges or (), key=lambda one: (one.of_dates, one.start))
        for one, following in pairwise(ordered):
            if one.of_dates == following.of_dates and following.start < one.end:
                raise InvalidContent.at(
                    following.pointer,
                    f"the range from {following.low} overlaps the one from {one.low} up to {one.high}: let each begin "
                    "where another ends, since a document is in one group",
                )


DocumentDetail = Literal["ids", "texts", "vectors", "values"]
"""The detail read of matching documents: their ids, everything but their vectors, or everything.

With "vectors", vectors of values may be missing that are yet to be encoded.
"""


@dataclass(frozen=True)
class Options:
    """The options of a query; for None, the collection's setting applies, or the default.

    Attributes:
        now: the start of the request in microseconds of Unix time, at which relative instants count. Only options
            without such instants may leave it out.
        defaults: the names of options that are a default of the collection, or joined to one.
        highlight: whether to find the sentence of each match's key text that is most similar to the query.
        searched: the terms that full text ranks in place of the words of each query; None for those words.
    """

    temperature: float | Literal["auto"] | None = None
    effective_documents: float = 8.0
    top_k: int | None = None
    top_p: float | None = None
    filter: Any = None
    now: int | None = None
    normaliser: str = "softmax"
    null: NullChoice | None = None
    max_error: float | None = None
    full_text: FullTextWish = None
    bias: Any = None
    explained: bool = False
    output: bool = False
    reads: DocumentDetail = "texts"
    allow_missing: bool = False
    read: Sequence[Aggregation] = ()
    group_by: Grouping | None = None
    min_confidence: float | None = None
    defaults: frozenset[str] = frozenset()
    rerank: Rerank | None = None
    searched: tuple[SearchTerm, ...] | None = None
    diversity: float | None = None
    highlight: bool = False

    @property
    def places(self) -> int:
        """The number of matches, if `diversity` lets documents share their places."""
        return DEFAULT_TOP_K if self.top_k is None else self.top_k

    @cached_property
    def head_size(self) -> int | None:
        """The number of documents that the lookup is to return, the best ones; None for its default."""
        return self.top_k if self.diversity is None else get_diverse_head(self.places)

    @cached_property
    def weighs_all(self) -> Literal["read", "group_by"] | None:
        """The option that needs the weight of every document in float64; None without one."""
        return "read" if self.read else None if self.group_by is None else "group_by"

    @cached_property
    def text_terms(self) -> TextTerms:
        """The terms that the text of each query adds to logits; for options that `resolve_options` has returned."""
        assert self.full_text is None or isinstance(self.full_text, int | float)
        return TextTerms(self.full_text or 0.0, self.rerank)


def get_diverse_head(top_k: int) -> int:
    """Return the number of documents that `diversity` looks at for this number of matches."""
    return min(max(10 * top_k, 100), MAX_DIVERSE_HEAD) if top_k else 0

"""Groups of documents by the value of a metadata field: the weight of each group, and its best documents.

The weight of every document is computed in float64, or by a scan if there are very many. So the sum over a group is off
by at most the bound of these weights. The best documents of a group are the answer to the same query with a mask for
the group, and have the weight that they have among all documents.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any, ClassVar

import numpy as np

from softkv.questions import GroupBy
from softkv_attention.arrays import I64, Bools
from softkv_attention.lookup import Answer, AnyMask, GroupShare, Policy, Question, Weights, answers, weight_error
from softkv_service.retrieval.collections import parse_filter
from softkv_service.retrieval.documents import decode_cursor, encode_cursor
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.documents import DocumentReader, choose_matches
from softkv_service.retrieval.queries.places import MAX_MATCHES
from softkv_service.retrieval.queries.readers.fields import FieldWeights, find_heaviest, masses_of, sum_error
from softkv_service.retrieval.queries.readers.reader import Reader
from softkv_service.retrieval.queries.results import (
    Answered,
    Leader,
    Match,
    Reading,
    ShapeMatches,
    read_documents,
    sort_matches,
)
from softkv_service.retrieval.queries.terms import LogitTerms
from softkv_service.storage.conditions import Combination, Comparison, Condition
from softkv_service.storage.errors import InvalidCondition
from softkv_service.storage.instants import Instant, parse_instant

MAX_CANDIDATES = 1024
"""The most documents that one lookup compares to find the best of all groups."""
MAX_ANSWER_GROUPS = 1000
"""The most groups of all queries of a request together, since each is a lookup of its own."""
MAX_SKIPPED = 10_000
"""The most groups of all pages before one."""


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
    pointer: str

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
class Group:
    """The documents that have one value of a field, or a value in one range.

    Attributes:
        value: the value; the range as it was sent; None for the documents without the field.
        condition: the condition that these documents pass, apart from the filter of the query.
        weight: the weight of all of them together.
        documents: their number.
        matches: the best of them, with their weights among all documents.
    """

    value: Any
    condition: Condition
    weight: float
    documents: int
    matches: Sequence[Match] = ()


@dataclass(frozen=True)
class GroupedWeight(Reading):
    """The weight of an answer by groups.

    Attributes:
        field: the field by which documents are grouped.
        groups: the groups with the most weight, the heaviest first.
        rest_weight: the weight of all documents that are in none of these groups, nor in heavier ones.
        error: a bound on the error of the weight of each group and each of its matches, and of `rest_weight`.
        next_cursor: the cursor of the next page, which has lighter groups; None on the last page.
        heaviest: of all groups but that of the documents without the field, the one with the most weight; None if there
            is no other group.
    """

    field: str
    groups: Sequence[Group]
    rest_weight: float
    error: float
    next_cursor: str | None
    heaviest: Group | None

    @property
    def leader(self) -> Leader | None:
        """The heaviest group, which may stand out as a document does."""
        if self.heaviest is None:
            return None
        value = json.dumps(self.heaviest.value, ensure_ascii=False)
        return Leader(f"{self.field} = {value}", GroupShare(self.heaviest.weight, self.error))

    @property
    def matches(self) -> Sequence[Match]:
        """The matches of all groups."""
        return [match for group in self.groups for match in group.matches]

    def advise(self, answer: Answer, policy: Policy) -> Policy:
        """Let the heaviest group stand out, unless the verdict is on the first match alone."""
        leader = self.leader
        return policy if leader is None or policy.confidence is not None else replace(policy, group=leader.share)

    def change_matches(self, change: Callable[[Match], Match]) -> GroupedWeight:
        """Return the same with each match changed."""
        groups = [replace(group, matches=list(map(change, group.matches))) for group in self.groups]
        return replace(self, groups=groups)

    def shape(self, shape_matches: ShapeMatches) -> dict[str, Any]:
        """Return the field of the answer."""
        groups = [
            {
                "value": group.value,
                "weight": group.weight,
                "documents": group.documents,
                "matches": shape_matches(group.matches),
            }
            for group in self.groups
        ]
        fields = {"rest_weight": self.rest_weight, "error": self.error, "next_cursor": self.next_cursor}
        return {GroupReader.name: {"field": self.field, "groups": groups, **fields}}


@dataclass(frozen=True)
class GroupReader(Reader):
    """A reader of the groups of documents by the value of a metadata field.

    Attributes:
        option: the field and the size of the answer.
        ranges: ranges of numbers or dates, a group each; empty for a group of each value.
        after: the number of heavier groups to skip, which earlier pages listed.

    Raises:
        InvalidContent: two ranges overlap.
    """

    name: ClassVar = "group_by"
    reads_all: ClassVar = True
    weighs_all: ClassVar = True
    option: GroupBy
    ranges: Sequence[ValueRange] = ()
    after: int = 0

    def __post_init__(self) -> None:
        ordered = sorted(self.ranges, key=lambda one: (one.of_dates, one.start))
        for one, following in pairwise(ordered):
            if one.of_dates == following.of_dates and following.start < one.end:
                raise InvalidContent.at(
                    following.pointer,
                    f"the range from {following.low} overlaps the one from {one.low} up to {one.high}: let each begin "
                    "where another ends, since a document is in one group",
                )

    @classmethod
    def of(cls, option: GroupBy, queries: int = 1) -> GroupReader:
        """Return the reader of the groups that a question has.

        Args:
            option: the field and the size of the answer.
            queries: the number of queries of the question.

        Raises:
            InvalidContent: a range is invalid, or the answers to all queries may have too many groups or matches.
        """
        if queries * option.groups > MAX_ANSWER_GROUPS:
            raise InvalidContent.at(
                "/group_by/groups",
                f"{queries} queries came, with up to {option.groups} groups each, and an answer holds "
                f"{MAX_ANSWER_GROUPS} in all: send fewer queries, or fewer groups",
            )
        if queries * option.groups * option.documents > MAX_MATCHES:
            raise InvalidContent.at(
                "/group_by/documents",
                f"{queries} queries came, with up to {option.groups} groups of {option.documents} documents each, and "
                f"an answer holds {MAX_MATCHES} documents of groups in all: send fewer queries, groups or documents",
            )
        after = _read_cursor(option.cursor, queries)
        bounds = enumerate(option.ranges or ())
        return cls(option, [ValueRange(low, high, f"/group_by/ranges/{i}") for i, (low, high) in bounds], after)

    @property
    def last(self) -> int:
        """The number of groups up to the last one that is listed."""
        return self.after + self.option.groups

    def read(self, answered: Answered) -> list[GroupedWeight]:
        """Return the groups of each answer.

        Raises:
            InvalidContent: the field is too large, or has a list or an object; or the filter cannot be joined to that
                of a group.
        """
        pairs = zip(answered.answers, answered.terms, strict=True)
        return [
            self._read_answer(answered, replace(answered.question_of(i), temperature=answer.temperature), answer, added)
            for i, (answer, added) in enumerate(pairs)
        ]

    def _read_answer(
        self, answered: Answered, question: Question, of_all: Answer, added: LogitTerms | None
    ) -> GroupedWeight:
        assert of_all.all_weights is not None  # the question asks for them
        weights = of_all.all_weights
        columns = FieldWeights.of_field(answered.snapshot, self.option.field, weights, "/group_by/field")
        grouped = self._weigh_groups(columns, weights)
        if not (self.option.documents and grouped.groups):
            return grouped
        answer, of_groups = self._answer_groups(answered, question, columns, weights, grouped.groups)
        answer = _weigh_among_all(answer, of_all, weights)
        chosen = [self._choose(answer, indices, answered.documents) for indices in of_groups]
        shown = added if answered.question.explained else None
        matches = iter(read_documents(answer, answered.documents, np.concatenate(chosen), shown))
        groups = [
            replace(group, matches=sort_matches(list(islice(matches, len(indices)))))
            for group, indices in zip(grouped.groups, chosen, strict=True)
        ]
        return replace(grouped, groups=groups)

    def _weigh_groups(self, columns: Sequence[FieldWeights], weights: Weights) -> GroupedWeight:
        """Return the heaviest groups of one query, without their matches."""
        field = self.option.field
        for column in columns:
            _check_scalars(column, field)
        of_values = self._group_ranges(columns) if self.ranges else self._group_values(columns)
        groups = [group for group in (*of_values, *_group_absent(columns, weights, field)) if group.weight > 0]
        groups.sort(key=lambda group: (-group.weight, json.dumps(group.value, ensure_ascii=False)))
        rest = max(0.0, float(weights.weights.sum()) - sum(group.weight for group in groups[: self.last]))
        error = weight_error(masses_of(columns), weights.total_variation + sum_error(columns))
        heaviest = next((group for group in groups if group.value is not None), None)
        has_more = len(groups) > self.last and self.last <= MAX_SKIPPED
        next_cursor = encode_cursor(str(self.last)) if has_more else None
        return GroupedWeight(field, groups[self.after : self.last], rest, error, next_cursor, heaviest)

    def _group_values(self, columns: Sequence[FieldWeights]) -> Iterator[Group]:
        """Yield the groups of the heaviest values."""
        for heavy in find_heaviest(columns, self.last + 1) if columns else ():
            value = heavy.scalar
            yield Group(value, Comparison(self.option.field, "==", value), heavy.weight, heavy.documents)

    def _group_ranges(self, columns: Sequence[FieldWeights]) -> Iterator[Group]:
        """Yield the group of each range."""
        for bounds in self.ranges:
            condition = bounds.condition(self.option.field)
            weight, documents = 0.0, 0
            for column in columns:
                codes = _find_codes(column, condition)
                weight += float(column.masses[codes].sum())
                documents += int(column.counts[codes].sum())
            yield Group([bounds.low, bounds.high], condition, weight, documents)

    def _answer_groups(
        self,
        answered: Answered,
        question: Question,
        columns: Sequence[FieldWeights],
        weights: Weights,
        groups: Sequence[Group],
    ) -> tuple[Answer, list[I64]]:
        """Return an answer with the best documents of all groups, and for each group the indices of its documents.

        If few documents can be among the best of their groups, one lookup is enough; otherwise each group has its own.
        """
        size, snapshot = self.option.documents, answered.snapshot
        condition = parse_filter(answered.question.filter, answered.question.now)
        numbers, view = _find_documents(columns, weights, groups), snapshot.local_view
        plain = replace(question, null=None, top_k=size, top_p=None, output=False, max_error=None, weigh_all=False)
        if view is not None:
            candidates = [weights.find_candidates(of_group, size) for of_group in numbers]
            together = np.concatenate(candidates)
            if len(together) <= MAX_CANDIDATES:
                (answer,) = answers(view, [replace(plain, mask=view.mask(together), top_k=len(together))])
                return answer, [np.flatnonzero(np.isin(answer.numbers, of_group)) for of_group in candidates]
            masks: list[AnyMask] = [view.mask(of_group) for of_group in numbers]
        else:
            masks = [snapshot.mask(_join(condition, group.condition)) for group in groups]
        separate = answers(snapshot.view, [replace(plain, mask=mask) for mask in masks])
        edges = np.cumsum([0, *(len(answer.numbers) for answer in separate)])
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(answer, name) for answer in separate]) for name in DOCUMENT_ARRAYS
        }
        return replace(separate[0], **arrays), [np.arange(first, last) for first, last in pairwise(edges.tolist())]

    def _choose(self, answer: Answer, indices: I64, documents: DocumentReader) -> I64:
        """Return the indices of a group's matches among those of its documents, which come best first."""
        size = min(self.option.documents, len(indices))
        last = indices[size - 1]
        tied = (answer.weights[indices] == answer.weights[last]) & (
            answer.similarities[indices] == answer.similarities[last]
        )
        indices = indices[(np.arange(len(indices)) < size) | tied]
        arrays: dict[str, Any] = {name: getattr(answer, name)[indices] for name in DOCUMENT_ARRAYS}
        chosen: I64 = indices[choose_matches(replace(answer, **arrays, matches=size), documents)]
        return chosen


def _read_cursor(cursor: str | None, queries: int) -> int:
    """Return how many groups the pages before a cursor listed.

    Raises:
        InvalidContent: the cursor is not one that this API returned, or came with several queries.
    """
    if cursor is None:
        return 0
    if queries > 1:
        raise InvalidContent.at("/group_by/cursor", "a cursor is of one query: send query, or leave cursor out")
    after = decode_cursor(cursor, "/group_by/cursor") or ""
    if not (after.isascii() and after.isdigit() and len(after) <= 5 and 0 < int(after) <= MAX_SKIPPED):
        raise InvalidContent.at("/group_by/cursor", "the cursor is not one of ours: send next_cursor as it came")
    return int(after)


DOCUMENT_ARRAYS = ("numbers", "parts", "similarities", "logits", "weights", "log_weight_of_other_parts")
"""The arrays of an answer with an element for each of its documents."""


def _weigh_among_all(answer: Answer, of_all: Answer, weights: Weights) -> Answer:
    """Return an answer over some documents with the weights that they have among all documents.

    Args:
        answer: the answer over these documents.
        of_all: the answer over all documents.
        weights: the weights of all documents.
    """
    if answer.temperature and of_all.log_partition is not None:
        among_all = np.exp(answer.logits + answer.log_weight_of_other_parts - of_all.log_partition)
    else:
        among_all = weights.weights[np.searchsorted(weights.numbers, answer.numbers)]
    # At temperature 0, only documents that tie for the best of all have a finite logit.
    logits = answer.logits if answer.temperature else np.where(among_all > 0, answer.logits, -np.inf)
    return replace(answer, weights=among_all, logits=logits)


def _check_scalars(column: FieldWeights, field: str) -> None:
    """Raise InvalidContent if a document that passes has a list or an object in the field."""
    other = int(column.counts[column.column.field.distinct.scalars().stop :].sum())
    if other:
        raise InvalidContent.at(
            "/group_by/field",
            f"{field} is a list or an object in {other:,} of the documents that pass, and a group has one "
            "text, number, true or false: group by another field, or by one inside the object, as metadata.a.b",
        )


def _find_codes(column: FieldWeights, condition: Condition) -> Bools:
    """Return bool[c], which of the c distinct values of a part of a column are in a group with this condition."""
    passes = np.ones(len(column.counts), dtype=np.bool_)
    for comparison in condition.conditions if isinstance(condition, Combination) else (condition,):
        assert isinstance(comparison, Comparison)
        one = np.zeros(len(column.counts), dtype=np.bool_)
        one[column.column.field.distinct.codes(comparison.operator, comparison.value)] = True
        passes &= one
    return passes


def _find_documents(columns: Sequence[FieldWeights], weights: Weights, groups: Sequence[Group]) -> list[I64]:
    """Return for each group int64[m], the row numbers of its documents that pass."""
    parts: list[list[I64]] = [[] for _ in groups]
    for column in columns:
        group_of = np.full(len(column.counts), len(groups), dtype=np.int16)
        for index, group in enumerate(groups):
            if group.value is not None:
                group_of[_find_codes(column, group.condition)] = index
        of_documents = group_of[column.codes]
        listed = np.flatnonzero(of_documents < len(groups))
        listed = listed[np.argsort(of_documents[listed], kind="stable")]
        positions = listed if isinstance(column.positions, slice) else column.positions[listed]
        numbers = weights.numbers[positions]
        edges = np.searchsorted(of_documents[listed], np.arange(len(groups) + 1))
        for part, (first, last) in zip(parts, pairwise(edges.tolist()), strict=True):
            part.append(numbers[first:last])
    absent = [weights.numbers[_find_absent(columns, weights)]] if any(group.value is None for group in groups) else []
    return [np.concatenate(absent if group.value is None else part) for group, part in zip(groups, parts, strict=True)]


def _find_absent(columns: Sequence[FieldWeights], weights: Weights) -> Bools:
    """Return bool[n], which of the documents that pass lack the field."""
    absent = np.ones(len(weights.numbers), dtype=np.bool_)
    for column in columns:
        absent[column.positions] = False
    return absent


def _group_absent(columns: Sequence[FieldWeights], weights: Weights, field: str) -> Iterator[Group]:
    """Yield the group of the documents without the field, if there are any."""
    documents = len(weights.numbers) - sum(int(column.counts.sum()) for column in columns)
    if documents:
        total = float(weights.weights[_find_absent(columns, weights)].sum())
        yield Group(None, Comparison(field, "==", None), total, documents)


def _join(condition: Condition | None, of_group: Condition) -> Condition:
    """Return the condition of the documents of a group that pass the filter."""
    if condition is None:
        return of_group
    try:
        return Combination("AND", (condition, of_group))
    except InvalidCondition as error:
        raise InvalidContent.at(
            "/filter", f"the filter is joined to the condition of each group, and {error}: send a smaller one"
        ) from None

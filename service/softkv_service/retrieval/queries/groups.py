"""Groups of documents by the value of a metadata field: the weight of each group, and its best documents.

The weight of every document is computed in float64, or by a scan if there are very many. So the sum over a group is off
by at most the bound of these weights. The best documents of a group are the answer to the same query with a mask for
the group, and have the weight that they have among all documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

import numpy as np

from softkv_attention.arrays import I64, Bools
from softkv_attention.lookup import Answer, AnyMask, Question, Weights, answers, weight_error
from softkv_service.retrieval.collections import Snapshot, parse_filter
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.options import Grouping, Options
from softkv_service.retrieval.queries.aggregate import FieldWeights, find_heaviest, masses_of, sum_error
from softkv_service.retrieval.queries.results import (
    DocumentReader,
    Group,
    GroupedWeight,
    choose_matches,
    read_documents,
    sort_matches,
)
from softkv_service.retrieval.queries.terms import LogitTerms
from softkv_service.storage.conditions import Combination, Comparison, Condition
from softkv_service.storage.errors import InvalidCondition

MAX_CANDIDATES = 1024
"""The most documents that one lookup compares to find the best of all groups."""


@dataclass(frozen=True, eq=False)
class GroupBuilder:
    """A builder of the groups of several queries, in one version of the collection.

    Attributes:
        snapshot: the version of the collection that was queried.
        grouping: the field and the size of the answer.
        options: the options of each query.
        reading: reads the documents of the matches.
    """

    snapshot: Snapshot
    grouping: Grouping
    options: Options
    reading: DocumentReader

    def build(
        self, questions: Sequence[Question], batch_answers: Sequence[Answer], terms: Sequence[LogitTerms | None]
    ) -> list[GroupedWeight]:
        """Return the groups of each query.

        Args:
            questions: each query as the lookup answers it.
            batch_answers: its answer, which has the temperature of the weights.
            terms: the terms that were added to the documents' logits.

        Raises:
            InvalidContent: the field is too large, or has a list or an object; or the filter cannot be joined to that
                of a group.
        """
        return [
            self._build(replace(question, temperature=answer.temperature), answer, added)
            for question, answer, added in zip(questions, batch_answers, terms, strict=True)
        ]

    def _build(self, question: Question, of_all: Answer, added: LogitTerms | None) -> GroupedWeight:
        assert of_all.all_weights is not None  # the question asks for them
        weights = of_all.all_weights
        columns = FieldWeights.of_field(self.snapshot, self.grouping.field, weights, "/group_by/field")
        grouped = self._weigh_groups(columns, weights)
        if not (self.grouping.documents and grouped.groups):
            return grouped
        answer, of_groups = self._answer_groups(question, columns, weights, grouped.groups)
        answer = _weigh_among_all(answer, of_all, weights)
        chosen = [self._choose(answer, indices) for indices in of_groups]
        shown = added if self.options.explained else None
        matches = iter(read_documents(answer, self.reading, np.concatenate(chosen), shown))
        groups = [
            replace(group, matches=sort_matches(list(islice(matches, len(indices)))))
            for group, indices in zip(grouped.groups, chosen, strict=True)
        ]
        return replace(grouped, groups=groups)

    def _weigh_groups(self, columns: Sequence[FieldWeights], weights: Weights) -> GroupedWeight:
        """Return the heaviest groups of one query, without their matches."""
        grouping = self.grouping
        for column in columns:
            _check_scalars(column, grouping.field)
        of_values = _group_values(columns, grouping) if grouping.ranges is None else _group_ranges(columns, grouping)
        groups = [group for group in (*of_values, *_group_absent(columns, weights, grouping.field)) if group.weight > 0]
        groups.sort(key=lambda group: (-group.weight, json.dumps(group.value, ensure_ascii=False)))
        rest = max(0.0, float(weights.weights.sum()) - sum(group.weight for group in groups[: grouping.last]))
        error = weight_error(masses_of(columns), weights.total_variation + sum_error(columns))
        heaviest = next((group for group in groups if group.value is not None), None)
        listed, more = groups[grouping.after : grouping.last], len(groups) > grouping.last
        return GroupedWeight(listed, rest, error, more, heaviest)

    def _answer_groups(
        self, question: Question, columns: Sequence[FieldWeights], weights: Weights, groups: Sequence[Group]
    ) -> tuple[Answer, list[I64]]:
        """Return an answer with the best documents of all groups, and for each group the indices of its documents.

        If few documents can be among the best of their groups, one lookup is enough; otherwise each group has its own.
        """
        condition, size = parse_filter(self.options.filter, self.options.now), self.grouping.documents
        numbers, view = _find_documents(columns, weights, groups), self.snapshot.local_view
        plain = replace(question, null=None, top_k=size, top_p=None, output=False, max_error=None, weigh_all=False)
        if view is not None:
            candidates = [weights.find_candidates(of_group, size) for of_group in numbers]
            together = np.concatenate(candidates)
            if len(together) <= MAX_CANDIDATES:
                (answer,) = answers(view, [replace(plain, mask=view.mask(together), top_k=len(together))])
                return answer, [np.flatnonzero(np.isin(answer.numbers, of_group)) for of_group in candidates]
            masks: list[AnyMask] = [view.mask(of_group) for of_group in numbers]
        else:
            masks = [self.snapshot.mask(_join(condition, group.condition)) for group in groups]
        separate = answers(self.snapshot.view, [replace(plain, mask=mask) for mask in masks])
        edges = np.cumsum([0, *(len(answer.numbers) for answer in separate)])
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(answer, name) for answer in separate]) for name in DOCUMENT_ARRAYS
        }
        return replace(separate[0], **arrays), [np.arange(first, last) for first, last in pairwise(edges.tolist())]

    def _choose(self, answer: Answer, indices: I64) -> I64:
        """Return the indices of a group's matches among those of its documents, which come best first."""
        size = min(self.grouping.documents, len(indices))
        last = indices[size - 1]
        tied = (answer.weights[indices] == answer.weights[last]) & (
            answer.similarities[indices] == answer.similarities[last]
        )
        indices = indices[(np.arange(len(indices)) < size) | tied]
        arrays: dict[str, Any] = {name: getattr(answer, name)[indices] for name in DOCUMENT_ARRAYS}
        chosen: I64 = indices[choose_matches(replace(answer, **arrays, matches=size), self.reading)]
        return chosen


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


def _group_values(columns: Sequence[FieldWeights], grouping: Grouping) -> Iterator[Group]:
    """Yield the groups of the heaviest values."""
    for heavy in find_heaviest(columns, grouping.last + 1) if columns else ():
        value = heavy.scalar
        yield Group(value, Comparison(grouping.field, "==", value), heavy.weight, heavy.documents)


def _group_ranges(columns: Sequence[FieldWeights], grouping: Grouping) -> Iterator[Group]:
    """Yield the group of each range."""
    for bounds in grouping.ranges or ():
        condition = bounds.condition(grouping.field)
        weight, documents = 0.0, 0
        for column in columns:
            codes = _find_codes(column, condition)
            weight += float(column.masses[codes].sum())
            documents += int(column.counts[codes].sum())
        yield Group([bounds.low, bounds.high], condition, weight, documents)


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

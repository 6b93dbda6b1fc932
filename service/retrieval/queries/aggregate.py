"""Aggregation of a metadata field over all documents that pass, by their weights: mean, vote or quantiles."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup import Answer, Question, Weights, share_error, weighted_mean, weighted_quantiles, weights_among
from service.retrieval.collections import Snapshot
from service.retrieval.errors import InvalidContent
from service.storage import METADATA, Column, EncodedValue, decode_scalar

MAX_VOTES = 10
MEDIAN = 0.5


@dataclass(frozen=True)
class Aggregation:
    """What is to be read: a field, as `metadata.year`, and as what.

    Raises:
        InvalidContent: quantiles of what is no quantile.
    """

    field: str
    how: Literal["mean", "vote", "quantile"]
    quantiles: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.quantiles is not None and self.how != "quantile":
            raise InvalidContent.at("/read/quantiles", f'a {self.how} has no quantiles: ask "as": "quantile"')


def aggregate_field(snapshot: Snapshot, question: Question, answer: Answer, read: Aggregation) -> dict[str, Any]:
    """What docs/reading.md says of `read`, for the question at the temperature of its answer.

    Raises:
        InvalidContent: the field takes more memory than there is for one.
    """
    weights = weights_among(snapshot.view, replace(question, temperature=answer.temperature))
    having = [
        _FieldWeights.of(column, weights)
        for column in snapshot.columns(read.field.removeprefix(METADATA), "/read/field")
    ]
    found = {"mean": _mean, "vote": _vote, "quantile": _quantile}[read.how](having, weights, read)
    return {"field": read.field, "as": read.how} | found


@dataclass(frozen=True, eq=False)
class _FieldWeights:
    """Documents that have the field: codes int[k] of their values in a column, weights float64[k]."""

    column: Column
    codes: I64
    weights: F64

    @classmethod
    def of(cls, column: Column, weights: Weights) -> _FieldWeights:
        rows, numbers = column.field.rows, weights.numbers
        at = np.minimum(np.searchsorted(numbers, rows), max(len(numbers) - 1, 0))
        there = numbers[at] == rows if len(numbers) else np.zeros(len(rows), dtype=np.bool_)
        return cls(column, column.field.codes[there].astype(np.int64), weights.weights[at[there]])

    def numbers(self) -> tuple[F64, F64]:
        """The numbers float64[n] among the values, but for those past float64, and their weights."""
        found = self.column.field.distinct.numbers()[self.codes]
        finite = np.isfinite(found)
        return found[finite], self.weights[finite]


def _share(of: F64, weights: Weights) -> float:
    """Which share of the documents' weight these have."""
    total = float(weights.weights.sum())
    return min(1.0, float(of.sum()) / total) if total > 0 else 0.0


def _numbers(having: Sequence[_FieldWeights]) -> tuple[F64, F64]:
    found = [each.numbers() for each in having]
    numbers, weights = (np.concatenate([pair[i] for pair in found] or [np.empty(0)]) for i in (0, 1))
    return numbers, weights


def _mean(having: Sequence[_FieldWeights], weights: Weights, _: Aggregation) -> dict[str, Any]:
    numbers, own = _numbers(having)
    share = _share(own, weights)
    if not share:
        return {"value": None, "weight": 0.0, "deviation": None, "error": None}
    found = weighted_mean(numbers, own, weights.total_variation)
    error = found.error if found.error is not None and math.isfinite(found.error) else None
    return {"value": found.value, "weight": share, "deviation": found.deviation, "error": error}


def _quantile(having: Sequence[_FieldWeights], weights: Weights, read: Aggregation) -> dict[str, Any]:
    asked = [MEDIAN] if read.quantiles is None else list(read.quantiles)
    numbers, own = _numbers(having)
    share = _share(own, weights)
    names = ("value", "at_least", "at_most")
    if share:
        found = [vars(each) for each in weighted_quantiles(numbers, own, np.array(asked), weights.total_variation)]
    else:
        found = [dict.fromkeys(names)] * len(asked)
    told = [{"quantile": at, **each} for at, each in zip(asked, found, strict=True)]
    shown = told[asked.index(MEDIAN)] if MEDIAN in asked else told[0]
    return {"value": shown["value"], "weight": share, "quantiles": told}


def _vote(having: Sequence[_FieldWeights], weights: Weights, _: Aggregation) -> dict[str, Any]:
    scalars = [each.column.field.distinct.scalars() for each in having]
    counted = [
        replace(each, codes=each.codes[some], weights=each.weights[some])
        for each, codes in zip(having, scalars, strict=True)
        for some in [(each.codes >= codes.start) & (each.codes < codes.stop)]
    ]
    own = np.concatenate([each.weights for each in counted] or [np.empty(0)])
    share, total = _share(own, weights), float(own.sum())
    if not share:
        return {"value": None, "weight": 0.0, "votes": [], "rest_weight": 0.0, "error": None}
    ranked = [(-min(1.0, mass / total), decode_scalar(*value)) for value, mass in _find_heaviest(counted)]
    ranked.sort(key=lambda vote: (vote[0], json.dumps(vote[1], ensure_ascii=False)))
    votes = [{"value": value, "weight": -negative} for negative, value in ranked[:MAX_VOTES]]
    rest = max(0.0, 1.0 + sum(negative for negative, _ in ranked[:MAX_VOTES]))
    error = share_error(own, weights.total_variation)
    return {"value": ranked[0][1], "weight": share, "votes": votes, "rest_weight": rest, "error": error}


def _find_heaviest(having: Sequence[_FieldWeights]) -> list[tuple[EncodedValue, float]]:
    """The values that weigh most, and all that tie with the last of them; of nothing that weighs nothing."""
    first, *more = having
    distinct = first.column.field.distinct
    masses = np.bincount(first.codes, first.weights, minlength=len(distinct))
    others: dict[EncodedValue, float] = {}
    for each in more:  # far smaller than the first
        own = each.column.field.distinct
        sums = np.bincount(each.codes, each.weights, minlength=len(own))
        for code in np.flatnonzero(sums).tolist():
            value = own.value(code)
            known = distinct.equal(value)
            if known.stop > known.start:
                masses[known.start] += sums[code]
            else:
                others[value] = others.get(value, 0.0) + float(sums[code])
    least = np.partition(masses, -MAX_VOTES)[-MAX_VOTES] if len(masses) > MAX_VOTES else 0.0
    chosen = np.flatnonzero((masses >= least) & (masses > 0)).tolist()
    found = [(distinct.value(code), float(masses[code])) for code in chosen]
    return found + list(others.items())

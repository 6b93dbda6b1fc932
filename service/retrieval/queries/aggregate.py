"""Aggregation of a metadata field over all documents that pass, by their weights: mean, vote or quantiles."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from attention.arrays import F64, I64
from attention.lookup import (
    Answer,
    Question,
    Weights,
    share_error,
    weighted_mean,
    weighted_quantiles,
    weights_without_null,
)
from service.retrieval.collections import Snapshot
from service.retrieval.errors import InvalidContent
from service.storage import METADATA, Column, EncodedValue, decode_scalar

MAX_VOTES = 10
MEDIAN = 0.5


@dataclass(frozen=True)
class Aggregation:
    """The metadata field to aggregate over all documents, such as `metadata.year`, and how: mean, vote or quantiles.

    Raises:
        InvalidContent: quantiles were sent for another aggregate.
    """

    field: str
    how: Literal["mean", "vote", "quantile"]
    quantiles: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.quantiles is not None and self.how != "quantile":
            raise InvalidContent.at("/read/quantiles", f'a {self.how} has no quantiles: ask "as": "quantile"')


def aggregate_field(snapshot: Snapshot, question: Question, answer: Answer, aggregation: Aggregation) -> dict[str, Any]:
    """Return a metadata field aggregated over all documents that pass the filter, by their weights, as JSON.

    docs/guide/reading.md describes the result.

    Args:
        snapshot: the version of the collection that was queried.
        question: the question, which gives each document its weight.
        answer: its answer, which has the temperature of the weights.
        aggregation: the field, and how to combine its values.

    Raises:
        InvalidContent: the field is too large.
    """
    weights = weights_without_null(snapshot.view, replace(question, temperature=answer.temperature))
    columns = [
        _FieldWeights.of(column, weights)
        for column in snapshot.columns(aggregation.field.removeprefix(METADATA), "/read/field")
    ]
    aggregate = {"mean": _mean, "vote": _vote, "quantile": _quantile}[aggregation.how](columns, weights, aggregation)
    return {"field": aggregation.field, "as": aggregation.how} | aggregate


@dataclass(frozen=True, eq=False)
class _FieldWeights:
    """A part of a metadata column, with the weights of the documents that have the field.

    Attributes:
        column: the part of the column, with its distinct values.
        codes: int[k], the index of each document's value among the distinct values.
        weights: float64[k], the weights of these documents.
    """

    column: Column
    codes: I64
    weights: F64

    @classmethod
    def of(cls, column: Column, weights: Weights) -> _FieldWeights:
        rows, numbers = column.field.rows, weights.numbers
        indices = np.minimum(np.searchsorted(numbers, rows), max(len(numbers) - 1, 0))
        present = numbers[indices] == rows if len(numbers) else np.zeros(len(rows), dtype=np.bool_)
        return cls(column, column.field.codes[present].astype(np.int64), weights.weights[indices[present]])

    def numbers(self) -> tuple[F64, F64]:
        """Return the values float64[n] that are finite numbers, and their weights."""
        numbers = self.column.field.distinct.numbers()[self.codes]
        finite = np.isfinite(numbers)
        return numbers[finite], self.weights[finite]


def _share(of: F64, weights: Weights) -> float:
    """Return the share of the weight of all documents that some documents have.

    Args:
        of: the weights of these documents.
        weights: the weights of all documents.
    """
    total = float(weights.weights.sum())
    return min(1.0, float(of.sum()) / total) if total > 0 else 0.0


def _numbers(columns: Sequence[_FieldWeights]) -> tuple[F64, F64]:
    pairs = [column.numbers() for column in columns]
    numbers, weights = (np.concatenate([pair[i] for pair in pairs] or [np.empty(0)]) for i in (0, 1))
    return numbers, weights


def _mean(columns: Sequence[_FieldWeights], weights: Weights, _: Aggregation) -> dict[str, Any]:
    numbers, field_weights = _numbers(columns)
    share = _share(field_weights, weights)
    if not share:
        return {"value": None, "weight": 0.0, "deviation": None, "error": None}
    mean = weighted_mean(numbers, field_weights, weights.total_variation)
    error = mean.error if mean.error is not None and math.isfinite(mean.error) else None
    return {"value": mean.value, "weight": share, "deviation": mean.deviation, "error": error}


def _quantile(columns: Sequence[_FieldWeights], weights: Weights, read: Aggregation) -> dict[str, Any]:
    levels = [MEDIAN] if read.quantiles is None else list(read.quantiles)
    numbers, field_weights = _numbers(columns)
    share = _share(field_weights, weights)
    names = ("value", "at_least", "at_most")
    if share:
        bounded = weighted_quantiles(numbers, field_weights, np.array(levels), weights.total_variation)
        quantiles = [vars(values) for values in bounded]
    else:
        quantiles = [dict.fromkeys(names)] * len(levels)
    listed = [{"quantile": level, **values} for level, values in zip(levels, quantiles, strict=True)]
    shown = listed[levels.index(MEDIAN)] if MEDIAN in levels else listed[0]
    return {"value": shown["value"], "weight": share, "quantiles": listed}


def _vote(columns: Sequence[_FieldWeights], weights: Weights, _: Aggregation) -> dict[str, Any]:
    scalars = [column.column.field.distinct.scalars() for column in columns]
    counted = [
        replace(column, codes=column.codes[is_scalar], weights=column.weights[is_scalar])
        for column, codes in zip(columns, scalars, strict=True)
        for is_scalar in [(column.codes >= codes.start) & (column.codes < codes.stop)]
    ]
    field_weights = np.concatenate([column.weights for column in counted] or [np.empty(0)])
    share, total = _share(field_weights, weights), float(field_weights.sum())
    if not share:
        return {"value": None, "weight": 0.0, "votes": [], "rest_weight": 0.0, "error": None}
    ranked = [(-min(1.0, mass / total), decode_scalar(*value)) for value, mass in _find_heaviest(counted)]
    ranked.sort(key=lambda vote: (vote[0], json.dumps(vote[1], ensure_ascii=False)))
    votes = [{"value": value, "weight": -negative} for negative, value in ranked[:MAX_VOTES]]
    rest = max(0.0, 1.0 + sum(negative for negative, _ in ranked[:MAX_VOTES]))
    error = share_error(field_weights, weights.total_variation)
    return {"value": ranked[0][1], "weight": share, "votes": votes, "rest_weight": rest, "error": error}


def _find_heaviest(columns: Sequence[_FieldWeights]) -> list[tuple[EncodedValue, float]]:
    """Return the values of a metadata field that have the most weight, each with its weight above 0.

    All values that tie with the last of them are included, and all values that occur only in the smaller parts.

    Args:
        columns: the parts of the column, the largest first.
    """
    first, *smaller = columns
    distinct = first.column.field.distinct
    masses = np.bincount(first.codes, first.weights, minlength=len(distinct))
    sums_of_others: dict[EncodedValue, float] = {}
    for column in smaller:  # these parts are far smaller than the first
        values = column.column.field.distinct
        sums = np.bincount(column.codes, column.weights, minlength=len(values))
        for code in np.flatnonzero(sums).tolist():
            value = values.value(code)
            codes = distinct.equal(value)
            if codes.stop > codes.start:
                masses[codes.start] += sums[code]
            else:
                sums_of_others[value] = sums_of_others.get(value, 0.0) + float(sums[code])
    least = np.partition(masses, -MAX_VOTES)[-MAX_VOTES] if len(masses) > MAX_VOTES else 0.0
    chosen = np.flatnonzero((masses >= least) & (masses > 0)).tolist()
    heaviest = [(distinct.value(code), float(masses[code])) for code in chosen]
    return heaviest + list(sums_of_others.items())

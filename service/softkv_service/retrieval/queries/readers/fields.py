"""Aggregation of a metadata field over all documents that pass, by their weights: mean, vote, quantiles or groups."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softkv.questions import Read
from softkv_attention.arrays import F64, I64, Bools
from softkv_attention.lookup import (
    Answer,
    Question,
    Weights,
    share_error,
    weighted_mean,
    weighted_quantiles,
    weights_without_null,
)
from softkv_service.retrieval.collections import Snapshot
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.readers.reader import Reader
from softkv_service.retrieval.queries.results import Answered, Reading, ShapeMatches
from softkv_service.storage.conditions import METADATA, Column
from softkv_service.storage.fields import EncodedValue, Scalar, decode_scalar
from softkv_service.storage.records import RowNumbers

MAX_VOTES = 10
CHUNK, MAX_CHUNKED_VALUES = 2048, 4096
"""The most weights that are added one after another, in a field with at most this many different values."""
MEDIAN = 0.5


@dataclass(frozen=True)
class FieldValues(Reading):
    """Metadata fields that were read of one answer, as JSON.

    Attributes:
        values: the values of each field; docs/guide/reading.md describes them.
        is_list: whether the question had a list of fields.
    """

    values: Sequence[dict[str, Any]]
    is_list: bool

    def shape(self, shape_matches: ShapeMatches) -> dict[str, Any]:
        """Return the field of the answer."""
        return {FieldReader.name: self.values if self.is_list else self.values[0]}


@dataclass(frozen=True)
class FieldReader(Reader):
    """A reader of metadata fields, aggregated over all documents that pass the filter, by their weights.

    Attributes:
        reads: the fields, and how to combine the values of each, by their positions in the request.
        is_list: whether they came as a list.

    Raises:
        InvalidContent: quantiles were sent for another aggregate.
    """

    name: ClassVar = "read"
    reads_all: ClassVar = True
    reads: Mapping[str, Read]
    is_list: bool

    def __post_init__(self) -> None:
        for pointer, read in self.reads.items():
            if read.quantiles is not None and read.how != "quantile":
                raise InvalidContent.at(f"{pointer}/quantiles", f'a {read.how} has no quantiles: ask "as": "quantile"')

    @classmethod
    def of(cls, option: Read | Sequence[Read]) -> FieldReader:
        """Return the reader of one field or of several, as a question has them."""
        if isinstance(option, Read):
            return cls({"/read": option}, is_list=False)
        return cls({f"/read/{i}": read for i, read in enumerate(option)}, is_list=True)

    def read(self, answered: Answered) -> list[FieldValues]:
        """Return the fields of each answer.

        Raises:
            InvalidContent: a field is too large.
        """
        return [
            self._read_answer(answered.snapshot, answered.question_of(i), answer)
            for i, answer in enumerate(answered.answers)
        ]

    def _read_answer(self, snapshot: Snapshot, question: Question, answer: Answer) -> FieldValues:
        weights = weights_without_null(snapshot.view, replace(question, temperature=answer.temperature))
        values = list[dict[str, Any]]()
        for pointer, read in self.reads.items():
            columns = FieldWeights.of_field(snapshot, read.field, weights, f"{pointer}/field")
            aggregate = {"mean": _mean, "vote": _vote, "quantile": _quantile}[read.how](columns, weights, read)
            values.append({"field": read.field, "as": read.how} | aggregate)
        return FieldValues(values, self.is_list)


@dataclass(frozen=True, eq=False)
class FieldWeights:
    """A part of a metadata column, with the weight of each distinct value among the documents that pass.

    Attributes:
        column: the part of the column, with its c distinct values.
        codes: int32[k], the index of each document's value among the distinct values.
        masses: float64[c], the weight of the documents that have each value.
        counts: int64[c], the number of these documents.
        terms: the most numbers that were added one after another for one weight.
        positions: int64[k], the index of each of these documents among all that pass; or a slice of all.
    """

    column: Column
    codes: NDArray[np.int32]
    masses: F64
    counts: I64
    terms: int
    positions: slice | I64

    @classmethod
    def of_field(cls, snapshot: Snapshot, field: str, weights: Weights, pointer: str) -> list[FieldWeights]:
        """Return the weights of the values of a field, in the parts of its column.

        Args:
            snapshot: the version of the collection that was queried.
            field: the field, with `metadata.` before its name.
            weights: the weights of all documents.
            pointer: the position of the field in the request, for errors.

        Raises:
            InvalidContent: the field is too large.
        """
        return [cls.of(column, weights) for column in snapshot.columns(field.removeprefix(METADATA), pointer)]

    @classmethod
    def of(cls, column: Column, weights: Weights) -> FieldWeights:
        """Return the weights of the values of one part of a column."""
        positions, present = _find_positions(weights, column.field.rows)
        codes = column.field.codes[present]
        counts = np.bincount(codes, minlength=len(column.field.distinct))
        masses, terms = _sum_by_code(codes, weights.weights[positions], counts)
        return cls(column, codes, masses, counts, terms, positions)

    def numbers(self) -> tuple[F64, F64]:
        """Return the values float64[n] that are finite numbers, and the weight of each."""
        numbers = self.column.field.distinct.numbers()
        finite = np.isfinite(numbers) & (self.counts > 0)
        return numbers[finite], self.masses[finite]

    def scalars(self) -> FieldWeights:
        """Return the same without the documents whose value is a list or an object."""
        codes = self.column.field.distinct.scalars()
        scalar = np.zeros(len(self.counts), dtype=np.bool_)
        scalar[codes] = True
        return replace(self, masses=np.where(scalar, self.masses, 0.0), counts=np.where(scalar, self.counts, 0))


def _find_positions(weights: Weights, rows: RowNumbers) -> tuple[slice | I64, slice | Bools]:
    """Return the index of each document among those with weights, without documents that do not pass.

    Also return which of the n row numbers, ascending, are documents that pass: bool[n], or a slice of all.
    """
    numbers = weights.numbers
    if len(numbers) == len(rows) and np.array_equal(numbers, rows):
        return slice(None), slice(None)
    if not len(numbers):
        return np.empty(0, dtype=np.int64), np.zeros(len(rows), dtype=np.bool_)
    positions = np.minimum(np.searchsorted(numbers, rows), len(numbers) - 1)
    present = numbers[positions] == rows
    return positions[present], present


def _sum_by_code(codes: NDArray[np.integer[Any]], weights: F64, counts: I64) -> tuple[F64, int]:
    """Return float64[c], the sum of the weights of each code, and the most numbers that were added one after another.

    Codes without a document change neither, so that values of documents that do not pass leave no trace.

    Args:
        codes: integers[n], from 0 on.
        weights: float64[n], not below 0.
        counts: int64[c], how often each code occurs.
    """
    distinct, seen = len(counts), np.count_nonzero(counts)
    if seen <= MAX_CHUNKED_VALUES < distinct:
        masses, occurs = np.zeros(distinct), counts > 0
        masses[occurs], terms = _sum_by_code((np.cumsum(occurs) - 1)[codes], weights, counts[occurs])
        return masses, terms
    # Sums of sums: few numbers are added one after another.
    length = CHUNK if distinct <= MAX_CHUNKED_VALUES else max(len(codes), 1)
    sums = np.zeros(distinct)
    for start in range(0, len(codes), length):
        sums += np.bincount(codes[start : start + length], weights[start : start + length], minlength=distinct)
    return sums, min(int(counts.max(initial=0)), length + len(codes) // length)


def sum_error(columns: Sequence[FieldWeights]) -> float:
    """Return a bound on the rounding error of all sums of a field's weights together."""
    return (max((column.terms for column in columns), default=0) + 2) * float(np.finfo(np.float64).eps)


def masses_of(columns: Sequence[FieldWeights]) -> F64:
    """Return float64[n], the weight of each value that a document has, in all parts of a column."""
    return np.concatenate([column.masses[column.counts > 0] for column in columns] or [np.empty(0)])


def _share(of: F64, weights: Weights) -> float:
    """Return the share of the weight of all documents that some documents have.

    Args:
        of: the weights of these documents, or of groups of them.
        weights: the weights of all documents.
    """
    total = float(weights.weights.sum())
    return min(1.0, float(of.sum()) / total) if total > 0 else 0.0


def _numbers(columns: Sequence[FieldWeights]) -> tuple[F64, F64]:
    pairs = [column.numbers() for column in columns]
    numbers, weights = (np.concatenate([pair[i] for pair in pairs] or [np.empty(0)]) for i in (0, 1))
    return numbers, weights


def _mean(columns: Sequence[FieldWeights], weights: Weights, _: Read) -> dict[str, Any]:
    numbers, masses = _numbers(columns)
    share = _share(masses, weights)
    if not share:
        return {"value": None, "weight": 0.0, "deviation": None, "error": None}
    mean = weighted_mean(numbers, masses, weights.total_variation + sum_error(columns))
    error = mean.error if mean.error is not None and math.isfinite(mean.error) else None
    return {"value": mean.value, "weight": share, "deviation": mean.deviation, "error": error}


def _quantile(columns: Sequence[FieldWeights], weights: Weights, read: Read) -> dict[str, Any]:
    levels = [MEDIAN] if read.quantiles is None else list(read.quantiles)
    numbers, masses = _numbers(columns)
    share = _share(masses, weights)
    names = ("value", "at_least", "at_most")
    if share:
        variation = weights.total_variation + sum_error(columns)
        bounded = weighted_quantiles(numbers, masses, np.array(levels), variation)
        quantiles = [vars(values) for values in bounded]
    else:
        quantiles = [dict.fromkeys(names)] * len(levels)
    listed = [{"quantile": level, **values} for level, values in zip(levels, quantiles, strict=True)]
    shown = listed[levels.index(MEDIAN)] if MEDIAN in levels else listed[0]
    return {"value": shown["value"], "weight": share, "quantiles": listed}


def _vote(columns: Sequence[FieldWeights], weights: Weights, _: Read) -> dict[str, Any]:
    counted = [column.scalars() for column in columns]
    masses = masses_of(counted)
    share, total = _share(masses, weights), float(masses.sum())
    if not share:
        return {"value": None, "weight": 0.0, "votes": [], "rest_weight": 0.0, "error": None}
    heaviest = find_heaviest(counted, MAX_VOTES)
    ranked = [(-min(1.0, value.weight / total), value.scalar) for value in heaviest]
    ranked.sort(key=lambda vote: (vote[0], json.dumps(vote[1], ensure_ascii=False)))
    votes = [{"value": value, "weight": -negative} for negative, value in ranked[:MAX_VOTES]]
    rest = max(0.0, 1.0 + sum(negative for negative, _ in ranked[:MAX_VOTES]))
    error = share_error(masses, weights.total_variation + sum_error(counted))
    return {"value": ranked[0][1], "weight": share, "votes": votes, "rest_weight": rest, "error": error}


class ValueWeight(NamedTuple):
    """A value of a metadata field, the weight of the documents that have it, and their number."""

    value: EncodedValue
    weight: float
    documents: int

    @property
    def scalar(self) -> Scalar:
        """The value as JSON; 1 and 1.0 are one value, which is named 1, however documents write it."""
        scalar = decode_scalar(*self.value)
        return int(scalar) if isinstance(scalar, float) and -(2**63) <= scalar < 2**63 and scalar % 1 == 0 else scalar


def find_heaviest(columns: Sequence[FieldWeights], n: int) -> list[ValueWeight]:
    """Return the n values of a metadata field that have the most weight, each with its weight above 0.

    All values that tie with the last of them are included, and all values that occur only in the smaller parts.

    Args:
        columns: the parts of the column, at least one, the largest first.
        n: the number of values.
    """
    first, *smaller = columns
    distinct, masses, counts = first.column.field.distinct, first.masses.copy(), first.counts.copy()
    of_smaller_parts: dict[EncodedValue, ValueWeight] = {}
    for column in smaller:  # these parts are far smaller than the first
        values = column.column.field.distinct
        for code in np.flatnonzero(column.counts).tolist():
            value, weight, count = values.value(code), float(column.masses[code]), int(column.counts[code])
            codes = distinct.equal(value)
            if codes.stop > codes.start:
                masses[codes.start] += weight
                counts[codes.start] += count
            else:
                before = of_smaller_parts.get(value, ValueWeight(value, 0.0, 0))
                of_smaller_parts[value] = ValueWeight(value, before.weight + weight, before.documents + count)
    least = np.partition(masses, -n)[-n] if len(masses) > n else 0.0
    chosen = np.flatnonzero((masses >= least) & (masses > 0)).tolist()
    heaviest = [ValueWeight(distinct.value(code), float(masses[code]), int(counts[code])) for code in chosen]
    return heaviest + [value for value in of_smaller_parts.values() if value.weight > 0]

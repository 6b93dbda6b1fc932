"""Terms evaluated over documents: the addend of each document, its explanation, and the exact sum of all terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.lookup import AnyMask, Mask, View
from softkv_service.retrieval.terms.bias import FieldTerm, FilterTerm, Recency, Term
from softkv_service.storage.conditions import Column, Condition, Entries

Explanation: TypeAlias = Mapping[str, Any]
"""The explanation of one term for one document, as JSON."""


ORIGINS_CALL, EXPLAIN_CALL = "origins", "explain"
"""Calls to a node: for the results of `find_origins`, and of `LogitTerm.explain`, for its own documents."""


class FieldSource(Protocol):
    """The metadata of the documents of one view in this process."""

    def columns(self, field: str, pointer: str) -> Sequence[Column]:
        """Return a metadata field of every document, in parts by row number; it may include removed documents.

        Raises:
            RetrievalError: the field takes too much memory; the error has this pointer.
        """

    def mask(self, condition: Condition) -> AnyMask:
        """Return the mask of the documents that pass a condition."""


class LogitTerm(Protocol):
    """The protocol of a term: it adds a number, the addend, to the logit of each document."""

    def of(self, rows: I64) -> F64:
        """Return float64[n], the numbers to add to the logits of documents with these rows; −∞ excludes a document."""

    def explain(self, rows: I64) -> list[Explanation]:
        """Return for each document with these row numbers how its addend is computed, as JSON."""


@dataclass(frozen=True, eq=False)
class FieldLogitTerm:
    """A term (a number added to each document's logit) that depends on a metadata field.

    Attributes:
        parts: the parts of the field's column, each with float64[c + 1], the addend of each of its c values; the last
            is that of documents without the field.
    """

    term: FieldTerm
    parts: Sequence[tuple[Entries, F64]]

    @classmethod
    def read(cls, source: FieldSource, documents: I64, term: FieldTerm) -> FieldLogitTerm:
        """Read the field and evaluate the term.

        Args:
            documents: int64[n], all documents; the largest of their numbers is the default origin.

        Raises:
            RetrievalError: the field takes too much memory.
        """
        fields = [column.field for column in source.columns(term.field, "/bias")]
        largest: float = 0
        if isinstance(term, Recency) and term.origin is None:
            largest = _find_largest(fields, documents, dates=term.dates) or 0
        return cls(term, [(entries, _compute_by_value(term, entries, largest)) for entries in fields])

    def of(self, rows: I64) -> F64:
        """Return float64[n], the numbers to add to the logits of documents with these row numbers."""
        result = np.full(len(rows), self.term.missing)
        for entries, addends in self.parts:
            codes = entries.codes_of(rows)
            np.copyto(result, addends[codes], where=codes >= 0)
        return result

    def explain(self, rows: I64) -> list[Explanation]:
        """Return for each document with these row numbers how its addend is computed, as JSON.

        The value is null if the field is missing or a list.
        """
        values: list[Any] = [None] * len(rows)
        for entries, _ in self.parts:
            for i, code in enumerate(entries.codes_of(rows).tolist()):
                values[i] = values[i] if code < 0 else entries.distinct.scalar(code)
        field = f"metadata.{self.term.field}"
        pairs = zip(values, self.of(rows).tolist(), strict=True)
        return [{"of": "bias", "field": field, "value": value, "addend": addend} for value, addend in pairs]


@dataclass(frozen=True, eq=False)
class FilterLogitTerm:
    """A term that adds a number to the logits of documents that pass a condition: the ascending rows int64[r]."""

    addend: float
    passing: I64

    def of(self, rows: I64) -> F64:
        """Return float64[n], the numbers to add to the logits of documents with these row numbers."""
        return np.where(self._passes(rows), self.addend, 0.0)

    def explain(self, rows: I64) -> list[Explanation]:
        """Return for each document with these row numbers how its addend is computed, as JSON."""
        pairs = zip(self._passes(rows).tolist(), self.of(rows).tolist(), strict=True)
        return [{"of": "bias", "passes": passes, "addend": addend} for passes, addend in pairs]

    def _passes(self, rows: I64) -> Any:
        return np.isin(rows, self.passing, assume_unique=True)


def evaluate_terms(source: FieldSource, view: View, documents: I64, terms: Sequence[Term]) -> list[LogitTerm]:
    """Evaluate terms over documents: each of the results has the number that a term adds to each document's logit.

    Args:
        source: the metadata of the documents.
        view: the keys of the documents.
        documents: int64[n], ascending.
        terms: the terms that were sent.

    Raises:
        RetrievalError: a field takes too much memory.
    """
    return [
        FilterLogitTerm(term.addend, find_documents(view, source.mask(term.condition)))
        if isinstance(term, FilterTerm)
        else FieldLogitTerm.read(source, documents, term)
        for term in terms
    ]


def find_documents(view: View, mask: AnyMask | None) -> I64:
    """Return int64[n], the ascending row numbers of the documents in a view that pass a mask; None passes all."""
    batches = [np.empty(0, dtype=np.int64)]
    assert mask is None or isinstance(mask, Mask)
    for segment, passes in view.passing(mask):
        begins = segment.owners == segment.numbers
        batches.append(segment.numbers[begins if passes is None else begins & passes])
    return np.sort(np.concatenate(batches))


def find_origins(source: FieldSource, documents: I64, terms: Sequence[Term]) -> list[float | None]:
    """Return for each recency term without an origin the largest number of its field, which is then its origin.

    For a term of dates this is the latest date, in microseconds of Unix time. A recency term prefers documents near
    the origin. None stands for every other term, and for a field without numbers or dates.

    Args:
        source: the metadata of the documents.
        documents: int64[n], the documents to consider.
        terms: the terms that were sent.
    """
    return [
        _find_largest([column.field for column in source.columns(term.field, "/bias")], documents, dates=term.dates)
        if isinstance(term, Recency) and term.origin is None
        else None
        for term in terms
    ]


def _find_largest(fields: Sequence[Entries], documents: I64, *, dates: bool) -> float | None:
    """Return the largest number, or the latest date, that a field has in these documents; None without any."""
    if dates:
        return max(
            (latest for entries in fields if (latest := _find_latest(entries, documents)) is not None), default=None
        )
    largest = -np.inf
    for entries in fields:
        codes = entries.codes_of(documents)
        numbers = entries.distinct.numbers()[codes[codes >= 0]]
        largest = max(largest, float(np.fmax.reduce(numbers, initial=-np.inf)))
    return largest if largest > -np.inf else None


def _find_latest(entries: Entries, documents: I64) -> int | None:
    codes, dates = entries.codes_of(documents), entries.distinct.dates
    occurs = np.zeros(len(entries.distinct), dtype=np.bool_)
    occurs[codes[codes >= 0]] = True
    instants = dates.instants[occurs[dates.codes]]
    return int(instants[-1]) if len(instants) else None


def _compute_by_value(term: FieldTerm, entries: Entries, largest: float) -> F64:
    addends = term.of(entries.distinct, largest)
    return np.append(np.where(np.isnan(addends), term.missing, addends), term.missing)


@dataclass(frozen=True, eq=False)
class TermSum:
    """The sum of all terms of each document, in three parts with about three times the digits of float64.

    A term is a number that is added to a document's logit.

    Attributes:
        documents: int64[n], ascending.
        parts: float64[3, n], the rounded sum, its rounding error, and the rounding error of that error.
    """

    documents: I64
    parts: F64

    @property
    def amounts(self) -> F64:
        """float64[n], the sum of each document, rounded once; −∞ excludes a document."""
        total, first, last = self.parts
        return np.asarray(total + (first + last))

    @property
    def forbidden(self) -> I64:
        """int64[r], the documents whose sum is −∞."""
        return np.asarray(self.documents[np.isneginf(self.parts[0])])

    def amounts_with(self, documents: I64, addends: F64) -> F64:
        """Return float64[n], the sum of each document with one more term, rounded once.

        Args:
            documents: int64[r], ascending; those without a sum are ignored.
            addends: float64[r], the new term of these documents; it is 0 for all others.
        """
        is_known = np.isin(documents, self.documents, assume_unique=True)
        indices, amounts = np.searchsorted(self.documents, documents[is_known]), self.amounts
        total, first, last = _add_term(self.parts[:, indices], addends[is_known])
        amounts[indices] = total + (first + last)
        return amounts


def sum_terms(documents: I64, terms: Sequence[LogitTerm]) -> TermSum:
    """Return the sum of the terms of each of the documents int64[n], which ascend."""
    parts = np.zeros((3, len(documents)))
    for term in terms:
        parts = _add_term(parts, term.of(documents))
    # Sum the three parts again: if terms cancel, the remainder may lie in the last part.
    total, first = _two_sum(parts[0], parts[1])
    first, last = _two_sum(first, parts[2])
    return TermSum(documents, np.stack([total, first, last]))


def _add_term(parts: F64, addend: F64) -> F64:
    """Add a term to a sum in three parts, and return the new sum float64[3, n].

    The parts are the rounded sum, its rounding error, and the rounding error of that error.
    """
    total, error = _two_sum(parts[0], addend)
    first, error = _two_sum(parts[1], error)
    return np.stack([total, first, parts[2] + error])


def _two_sum(total: F64, addend: F64) -> tuple[F64, F64]:
    """Return the sum and its rounding error (Knuth 1969), so that terms that cancel leave an exact remainder.

    −∞ stays −∞, without an error.
    """
    with np.errstate(invalid="ignore"):
        result = total + addend
        difference = result - total
        error = (total - (result - difference)) + (addend - difference)
    return result, np.where(np.isfinite(result), error, 0.0)

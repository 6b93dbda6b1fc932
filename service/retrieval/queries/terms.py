"""Terms that are added to the logits of documents: full-text ranks, and a bias on their metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np

from attention.arrays import F64, I64
from attention.lookup import AnyMask, Bias, Mask, View
from service.retrieval.collections import Snapshot
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.bias import FieldTerm, FilterTerm, Recency, Term, clip_addends, parse_bias
from service.storage import Entries

MAX_WORDS, MAX_QUERY_CHARACTERS = 500, 10_000
"""Limits of a query that is ranked in full text: the time grows with its words, even those that no document has."""

Explanation: TypeAlias = Mapping[str, Any]
"""The explanation of one term for one document, as JSON."""


@dataclass(frozen=True, eq=False)
class FullTextTerm:
    """A term whose addend is a weight times the full-text rank of the document.

    Attributes:
        rows: int64[r], the ascending rows of documents that contain a word of the query.
        ranks: float64[r].
    """

    weight: float
    ranking: str
    rows: I64
    ranks: F64

    def of(self, rows: I64) -> F64:
        """Return float64[n], the addends for documents with these row numbers."""
        with np.errstate(over="ignore"):
            return clip_addends(self.weight * self._ranks_of(rows))

    def explain(self, rows: I64) -> list[Explanation]:
        """Return an explanation of the addend of each document with these row numbers."""
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
        self._found: dict[str, tuple[str, I64, F64]] = {}

    def find(self, snapshot: Snapshot, texts: Iterable[str]) -> None:
        """Rank the documents of a snapshot for these texts."""
        if snapshot.local_view is not None:
            self._found = {text: _rank(snapshot, text) for text in dict.fromkeys(texts)}
            self._version = snapshot.version

    def of(self, snapshot: Snapshot, text: str) -> tuple[str, I64, F64]:
        """Return the ranking's name, row numbers int64[r] and ranks float64[r]; recompute for another version."""
        cached = self._found.get(text) if snapshot.version == self._version else None
        return _rank(snapshot, text) if cached is None else cached


def _rank(snapshot: Snapshot, text: str) -> tuple[str, I64, F64]:
    search = snapshot.reader.search(snapshot.record.id)
    return search.ranking, *search.ranks(text)


def check_words(queries: Sequence[Any]) -> None:
    """Raise InvalidContent if a query is a vector, or has too many words to rank."""
    if not all(isinstance(query, str) for query in queries):
        raise InvalidContent.at(
            "/full_text", "a vector has no words: send each query as a text, or leave full_text out"
        )
    for query in queries:
        if not fits_full_text(query):
            raise InvalidContent.at(
                "/full_text",
                f"a query of {len(query.split()):,} words and {len(query):,} characters came, full text takes at most "
                f"{MAX_WORDS:,} and {MAX_QUERY_CHARACTERS:,}: send a shorter one, or leave full_text out",
            )


def fits_full_text(text: str) -> bool:
    """Return whether a text is short enough to be ranked in full text."""
    return len(text) <= MAX_QUERY_CHARACTERS and len(text.split()) <= MAX_WORDS


class LogitTerm(Protocol):
    """The protocol of a term that is added to the logits of documents."""

    def of(self, rows: I64) -> F64:
        """Return float64[n], the addends for documents with these row numbers; −∞ excludes a document."""

    def explain(self, rows: I64) -> list[Explanation]:
        """Return an explanation of the addend of each document with these row numbers, as JSON."""


@dataclass(frozen=True, eq=False)
class FieldLogitTerm:
    """A term that depends on a metadata field.

    Attributes:
        parts: the field's values, and float64[c + 1], the addend of each; the last is that of documents without the
            field.
    """

    term: FieldTerm
    parts: Sequence[tuple[Entries, F64]]

    @classmethod
    def read(cls, snapshot: Snapshot, term: FieldTerm) -> FieldLogitTerm:
        """Read the field and evaluate the term; raise InvalidContent if the field is too large."""
        fields = [column.field for column in snapshot.columns(term.field, "/bias")]
        largest = 0.0
        if isinstance(term, Recency) and term.origin is None:
            largest = _find_largest(fields, list_documents(snapshot))
        return cls(term, [(entries, _compute_by_value(term, entries, largest)) for entries in fields])

    def of(self, rows: I64) -> F64:
        """Return float64[n], the addends for documents with these row numbers."""
        result = np.full(len(rows), self.term.missing)
        for entries, addends in self.parts:
            codes = entries.codes_of(rows)
            np.copyto(result, addends[codes], where=codes >= 0)
        return result

    def explain(self, rows: I64) -> list[Explanation]:
        """Return an explanation of the addend of each document with these row numbers.

        Its value is null if the field is missing or a list.
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
    """A term for documents that pass a condition: the ascending rows int64[r]."""

    addend: float
    passing: I64

    def of(self, rows: I64) -> F64:
        """Return float64[n], the addends for documents with these row numbers."""
        return np.where(self._passes(rows), self.addend, 0.0)

    def explain(self, rows: I64) -> list[Explanation]:
        """Return an explanation of the addend of each document with these row numbers."""
        pairs = zip(self._passes(rows).tolist(), self.of(rows).tolist(), strict=True)
        return [{"of": "bias", "passes": passes, "addend": addend} for passes, addend in pairs]

    def _passes(self, rows: I64) -> Any:
        return np.isin(rows, self.passing, assume_unique=True)


@dataclass(frozen=True, eq=False)
class LogitTerms:
    """All terms that are added to the logits of a view's documents, for one query.

    Attributes:
        words: the full-text term; None without one.
        of_terms: returns the terms of the bias, in order; they are read only to explain a result.
        bias: the sum of all terms.
    """

    words: FullTextTerm | None
    of_terms: Callable[[], Sequence[LogitTerm]]
    bias: Bias

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Explain each of these documents: a list with one explanation per term."""
        addends = [*([] if self.words is None else [self.words]), *self.of_terms()]
        return [list(lines) for lines in zip(*(term.explain(rows) for term in addends), strict=True)]

    def count_containing(self, mask: AnyMask | None) -> int:
        """Count the documents that pass the mask and contain a word of the query."""
        assert mask is None or isinstance(mask, Mask)  # the view of terms is local
        mask_of_words = self.bias.view.mask(np.empty(0, dtype=np.int64) if self.words is None else self.words.rows)
        for other in (mask, self.bias.mask):
            mask_of_words = mask_of_words if other is None else mask_of_words & other
        return mask_of_words.documents


TermsBuilder: TypeAlias = Callable[[Snapshot], Sequence[LogitTerms | None]]
"""Builds the terms of each query of a request, for any version of the collection; raises RetrievalError."""


def build_terms(
    queries: Sequence[Any],
    full_text: float | None,
    bias: Any,
    temperature: Any = None,
    normaliser: str = "softmax",
    ranked: RankCache | None = None,
) -> TermsBuilder:
    """Return a function that builds the terms of each query for a snapshot; None for a query without terms.

    Equal terms share one object.

    Args:
        queries: texts, or vectors [d].
        full_text: the weight of their words; None or 0 for no full text.
        bias: the bias as it was sent.
        temperature, normaliser: as they were sent.
        ranked: the full-text ranks that were computed before.

    Raises:
        InvalidContent: an invalid bias, full text of a vector, or options that allow no terms.
    """
    terms, weight = parse_bias(bias), full_text or 0.0
    if not terms and not weight:
        return lambda snapshot: [None] * len(queries)
    name = "full_text" if weight else "bias"
    if weight:
        check_words(queries)
    if temperature == "auto":
        reason = f'temperature "auto" is not for a question with {name}, whose weights need not spread as it rises'
        raise InvalidContent.at("/temperature", f"{reason}: give a number")
    if normaliser != "softmax":
        raise InvalidContent.at("/normaliser", f"{name} is for softmax, got {normaliser}: leave one of the two out")
    texts, cache = queries if weight else [None] * len(queries), RankCache() if ranked is None else ranked

    def build(snapshot: Snapshot) -> list[LogitTerms]:
        if snapshot.local_view is None:
            reason = (
                f"{name} is not for a collection whose keys lie in slots: leave it out, or keep them in one process"
            )
            raise InvalidContent.at(f"/{name}", reason)
        return [
            snapshot.once((weight, text, terms), partial(_build_query_terms, snapshot, weight, text, terms, cache))
            for text in texts
        ]

    return build


def list_documents(snapshot: Snapshot) -> I64:
    """Return int64[n], the ascending row numbers of all documents of the view."""
    return snapshot.lasting("documents", lambda: _find_documents(_local_view(snapshot), None))


def _local_view(snapshot: Snapshot) -> View:
    """Return the view of a snapshot whose rows are in this process, which was checked before."""
    assert snapshot.local_view is not None
    return snapshot.local_view


def _find_documents(view: View, mask: AnyMask | None) -> I64:
    batches = [np.empty(0, dtype=np.int64)]
    assert mask is None or isinstance(mask, Mask)
    for segment, passes in view.passing(mask):
        begins = segment.owners == segment.numbers
        batches.append(segment.numbers[begins if passes is None else begins & passes])
    return np.sort(np.concatenate(batches))


@dataclass(frozen=True, eq=False)
class _TermSum:
    """The sum of the terms of each document, float64[n].

    Beside it are the rounding errors of the sum, and both as a bias for the lookup.
    """

    total: F64
    lost: tuple[F64, F64]
    bias: Bias


def _build_query_terms(
    snapshot: Snapshot, weight: float, text: str | None, terms: Sequence[Term], ranked: RankCache
) -> LogitTerms:
    of_terms = partial(_evaluate_terms, snapshot, terms)
    if text is None:
        return LogitTerms(None, of_terms, snapshot.lasting(terms, lambda: _sum_terms(snapshot, of_terms())).bias)
    words = FullTextTerm(weight, *ranked.of(snapshot, text))
    if not terms:
        return LogitTerms(words, of_terms, Bias.of(_local_view(snapshot), words.rows, words.of(words.rows)))
    summed, documents = snapshot.lasting(terms, lambda: _sum_terms(snapshot, of_terms())), list_documents(snapshot)
    total, lost = summed.total.copy(), [part.copy() for part in summed.lost]
    rows = words.rows[np.isin(words.rows, documents, assume_unique=True)]
    indices = np.searchsorted(documents, rows)
    total[indices], lost[0][indices], lost[1][indices] = _add_term(
        total[indices], (lost[0][indices], lost[1][indices]), words.of(rows)
    )
    return LogitTerms(words, of_terms, Bias.of(_local_view(snapshot), documents, total + (lost[0] + lost[1])))


def _evaluate_terms(snapshot: Snapshot, terms: Sequence[Term]) -> Sequence[LogitTerm]:
    """Evaluate the terms, and cache the result in the snapshot for as long as that lives."""
    return snapshot.once(("addends", terms), lambda: [_evaluate_term(snapshot, term) for term in terms])


def _sum_terms(snapshot: Snapshot, addends: Sequence[LogitTerm]) -> _TermSum:
    documents = list_documents(snapshot)
    total, *lost = np.zeros((3, len(documents)))
    for term in addends:
        total, *lost = _add_term(total, lost, term.of(documents))
    # Sum the three parts again: if terms cancel, the remainder may lie in the last part.
    total, first = _two_sum(total, lost[0])
    first, last = _two_sum(first, lost[1])
    return _TermSum(total, (first, last), Bias.of(_local_view(snapshot), documents, total + (first + last)))


def _add_term(total: F64, lost: Sequence[F64], addend: F64) -> tuple[F64, F64, F64]:
    """Return the sum, its rounding error, and the rounding error of that error.

    Together they have about three times the digits of float64.
    """
    total, more = _two_sum(total, addend)
    first, more = _two_sum(lost[0], more)
    return total, first, lost[1] + more


def _two_sum(total: F64, addend: F64) -> tuple[F64, F64]:
    """Return the sum and its rounding error (Knuth 1969), so that terms that cancel leave an exact remainder.

    −∞ stays −∞, without an error.
    """
    with np.errstate(invalid="ignore"):
        result = total + addend
        difference = result - total
        lost = (total - (result - difference)) + (addend - difference)
    return result, np.where(np.isfinite(result), lost, 0.0)


def _evaluate_term(snapshot: Snapshot, term: Term) -> LogitTerm:
    if isinstance(term, FilterTerm):
        return FilterLogitTerm(term.addend, _find_documents(_local_view(snapshot), snapshot.mask(term.condition)))
    return FieldLogitTerm.read(snapshot, term)


def _compute_by_value(term: FieldTerm, entries: Entries, largest: float) -> F64:
    addends = term.of(entries.distinct, largest)
    return np.append(np.where(np.isnan(addends), term.missing, addends), term.missing)


def _find_largest(fields: Sequence[Entries], documents: I64) -> float:
    """Return the largest number among the documents; 0 without numbers."""
    largest = -np.inf
    for entries in fields:
        codes = entries.codes_of(documents)
        numbers = entries.distinct.numbers()[codes[codes >= 0]]
        largest = max(largest, float(np.fmax.reduce(numbers, initial=-np.inf)))
    return largest if largest > -np.inf else 0.0

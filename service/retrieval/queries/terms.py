"""Terms that are added to the logits of documents: full-text ranks, and a bias on their metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup import Bias, Mask, RemoteView, View
from service.retrieval.collections import Snapshot
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.bias import FieldTerm, FilterTerm, Recency, Term, clip_addends, parse_bias
from service.storage import Entries

MAX_WORDS, MAX_QUERY_CHARACTERS = 500, 10_000
"""Of a query whose words are ranked: full text takes as long as there are words, whether documents hold them or not."""

Explanation: TypeAlias = Mapping[str, Any]
"""What one addend of one document is made of, as JSON."""


@dataclass(frozen=True, eq=False)
class FullTextTerm:
    """A weight times how a document ranks in full text.

    Attributes:
        rows: int64[r], the documents that hold a word of the question, ascending.
        ranks: float64[r].
    """

    weight: float
    ranking: str
    rows: I64
    ranks: F64

    def of(self, rows: I64) -> F64:
        """See `Addend`."""
        with np.errstate(over="ignore"):
            return clip_addends(self.weight * self._ranks_of(rows))

    def told(self, rows: I64) -> list[Explanation]:
        """See `Addend`."""
        both = zip(self._ranks_of(rows).tolist(), self.of(rows).tolist(), strict=True)
        return [{"of": "full_text", "rank": rank, "addend": addend} for rank, addend in both]

    def _ranks_of(self, rows: I64) -> F64:
        if not len(self.rows):
            return np.zeros(len(rows))
        places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[places] == rows, self.ranks[places], 0.0)


class RankCache:
    """How documents rank for some texts, found ahead of the scan: full text may take longer than many of these."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._found: dict[str, tuple[str, I64, F64]] = {}

    def find(self, snapshot: Snapshot, texts: Iterable[str]) -> None:
        """Rank the documents that a snapshot has."""
        if not isinstance(snapshot.view, RemoteView):
            self._found = {text: _rank(snapshot, text) for text in dict.fromkeys(texts)}
            self._version = snapshot.version

    def of(self, snapshot: Snapshot, text: str) -> tuple[str, I64, F64]:
        """The ranking, row numbers int64[r] and ranks float64[r]; asked once more of another version."""
        known = self._found.get(text) if snapshot.version == self._version else None
        return _rank(snapshot, text) if known is None else known


def _rank(snapshot: Snapshot, text: str) -> tuple[str, I64, F64]:
    search = snapshot.reader.search(snapshot.record.id)
    return search.ranking, *search.ranks(text)


def check_words(queries: Sequence[Any]) -> None:
    """Refuse words of a vector, and more of them than are ranked in the time of some scans."""
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
    """Whether a text is short enough to have its words ranked."""
    return len(text) <= MAX_QUERY_CHARACTERS and len(text.split()) <= MAX_WORDS


class LogitTerm(Protocol):
    """One thing that is added."""

    def of(self, rows: I64) -> F64:
        """float64[n], to the documents of these row numbers; −∞ forbids one."""

    def told(self, rows: I64) -> list[Explanation]:
        """How that comes about, for each of them."""


@dataclass(frozen=True, eq=False)
class FieldLogitTerm:
    """What a field of the metadata adds.

    Attributes:
        parts: its values, and float64[c + 1], the addend of each and last the one of documents that have none.
    """

    term: FieldTerm
    parts: Sequence[tuple[Entries, F64]]

    @classmethod
    def read(cls, snapshot: Snapshot, term: FieldTerm) -> FieldLogitTerm:
        """Raises InvalidContent where the field is too large."""
        fields = [column.field for column in snapshot.columns(term.field, "/bias")]
        largest = 0.0
        if isinstance(term, Recency) and term.origin is None:
            largest = _find_largest(fields, list_documents(snapshot))
        return cls(term, [(each, _compute_by_value(term, each, largest)) for each in fields])

    def of(self, rows: I64) -> F64:
        """See `LogitTerm`."""
        found = np.full(len(rows), self.term.missing)
        for entries, addends in self.parts:
            codes = entries.codes_of(rows)
            np.copyto(found, addends[codes], where=codes >= 0)
        return found

    def told(self, rows: I64) -> list[Explanation]:
        """See `LogitTerm`; the value is null where there is none, or a list."""
        values: list[Any] = [None] * len(rows)
        for entries, _ in self.parts:
            for i, code in enumerate(entries.codes_of(rows).tolist()):
                values[i] = values[i] if code < 0 else entries.distinct.scalar(code)
        field = f"metadata.{self.term.field}"
        both = zip(values, self.of(rows).tolist(), strict=True)
        return [{"of": "bias", "field": field, "value": value, "addend": addend} for value, addend in both]


@dataclass(frozen=True, eq=False)
class FilterLogitTerm:
    """What a condition adds to the documents int64[r] that pass it, ascending."""

    addend: float
    passing: I64

    def of(self, rows: I64) -> F64:
        """See `LogitTerm`."""
        return np.where(self._passes(rows), self.addend, 0.0)

    def told(self, rows: I64) -> list[Explanation]:
        """See `LogitTerm`."""
        both = zip(self._passes(rows).tolist(), self.of(rows).tolist(), strict=True)
        return [{"of": "bias", "passes": passes, "addend": addend} for passes, addend in both]

    def _passes(self, rows: I64) -> Any:
        return np.isin(rows, self.passing, assume_unique=True)


@dataclass(frozen=True, eq=False)
class LogitTerms:
    """All that is added to the documents of one view, for one question.

    Attributes:
        words: of full text, where that was asked.
        of_terms: the terms of the bias, in order, as they are read where they are to be told of.
        bias: all of it.
    """

    words: FullTextTerm | None
    of_terms: Callable[[], Sequence[LogitTerm]]
    bias: Bias

    def told(self, rows: I64) -> list[list[Explanation]]:
        """For each of these documents a line for each addend."""
        addends = [*([] if self.words is None else [self.words]), *self.of_terms()]
        return [list(lines) for lines in zip(*(each.told(rows) for each in addends), strict=True)]

    def holding(self, mask: Mask | None) -> int:
        """How many of the documents that may be attended to hold a word of the question."""
        found = self.bias.view.mask(np.empty(0, dtype=np.int64) if self.words is None else self.words.rows)
        for each in (mask, self.bias.mask):
            found = found if each is None else found & each
        return found.documents


TermsBuilder: TypeAlias = Callable[[Snapshot], Sequence[LogitTerms | None]]
"""What is added for each query of a request, on whichever version of the collection; raises RetrievalError."""


def build_terms(
    queries: Sequence[Any],
    full_text: float | None,
    bias: Any,
    temperature: Any = None,
    normaliser: str = "softmax",
    ranked: RankCache | None = None,
) -> TermsBuilder:
    """What is to be added for each of the queries, None for nothing; equal for equal terms.

    Args:
        queries: texts, or vectors [d].
        full_text: the weight of their words; None or 0 for nothing.
        bias: as it is sent.
        temperature, normaliser: as they are sent.
        ranked: how documents rank, as far as that is known by then.

    Raises:
        InvalidContent: terms that say nothing, words of a vector, or what no bias is for.
    """
    terms, weight = parse_bias(bias), full_text or 0.0
    if not terms and not weight:
        return lambda snapshot: [None] * len(queries)
    name = "full_text" if weight else "bias"
    if weight:
        check_words(queries)
    if temperature == "auto":
        what = f'temperature "auto" is not for a question with {name}, whose weights need not spread as it rises'
        raise InvalidContent.at("/temperature", f"{what}: give a number")
    if normaliser != "softmax":
        raise InvalidContent.at("/normaliser", f"{name} is for softmax, got {normaliser}: leave one of the two out")
    texts, known = queries if weight else [None] * len(queries), RankCache() if ranked is None else ranked

    def adding(snapshot: Snapshot) -> list[LogitTerms]:
        if isinstance(snapshot.view, RemoteView):
            what = f"{name} is not for a collection whose keys lie in slots: leave it out, or keep them in one process"
            raise InvalidContent.at(f"/{name}", what)
        return [
            snapshot.once((weight, text, terms), partial(_build_query_terms, snapshot, weight, text, terms, known))
            for text in texts
        ]

    return adding


def list_documents(snapshot: Snapshot) -> I64:
    """int64[n], the row numbers of all documents of its view, ascending."""
    return snapshot.lasting("documents", lambda: _find_documents(snapshot.view, None))


def _find_documents(view: View, mask: Mask | None) -> I64:
    found = [np.empty(0, dtype=np.int64)]
    for segment, passes in view.passing(mask):
        begins = segment.owners == segment.numbers
        found.append(segment.numbers[begins if passes is None else begins & passes])
    return np.sort(np.concatenate(found))


@dataclass(frozen=True, eq=False)
class _TermSum:
    """What terms add to each document of a view: the sum float64[n], what rounding took of it, and both as a bias."""

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
        return LogitTerms(words, of_terms, Bias.of(snapshot.view, words.rows, words.of(words.rows)))
    summed, documents = snapshot.lasting(terms, lambda: _sum_terms(snapshot, of_terms())), list_documents(snapshot)
    total, lost = summed.total.copy(), [each.copy() for each in summed.lost]
    held = words.rows[np.isin(words.rows, documents, assume_unique=True)]
    at = np.searchsorted(documents, held)
    total[at], lost[0][at], lost[1][at] = _add_term(total[at], (lost[0][at], lost[1][at]), words.of(held))
    return LogitTerms(words, of_terms, Bias.of(snapshot.view, documents, total + (lost[0] + lost[1])))


def _evaluate_terms(snapshot: Snapshot, terms: Sequence[Term]) -> Sequence[LogitTerm]:
    """The terms as they are read; nothing of that outlives the snapshot."""
    return snapshot.once(("addends", terms), lambda: [_evaluate_term(snapshot, term) for term in terms])


def _sum_terms(snapshot: Snapshot, addends: Sequence[LogitTerm]) -> _TermSum:
    documents = list_documents(snapshot)
    total, *lost = np.zeros((3, len(documents)))
    for each in addends:
        total, *lost = _add_term(total, lost, each.of(documents))
    # Another sum of three: what is left of terms that cancel may lie in the last of them.
    total, kept = _two_sum(total, lost[0])
    kept, last = _two_sum(kept, lost[1])
    return _TermSum(total, (kept, last), Bias.of(snapshot.view, documents, total + (kept + last)))


def _add_term(total: F64, lost: Sequence[F64], addend: F64) -> tuple[F64, F64, F64]:
    """The sum, what rounding took of it, and what it took of that: together as exact as in three times the digits."""
    total, more = _two_sum(total, addend)
    first, more = _two_sum(lost[0], more)
    return total, first, lost[1] + more


def _two_sum(total: F64, addend: F64) -> tuple[F64, F64]:
    """The sum, and what rounding took of it (Knuth 1969), so that terms which cancel leave what is left of them.

    What is −∞ stays so, and loses nothing.
    """
    with np.errstate(invalid="ignore"):
        found = total + addend
        back = found - total
        lost = (total - (found - back)) + (addend - back)
    return found, np.where(np.isfinite(found), lost, 0.0)


def _evaluate_term(snapshot: Snapshot, term: Term) -> LogitTerm:
    if isinstance(term, FilterTerm):
        return FilterLogitTerm(term.addend, _find_documents(snapshot.view, snapshot.mask(term.condition)))
    return FieldLogitTerm.read(snapshot, term)


def _compute_by_value(term: FieldTerm, entries: Entries, largest: float) -> F64:
    addends = term.of(entries.distinct, largest)
    return np.append(np.where(np.isnan(addends), term.missing, addends), term.missing)


def _find_largest(fields: Sequence[Entries], documents: I64) -> float:
    """The largest number among the documents; 0 where there is none."""
    found = -np.inf
    for entries in fields:
        codes = entries.codes_of(documents)
        numbers = entries.distinct.numbers()[codes[codes >= 0]]
        found = max(found, float(np.fmax.reduce(numbers, initial=-np.inf)))
    return found if found > -np.inf else 0.0

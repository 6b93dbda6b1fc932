"""A consistent view of a collection: settings, keys and rows of one version, with cached masks and metadata columns."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import is_
from threading import Lock
from typing import Any, Protocol, TypeVar

import numpy as np

from softkv_attention.arrays import F32, F64, I64
from softkv_attention.lookup import AnyBias, AnyMask, AnyView, Bias, Filtered, KeySummary, Mask, RowSelection, View
from softkv_service.retrieval.errors import InvalidContent, ValuesPending
from softkv_service.retrieval.terms import (
    Explanation,
    FilterTerm,
    LogitTerm,
    Term,
    TermSum,
    evaluate_terms,
    find_documents,
    sum_terms,
)
from softkv_service.retrieval.verdict import KeyBackground, KeySample
from softkv_service.storage import Reader
from softkv_service.storage.conditions import (
    ALL,
    ORDERING,
    Column,
    Combination,
    Comparison,
    Condition,
    DistinctValues,
    Entries,
    condition_digest,
    parse_condition,
)
from softkv_service.storage.errors import InvalidCondition
from softkv_service.storage.instants import Instant
from softkv_service.storage.records import CollectionRecord, RowNumbers

NO_ROWS: RowNumbers = np.empty(0, dtype=np.int64)
ABSENT = Column(*(Entries(DistinctValues({}), NO_ROWS, np.empty(0, dtype=np.int32)) for _ in range(2)))
"""The column of every field that no document has."""
ABSENT_BYTES = 512  # approximate size of a cached field without a column of its own
MIN_CACHE_BYTES = 2**24  # the columns of a small collection always fit
CACHE_BYTES_PER_DOCUMENT = 256  # limit of all columns of a large collection: a sixth of its keys at width 384
PART_RATIO = 8  # each part holds at least 8 times the documents of the next one, so there are few parts


class ColumnReader(Protocol):
    """The methods of a store's reader that are needed to evaluate filters."""

    def column(self, collection: int, field: str, *, after: int = 0, most_bytes: int | None = None) -> Column | None:
        """Return a field of the documents with row numbers above `after`; None if it takes more than `most_bytes`."""

    def rows_where(self, collection: int, condition: Condition | None = None) -> RowNumbers:
        """Return the ascending row numbers int64[n] of the documents that pass."""


@dataclass(frozen=True)
class Source:
    """A collection as one reader of the store sees it.

    Attributes:
        collection: the number of the collection in the store.
        version: the number of writes so far; a higher version is newer.
        view: a view of the collection's keys; compaction changes the view, but not the version.
    """

    collection: int
    version: int
    view: View
    reader: ColumnReader


@dataclass(frozen=True)
class _ColumnPart:
    """A part of a cached column of metadata: the rows after those of the previous part, up to `last`.

    Attributes:
        last: the number of its last row.
        documents: the number of documents that these rows belong to.
    """

    column: Column
    last: int
    documents: int


@dataclass(frozen=True)
class _CachedColumn:
    """A cached metadata field (column), as of the version at which it was last read.

    Readers of later versions may use it, readers of earlier versions may not. It may contain rows that were removed
    since, which a view ignores.
    """

    parts: tuple[_ColumnPart, ...]
    version: int

    @property
    def nbytes(self) -> int:
        return sum(ABSENT_BYTES if part.column is ABSENT else part.column.nbytes for part in self.parts)


class Columns:
    """A cache of metadata columns, safe for many threads.

    It reads a column at the first request, and later only the rows that were written since. If all columns together
    exceed their limit, the least recently used ones are dropped.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[str, _CachedColumn] = OrderedDict()
        self._sizes: dict[str, int] = {}  # bytes of each held column
        self._bytes = 0  # their sum
        self._too_large: set[str] = set()

    def of(self, field: str, source: Source, first: int = 0, *, cached_only: bool = False) -> list[Column] | None:
        """Return a metadata field of every document in the source, in parts by row number.

        Return None if the caller has to use SQL instead, because the field is too large to cache or a newer version was
        already read.

        Args:
            field: the name of the field.
            source: the version of the collection.
            first: begin at this row number; the first part may begin before it.
            cached_only: return None for a field of which no row was read yet.
        """
        with self._lock:
            cached = self._held.get(field)
            if field in self._too_large or (cached is not None and source.version < cached.version):
                return None
            if cached is not None:
                self._hold(field, cached)
            elif cached_only:
                return None
        if cached is None or _last_row(source.view) > cached.parts[-1].last:
            cached = self._read(field, cached, source)
        return None if cached is None else [part.column for part in cached.parts if part.last >= first]

    def _read(self, field: str, before: _CachedColumn | None, source: Source) -> _CachedColumn | None:
        max_bytes = max(MIN_CACHE_BYTES, CACHE_BYTES_PER_DOCUMENT * source.view.n)
        parts = list(before.parts) if before else []
        if sum(part.documents for part in parts) > 2 * source.view.n + 1000:
            parts = []  # most of these rows were removed since
        while parts and PART_RATIO * _count_above(source.view, parts[-1].last) >= parts[-1].documents:
            parts.pop()
        after = parts[-1].last if parts else 0
        column = source.reader.column(source.collection, field, after=after, most_bytes=max_bytes)
        cached = None
        if column is not None:
            last = _last_row(source.view)  # a store that is read at a version may return rows that were added later
            column = column.until(last) if len(column.present) or len(column.elements.rows) else ABSENT
            parts.append(_ColumnPart(column, last, _count_above(source.view, after)))
            cached = _CachedColumn(tuple(parts), source.version)
        return self._keep(field, cached, max_bytes)

    def _keep(self, field: str, cached: _CachedColumn | None, max_bytes: int) -> _CachedColumn | None:
        with self._lock:
            if cached is None or cached.nbytes > max_bytes:
                if self._held.pop(field, None) is not None:
                    self._bytes -= self._sizes.pop(field)
                self._too_large.add(field)
                return None
            existing = self._held.get(field)
            if existing is None or existing.version <= cached.version:
                self._hold(field, cached)
            while self._bytes > max_bytes:
                dropped, _ = self._held.popitem(last=False)
                self._bytes -= self._sizes.pop(dropped)
            return cached

    def _hold(self, field: str, cached: _CachedColumn) -> None:
        """Hold a column as the one that was used last. The caller has the lock."""
        self._held[field] = cached
        self._held.move_to_end(field)
        size = cached.nbytes  # a column that is held already may have grown, by its dates
        self._bytes += size - self._sizes.get(field, 0)
        self._sizes[field] = size


def _last_row(view: View) -> int:
    return max((int(segment.numbers[-1]) for segment in view.segments), default=0)


def _count_above(view: View, row: int) -> int:
    """Count the rows of the view with a higher number, including removed rows that are not compacted yet."""
    indices = (np.searchsorted(segment.numbers, row, side="right") for segment in view.segments)
    return sum(segment.count - int(index) for segment, index in zip(view.segments, indices, strict=True))


T = TypeVar("T")

MAX_SHARED_COST = 2**18
"""The cost up to which a filter is evaluated in a batch that other callers share."""
MAX_SHARED_COMPONENTS = 2**24
"""The most components of keys that an exact answer reads in a batch that other callers share: some 20 milliseconds."""
MAX_LIGHT_COST = 2**13
"""The cost up to which a filter is evaluated by the event loop: some tenths of a millisecond."""
COMPARISON_DOCUMENTS = 1000
MAX_CACHED_COMPARISONS = 64
"""The most comparisons that a shared batch evaluates for the rows of new documents."""


class MaskError(Exception):
    """Base class of the reasons for which a filter is not evaluated."""


class CostlyFilter(MaskError):
    """A filter, or an exact answer about what passes it, takes too long for a batch that other callers share."""


class CallerGone(MaskError):
    """The caller has gone, so the mask of its filter is not needed."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The callers of a filter.

    Attributes:
        max_cost: the cost from which on a filter raises CostlyFilter, because other callers wait. The cost is the
            number of its comparisons times that of the documents, and COMPARISON_DOCUMENTS more for each comparison.
        gone: return whether the caller has gone. The evaluation then ends with CallerGone.
    """

    max_cost: float = math.inf
    gone: Callable[[], bool] = bool

    def check_cost(self, condition: Condition, documents: int) -> None:
        """Raise CostlyFilter if other callers would wait long for a filter of a collection of this many documents."""
        if condition.comparisons * (documents + COMPARISON_DOCUMENTS) > self.max_cost:
            raise CostlyFilter

    def check_reading(self, components: int) -> None:
        """Raise CostlyFilter if other callers would wait long for an exact answer that reads these components."""
        if self.shared and components > MAX_SHARED_COMPONENTS:
            raise CostlyFilter

    def check_caller(self) -> None:
        """Raise CallerGone if the caller has gone."""
        if self.gone():
            raise CallerGone

    @property
    def shared(self) -> bool:
        """Whether other callers wait."""
        return self.max_cost < math.inf


ALONE, SHARED, LIGHT = Evaluation(), Evaluation(MAX_SHARED_COST), Evaluation(MAX_LIGHT_COST)
MAX_MASK_BYTES = 2**26
MAX_MASKS = 256
MAX_DERIVED = 5  # values derived from a view besides masks; each may take 20 bytes per document

_OPPOSITE = {"!=": "==", "not in": "in"}


def parse_filter(sent: Any, now: int | None = None) -> Condition | None:
    """Return a filter as a condition for a request; None for None.

    Args:
        sent: the condition that the API has parsed, or a filter in its JSON form.
        now: the start of the request, in microseconds of Unix time, at which relative instants count; None leaves
            them relative, for a filter that is only checked.

    Raises:
        InvalidContent: the filter is invalid; it points at the flaw in the request's `filter`.
    """
    try:
        condition = sent if sent is None or isinstance(sent, Condition) else parse_condition(sent)
    except InvalidCondition as error:
        pointer = f"/filter/{error.pointer}" if error.pointer else "/filter"
        raise InvalidContent.at(pointer, error.message) from None
    return condition if condition is None or now is None else condition.at(now)


@dataclass(frozen=True, eq=False)
class _CachedFilter:
    """The cached result of one filter.

    Attributes:
        filtered: the rows of every block that pass.
        version: the version of the newest source on which the filter was evaluated; the result is not valid for older
            sources.
        mask: the mask of the current view; None if it was not requested yet.
    """

    filtered: Filtered
    version: int
    mask: Mask | None

    @cached_property
    def nbytes(self) -> int:
        """The memory that the cache uses for it, in bytes."""
        return self.filtered.nbytes


class Masks:
    """A cache of the masks of a collection's current view, safe for many threads.

    A row never changes, so after a write a filter is evaluated for new rows only. The least recently used filters are
    dropped if there are more than MAX_MASKS, or if they take more than MAX_MASK_BYTES. A mask of an older view is built
    for its reader and not cached.
    """

    def __init__(self, current: Callable[[], View | None]) -> None:
        self._current = current
        self._columns = Columns()
        self._lock = Lock()
        self._kept: OrderedDict[bytes, _CachedFilter] = OrderedDict()
        self._kept_bytes = 0
        self._made: OrderedDict[Hashable, tuple[AnyView, Any]] = OrderedDict()

    def of(self, source: Source, condition: Condition, name: bytes, evaluation: Evaluation = ALONE) -> Mask:
        """Return the mask of a condition for the source's view; `name` is the digest of the condition.

        A comparison by order with an instant has the same result until the instant passes the date of a document. So
        such conditions share a mask, also where each request has another instant.

        Raises:
            CostlyFilter: other callers wait, and the filter would be evaluated for many documents.
            CallerGone: the caller has gone meanwhile.
        """
        rounded = _round_instants(condition, source, self._columns, cached_only=evaluation.shared)
        if rounded is not condition:
            condition, name = rounded, condition_digest(rounded)
        with self._lock:
            cached = self._kept.get(name)
            if cached is not None and cached.mask is not None and cached.mask.view is source.view:
                self._kept.move_to_end(name)
                return cached.mask
        if cached is None or cached.version > source.version:
            evaluation.check_cost(condition, source.view.documents)
            cached = _CachedFilter(Filtered(), source.version, None)
        elif condition.comparisons > MAX_CACHED_COMPARISONS:
            evaluation.check_cost(condition, source.view.documents)
        spans = cached.filtered.unseen(source.view)
        picked = _evaluate(condition, source, self._columns, spans, evaluation) if spans else RowSelection((), ())
        filtered = cached.filtered.with_more(source.view, picked)
        return self._keep(name, _CachedFilter(filtered, source.version, filtered.mask(source.view)))

    def round_instants(self, condition: Condition, source: Source) -> Condition:
        """Return an equivalent condition, in which an instant that is compared by order is the date of a document.

        Returns the same object if it compares no such instant.
        """
        return _round_instants(condition, source, self._columns)

    def columns(self, field: str, source: Source) -> list[Column] | None:
        """Return a metadata field of every document in the source; None if it has to be read from the store."""
        return self._columns.of(field, source)

    def once(self, view: AnyView, name: Hashable, make: Callable[[], T]) -> T:
        """Return the value of `make`, cached under its name while this view is the current one.

        Args:
            view: the keys from which the value is derived.
            name: the name of the value.
            make: computes the value from the view and its rows.
        """
        with self._lock:
            cached = self._made.get(name)
            if cached is not None and cached[0] is view:
                self._made.move_to_end(name)
                value: T = cached[1]
                return value
        value = make()
        with self._lock:
            if view is self._current():
                self._made[name] = view, value
                self._made.move_to_end(name)
                if len(self._made) > MAX_DERIVED:
                    self._made.popitem(last=False)
        return value

    def forget(self) -> None:
        """Drop the cached values of all views but the current one. This must be called whenever the view changes."""
        with self._lock:
            view = self._current()
            for name, cached in self._kept.items():
                if cached.mask is not None and cached.mask.view is not view:
                    self._kept[name] = replace(cached, mask=None)
            for stale in [name for name, (of, _) in self._made.items() if of is not view]:
                del self._made[stale]

    def _keep(self, name: bytes, new: _CachedFilter) -> Mask:
        assert new.mask is not None
        with self._lock:
            if new.mask.view is not self._current():
                return new.mask
            cached = self._kept.get(name)
            if cached is None or cached.mask is None or cached.mask.view is not new.mask.view:
                self._kept_bytes += new.nbytes - (0 if cached is None else cached.nbytes)
                cached = self._kept[name] = new
            self._kept.move_to_end(name)
            while len(self._kept) > MAX_MASKS or self._kept_bytes > MAX_MASK_BYTES:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
            assert cached.mask is not None
            return cached.mask


def _round_instants(condition: Condition, source: Source, columns: Columns, *, cached_only: bool = False) -> Condition:
    """Return an equivalent condition whose instants are dates of documents, as far as the columns are cached.

    Returns the same object if it compares no instants by order.

    Args:
        cached_only: read no column that is not cached yet.
    """
    if isinstance(condition, Combination):
        operands = [
            _round_instants(operand, source, columns, cached_only=cached_only) for operand in condition.conditions
        ]
        if all(map(is_, operands, condition.conditions)):
            return condition
        return Combination(condition.operator, tuple(operands))
    if condition.operator not in ORDERING or not isinstance(condition.value, Instant):
        return condition
    parts = columns.of(condition.name, source, cached_only=cached_only)
    if parts is None:
        return condition
    dates = [part.field.distinct.dates.instants for part in parts]
    return replace(condition, value=Instant(_nearest(dates, condition.operator, condition.value.absolute)))


def _nearest(dates: Sequence[I64], operator: str, instant: int) -> int:
    """Return the last date up to an instant for `>` and `<=`, or the first date from it on for `>=` and `<`.

    Args:
        dates: int64[m] each, ascending.
        instant: the instant. If there is no such date, the result is before, or after, all dates.
    """
    if operator in (">", "<="):
        indices = [int(np.searchsorted(part, instant, "right")) - 1 for part in dates]
        return max((int(part[i]) for part, i in zip(dates, indices, strict=True) if i >= 0), default=_FIRST)
    indices = [int(np.searchsorted(part, instant, "left")) for part in dates]
    return min((int(part[i]) for part, i in zip(dates, indices, strict=True) if i < len(part)), default=_LAST)


_FIRST, _LAST = -(2**62), 2**62  # instants before and after all dates


def _evaluate(
    condition: Condition, source: Source, columns: Columns, spans: Sequence[I64], evaluation: Evaluation
) -> RowSelection:
    """Return which rows pass a condition; all rows of a document pass, or none."""
    evaluation.check_caller()
    if isinstance(condition, Comparison):
        return _evaluate_comparison(condition, source, columns, spans)
    none_pass = RowSelection.of(spans, np.empty(0, dtype=np.int64))
    result = none_pass if condition.operator == "OR" else ~none_pass
    for operand in condition.conditions:
        picked = _evaluate(operand, source, columns, spans, evaluation)
        result = result | picked if condition.operator == "OR" else result & picked
    return ~result if condition.operator == "NOT" else result


def _evaluate_comparison(
    comparison: Comparison, source: Source, columns: Columns, spans: Sequence[I64]
) -> RowSelection:
    if comparison.operator in _OPPOSITE:
        return ~_evaluate_comparison(
            replace(comparison, operator=_OPPOSITE[comparison.operator]), source, columns, spans
        )
    first = min(int(owners[0]) for owners in spans)
    parts = columns.of(comparison.name, source, first) if comparison.in_metadata else None
    if parts is None:
        return RowSelection.of(spans, source.reader.rows_where(source.collection, comparison))
    picked = RowSelection.of(spans, np.concatenate([part.rows(comparison) for part in parts]))
    if _matches_null(comparison):  # a row without a value matches null
        picked |= ~RowSelection.of(spans, np.concatenate([part.present for part in parts]))
    return picked


def _matches_null(comparison: Comparison) -> bool:
    if comparison.operator == "in":
        return None in comparison.value
    return comparison.operator == "==" and comparison.value is None


MAX_COLUMN_BYTES = 2**30
"""The largest column that is read for one query."""


def describe_large_field(field: str) -> str:
    """Return the error for a metadata field that takes more than MAX_COLUMN_BYTES."""
    return f"the values of metadata.{field} take more than {MAX_COLUMN_BYTES:,} bytes: take a field with shorter ones"


@dataclass(frozen=True)
class Snapshot:
    """A consistent view of a collection at one version: settings, keys and rows. It is valid while its reader is open.

    Documents that have expired at its instant are absent from its view, its reader and its record's counts.

    A restricted snapshot has the keys of all documents in its view, but its reader and masks only those that pass its
    condition. So each question has to be asked with `passing`.

    Attributes:
        missing: a summary of the keys that the view lacks; None if it has all of them.
        expired_until: the last instant at which a document expired, in microseconds of Unix time; None if none has.
        evaluation: the callers that wait for filters of this snapshot.
        waiting: int64[n], ascending, the row numbers of documents whose values are yet to be encoded, perhaps with
            others that the view does not have.
    """

    record: CollectionRecord
    view: AnyView
    reader: Reader
    version: int
    masks: Masks
    sample: KeySample
    missing: KeySummary | None = None
    expired_until: int | None = None
    evaluation: Evaluation = ALONE
    waiting: I64 = field(default_factory=lambda: NO_ROWS)
    _given: dict[bytes, AnyMask] = field(default_factory=dict, init=False, repr=False)
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def restrict(self, condition: Condition | None) -> Snapshot:
        """Return this snapshot for a caller that sees only the documents that pass a condition; None for all of them.

        Calls with the same condition return the same object, so that their queries share a scan.
        """
        if condition is None:
            return self
        name = ("restricted", condition_digest(condition))
        visible = self.reader.visibility.restrict(condition)
        return self.once(name, lambda: replace(self, reader=self.reader.seeing(visible)))

    @cached_property
    def restriction(self) -> Condition | None:
        """The condition that all documents of a restricted snapshot pass; None for all documents."""
        return self.reader.visibility.condition

    def passing(self, condition: Condition | None) -> AnyMask | None:
        """Return the mask of the rows that a question may attend to; None for all.

        Args:
            condition: the condition that the question adds; None for none.

        Raises:
            CostlyFilter: other callers wait, and the snapshot is restricted to many documents, all of which an exact
                answer reads.
        """
        joined = condition if self.restriction is None else self.reader.visibility.joined(condition)
        mask, view = None if joined is None else self._mask(joined), self.local_view
        if view is not None and mask is not None and self.restriction is not None:
            self.evaluation.check_reading(mask.n * (view.dimension or 0))
        return mask

    def require_values(self, mask: AnyMask | None) -> None:
        """Raise ValuesPending if the values of documents that pass a mask are yet to be encoded.

        Args:
            mask: the mask of the rows that a question attends to; None for all.
        """
        view = self.local_view
        if len(self.waiting) and view is not None:
            assert mask is None or isinstance(mask, Mask)
            rows = np.intersect1d(self.waiting, view.document_numbers(mask), assume_unique=True)
            if len(rows):
                raise ValuesPending(self.record.name, rows)

    def mask(self, condition: Condition) -> AnyMask:
        """Return the mask of the rows that pass a condition, and that of a restricted snapshot.

        Calls with the same condition return the same object, so that their queries share a scan.
        """
        joined = self.reader.visibility.joined(condition)
        assert joined is not None
        return self._mask(joined)

    def _mask(self, condition: Condition) -> AnyMask:
        name = condition_digest(condition)
        if name not in self._given:
            self._given[name] = self.masks.of(self._source, condition, name, self.evaluation)
        return self._given[name]

    def build_bias(self, terms: Sequence[Term], sent: Any, addends: tuple[I64, F64] | None) -> AnyBias:
        """Return the bias of a question: what is added to the logits of the documents.

        Args:
            terms: the terms of the documents' metadata.
            sent: these terms as they were sent.
            addends: a further number for some documents: their row numbers int64[r], ascending, and float64[r]. None
                for no further numbers; then there is a term.

        Raises:
            InvalidContent: a field takes too much memory.
        """
        view = self.local_view
        assert view is not None
        if not terms:
            assert addends is not None
            return Bias.of(view, *addends)
        # Equal for requests at other times, so that they share the sum until an instant passes the date of a document.
        terms = tuple(self._round_term(term) for term in terms)

        def sum_of_bias() -> tuple[TermSum, Bias]:
            total = sum_terms(self._documents(view), self._evaluate(view, terms))
            return total, Bias.of(view, total.documents, total.amounts)

        total, bias = self.lasting(terms, sum_of_bias)
        return bias if addends is None else Bias.of(view, total.documents, total.amounts_with(*addends))

    def explain_bias(self, terms: Sequence[Term], sent: Any, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these rows int64[n] what each term of its metadata adds to its logit, as JSON.

        Args:
            terms: the terms of the documents' metadata.
            sent: these terms as they were sent.
            rows: the row numbers of the documents.
        """
        view = self.local_view
        assert view is not None
        evaluated = self._evaluate(view, tuple(self._round_term(term) for term in terms))
        explanations = [term.explain(rows) for term in evaluated]
        return [[lines[i] for lines in explanations] for i in range(len(rows))]

    def _evaluate(self, view: View, terms: Sequence[Term]) -> list[LogitTerm]:
        documents = self._documents
        return self.once(("addends", terms), lambda: evaluate_terms(self, view, documents(view), terms))

    def _documents(self, view: View) -> I64:
        return self.lasting("documents", lambda: find_documents(view, self.passing(None)))

    def _round_term(self, term: Term) -> Term:
        if not isinstance(term, FilterTerm):
            return term
        condition = self.masks.round_instants(term.condition, self._source)
        return (
            term
            if condition is term.condition
            else replace(term, condition=condition, name=condition_digest(condition))
        )

    def columns(self, field: str, pointer: str) -> list[Column]:
        """Return a metadata field of every document, in parts by row number; it may include removed documents.

        Raises:
            InvalidContent: the field takes more than MAX_COLUMN_BYTES; the error has this pointer.
        """
        columns = self.masks.columns(field, self._source)
        return self._read_column(field, pointer) if columns is None else columns

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return the value of `make`, called once per snapshot and name; all callers share the object."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def lasting(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return the value of `make`, which depends only on the view and its rows, and on the restriction.

        Later snapshots of the same view and restriction share the value.
        """
        return self.once(name, lambda: self.masks.once(self.view, self._within(name), make))

    def _within(self, name: Hashable) -> Hashable:
        """Return the name of a value that depends on the restriction, for a cache that several snapshots share."""
        return name if self.restriction is None else (name, condition_digest(self.restriction))

    def _read_column(self, field: str, pointer: str) -> list[Column]:
        column = self.reader.column(self.record.id, field, most_bytes=MAX_COLUMN_BYTES)
        if column is None:
            raise InvalidContent.at(pointer, describe_large_field(field))
        return [column]

    def keys(self, rows: RowNumbers) -> F32:
        """Return float32[n, d], the keys of the view with these row numbers int64[n], in their order.

        Raises:
            DocumentDamaged: a key is damaged in the store.
        """
        view = self.local_view
        return self.reader.keys(self.record.id, rows) if view is None else view.keys_of(rows)

    @property
    def local_view(self) -> View | None:
        """The view of the keys; None if other processes hold its rows."""
        return self.view if isinstance(self.view, View) else None

    @property
    def _source(self) -> Source:
        view = self.local_view
        assert view is not None
        # Masks and columns are cached for all callers and instants, so they are read from all documents.
        return Source(self.record.id, self.version, view, self.reader.seeing(ALL))

    def own(self, condition: Condition | None = None) -> KeyBackground | None:
        """Return how similar the collection's keys are to each other (its own background); None for too few keys.

        For a restricted snapshot, these are the keys of the documents that pass its condition.

        Args:
            condition: the filter of a question, which is compared with a sample of the keys that pass it.
        """
        if self.restriction is None:
            background = self.sample.own(self.record, self.reader, self.state)
        else:
            name, documents = condition_digest(self.restriction), partial(self._documents_passing, self.restriction)
            background = self.sample.part(name, documents, self.record, self.reader, self.state)
        if background is None or condition is None:
            return background
        joined = self.reader.visibility.joined(condition)
        assert joined is not None
        name, documents = condition_digest(joined), partial(self._documents_passing, joined)
        return replace(background, sampled=self.sample.passing(name, documents, self.record, self.reader, self.state))

    def _documents_passing(self, condition: Condition) -> I64:
        """Return the row numbers int64[n] of the documents that pass a condition and have keys."""
        view, mask = self.local_view, self._mask(condition)
        assert view is not None
        assert isinstance(mask, Mask)
        return view.document_numbers(mask)

    @property
    def lasts(self) -> bool:
        """Whether it stays valid: it is of what is in memory, see `Collection.memory_snapshot`."""
        return self.evaluation is LIGHT

    @property
    def state(self) -> tuple[int, int | None]:
        """The version, and the last instant at which a document expired; equal states have the same documents."""
        return self.version, self.expired_until

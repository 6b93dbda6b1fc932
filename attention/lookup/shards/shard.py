"""What answers are made of: rows of one view, or of several parts together, which say little of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attention.dtypes import F64, I64, Index
from attention.lookup.answer import Answer
from attention.lookup.bounds.similarities import Slack
from attention.lookup.codes.moments import Residuals
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.question import Question
from attention.lookup.shards.scan_result import ScanRequest, ScanResult


class Part(Protocol):
    """Rows that are scanned, listed and looked up; they stand at places, counted from 0.

    Attributes:
        facts: of all rows, those that do not pass included.
        method: how similarities are found, see `Certificate`: "exact" where all are in float64.
        in_logits: whether `similarities_at` has logits in place of similarities.
        documents, keys: how many documents pass, and how many rows.
        beyond_memory: whether originals are likely to be on disk.
    """

    method: str
    in_logits: bool
    facts: BlockStatistics
    documents: int
    keys: int
    beyond_memory: bool

    @property
    def value_residuals(self) -> Residuals:
        """What the codes of the values of all these rows leave out together, where their spread is known."""

    def fits(self, query: F64) -> bool:
        """Whether a scan can hold the products of its keys with a query."""

    def asked(self, question: Question) -> Question:
        """The question as it is asked of what these rows are compared by."""

    def restored(self, question: Question, found: Answer) -> Answer:
        """The answer to a question, of what was answered to it as it was asked."""

    def raw(self, query: F64, places: I64) -> Callable[[Index], F64] | None:
        """The similarities of a query and of some of rows at `places`, where `similarities_at` has others; or None."""

    def slack(self, query: F64) -> Slack:
        """How far rounding can carry what `similarities_at` computes."""

    def codes(self, wanted: ScanRequest) -> QueryCodes:
        """The queries in codes."""

    def gather(self, wanted: ScanRequest) -> ScanResult:
        """Scan every row that passes, and look up in float64 the candidates that weigh much."""

    def residuals_at(self, places: I64) -> Residuals:
        """What the codes of the values at `places` leave out together."""

    def similarities_at(self, vectors: F64, places: I64, queries: I64) -> F64:
        """float64[m]: the similarity of query `queries[i]` with the row at `places[i]`, copies of a row alike."""

    def add_values(self, places: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """outputs float64[q, d_v] [query] += weight·value, for every place, its query and its weight."""

    def numbers(self, places: Index) -> I64:
        """The row numbers at `places`, which may stand in any order."""

    def order(self, places: I64) -> I64:
        """int64[m], by which rows at `places` that tie are told apart."""

    def owners(self, places: Index) -> I64:
        """The documents that the rows at `places` are keys of."""

    def key_counts(self, documents: I64) -> I64:
        """int64[m]: how many rows each of the documents int64[m] has; none where it does not pass."""

    def places_of(self, documents: I64) -> I64:
        """Where all rows of some documents, ascending, stand that pass."""

    def alike(self, places: Index) -> bool:
        """Whether the rows at `places`, ascending, hold copies of one key."""

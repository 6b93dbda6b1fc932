"""The protocol of a shard: a range of rows, in this process or in others, with codes or without, merged or biased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attention.dtypes import F64, I64, Index
from attention.lookup.bounds.similarities import Slack
from attention.lookup.codes.moments import Residuals
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.question import Question
from attention.lookup.rescoring.ranking import DocumentGrouping
from attention.lookup.shards.scan_result import ScanRequest, ScanResult


class Shard(Protocol):
    """The rows of a view that a mask lets through, wherever they lie.

    Methods take rows by their places. A place is the index of a row among all rows of the view, masked rows included.
    In a remote shard it is the row number. The exact path reads every row of `rows`, in that order.

    Attributes:
        facts: statistics of all rows of the view, masked rows included.
        method: how similarities are found, see `Certificate`: "exact" if all are in float64.
        in_logits: whether `similarities_at` returns logits instead of similarities.
        documents, keys: how many documents and how many rows pass the mask.
        beyond_memory: whether originals are likely to be on disk.
    """

    method: str
    in_logits: bool
    facts: BlockStatistics
    documents: int
    keys: int
    beyond_memory: bool

    @property
    def term_count(self) -> int:
        """The most numbers that are added one by one in a component of `sum_values`."""

    @property
    def value_residuals(self) -> Residuals:
        """The sum of the residuals of all passing rows' value codes; needs a known value spread."""

    @property
    def rows(self) -> I64:
        """int64[keys], the passing rows; in a remote shard only after `read_similarities`."""

    @property
    def row_order(self) -> I64 | None:
        """int64[keys], the sort key of those `rows` that tie; None for the order in which they stand."""

    @property
    def grouping(self) -> DocumentGrouping | None:
        """The documents of `rows`; None if no document has several keys."""

    # The scan.

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the products of a query and the keys."""

    def raw(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return a function that computes similarities at positions of `rows`; None unless `in_logits`."""

    def slack(self, query: F64) -> Slack:
        """Return how far float64 rounding can move what `similarities_at` computes."""

    def gather(self, request: ScanRequest) -> ScanResult:
        """Scan every passing row, and look up in float64 the candidates that weigh most."""

    # Some rows.

    def residuals_at(self, rows: I64) -> Residuals:
        """Return the sum of the residuals of these rows' value codes."""

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m]: that of query `queries[i]` and row `rows[i]`; copies of a key get equal ones."""

    def add_values(self, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of each row to the output float64[q, d_v] of its query."""

    def numbers(self, rows: Index) -> I64:
        """Return the row numbers, in any order."""

    def order(self, rows: I64) -> I64:
        """Return int64[m], the sort key of rows that tie."""

    def owners(self, rows: Index) -> I64:
        """Return the documents that the rows are keys of."""

    def key_counts(self, documents: I64) -> I64:
        """Return int64[m], how many passing rows each document has; 0 if it does not pass."""

    def rows_of(self, documents: I64) -> I64:
        """Return all passing rows of some documents, which ascend."""

    def alike(self, rows: Index) -> bool:
        """Return whether these rows, which ascend, hold copies of one key."""

    # Every row, for the exact path.

    def read_biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """Return float64[keys] for each question with a bias, the same array for the same bias; None for the others."""

    def read_similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """Return float64[q, keys]. Rows that can be in the head, by similarity or by logit, are summed alike."""

    def recompute(self, question: Question, similarities: F64) -> F64:
        """Return a copy of the similarities float64[keys] in which every one is summed alike."""

    def sum_values(self, weights: F64) -> F64:
        """Return float64[q, d_v], the sum of all values, weighted by float64[q, keys]."""

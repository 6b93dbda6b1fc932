"""The protocol of a shard: a range of rows, in this process or in others, with codes or without, merged or biased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attention.arrays import F64, I64, Index
from attention.lookup.bounds.similarities import Slack
from attention.lookup.codes.moments import Residuals
from attention.lookup.limits import Limits
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
        limits: the limits of the view, see `Limits`.
        method: how similarities are computed, see `Certificate`: "exact" if all are computed in float64.
        in_logits: whether `similarities_at` returns logits instead of similarities.
        documents, keys: how many documents and how many rows pass the mask.
        beyond_memory: whether originals are likely to be on disk.
    """

    method: str
    in_logits: bool
    facts: BlockStatistics
    limits: Limits
    documents: int
    keys: int
    beyond_memory: bool

    @property
    def term_count(self) -> int:
        """The most numbers that are added one by one for a component of `sum_values`; rounding errors grow with it."""

    @property
    def value_residuals(self) -> Residuals:
        """The sum of the residuals v − v̂, what the value codes leave out, over all passing rows.

        It needs a known value spread, see `BlockStatistics.value_spread`.
        """

    @property
    def rows(self) -> I64:
        """int64[keys], the passing rows; in a remote shard only after `read_similarities`."""

    @property
    def row_order(self) -> I64 | None:
        """int64[keys], the numbers that order those `rows` that tie; None for the order of the rows themselves."""

    @property
    def grouping(self) -> DocumentGrouping | None:
        """The assignment of `rows` to documents; None if no document has several keys."""

    # The scan.

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the products of a query and the keys."""

    def similarity_function(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return a function that computes similarities at positions of `rows`.

        Return None unless `in_logits`; otherwise `similarities_at` returns similarities already.
        """

    def slack(self, query: F64) -> Slack:
        """Return a bound on the rounding errors of what `similarities_at` computes in float64."""

    def gather(self, request: ScanRequest) -> ScanResult:
        """Scan every passing row, and look up in float64 the candidates that weigh most."""

    # Some rows.

    def residuals_at(self, rows: I64) -> Residuals:
        """Return the sum of the residuals v − v̂, what the value codes leave out, over these rows."""

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m], the similarity of query `queries[i]` and row `rows[i]` for every i.

        Copies of a key get equal similarities.
        """

    def add_values(self, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of each row to the output float64[q, d_v] of its query."""

    def numbers(self, rows: Index) -> I64:
        """Return the numbers of these rows, which may be in any order."""

    def order(self, rows: I64) -> I64:
        """Return int64[m], the numbers that order these rows if they tie."""

    def owners(self, rows: Index) -> I64:
        """Return the documents that the rows are keys of."""

    def key_counts(self, documents: I64) -> I64:
        """Return int64[m], how many passing rows each document has; 0 if the document does not pass."""

    def rows_of(self, documents: I64) -> I64:
        """Return all passing rows of the documents, which ascend."""

    def alike(self, rows: Index) -> bool:
        """Return whether these rows, which ascend, hold copies of one key."""

    # Every row, for the exact path.

    def read_biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """Return float64[keys], the bias of each passing row, for each question that has a bias; None for the others.

        Questions with the same bias get the same array.
        """

    def read_similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """Return float64[q, keys], the similarity of each query with each passing row.

        Rows that can be in the head, by similarity or by logit, are summed in one fixed order, so that copies tie.
        """

    def recompute(self, question: Question, similarities: F64) -> F64:
        """Return the similarities float64[keys], each computed again in one fixed order of summation."""

    def sum_values(self, weights: F64) -> F64:
        """Return float64[q, d_v], for each query the sum of all passing values, weighted by float64[q, keys]."""

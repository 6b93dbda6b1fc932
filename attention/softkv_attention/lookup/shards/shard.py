"""The protocol of a shard: a range of rows, in this process or in others, with codes or without, merged or biased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from softkv_attention.arrays import F64, I64, Index
from softkv_attention.lookup.bounds.similarities import Slack
from softkv_attention.lookup.codes.moments import Residuals
from softkv_attention.lookup.limits import Limits
from softkv_attention.lookup.memory.statistics import BlockStatistics
from softkv_attention.lookup.question import Question
from softkv_attention.lookup.rescoring.ranking import DocumentGrouping
from softkv_attention.lookup.shards.scan_result import ScanRequest, ScanResult


class Shard(Protocol):
    """The interface by which the rows of a view that pass a mask are read, by a scan of 8-bit codes or exactly.

    The rows may be in this process or in others, with or without 8-bit codes. Methods take rows by index among all rows
    of the view, masked rows included. In a remote shard the index is the permanent row number. The exact path computes
    every similarity in float64, in the order of `rows`.

    Attributes:
        facts: statistics of all rows of the view, masked rows included.
        limits: the limits of the view, see `Limits`.
        method: "exact" if all similarities are computed in float64, "quantised" if most come from 8-bit codes.
        in_logits: whether `similarities_at` returns logits similarity/T + bias instead of similarities.
        documents, keys: how many documents and how many rows pass the mask.
        beyond_memory: whether the float32 originals are likely to be on disk.
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
        """The most numbers that are added one by one in a component of `sum_values`; rounding errors grow with it."""

    @property
    def key_norm(self) -> float:
        """The largest length ‖k‖ of a key that passes the mask; in a remote shard only after `read_similarities`."""

    @property
    def value_norm(self) -> float:
        """The largest length ‖v‖ of a value that passes the mask; in a remote shard only after `read_similarities`."""

    @property
    def value_residuals(self) -> Residuals:
        """The sum over all passing rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

        It is available if `BlockStatistics.value_spread` is known.
        """

    @property
    def rows(self) -> I64:
        """int64[keys], the indices of the rows that pass the mask; in a remote shard only after `read_similarities`."""

    @property
    def row_order(self) -> I64 | None:
        """int64[keys], numbers by which those of `rows` that tie are sorted; None for the order of `rows`."""

    @property
    def grouping(self) -> DocumentGrouping | None:
        """The document of each row of `rows`; None if no document has several rows."""

    # The scan.

    def fits(self, query: F64) -> bool:
        """Return whether float32 can hold the products of a query and the keys, which a scan computes.

        A scan is one pass over the 8-bit codes of all keys.
        """

    def similarity_function(self, query: F64, rows: I64) -> Callable[[Index], F64] | None:
        """Return a function that computes similarities for the rows at some positions; None unless `in_logits`.

        Without logits, `similarities_at` returns similarities already.

        Args:
            query: float64[d].
            rows: int64[m], indices of rows, which the positions refer to.
        """

    def slack(self, query: F64) -> Slack:
        """Return a bound on the rounding errors of what `similarities_at` computes for a query in float64."""

    def gather(self, request: ScanRequest) -> ScanResult:
        """Scan every row that passes the mask, and look up in float64 the candidates that weigh most.

        Args:
            request: the queries, and what to compute for them.
        """

    # Some rows.

    def residuals_at(self, rows: I64) -> Residuals:
        """Return the sum over some rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

        Args:
            rows: int64[m], indices of rows.
        """

    def similarities_at(self, vectors: F64, rows: I64, queries: I64) -> F64:
        """Return float64[m], the similarity in float64 of query `queries[i]` with the row `rows[i]`, for every i.

        If `in_logits`, they are logits. Copies of a key have equal similarities.

        Args:
            vectors: float64[q, d], the queries.
            rows, queries: int64[m], indices of rows and of queries.
        """

    def add_values(self, rows: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """Add weight·value of each of m rows to the output float64[q, d_v] of its query, in place."""

    def numbers(self, rows: Index) -> I64:
        """Return int64[m], the permanent row numbers of these rows, which may be in any order."""

    def order(self, rows: I64) -> I64:
        """Return int64[m], numbers by which these rows are sorted if they tie."""

    def owners(self, rows: Index) -> I64:
        """Return int64[m], the document that each of these rows is a key of."""

    def key_counts(self, documents: I64) -> I64:
        """Return int64[m], how many rows of each document pass the mask; 0 if the document does not pass."""

    def rows_of(self, documents: I64) -> I64:
        """Return the indices of all rows that belong to some documents and pass the mask.

        Args:
            documents: int64[m], ascending.
        """

    def alike(self, rows: Index) -> bool:
        """Return whether these rows, which ascend, are all copies of one key."""

    # Every row, for the exact path.

    def read_biases(self, questions: Sequence[Question]) -> list[F64 | None]:
        """Return for each question float64[keys], the bias of each passing row; None for a question without a bias.

        Questions with the same bias get the same array.
        """

    def read_similarities(self, questions: Sequence[Question], biases: Sequence[F64 | None]) -> F64:
        """Return float64[q, keys], the similarity of each query with each row that passes the mask.

        Rows that can be among the best are summed in one fixed order, so that copies tie exactly.

        Args:
            questions: q questions.
            biases: the result of `read_biases` for them; with a bias, the logits decide which rows are the best.
        """

    def recompute(self, question: Question, similarities: F64) -> F64:
        """Return float64[keys], the similarities computed again in one fixed order of summation.

        Copies of a key then have equal similarities. If the given ones are already summed so, they are returned.

        Args:
            question: the question.
            similarities: float64[keys], the result of `read_similarities` for it.
        """

    def sum_values(self, weights: F64) -> F64:
        """Return float64[q, d_v], for each query the weighted sum of the values of all rows that pass the mask.

        Args:
            weights: float64[q, keys].
        """

"""The quantised path for one plain question: the scan and what follows it, in a few calls of kernels in C.

A question is plain if it has softmax at a temperature above 0, neither a bias, `top_p` nor `max_error`, and asks for no
output. Each row is a document. `quantised.py` answers all others, by the same steps and with the same bounds.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.arrays import I64
from softkv_attention.kernels import CodedBlock, CodedRows, ScannedRows, ScanOptions, kernels, pool
from softkv_attention.lookup.answer import Answer, Certificate, Head, HeavyRows, build_answer
from softkv_attention.lookup.bounds.similarities import CodeErrors, QuantisationError, similarity_slack
from softkv_attention.lookup.bounds.weights import TIGHT, bound_quantisation, bound_rounding
from softkv_attention.lookup.few_rows import PRODUCTS
from softkv_attention.lookup.memory.tiles import all_rows
from softkv_attention.lookup.memory.view import AnyMask, AnyView, Mask, View
from softkv_attention.lookup.question import Auto, Question
from softkv_attention.lookup.rescoring.candidates import (
    ERROR_MARGIN,
    MAX_LOOKUP_FACTOR,
    MIN_SCANNED_SQUARES,
    SCANNED_SQUARES_SHARE,
)
from softkv_attention.lookup.scan import (
    EVERY_ROW,
    ThresholdSample,
    fits_float32,
    list_capacity,
    sample_stride,
    tile_height,
)
from softkv_attention.lookup.softmax.mixture import NO_NULL, evidence_of
from softkv_attention.lookup.softmax.verdict import HALF

MAX_CAP = 1_000
"""A question that lists more rows is not plain: each thread keeps memory for the lists."""

MAX_MASKED_ROWS = 2**17
"""The rows of a view whose masks are kept in the form that a scan reads."""

_rows: WeakKeyDictionary[View | Mask, ScannableRows] = WeakKeyDictionary()


def is_plain(question: Question) -> bool:
    """Return whether a question is plain, so that `ScannableRows` may answer it."""
    return (
        question.weighs_all
        and not question.output
        and question.bias is None
        and question.top_p is None
        and question.max_error is None
        and question.cap <= MAX_CAP
        and not isinstance(question.temperature, Auto)
    )


class ScannableRows:
    """The rows of a view that pass a mask, in the form that a scan for one query reads.

    It does not keep the view, which would else live as long as the cache.

    Args:
        view, mask: the rows, at least one.
    """

    def __init__(self, view: View, mask: Mask | None) -> None:
        self._facts, self._keys, self._indices = view.facts, view.n if mask is None else mask.n, all_rows(view)
        self._stride = sample_stride(view, mask)
        starts = {id(tile.segment): tile.start for tile in self._indices.tiles}
        sampling, cosine = ThresholdSample.of(self._stride, view.n, 0), view.similarity == "cosine"
        blocks = list[CodedBlock]()
        for segment, passes in view.passing(mask):
            codes, positions = segment.block.codes, sampling.of_segment(segment)
            assert codes is not None
            count = len(positions)
            block = CodedBlock(
                base=starts[id(segment)],
                codes=codes.codes,
                scales=codes.scales[: segment.count],
                allowed=EVERY_ROW[: segment.count] if passes is None else passes,
                sample_codes=segment.sample.codes,
                sample_scales=segment.sample.scales[:count],
                sample_allowed=EVERY_ROW[:count] if passes is None else passes[positions],
                keys=segment.block.keys,
                norms=segment.block.norms if cosine else None,
            )
            blocks.append(block)
        self._errors = CodeErrors.of(view)
        self._unread = any(segment.block.unchecked for segment in view.segments)
        self._coded = CodedRows(blocks)

    @classmethod
    def of(cls, view: AnyView, mask: AnyMask | None) -> ScannableRows | None:
        """Return the rows of a view that pass a mask; None if they do not all lie in this process with 8-bit codes.

        Also None if a document has several keys, if products of query and key are not compared, or if the kernels do
        not scan for one query. The result is cached as long as the mask, or without one the view, exists. For a mask of
        a large view it is not cached, because it has a byte for each row.
        """
        if not isinstance(view, View) or kernels().one_scan is None:
            return None
        assert mask is None or isinstance(mask, Mask)
        cached = _rows.get(view if mask is None else mask)
        if cached is not None:
            return cached
        if view.runs or view.bare or view.facts.several or view.similarity not in PRODUCTS or view.beyond_memory:
            return None
        if not (view.n if mask is None else mask.n):
            return None
        rows = cls(view, mask)
        if mask is None or view.n <= MAX_MASKED_ROWS:
            _rows[view if mask is None else mask] = rows
        return rows

    def answer(self, view: View, question: Question) -> Answer | None:
        """Return the answer to a plain question.

        None if float32 cannot hold the products, if the codes do not decide which rows are the best, or if rounding
        needs a closer bound.

        Args:
            view: the view of the rows.
            question: the question, with the mask of the rows.
        """
        vector, temperature, similarity = question.vector, question.temperature, self._facts.similarity
        assert not isinstance(temperature, Auto)
        running = kernels()
        if running.one_scan is None or not fits_float32(self._facts, vector):
            return None
        divisor = PRODUCTS[similarity]
        query = running.one_scan.code(vector, 0.0 if divisor is None else divisor(vector.size))
        null = question.null_key(temperature, self._keys)
        null_numbers = NO_NULL if null is None else (null.similarity, null.log_count)
        errors = list[QuantisationError]()

        def bound_error() -> float:
            errors.append(self._errors.of_query(query.coded, query.norm, query.squared_residual))
            return errors[0].largest

        threads, options = self._options(view, question, query.divisor, null_numbers)
        check = self._check if self._unread else None
        scanned = running.one_scan.scan(self._coded, query, vector, options, threads, pool(), bound_error, check)
        if scanned is None:
            return None
        totals = scanned.totals
        slack = similarity_slack(similarity, vector, self._facts.key_norm)
        rounding = bound_rounding(slack, totals.best, temperature, totals.mean_gap, self._keys)
        if rounding > TIGHT:
            return None
        variation = min(1.0, rounding + bound_quantisation(totals, temperature, errors[0]))
        numbers = self._indices.numbers(scanned.rows)
        head = Head(
            numbers=numbers,
            parts=numbers,
            similarities=scanned.similarities,
            logits=scanned.similarities / temperature,
            weights=scanned.weights,
            log_weight_of_other_parts=np.zeros(len(numbers)),
            matches=min(question.cap, scanned.known),
            complete=True,
            evidence=evidence_of(totals, null, temperature),
            heaviest=scanned.heaviest,
            best_similarity=totals.best,
        )
        return build_answer(
            head,
            Certificate("quantised", variation, None),
            documents=self._keys,
            keys=self._keys,
            output=None,
            heavy_rows=self._heavy_rows(scanned),
        )

    def _options(
        self, view: View, question: Question, divisor: float, null: tuple[float, float]
    ) -> tuple[int, ScanOptions]:
        """Return the number of threads that scan, and what the question asks of them."""
        limits = view.limits
        width = limits.scan_widths[0]
        listed = max(min(width.listed, self._keys // limits.min_rows_per_candidate), 2 * question.cap)
        assert not isinstance(question.temperature, Auto)
        threads, height = tile_height(view, 1, outputs=False)
        return threads, ScanOptions(
            divisor=divisor,
            temperature=question.temperature,
            null=null,
            k=question.head_size(self._keys),
            cap=question.cap,
            sampled=ThresholdSample.of(self._stride, view.n, listed).count,
            room=list_capacity(listed),
            height=height,
            lookups=width.lookups,
            times=MAX_LOOKUP_FACTOR,
            share=SCANNED_SQUARES_SHARE,
            least=MIN_SCANNED_SQUARES,
            margin=ERROR_MARGIN,
        )

    def _check(self, rows: I64) -> None:
        """Compare the keys of rows with their checksums, if they lie in a file and were not compared yet."""
        for _, tile in self._indices.split_tiles(rows):
            tile.load_keys()

    def _heavy_rows(self, scanned: ScannedRows) -> HeavyRows | None:
        if not len(scanned.heavy_rows) or np.add.reduce(scanned.heavy_weights) <= HALF:
            return None
        numbers = self._indices.numbers(scanned.heavy_rows)
        return HeavyRows(numbers, numbers, scanned.heavy_weights)

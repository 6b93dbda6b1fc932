"""Initial thresholds of the candidate lists, from a sample of the rows that pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.arrays import F32, I64
from attention.kernels import NO_ADDENDS, CodedKeys, Kernels, kernels
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.limits import MAX_BLOCK_ROWS
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.segments import SAMPLE_STRIDE, Segment
from attention.lookup.memory.view import Mask, View
from attention.lookup.scan.accumulator import NO_THRESHOLD

MIN_LISTED = 256

SAMPLED_ROWS = 8_192
"""The approximate number of rows in the sample for the initial thresholds."""

EVERY_ROW = np.ones(MAX_BLOCK_ROWS, dtype=np.bool_)


@dataclass(frozen=True)
class ThresholdSample:
    """The sample of rows from which a scan of 8-bit codes chooses thresholds; rows above them are listed one by one.

    Attributes:
        stride: one row in this many is sampled from every segment.
        count: how many of the best sampled rows reach the threshold.
    """

    stride: int
    count: int

    @classmethod
    def of(cls, stride: int, rows: int, listed: int) -> ThresholdSample:
        """Return the sample for a scan of `rows` rows that lists about `listed` of them.

        Args:
            stride: the stride of the segments' own samples: each has one row in this many, or more.
            rows: the number of rows.
            listed: the approximate number of rows to list.
        """
        stride *= max(1, round(rows / (SAMPLE_STRIDE * SAMPLED_ROWS)))
        return cls(stride, max(4, max(listed, MIN_LISTED) // stride))

    def of_segment(self, segment: Segment) -> I64:
        """Return int64[r], the positions of the sampled rows in a segment (block of rows).

        They are the first part of the segment's own sample, which may have more rows.
        """
        positions = segment.sample_rows
        return positions[: min(-(-segment.count // self.stride), len(positions))]


def sample_stride(view: View, mask: Mask | None) -> int:
    """Return the largest stride of the samples of all segments with passing rows.

    A segment is a block of rows; its sample has one row in `stride`.
    """
    if mask is None:
        strides = [segment.sample_stride for segment in view.segments if segment.n]
    else:
        passing = zip(view.segments, mask.bits, strict=True)
        strides = [segment.sample_stride for segment, bits in passing if bits is not None]
    return max(strides, default=1)


def sample_best(
    view: View, mask: Mask | None, bias: Bias | None, queries: QueryCodes, sampling: ThresholdSample
) -> tuple[F32, int]:
    """Return float32[q, count], each query's best similarities among the sampled rows that pass, ascending.

    Also return how many sampled rows pass.

    Args:
        view, mask: the rows, and which of them pass; None for all.
        bias: added to the similarities; None for no bias.
        queries: q queries as integer codes.
        sampling: which rows to sample, and `count`.
    """
    running = kernels()
    packed = running.pack_queries(queries.codes, queries.scales.astype(np.float32), fine=queries.fine)
    return _sample_best(view, mask, bias, running, packed, queries.count, sampling)


def merge_thresholds(samples: Sequence[tuple[F32, int]], count: int) -> F32:
    """Return float32[q], for each query the similarity from which a scan of several shards lists a row at first.

    It is the similarity of the `count`-th best sampled row over all shards. If the samples are small, every row reaches
    the threshold.

    Args:
        samples: for each shard float32[q, ≥ count], its best sampled similarities, and the number of sampled rows.
        count: how many sampled rows reach the threshold.
    """
    seen = sum(rows for _, rows in samples)
    best = np.concatenate([best for best, _ in samples], axis=1)
    if seen < 4 * count:
        return np.full(len(best), NO_THRESHOLD)
    kth = best.shape[1] - count
    return np.partition(best, kth, axis=1)[:, kth].copy()


def initial_thresholds(
    view: View, mask: Mask | None, bias: Bias | None, running: Kernels, packed: Any, queries: int, listed: int
) -> F32:
    """Return float32[q], for each query a threshold that about `listed` of all rows reach, estimated from a sample."""
    sampling = ThresholdSample.of(sample_stride(view, mask), view.n, listed)
    return merge_thresholds([_sample_best(view, mask, bias, running, packed, queries, sampling)], sampling.count)


def _sample_best(
    view: View,
    mask: Mask | None,
    bias: Bias | None,
    running: Kernels,
    packed: Any,
    queries: int,
    sampling: ThresholdSample,
) -> tuple[F32, int]:
    best, seen = np.full((queries, sampling.count), NO_THRESHOLD), 0
    for segment, passes in view.passing(mask):
        sample, positions = segment.sample, sampling.of_segment(segment)
        count = len(positions)
        allowed = EVERY_ROW[:count] if passes is None else passes[positions]
        seen += int(np.count_nonzero(allowed))
        addends = NO_ADDENDS if bias is None else addends_for(bias, segment, positions)
        running.sample_top(CodedKeys(sample.codes, sample.scales[:count], allowed, 0, addends), packed, best)
    return best, seen


def addends_for(bias: Bias, segment: Segment, rows: slice | I64) -> F32:
    """Return float32[r], the biases that a scan of 8-bit codes adds to the logits of some rows of a segment.

    Return the empty array float32[0] if the segment has no bias.
    """
    addends = bias.scan_addends(segment)
    return addends[rows] if len(addends) else addends

"""The rows of a view, wherever they are: one protocol, `Shard`. Each class of views opens its own.

A scan returns one `ScanResult` of plain arrays per shard, for all of its questions at once.

A question with a bias is answered as a question about its logits, s/T + bias, at temperature 1. A `BiasedShard` returns
these logits as its similarities. The kernels of its scan add one number to each row, and no code after the scan has to
treat a bias specially.

Rows without codes are read in float64 and summed as they are read (`uncoded.py`). So a collection can be scanned while
its codes are still being made.

Everything up to the weights is about rows. `documents.py` finds which documents the head can hold after a scan, and
looks up all of their rows. It does nothing if each row is a document by itself.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TypeGuard

from softkv_attention.errors import ParameterError
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF, Slack, similarity_slack
from softkv_attention.lookup.codes.moments import Residuals, Spread
from softkv_attention.lookup.memory.bias import AnyBias, Bias, sort_addends
from softkv_attention.lookup.memory.rows import expand_ranges
from softkv_attention.lookup.memory.statistics import BlockStatistics
from softkv_attention.lookup.memory.tiles import PassingRows
from softkv_attention.lookup.memory.view import AnyMask, AnyView, Mask, View
from softkv_attention.lookup.rescoring.originals import compute_all_similarities, compute_all_sums
from softkv_attention.lookup.rescoring.ranking import DocumentGrouping
from softkv_attention.lookup.scan import NO_THRESHOLD, ThresholdSample, fits_float32, merge_thresholds
from softkv_attention.lookup.shards.local import TILE_ROWS, BiasedShard, LocalShard, bound_similarity, fits_logits
from softkv_attention.lookup.shards.merged import (
    MERGED_LIST_FACTOR,
    MergedShards,
    candidate_similarities,
    merge_results,
)
from softkv_attention.lookup.shards.scan_result import ScanRequest, ScanResult
from softkv_attention.lookup.shards.shard import Shard
from softkv_attention.lookup.shards.uncoded import UncodedShard

# A distribution with a view of its own needs these names, beside the face of the lookup.
__all__ = [
    "MERGED_LIST_FACTOR",
    "NO_THRESHOLD",
    "TILE_ROWS",
    "UNIT_ROUNDOFF",
    "BiasedShard",
    "DocumentGrouping",
    "LocalShard",
    "PassingRows",
    "Residuals",
    "ScanRequest",
    "ScanResult",
    "Shard",
    "Slack",
    "Spread",
    "ThresholdSample",
    "bound_similarity",
    "candidate_similarities",
    "compute_all_similarities",
    "compute_all_sums",
    "expand_ranges",
    "fits_float32",
    "fits_logits",
    "is_view",
    "merge_results",
    "merge_thresholds",
    "open_local",
    "open_shard",
    "similarity_slack",
    "sort_addends",
]


@singledispatch
def open_shard(view: AnyView, mask: AnyMask | None, bias: AnyBias | None = None, temperature: float = 0.0) -> Shard:
    """Return the rows of a view that pass a mask as a `Shard`, the interface by which they are read.

    Each class of views registers the function that opens its own: `open_shard.register`.

    Args:
        view: the rows.
        mask: of this view; None for all rows.
        bias: a number that a scan of 8-bit codes adds to the logits of each row; None to add nothing. A caller that
            reads all keys in float64 passes None too, because it adds biases itself.
        temperature: the temperature of the question, which a scan with a bias needs.

    Raises:
        ParameterError: the mask was made for another view.
    """
    raise ParameterError(f"Expected a view, got {type(view).__name__}. Memory.of(keys).view is one.")


def is_view(memory: object) -> TypeGuard[AnyView]:
    """Return whether an object is a view: its class has registered how to open a shard of it."""
    return open_shard.dispatch(type(memory)) is not open_shard.dispatch(object)


@open_shard.register
def _(view: View, mask: Mask | None, bias: Bias | None = None, temperature: float = 0.0) -> Shard:
    if mask is not None and mask.view is not view:
        raise ParameterError("the mask belongs to another view: make it with this view's mask(numbers)")
    if not view.runs:
        return open_local(view, mask, bias, temperature)
    masks = [None] * len(view.runs) if mask is None else mask.runs
    biases = [None] * len(view.runs) if bias is None else bias.runs
    runs = zip(view.runs, masks, biases, strict=True)
    return MergedShards(view, mask, [open_local(*run, temperature, view.facts) for run in runs])


def open_local(
    view: View, mask: Mask | None, bias: Bias | None, temperature: float, facts: BlockStatistics | None = None
) -> LocalShard:
    """Return rows of this process that a scan reads as a whole, see `View.runs`.

    Args:
        view, mask, bias, temperature: as for `open_shard`.
        facts: statistics of all rows of which these are a part; None if these are all.
    """
    if view.bare:
        return UncodedShard(view, mask, facts=facts)
    if bias is None:
        return LocalShard(view, mask, facts=facts)
    return BiasedShard(view, mask, bias, temperature, facts)

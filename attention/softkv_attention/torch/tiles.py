"""Rows as tensors, in tiles on the queries' device, and the sums over them by torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from softkv_attention.arrays import as_array
from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Mask, Memory, View
from softkv_attention.torch.questions import key_terms
from softkv_attention.torch.row_sums import RowTile, check_lengths, row_tiles

CELLS = 1 << 24
"""The most logits that are in memory at a time, of all queries of a batch and the rows of a tile."""

QUERIES = 256
"""The most queries of a batch."""


@dataclass(frozen=True, eq=False)
class MaskedView:
    """The rows of a view that queries may attend to.

    Attributes:
        view: the view.
        mask: the rows that may be attended to; None for all.
    """

    view: View
    mask: Mask | None

    @classmethod
    def of(
        cls, memory: Memory | View | Sequence[View], mask: Mask | NDArray[np.bool_] | Tensor | None = None
    ) -> MaskedView:
        """Return the rows of a memory, of a view or of several views, that pass a mask.

        Raises:
            ParameterError: the rows are not in this process, or the mask belongs to another view.
            ShapeError: the mask has another length than the view.
        """
        view = memory.view if isinstance(memory, Memory) else memory
        if isinstance(view, Sequence):
            view = View.merged(view)
        if not isinstance(view, View):
            raise ParameterError(
                f"gradients need a Memory or a View of this process, got {type(view).__name__}: "
                "Memory.of(keys) makes a memory of an array"
            )
        if isinstance(mask, Tensor):
            mask = mask.cpu().numpy()
        if mask is not None and not isinstance(mask, Mask):
            flags = np.asarray(as_array("mask", mask))
            if flags.dtype != np.bool_:
                raise ParameterError(
                    f"mask must be a Mask or booleans, got {flags.dtype}: view.mask(numbers) makes one"
                )
            mask = view.mask(flags)
        if mask is not None and mask.view is not view:
            raise ParameterError("the mask belongs to another view: make it with this view's mask(numbers)")
        return cls(view, mask)

    @property
    def value_width(self) -> int:
        """The width of the values."""
        return self.view.value_dimension or 0

    def tiles(self, queries: Tensor) -> Iterator[TileTensors]:
        """Yield all rows in tiles on the queries' device, in the type of the queries."""
        for rows in row_tiles(self.view, self.mask, _tile_rows(len(queries))):
            yield TileTensors.of(rows, self.view.similarity, queries)


class TileTensors(NamedTuple):
    """Some rows as tensors: similarity = query·key · factor + addend, for `ScaledQueries`.

    Attributes:
        keys, values: float[r, d] and float[r, d_v]
        factors: float[r], 1/‖k‖ under cosine; None for factors of 1.
        addends: float[r], −‖k‖²/2 under gaussian; None for addends of 0.
    """

    keys: Tensor
    values: Tensor
    factors: Tensor | None
    addends: Tensor | None

    @classmethod
    def of(cls, rows: RowTile, similarity: str, like: Tensor) -> TileTensors:
        """Return rows as tensors of the type and on the device of another tensor."""
        keys = torch.from_numpy(rows.keys).to(like)
        values = keys if rows.values is rows.keys else torch.from_numpy(rows.values).to(like)
        if similarity == "cosine" and like.dtype == torch.float32:
            check_lengths(rows.norms)
        factors, addends = (
            None if numbers is None else torch.from_numpy(numbers).to(like)
            for numbers in key_terms(similarity, rows.norms)
        )
        return cls(keys, values, factors, addends)

    def similarities(self, queries: Tensor) -> Tensor:
        """Return float[q, r], without what depends on the query alone."""
        products = queries @ self.keys.T
        if self.factors is not None:
            products *= self.factors
        return products if self.addends is None else products.add_(self.addends)


def blend_in_tiles(queries: Tensor, inverse: Tensor, rows: MaskedView, *, keys: bool) -> tuple[Tensor, ...]:
    """Return what `row_sums.blend` returns, computed by torch on the queries' device, in their type.

    Args:
        queries: float[q, d], at most QUERIES of them.
        inverse: float64[q], 1/T.
        rows: the rows.
        keys: whether to blend ∂similarity/∂query instead of the values.
    """
    count, width = len(queries), queries.shape[1] if keys else rows.value_width
    wide: Any = {"dtype": torch.float64, "device": queries.device}
    peaks = torch.full((count,), -math.inf, **wide)
    masses, moments, outputs = torch.zeros(count, **wide), torch.zeros(count, **wide), torch.zeros(count, width, **wide)
    scale = inverse[:, None].to(queries)
    for tile in rows.tiles(queries):
        similarities = tile.similarities(queries)
        higher = torch.maximum(peaks, similarities.amax(dim=1).double())
        terms = torch.exp((similarities - higher[:, None].to(queries)) * scale)
        shrink = torch.exp((peaks - higher) * inverse)
        masses = masses * shrink + terms.sum(dim=1, dtype=torch.float64)
        moments = moments * shrink + torch.linalg.vecdot(terms, similarities).double()
        if keys and tile.factors is not None:
            terms *= tile.factors
        outputs = outputs * shrink[:, None] + (terms @ (tile.keys if keys else tile.values)).double()
        peaks = higher
    return peaks, masses, moments, outputs


def pull_in_tiles(
    queries: Tensor, inverse: Tensor, peaks: Tensor, gradients: Tensor, levels: Tensor, rows: MaskedView
) -> tuple[Tensor, ...]:
    """Return what `row_sums.pull` returns, computed by torch on the queries' device, in their type.

    Args:
        queries, inverse: as in `blend_in_tiles`.
        peaks, levels: float64[q]
        gradients: float64[q, d_v]
        rows: the rows.
    """
    pulled = torch.zeros(queries.shape, dtype=torch.float64, device=queries.device)
    totals, moments, spreads = (torch.zeros_like(inverse) for _ in range(3))
    scale, best, middle = (numbers[:, None].to(queries) for numbers in (inverse, peaks, levels))
    of_outputs = gradients.to(queries)
    for tile in rows.tiles(queries):
        similarities = tile.similarities(queries)
        shares = torch.exp((similarities - best) * scale) * (of_outputs @ tile.values.T - middle)
        totals += shares.sum(dim=1, dtype=torch.float64)
        spreads += shares.abs().sum(dim=1, dtype=torch.float64)
        moments += torch.linalg.vecdot(shares, similarities).double()
        if tile.factors is not None:
            shares *= tile.factors
        pulled += (shares @ tile.keys).double()
    return totals, moments, spreads, pulled


def _tile_rows(queries: int) -> int:
    """Return the most rows of a tile that torch reads for some queries."""
    return max(1024, CELLS // max(queries, 1))


def largest_tile(queries: int) -> int:
    """Return the most rows of a tile for the batches of some queries."""
    return _tile_rows(min(queries, QUERIES))


def in_batches(compute: Callable[..., tuple[Tensor, ...]], *of_queries: Tensor) -> tuple[Tensor, ...]:
    """Return the results of a function of at most QUERIES queries for all of them. Autocast narrows none of them."""
    edges = range(0, max(len(of_queries[0]), 1), QUERIES)
    with torch.autocast(of_queries[0].device.type, enabled=False):
        parts = [compute(*(tensor[first : first + QUERIES] for tensor in of_queries)) for first in edges]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))

"""Float32 rows of a view for lookups that gradients flow through: keys, values and lengths, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from attention.arrays import F32, F64, I64
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.memory.view import Mask, View


class RowTile(NamedTuple):
    """Some rows of a view that pass a mask.

    Attributes:
        keys: float32[r, d]
        values: float32[r, d_v]; the same array as `keys` if the values are the keys.
        norms: float64[r], the lengths ‖k‖ of the keys.
    """

    keys: F32
    values: F32
    norms: F64


def row_tiles(view: View, mask: Mask | None, rows: int) -> Iterator[RowTile]:
    """Yield all rows of a view that pass a mask, at most `rows` of them at a time."""
    for tile in PassingRows(view, mask, rows).tiles:
        keys = tile.load_keys()[tile.rows]
        values = keys if tile.segment.block.values is None else tile.load_values()[tile.rows]
        yield RowTile(keys, values, tile.norms)


def document_rows(view: View, mask: Mask | None, documents: I64) -> tuple[I64, I64]:
    """Return the rows of some documents that pass a mask: their documents int64[m], ascending, and their numbers.

    Args:
        view: the view.
        mask: the mask; None for all rows.
        documents: int64[r], the documents, in any order; unknown ones are ignored.
    """
    selected = view.mask(documents)
    owners, numbers = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for segment, passes in view.passing(selected if mask is None else selected & mask):
        owners.append(segment.owners if passes is None else segment.owners[passes])
        numbers.append(segment.numbers if passes is None else segment.numbers[passes])
    of_rows = np.concatenate(owners)
    order = np.argsort(of_rows, kind="stable")
    return of_rows[order], np.concatenate(numbers)[order]

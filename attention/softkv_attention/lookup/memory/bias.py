"""A bias: a number added to the logits of each document's rows, made for one view."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softkv_attention.arrays import F32, F64, I64, Bools, integers, reals
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.forked import cached_property
from softkv_attention.kernels import NO_ADDENDS
from softkv_attention.lookup.memory.rows import document_ranges, expand_ranges
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.tiles import RowIndices, Tile
from softkv_attention.lookup.memory.view import AnyMask, Mask, View


@runtime_checkable
class AnyBias(Protocol):
    """A number added to the logits of each document's keys: a `Bias`, or that of a view of other processes."""

    @property
    def view(self) -> Any:
        """The view that the bias was made for."""

    @property
    def mask(self) -> AnyMask | None:
        """The rows with a bias above −∞; None if no row has −∞."""

    @property
    def largest(self) -> float:
        """The largest |bias| of a row, or an upper bound on it; rows with −∞ are left out."""

    def restrict(self, mask: AnyMask | None) -> AnyMask | None:
        """Return the rows that pass a mask and have a bias above −∞; None if all rows do."""

    def add(self, numbers: I64, addends: F64) -> AnyBias:
        """Return this bias with a further finite number for some documents; unknown documents are ignored."""


@dataclass(frozen=True, eq=False)
class Bias:
    """A number added to the logit of every row of a view: logit = similarity / temperature + bias.

    A row is one key with its value. All rows of a document have the same bias.

    Attributes:
        view: the view (snapshot of a memory) that the bias was made for.
        addends: for each segment of the view float64[count], the bias of each of its rows; any finite number for rows
            whose bias is −∞. None instead of an array if all are 0.
        mask: the rows with a bias above −∞; None if no row has −∞.
        largest: the largest |addend|, or an upper bound on it.
    """

    view: View
    addends: tuple[F64 | None, ...]
    mask: Mask | None
    largest: float

    @classmethod
    def of(cls, view: View, numbers: ArrayLike, addends: ArrayLike, elsewhere: float = 0.0) -> Bias:
        """Return the bias that adds a number to the logits of all rows (keys) of each given document.

        Args:
            numbers: int64[r], the documents' numbers, in any order; unknown documents are ignored.
            addends: float[r], the number for each document. −∞ forbids the document; all others are finite.
            elsewhere: the number for all other documents.

        Raises:
            ShapeError: the length of `addends` differs from the number of documents.
            ParameterError: a document is listed twice, or a number is NaN or ∞.
        """
        documents, amounts = sort_addends(numbers, addends)
        if not (isinstance(elsewhere, Real) and elsewhere < np.inf):
            raise ParameterError(_NOT_FINITE)
        columns = [_segment_addends(segment, documents, amounts, float(elsewhere)) for segment in view.segments]
        forbidden = tuple(_forbidden_rows(column) for column in columns)
        mask = None if all(rows is None for rows in forbidden) else ~Mask.of(view, forbidden)
        for column, rows in zip(columns, forbidden, strict=True):
            if column is not None and rows is not None:
                column[rows] = 0.0
        largest = max(
            (float(np.abs(column).max()) for column in columns if column is not None and len(column)), default=0.0
        )
        return cls(view, tuple(columns), mask, largest)

    def add(self, numbers: ArrayLike, addends: ArrayLike) -> Bias:
        """Return this bias with a further number for some documents; a document with −∞ stays forbidden.

        Args:
            numbers: int64[r], the documents' numbers, in any order; unknown documents are ignored.
            addends: float[r], the number for each document, finite.

        Raises:
            ShapeError: the length of `addends` differs from the number of documents.
            ParameterError: a document is listed twice, or a number is not finite.
        """
        further = Bias.of(self.view, numbers, addends)
        if further.mask is not None:
            raise ParameterError(_NOT_FINITE)
        pairs = zip(self.addends, further.addends, strict=True)
        sums = tuple(one if other is None else other if one is None else one + other for one, other in pairs)
        return Bias(self.view, sums, self.mask, self.largest + further.largest)

    @cached_property
    def runs(self) -> tuple[Bias, ...]:
        """This bias in parts: one for each of the views that a scan reads one after another, see `View.runs`."""
        masks = [None] * len(self.view.runs) if self.mask is None else self.mask.runs
        slices = zip(self.view.runs, self.view.run_slices, masks, strict=True)
        return tuple(Bias(run, self.addends[segments], mask, self.largest) for run, segments, mask in slices)

    def restrict(self, mask: AnyMask | None) -> AnyMask | None:
        """Return the rows that pass a mask and have a bias above −∞; None if all rows do."""
        assert mask is None or isinstance(mask, Mask)
        if mask is None or self.mask is None:
            return self.mask if mask is None else mask
        return mask & self.mask

    def scan_addends(self, segment: Segment) -> F32:
        """Return float32[count], the biases that a scan of 8-bit codes adds to the logits of one segment's rows.

        Return the empty array float32[0] if all are 0.

        Args:
            segment: a segment of the view, with `count` rows.
        """
        index = self._index[id(segment)]
        if index not in self._float32_cache:
            addends = self.addends[index]
            self._float32_cache[index] = NO_ADDENDS if addends is None else addends.astype(np.float32)
        return self._float32_cache[index]

    def at(self, rows: RowIndices, indices: NDArray[np.intp]) -> F64:
        """Return float64[m], the biases of m rows in the order of `indices`.

        Args:
            rows: the tiles that contain the rows, see `RowIndices`.
            indices: int64[m], the rows, in any order.
        """
        gathered = np.zeros(len(indices))
        for index, tile in rows.split_tiles(indices):
            addends = self._of(tile)
            if addends is not None:
                gathered[index] = addends
        return gathered

    def all_of(self, rows: RowIndices) -> F64:
        """Return float64[n], the bias of each of the n rows in `rows`, in their order.

        Args:
            rows: the tiles (runs of rows) that contain the rows, see `RowIndices`.
        """
        gathered = np.zeros(rows.tiles[-1].stop if rows.tiles else 0)
        for tile in rows.tiles:
            addends = self._of(tile)
            if addends is not None:
                gathered[tile.start : tile.stop] = addends
        return gathered

    def _of(self, tile: Tile) -> F64 | None:
        addends = self.addends[self._index[id(tile.segment)]]
        return None if addends is None else addends[tile.rows]

    @cached_property
    def _index(self) -> dict[int, int]:
        return {id(segment): index for index, segment in enumerate(self.view.segments)}

    @cached_property
    def _float32_cache(self) -> dict[int, F32]:
        return {}


_NOT_FINITE = "a bias must be finite, or minus infinity to forbid a document: it holds NaN or infinity"


def sort_addends(numbers: ArrayLike, addends: ArrayLike) -> tuple[I64, F64]:
    """Return the documents int64[r], ascending, and the bias float64[r] of each.

    Args:
        numbers: int64[r], the documents, in any order.
        addends: float[r], the bias of each.

    Raises:
        ShapeError: the number of biases differs from the number of documents.
        ParameterError: a document is listed twice, or a bias is NaN or ∞.
    """
    documents, amounts = integers("numbers", numbers), reals("addends", addends)
    if amounts.shape != documents.shape:
        raise ShapeError(
            f"a bias is one addend for each document, got numbers {documents.shape} and addends {amounts.shape}: "
            "send two vectors of one length"
        )
    if not (amounts < np.inf).all():
        raise ParameterError(_NOT_FINITE)
    if not (documents[1:] > documents[:-1]).all():
        order = np.argsort(documents, kind="stable")
        documents, amounts = documents[order], amounts[order]
        twice = documents[1:][documents[1:] == documents[:-1]]
        if len(twice):
            raise ParameterError(f"document {twice[0]} has two addends in a bias: add them up, and send one")
    return documents, amounts


def _forbidden_rows(addends: F64 | None) -> Bools | None:
    """Return bool[count], True for each row whose bias is −∞, which forbids it; None if all biases are finite."""
    rows = None if addends is None else np.isneginf(addends)
    return rows if rows is not None and rows.any() else None


def _segment_addends(segment: Segment, documents: I64, addends: F64, elsewhere: float) -> F64 | None:
    """Return float64[count], the bias of each row of a segment; None if all are 0.

    Args:
        segment: the segment, with `count` rows.
        documents, addends: int64[r] ascending and float64[r], the documents with a bias of their own, and their biases.
        elsewhere: the bias of all other documents.
    """
    owners = segment.owners
    first, last = np.searchsorted(documents, owners[[0, -1]] + (0, 1)) if segment.count else (0, 0)
    documents, addends = documents[first:last], addends[first:last]
    if not elsewhere and not addends.any():
        return None
    column = np.full(segment.count, elsewhere) if elsewhere else np.zeros(segment.count)
    if np.array_equal(documents, owners):
        column[:] = addends
    else:
        begin, end = document_ranges(owners, documents, segment.live)
        column[expand_ranges(begin, end)] = np.repeat(addends, end - begin)
    return column

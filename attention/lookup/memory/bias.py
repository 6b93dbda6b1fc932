"""What is added to the logits of some documents: a number a row, for one view."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attention.dtypes import F32, F64, I64, Bools
from attention.errors import ParameterError, ShapeError
from attention.kernels import NO_ADDENDS
from attention.lookup.memory.rows import document_ranges, expand_ranges
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.tiles import RowIndices, Tile
from attention.lookup.memory.view import Mask, View


@dataclass(frozen=True, eq=False)
class Bias:
    """What is added to the logit of every row of a view: logit = similarity / temperature + bias.

    Attributes:
        view: the view it was made for.
        addends: for each segment float64[count], finite, 0 for what may not be attended to; None where all are 0.
        mask: which rows have a bias above −∞; None where all have.
        largest: the largest size of any.
    """

    view: View
    addends: tuple[F64 | None, ...]
    mask: Mask | None
    largest: float

    @classmethod
    def of(cls, view: View, numbers: ArrayLike, addends: ArrayLike, elsewhere: float = 0.0) -> Bias:
        """The bias that adds something to each of the given documents, to all of its rows alike.

        Args:
            numbers: int64[r], the documents' own, in any order; unknown ones are ignored.
            addends: float[r], of each. −∞ forbids a document; otherwise finite.
            elsewhere: of all other documents.

        Raises:
            ShapeError: there are not as many addends as numbers.
            ParameterError: a document comes twice, or an addend is NaN or ∞.
        """
        documents, given = np.asarray(numbers, dtype=np.int64), np.asarray(addends, dtype=np.float64)
        if documents.ndim != 1 or given.shape != documents.shape:
            raise ShapeError(
                f"a bias is one addend for each document, got numbers {documents.shape} and addends {given.shape}: "
                "send two vectors of one length"
            )
        if not (np.append(given, elsewhere) < np.inf).all():
            raise ParameterError(
                "a bias must be finite, or minus infinity to forbid a document: it holds NaN or infinity"
            )
        if not (documents[1:] > documents[:-1]).all():
            order = np.argsort(documents, kind="stable")
            documents, given = documents[order], given[order]
            twice = documents[1:][documents[1:] == documents[:-1]]
            if len(twice):
                raise ParameterError(f"document {twice[0]} has two addends in a bias: add them up, and send one")
        found = [_segment_addends(segment, documents, given, float(elsewhere)) for segment in view.segments]
        forbidden = tuple(_forbidden_rows(each) for each in found)
        mask = None if all(rows is None for rows in forbidden) else ~Mask.of(view, forbidden)
        for each, rows in zip(found, forbidden, strict=True):
            if each is not None and rows is not None:
                each[rows] = 0.0
        largest = max((float(np.abs(each).max()) for each in found if each is not None and len(each)), default=0.0)
        return cls(view, tuple(found), mask, largest)

    @cached_property
    def runs(self) -> tuple[Bias, ...]:
        """The biases of the view's `runs`."""
        masks = [None] * len(self.view.runs) if self.mask is None else self.mask.runs
        slices = zip(self.view.runs, self.view.run_slices, masks, strict=True)
        return tuple(Bias(run, self.addends[segments], mask, self.largest) for run, segments, mask in slices)

    def scanned(self, segment: Segment) -> F32:
        """float32[count], of the rows of a segment, for a scan of its codes; float32[0] where all are 0."""
        index = self._index[id(segment)]
        if index not in self._rounded:
            addends = self.addends[index]
            self._rounded[index] = NO_ADDENDS if addends is None else addends.astype(np.float32)
        return self._rounded[index]

    def at(self, rows: RowIndices, places: NDArray[np.intp]) -> F64:
        """float64[m], of the rows at some places, which may stand in any order."""
        found = np.zeros(len(places))
        for index, tile in rows.grouped(places):
            addends = self._of(tile)
            if addends is not None:
                found[index] = addends
        return found

    def all_of(self, rows: RowIndices) -> F64:
        """float64[n], of all rows of some tiles."""
        found = np.zeros(rows.tiles[-1].stop if rows.tiles else 0)
        for tile in rows.tiles:
            addends = self._of(tile)
            if addends is not None:
                found[tile.start : tile.stop] = addends
        return found

    def _of(self, tile: Tile) -> F64 | None:
        addends = self.addends[self._index[id(tile.segment)]]
        return None if addends is None else addends[tile.rows]

    @cached_property
    def _index(self) -> dict[int, int]:
        return {id(segment): index for index, segment in enumerate(self.view.segments)}

    @cached_property
    def _rounded(self) -> dict[int, F32]:
        return {}


def _forbidden_rows(addends: F64 | None) -> Bools | None:
    """bool[count], which are −∞; None where none is."""
    rows = None if addends is None else np.isneginf(addends)
    return rows if rows is not None and rows.any() else None


def _segment_addends(segment: Segment, documents: I64, addends: F64, elsewhere: float) -> F64 | None:
    """float64[count], each document's addend at all of its rows; None where all are 0."""
    owners = segment.owners
    first, last = np.searchsorted(documents, owners[[0, -1]] + (0, 1)) if segment.count else (0, 0)
    documents, addends = documents[first:last], addends[first:last]
    if not elsewhere and not addends.any():
        return None
    found = np.full(segment.count, elsewhere) if elsewhere else np.zeros(segment.count)
    if np.array_equal(documents, owners):
        found[:] = addends
    else:
        begin, end = document_ranges(owners, documents, segment.live)
        found[expand_ranges(begin, end)] = np.repeat(addends, end - begin)
    return found

"""Views: all rows of a memory at one moment. A reader sees the same rows from the first tile to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import F32, I64, Bools, as_array, integers
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.forked import cached_property
from softkv_attention.lookup.codes.moments import Grams, Residuals, RunningGrams
from softkv_attention.lookup.limits import Limits
from softkv_attention.lookup.memory.bitmaps import Bitmap, RowSelection
from softkv_attention.lookup.memory.blocks import bytes_in_file, lies_in_memory, machine_memory
from softkv_attention.lookup.memory.rows import count_documents
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.statistics import BlockStatistics, sum_masked_residuals, sum_residuals

FILE_CACHE_SHARE = 0.5
"""The share of a machine's memory in which the system may cache files."""


class AnyView(Protocol):
    """Rows (keys with values) that can be queried: a `View` in this process, or a view of rows in other processes."""

    @property
    def similarity(self) -> str:
        """The name of the similarity of queries and keys: cosine, dot, scaled_dot or gaussian."""

    @property
    def dimension(self) -> int | None:
        """The keys' width; None if no row was written."""

    @property
    def value_dimension(self) -> int | None:
        """The values' width; None if no row was written."""

    @property
    def facts(self) -> BlockStatistics:
        """Statistics of all rows, such as their number and the largest norms."""

    @property
    def limits(self) -> Limits:
        """Sizes by which the planner chooses between reading all keys in float64 and a scan of 8-bit codes."""

    @property
    def n(self) -> int:
        """The number of rows (keys), without removed ones."""

    @property
    def documents(self) -> int:
        """The number of documents, without removed ones."""

    @property
    def bare(self) -> bool:
        """Whether some rows have no 8-bit codes, so that only their float32 originals can be read."""

    @property
    def beyond_memory(self) -> bool:
        """Whether the float32 originals are likely to be on disk, because they do not fit into memory."""

    def mask(self, numbers: I64 | Bools) -> AnyMask:
        """Return the mask of the given documents: their numbers, or bool[n] in the order of all numbers."""

    def count_documents(self, numbers: I64, mask: AnyMask | None) -> int:
        """Return how many of the documents with these numbers pass the mask; unknown documents are ignored."""


@runtime_checkable
class AnyMask(Protocol):
    """The rows of a view that a query may attend to: a `Mask`, or that of a view of other processes."""

    @property
    def view(self) -> Any:
        """The view that the mask was made for."""

    @property
    def n(self) -> int:
        """The number of rows that a query may attend to."""

    @property
    def scanned(self) -> int:
        """The number of rows that a scan of 8-bit codes reads to reach the allowed ones."""

    @property
    def documents(self) -> int:
        """The number of documents that a query may attend to."""

    @property
    def value_residuals(self) -> Residuals:
        """The sum over the allowed rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out."""


@final
@dataclass(frozen=True, eq=False)
class View:
    """An immutable snapshot of a memory: all of its rows at one moment.

    Later writes make new views and do not change this one.

    Attributes:
        similarity: the name of the similarity of queries and keys.
        segments: the blocks of rows, as this view sees them.
        dimension: the keys' width; None before the first write.
        value_dimension: the values' width; None before the first write.
        running_grams: a cache of sums of Gram matrices, shared with the views before and after this one.
        parts: the views that this one merges, see `merged`; empty for a view of one memory.
        limits: the limits of the memory, or of the first of `parts`.
    """

    similarity: str
    segments: tuple[Segment, ...] = ()
    dimension: int | None = None
    value_dimension: int | None = None
    running_grams: RunningGrams = field(default_factory=RunningGrams, repr=False)
    parts: tuple[View, ...] = ()
    limits: Limits = field(default=Limits(), repr=False)

    @classmethod
    def merged(cls, views: Sequence[View]) -> View:
        """Return one view of the rows of several views.

        No two rows may have the same number, and a document must have all of its rows in one view. Masks and biases are
        made for the merged view. A scan reads the views one after another.

        Raises:
            ParameterError: the argument is not a list of views or is empty, or the views have different similarities.
            ShapeError: the views have keys or values of different widths.
        """
        if not (isinstance(views, Sequence) and all(isinstance(view, View) for view in views)):
            raise ParameterError(
                f"expected a Memory, a View, or several views that are parts of one, got {type(views).__name__}: "
                "Memory.of(keys) makes a memory of an array"
            )
        if not views:
            raise ParameterError("a list of parts needs at least one view, got none: send [memory.view]")
        similarities = sorted({view.similarity for view in views})
        if len(similarities) > 1:
            raise ParameterError(
                f"parts must have one similarity, got {' and '.join(similarities)}: ask each by itself"
            )
        parts = tuple(view for view in views if view.segments)
        widths = {name: sorted({getattr(part, name) for part in parts}) for name in ("dimension", "value_dimension")}
        for name, values in widths.items():
            if len(values) > 1:
                raise ShapeError(f"parts must have one {name}, got {values}: encode all with the same model")
        segments = tuple(segment for part in parts for segment in part.segments)
        dimension, value_dimension = (values[0] if values else None for values in widths.values())
        return cls(similarities[0], segments, dimension, value_dimension, parts=parts, limits=views[0].limits)

    @cached_property
    def runs(self) -> tuple[View, ...]:
        """The views that a scan reads one after another; empty if a scan reads this view as a whole.

        These are the merged views, if there are any. A view in which some blocks have 8-bit codes and others do not is
        cut at each change.
        """
        views = self.parts or (self,)
        if not any(len({segment.block.bare for segment in view.segments}) > 1 for view in views):
            return self.parts
        return tuple(
            View(view.similarity, tuple(run), view.dimension, view.value_dimension, limits=self.limits)
            for view in views
            for _, run in groupby(view.segments, key=lambda segment: segment.block.bare)
        )

    @cached_property
    def run_slices(self) -> tuple[slice, ...]:
        """For each view of `runs`, the slice of `segments` that it consists of."""
        edges = [0]
        for run in self.runs:
            edges.append(edges[-1] + len(run.segments))
        return tuple(slice(first, last) for first, last in pairwise(edges))

    def with_segments(self, segments: tuple[Segment, ...], dimension: int | None, value_dimension: int | None) -> View:
        """Return the next view after a write, with these segments (blocks of rows) and widths of keys and values."""
        return View(self.similarity, segments, dimension, value_dimension, self.running_grams, limits=self.limits)

    def check_files(self) -> None:
        """See that no file of a block was cut since it was mapped.

        Raises:
            SealedError: a file became shorter.
        """
        for segment in self.segments:
            if segment.block.unread is not None:
                segment.block.unread.check_size()

    @cached_property
    def facts(self) -> BlockStatistics:
        """Statistics of all rows, such as their number and the largest norms."""
        if self.parts:
            return BlockStatistics.merge(self.similarity, self.value_dimension, [part.facts for part in self.parts])
        return BlockStatistics.of(self.similarity, self.value_dimension, self.segments)

    @cached_property
    def n(self) -> int:
        """The number of rows (keys), without removed ones."""
        return self.facts.n

    @cached_property
    def documents(self) -> int:
        """The number of documents, without removed ones; equal to `n` if every row is a document."""
        return self.facts.documents

    @cached_property
    def grams(self) -> Grams | None:
        """Upper bounds on the Gram matrices Σ k·kᵀ and Σ (k − k̂)(k − k̂)ᵀ of the keys k and their 8-bit codes k̂.

        None if they are not stored or not finite.
        """
        grams = [segment.block.codes.grams for segment in self.segments if segment.block.codes is not None]
        stored = [gram for gram in grams if gram is not None]
        if not stored or len(stored) < len(self.segments):
            return None
        return self.running_grams.of(stored)

    @cached_property
    def bare(self) -> bool:
        """Whether some rows have no 8-bit codes, so that only their float32 originals can be read."""
        return any(segment.block.codes is None for segment in self.segments)

    @cached_property
    def memory_bytes(self) -> int:
        """The bytes that its blocks take in memory, including their free capacity, but not files."""
        return sum(segment.block.memory_bytes for segment in self.segments)

    @cached_property
    def in_memory(self) -> bool:
        """Whether no key and no value lies in a file, so that reading them waits for no disk."""
        stored = (originals for s in self.segments for originals in (s.block.keys, s.block.values))
        return not any(originals is not None and bytes_in_file(originals) for originals in stored)

    def scan_in_memory(self) -> bool:
        """Return whether a scan waits for no disk now, as keys and codes are in memory, and no key is to be checked.

        Those in files are in memory while the operating system caches them.
        """
        for segment in self.segments:
            block = segment.block
            if block.unchecked or block.codes is None:
                return False
            arrays: list[NDArray[Any]] = [block.keys[: segment.count], block.norms]
            arrays += [block.codes.codes, block.codes.scales]
            if not all(lies_in_memory(array) for array in arrays):
                return False
        return True

    @cached_property
    def beyond_memory(self) -> bool:
        """Whether keys and values in files are too large for the operating system to cache them in memory."""
        stored = [
            originals for s in self.segments for originals in (s.block.keys, s.block.values) if originals is not None
        ]
        return sum(bytes_in_file(originals) for originals in stored) > FILE_CACHE_SHARE * machine_memory()

    @cached_property
    def value_residuals(self) -> Residuals:
        """The sum over all rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

        It is available if `BlockStatistics.value_spread` is known.
        """
        return sum_residuals(self.passing(None), self.value_dimension or 0)

    def numbers(self) -> I64:
        """Return int64[n], the permanent numbers of the rows, ascending, without removed rows."""
        columns = [s.numbers if s.live is None else s.numbers[s.live] for s in self.segments]
        return np.sort(np.concatenate(columns)) if columns else np.empty(0, dtype=np.int64)

    def mask(self, numbers: I64 | Bools) -> Mask:
        """Return the mask that lets a query attend only to the given documents, each with all of its rows.

        Args:
            numbers: int64[r], the documents' numbers, in any order; unknown documents are ignored. Or bool[n], one for
                each document in the order of their numbers, True if it may be attended to.

        Raises:
            ShapeError: the number of booleans differs from the number of documents.
        """
        flags = np.asarray(as_array("mask", numbers))
        if flags.dtype == np.bool_:
            owners = [s.owners if s.live is None else s.owners[s.live] for s in self.segments]
            documents = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *owners]))
            if flags.shape != documents.shape:
                raise ShapeError(
                    f"a mask of booleans has one for each of {len(documents)} documents, got shape {flags.shape}: "
                    "send as many, or mask(numbers)"
                )
            numbers = documents[flags]
        allowed = integers("numbers", numbers)
        return Mask.of(self, RowSelection.of([segment.owners for segment in self.segments], allowed).passes)

    def keys_of(self, numbers: I64) -> F32:
        """Return float32[n, d], the keys of the rows with these numbers int64[n], in their order.

        Rows that are not in the view are zero.
        """
        keys = np.zeros((len(numbers), self.dimension or 0), dtype=np.float32)
        for segment in self.segments:
            if not segment.count:
                continue
            positions = np.minimum(np.searchsorted(segment.numbers, numbers), segment.count - 1)
            inside = np.flatnonzero(segment.numbers[positions] == numbers)
            keys[inside] = segment.load_keys(positions[inside])[positions[inside]]
        return keys

    def count_documents(self, numbers: I64, mask: AnyMask | None) -> int:
        """Return how many of the documents with these numbers pass the mask; unknown documents are ignored."""
        assert mask is None or isinstance(mask, Mask)
        documents = self.mask(numbers)
        return (documents if mask is None else documents & mask).documents

    def document_numbers(self, mask: Mask | None = None) -> I64:
        """Return int64[m], the numbers of the documents that pass the mask, in any order; without a mask, of all.

        Raises:
            ParameterError: the mask was made for another view.
        """
        owners = [s.owners if passes is None else s.owners[passes] for s, passes in self.passing(mask)]
        of_rows = np.concatenate([np.empty(0, dtype=np.int64), *owners])
        return np.unique(of_rows) if self.facts.several else of_rows

    def passing(self, mask: Mask | None) -> Iterator[tuple[Segment, Bools | None]]:
        """Yield each segment (block of rows) with rows that pass the mask, and bool[count] that is True for these rows.

        Yield None instead of bool[count] if all rows of the segment pass. Removed rows never pass. Without a mask, all
        other rows pass.

        Raises:
            ParameterError: the mask was made for another view.
        """
        if mask is not None and mask.view is not self:
            raise ParameterError("the mask belongs to another view: make it with this view's mask(numbers)")
        for index, segment in enumerate(self.segments):
            if mask is not None:
                bits = mask.bits[index]
                if bits is not None:
                    yield segment, bits.passes()
            elif segment.n:
                yield segment, segment.live


@dataclass(frozen=True, eq=False)
class Mask:
    """The rows of a view that a query may attend to.

    Of each document, either all rows may be attended to or none. `&`, `|` and `~` are and, or and not over the rows
    that were not removed. Both masks must be of one view.

    Attributes:
        view: the view that the mask was made for.
        bits: for each segment of the view, the bitmap of the allowed rows; None if no row of the segment is allowed.
    """

    view: View
    bits: tuple[Bitmap | None, ...]

    @classmethod
    def of(cls, view: View, passes: Sequence[Bools | None]) -> Mask:
        """Return the mask of the rows that are True in `passes`, without removed rows.

        Args:
            view: the view.
            passes: for each segment of the view bool[count]; None if no row of the segment passes.
        """
        return cls(
            view,
            tuple(
                None if passing is None else _none_if_empty(Bitmap.of(passing).among(segment.live_bits))
                for segment, passing in zip(view.segments, passes, strict=True)
            ),
        )

    def __and__(self, other: Mask) -> Mask:
        both = [
            None if mine is None or theirs is None else _none_if_empty(Bitmap(mine.packed & theirs.packed, mine.count))
            for mine, theirs in zip(self.bits, self._bitmaps_of(other), strict=True)
        ]
        return Mask(self.view, tuple(both))

    def __or__(self, other: Mask) -> Mask:
        either = [
            theirs if mine is None else mine if theirs is None else Bitmap(mine.packed | theirs.packed, mine.count)
            for mine, theirs in zip(self.bits, self._bitmaps_of(other), strict=True)
        ]
        return Mask(self.view, tuple(either))

    def __invert__(self) -> Mask:
        rest = (
            np.ones(segment.count, dtype=np.bool_) if bits is None else ~bits.passes()
            for segment, bits in zip(self.view.segments, self.bits, strict=True)
        )
        return Mask.of(self.view, list(rest))

    @cached_property
    def n(self) -> int:
        """The number of rows (keys) that a query may attend to."""
        return sum(bits.n for bits in self.bits if bits is not None)

    @cached_property
    def scanned(self) -> int:
        """The number of rows that a scan of 8-bit codes reads to reach the allowed ones.

        A scan reads rows in panels of 64, and skips panels without an allowed row.
        """
        return sum(bits.scanned for bits in self.bits if bits is not None)

    @cached_property
    def documents(self) -> int:
        """The number of documents that a query may attend to."""
        return sum(
            count_documents(segment.numbers, segment.owners, bits.passes()) if segment.several else bits.n
            for segment, bits in zip(self.view.segments, self.bits, strict=True)
            if bits is not None
        )

    @cached_property
    def value_residuals(self) -> Residuals:
        """The sum over the allowed rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

        It is computed once for each mask, and is available if `BlockStatistics.value_spread` is known.
        """
        total = Residuals(0, np.zeros(self.view.value_dimension or 0))
        for segment, bits in zip(self.view.segments, self.bits, strict=True):
            if bits is not None:
                total += sum_masked_residuals(segment, bits)
        return total

    @cached_property
    def runs(self) -> tuple[Mask, ...]:
        """This mask in parts: one for each of the views that a scan reads one after another, see `View.runs`."""
        slices = zip(self.view.runs, self.view.run_slices, strict=True)
        return tuple(Mask(run, self.bits[segments]) for run, segments in slices)

    @property
    def nbytes(self) -> int:
        """The memory that the mask uses, in bytes."""
        return sum(bits.nbytes for bits in self.bits if bits is not None)

    def _bitmaps_of(self, other: Mask) -> tuple[Bitmap | None, ...]:
        if other.view is not self.view:
            raise ParameterError("the masks belong to two views: make both with one view's mask(numbers)")
        return other.bits


def _none_if_empty(bits: Bitmap) -> Bitmap | None:
    return bits if bits.packed.any() else None

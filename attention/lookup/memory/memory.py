"""The keys and values of one collection, written by one writer and read by many readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np

from attention.arrays import F32, I64
from attention.errors import ParameterError, ShapeError
from attention.lookup.limits import Limits
from attention.lookup.memory.blocks import Block, BlockFormat
from attention.lookup.memory.compaction import Replacement, apply_replacements, compact
from attention.lookup.memory.rows import Rows
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import View
from attention.similarity import SIMILARITIES


@dataclass
class CodedBlock:
    """A block that got 8-bit codes after it was written, and the number of its rows with codes.

    See `Memory.code`.
    """

    block: Block
    count: int

    def coded_segment(self, bare: Segment) -> Segment:
        """Return the segment `bare` with the codes of this block.

        Rows that were written in the meantime are coded now.
        """
        if bare.count > self.count:
            self.block.code(self.count, bare.count)
            self.count = bare.count
        return Segment(self.block, bare.count, bare.live, bare.several)


class Memory:
    """Keys and values in blocks; `publish` replaces the current view by a new one.

    Args:
        similarity: cosine, dot, scaled_dot or gaussian.
        directory: store the float32 originals of large blocks in files there: 4·d bytes a row, and 4·d_v for separate
            values. None, or a full disk, keeps them in memory. Codes stay in memory: d bytes for a row's key, d_v for
            its value.
        expected: the number of rows that will be added, if known: blocks are not reallocated until then.
        codes_later: give rows no codes before `code` is called; until then answers are computed from the originals.
        limits: sizes of blocks and scans, which the views carry.

    Raises:
        ParameterError: the similarity is unknown.
    """

    def __init__(
        self,
        similarity: str,
        directory: Path | None = None,
        *,
        expected: int = 0,
        codes_later: bool = False,
        limits: Limits = Limits(),
    ) -> None:
        if not (isinstance(similarity, str) and similarity in SIMILARITIES):
            got = repr(similarity) if isinstance(similarity, str) else f"a {type(similarity).__name__}: use Memory.of"
            raise ParameterError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {got}")
        self._view = View(similarity, limits=limits)
        self._layout = BlockFormat(similarity, directory, codes_later, limits)
        self._coded: WeakKeyDictionary[Block, CodedBlock] = WeakKeyDictionary()
        self._expected = expected
        self._since_staged: list[list[Replacement]] | None = None
        self._turn = Lock()

    @classmethod
    def of(
        cls,
        keys: F32,
        values: F32 | None = None,
        *,
        similarity: str = "cosine",
        owners: I64 | None = None,
        limits: Limits = Limits(),
    ) -> Self:
        """Return a memory of n rows, numbered from 0.

        Args:
            keys: float32[n, d].
            values: float32[n, d_v], or None if the values are the keys.
            similarity: cosine, dot, scaled_dot or gaussian.
            owners: int64[n], the first row of each row's document, see `Rows`; None if every row is a document.
            limits: see `Memory`.

        Raises:
            ShapeError: keys, values and owners differ in their number of rows.
            ParameterError: the similarity is unknown or not defined for a key, or an owner does not precede its rows.
        """
        memory = cls(similarity, limits=limits)
        memory.publish(add=Rows.from_zero(keys, values, owners))
        return memory

    def adopt(self, segments: Sequence[Segment]) -> None:
        """Start the memory with existing blocks.

        Each row may occur only once among them, removed rows aside, and nothing may have been published before.
        """
        first = segments[0].block
        self._view = self._view.with_segments(tuple(segments), first.dimension, first.value_dimension)

    def __repr__(self) -> str:
        return f"<Memory {self._view.n:,} keys of width {self._view.dimension}, {self._view.similarity}>"

    @property
    def view(self) -> View:
        """The current view, which never changes."""
        return self._view

    def publish(self, *, add: Rows | None = None, remove: I64 | None = None) -> View:
        """Remove documents and add rows in one step: a reader sees both changes or neither.

        Only one writer may call this at a time.

        Args:
            add: rows with numbers that were never used in this memory.
            remove: int64[r], documents to remove with all of their rows; unknown documents are ignored.

        Returns:
            The new view, which is now current.

        Raises:
            ShapeError: keys or values differ in width from the stored ones; nothing is written.
            ParameterError: cosine is not defined for a key, a number was used before, or a number lies between the rows
                of another document; nothing is written.
        """
        with self._turn:
            self._view = self._next(add, remove)
            self._since_staged = None
            return self._view

    def stage(self, *, add: Rows | None = None, remove: I64 | None = None) -> View:
        """Return the view that `publish` would make, without showing it to readers; `show` makes it current.

        Everything that can fail fails here.

        It is for writers that must write to a store between the two steps. A view that is never shown leaves nothing
        behind. The next call that writes must be `show`, or `stage` again.

        Raises:
            ShapeError, ParameterError: as for `publish`.
            MemoryError: there is not enough memory for the rows.
        """
        with self._turn:
            self._since_staged = []
            return self._next(add, remove)

    def show(self, staged: View) -> None:
        """Make the view that `stage` returned last current.

        It includes the blocks that were compacted in the meantime.
        """
        with self._turn:
            for replaced in self._since_staged or ():
                segments = apply_replacements(replaced, staged.segments, self._layout)
                if segments is None:
                    break
                staged = _with_segments(staged, segments)
            self._view = self._with_codes(staged)
            self._since_staged = None

    def code(self) -> None:
        """Compute 8-bit codes for the rows that were written without codes, see `codes_later`.

        The caller runs this in a thread of its own.

        The caller runs this in a thread of its own.

        Readers and the writer continue meanwhile; rows written from now on get codes.

        Raises:
            MemoryError: there is not enough memory; answers are computed from the originals as before.
        """
        with self._turn:
            self._layout = replace(self._layout, codes_later=False)
        dimension = self._view.dimension
        if dimension is None or not self._layout.codes(dimension):
            return
        while bare := next((segment for segment in self._view.segments if segment.block.bare), None):
            made = CodedBlock(bare.block.with_codes(bare.count, self._layout), bare.count)
            with self._turn:
                self._coded[bare.block] = made
                self._view = self._with_codes(self._view)

    def _with_codes(self, view: View) -> View:
        """Return the view with the 8-bit codes that `code` made after the view was staged."""
        if not any(segment.block in self._coded for segment in view.segments):
            return view
        segments = tuple(
            segment if (made := self._coded.get(segment.block)) is None else made.coded_segment(segment)
            for segment in view.segments
        )
        return _with_segments(view, segments)

    def compact(self) -> bool:
        """Rewrite blocks with many removed rows, and merge small ones.

        The caller runs this in a thread of its own.

        Readers and the writer continue meanwhile. Rows removed in the meantime stay removed, and rows written stay.

        Returns:
            Whether something was rewritten, and no other change prevented it.
        """
        before = self._view
        replaced = compact(before, self._layout)
        if not replaced:
            return False
        with self._turn:
            segments = apply_replacements(replaced, self._view.segments, self._layout)
            if segments is None:
                return False
            self._view = _with_segments(self._view, segments)
            if self._since_staged is not None:
                self._since_staged.append(replaced)
            return True

    def _next(self, add: Rows | None, remove: I64 | None) -> View:
        view = self._view
        segments = list(view.segments)
        if add is not None and len(add):
            _check(view, add)
        if remove is not None and len(remove):
            numbers = np.unique(np.asarray(remove, dtype=np.int64))
            for index, segment in enumerate(segments):
                positions = segment.positions(numbers)
                if len(positions):
                    segments[index] = segment.without(positions)
        dimension, value_dimension = view.dimension, view.value_dimension
        if add is not None and len(add):
            dimension = add.keys.shape[1]
            value_dimension = dimension if add.values is None else add.values.shape[1]
            segments = _append_rows(segments, add, self._layout, self._expected)
        segments = [segment for segment in segments if segment.n]
        return view.with_segments(tuple(segments), dimension, value_dimension)


def _with_segments(view: View, segments: tuple[Segment, ...]) -> View:
    return view.with_segments(segments, view.dimension, view.value_dimension)


def _append_rows(segments: list[Segment], rows: Rows, layout: BlockFormat, expected: int) -> list[Segment]:
    """Return the segments with `rows` appended to the last one, or to new blocks.

    `expected` is the number of rows that the memory will have in all.
    """
    start, limits = 0, layout.limits
    while start < len(rows):
        if not (segments and _fits(segments[-1], rows.part(start, start + 1), limits.block_rows)):
            to_come = expected - sum(segment.count for segment in segments)
            # A power of two, as a block has that grew to it: what is written later finds room.
            room = max(len(rows) - start, limits.first_rows, 1 << max(to_come - 1, 0).bit_length())
            width = None if rows.values is None else rows.values.shape[1]
            block = Block.allocate(min(room, limits.block_rows), rows.keys.shape[1], width, layout)
            segments = [*segments, Segment(block, 0)]
        stop = min(len(rows), start + limits.block_rows - segments[-1].count)
        segments = [*segments[:-1], segments[-1].append(rows.part(start, stop), layout)]
        start = stop
    return segments


def _fits(last: Segment, row: Rows, block_rows: int) -> bool:
    """Return whether the row can be appended to the segment: numbers ascend, and separate values can be stored."""
    ascends = last.count == 0 or row.numbers[0] > last.numbers[-1]
    placed = last.block.values is not None or row.values is None
    return bool(last.count < block_rows and ascends and placed)


def _check(view: View, rows: Rows) -> None:
    """Raise an error if the rows cannot be added to the view."""
    value_dimension = (rows.keys if rows.values is None else rows.values).shape[1]
    widths = (("keys", rows.keys.shape[1], view.dimension), ("values", value_dimension, view.value_dimension))
    for name, actual, width in widths:
        if width is not None and actual != width:
            raise ShapeError(f"{name} have width {actual}, those stored have {width}: encode both with the same model")
    if view.similarity == "cosine" and not rows.keys.any(axis=1).all():
        zero = int(rows.numbers[~rows.keys.any(axis=1)][0])
        raise ParameterError(
            f"the key of row {zero} is a zero vector, for which cosine is not defined: leave it out, or use dot"
        )
    for segment in view.segments:
        if not _ranges_overlap(segment, rows):
            continue
        used = np.intersect1d(segment.numbers, rows.numbers, assume_unique=True)
        if len(used):
            raise ParameterError(f"row number {int(used[0])} was used before: row numbers are never reused")
    owners = rows.numbers if rows.owners is None else rows.owners
    for segment in view.segments:
        if segment.several:
            _check_not_interleaved(rows.numbers, owners, segment.numbers, segment.owners)
        if rows.owners is not None:
            _check_not_interleaved(segment.numbers, segment.owners, rows.numbers, owners)


def _check_not_interleaved(numbers: I64, owners: I64, other_numbers: I64, other_owners: I64) -> None:
    """Raise ParameterError if one of the numbers int64[n] lies between the rows of a document among `other_numbers`.

    Args:
        numbers, owners: of one group of rows.
        other_numbers, other_owners: of the other group.
    """
    first, last = np.searchsorted(numbers, [other_owners[0], other_numbers[-1]])
    followed = numbers[first:last]
    owner = other_owners[np.searchsorted(other_numbers, followed)]
    between = (owner < followed) & (owner != owners[first:last])
    if np.any(between):
        row, document = int(followed[between][0]), int(owner[between][0])
        raise ParameterError(
            f"row number {row} lies between rows of document {document}: "
            "number the rows of a document so that no others lie between them"
        )


def _ranges_overlap(segment: Segment, rows: Rows) -> bool:
    return bool(segment.count and segment.numbers[-1] >= rows.numbers[0] and segment.numbers[0] <= rows.numbers[-1])

"""The keys and values of one collection, written by one writer and read by many readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Self
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.arrays import F32, I64, Numbers, integers
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.forked import new_lock
from softkv_attention.lookup.limits import Limits
from softkv_attention.lookup.memory.blocks import Block, BlockFormat
from softkv_attention.lookup.memory.compaction import Replacement, apply_replacements, compact, replace_values
from softkv_attention.lookup.memory.rows import Rows
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.view import View
from softkv_attention.similarity import SIMILARITIES


@dataclass
class CodedBlock:
    """A block whose 8-bit codes were made after its rows were written, see `Memory.code`.

    Attributes:
        block: the block with codes.
        count: how many of its first rows have codes.
    """

    block: Block
    count: int

    def segment_with_codes(self, bare: Segment) -> Segment:
        """Return the segment `bare`, which has no codes, over this block instead.

        Rows that were written after the codes were made are coded now.
        """
        if bare.count > self.count:
            self.block.code(self.count, bare.count)
            self.count = bare.count
        return Segment(self.block, bare.count, bare.live, bare.several)


class Memory:
    """The keys and values of one collection in blocks; `publish` replaces the current view (snapshot) by a new one.

    Attributes:
        view: the current view: an immutable snapshot of all rows.

    Args:
        similarity: cosine, dot, scaled_dot or gaussian.
        directory: store the float32 originals of large blocks in files there: 4·d bytes a row, and 4·d_v for separate
            values. None, or a full disk, keeps them in memory. Codes stay in memory: d bytes for a row's key, d_v for
            its value.
        expected: the number of rows that will be added, if known: blocks are not reallocated until then.
        codes_later: give rows no 8-bit codes before `code` is called; until then answers are computed from the float32
            originals.
        limits: the sizes of blocks and scans; every view has them too.
        codes_from: rows get codes once they need a block with room for this many components. Until then the memory
            is small, and answers are computed from the float32 originals. 0 gives every row codes.

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
        codes_from: int = 0,
    ) -> None:
        if not (isinstance(similarity, str) and similarity in SIMILARITIES):
            got = repr(similarity) if isinstance(similarity, str) else f"a {type(similarity).__name__}: use Memory.of"
            raise ParameterError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {got}")
        self.view = View(similarity, limits=limits)
        self._layout = BlockFormat(similarity, directory, codes_later, limits, codes_from)
        self._coded: WeakKeyDictionary[Block, CodedBlock] = WeakKeyDictionary()
        self._expected = expected
        self._since_staged: list[list[Replacement]] | None = None
        self._turn = new_lock()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse copies and pickles: two memories must not write into the same blocks."""
        raise TypeError(
            "a Memory cannot be copied or pickled, since it belongs to its process: its view can, with all rows; "
            "of a layer over it, save the parameters with save(path) or state_dict()"
        )

    @classmethod
    def of(
        cls,
        keys: Numbers,
        values: Numbers | None = None,
        *,
        similarity: str = "cosine",
        owners: I64 | None = None,
        limits: Limits = Limits(),
    ) -> Self:
        """Return a memory of n rows (keys with their values), numbered from 0.

        Args:
            keys: float[n, d], kept as float32.
            values: float[n, d_v], or None if the values are the keys.
            similarity: cosine, dot, scaled_dot or gaussian.
            owners: int64[n], the document that each row belongs to, given by the number of its first row; None if every
                row is a document.
            limits: the sizes of blocks and scans.

        Raises:
            ShapeError: keys, values and owners differ in their number of rows.
            ParameterError: the similarity is unknown or not defined for a key, or an owner does not precede its rows.
        """
        memory = cls(similarity, limits=limits)
        memory.publish(add=Rows.from_zero(keys, values, owners))
        return memory

    def adopt(self, segments: Sequence[Segment]) -> None:
        """Start an empty memory with existing blocks, for example blocks from files.

        Each row may occur only once among them, apart from removed rows. Nothing may have been published before.

        Args:
            segments: the blocks and the rows of each that are present, at least one.
        """
        first = segments[0].block
        self.view = self.view.with_segments(tuple(segments), first.dimension, first.value_dimension)

    def __repr__(self) -> str:
        return f"<Memory {self.view.n:,} keys of width {self.view.dimension}, {self.view.similarity}>"

    def publish(self, *, add: Rows | None = None, remove: I64 | None = None) -> View:
        """Remove documents and add rows (keys with values) in one step: a reader sees both changes or neither.

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
            self.view = self._next(add, remove)
            self._since_staged = None
            return self.view

    def stage(self, *, add: Rows | None = None, remove: I64 | None = None) -> View:
        """Return the view that `publish` would make, without showing it to readers; `show` makes it current.

        Everything that can fail fails here. So a writer can commit to a store between the two steps. A view that is
        never shown changes nothing. The next call that writes must be `show`, or `stage` again.

        Args:
            add, remove: the rows to add and the documents to remove, as for `publish`.

        Raises:
            ShapeError: keys or values differ in width from the stored ones.
            ParameterError: the rows cannot be added, for the reasons that `publish` lists.
            MemoryError: there is not enough memory for the rows.
        """
        with self._turn:
            self._since_staged = []
            return self._next(add, remove)

    def show(self, staged: View) -> None:
        """Make a view current that the last call of `stage` returned.

        If blocks were compacted in the meantime, the view shows the compacted ones.
        """
        with self._turn:
            for replaced in self._since_staged or ():
                segments = apply_replacements(replaced, staged.segments, self._layout)
                if segments is None:
                    break
                staged = _with_segments(staged, segments)
            self.view = self._with_codes(staged)
            self._since_staged = None

    def code(self) -> None:
        """Compute 8-bit codes for the rows that were written without codes because of `codes_later`.

        The caller runs this in a separate thread. Readers and the writer continue meanwhile. Rows written from now on
        get codes at once.

        Raises:
            MemoryError: there is not enough memory; answers are computed from the float32 originals as before.
        """
        with self._turn:
            self._layout = replace(self._layout, codes_later=False)
        while bare := self._next_to_code():
            made = CodedBlock(bare.block.with_codes(bare.count, self._layout), bare.count)
            with self._turn:
                self._coded[bare.block] = made
                self.view = self._with_codes(self.view)

    def _next_to_code(self) -> Segment | None:
        """Return a segment whose codes are still to be made, or None."""
        view = self.view
        if view.dimension is None or not self._layout.codes(view.dimension):
            return None
        if len(view.segments) == 1:
            (only,) = view.segments
            if not self._layout.of_only_block(only.block.capacity, view.dimension).codes(view.dimension):
                return None
        return next((segment for segment in view.segments if segment.block.bare), None)

    def _with_codes(self, view: View) -> View:
        """Return the view with coded blocks in place of blocks whose codes `code` made after the view was staged."""
        if not any(segment.block in self._coded for segment in view.segments):
            return view
        segments = tuple(
            segment if (made := self._coded.get(segment.block)) is None else made.segment_with_codes(segment)
            for segment in view.segments
        )
        return _with_segments(view, segments)

    def compact(self) -> bool:
        """Rewrite blocks with many removed rows, and merge small blocks.

        The caller runs this in a separate thread. Readers and the writer continue meanwhile. Rows removed in the
        meantime stay removed, and rows written in the meantime stay.

        Returns:
            Whether blocks were rewritten; False also if another change made the rewritten blocks out of date.
        """
        return self._replace(compact(self.view, self._layout))

    def replace_values(self, numbers: I64, values: F32) -> bool:
        """Give rows other values, in copies of their blocks; views from before keep the values that they have.

        Readers and the writer continue meanwhile, as with `compact`.

        Args:
            numbers: int64[n], the numbers of the rows, ascending; unknown and removed rows are ignored.
            values: float32[n, d_v], their values.

        Returns:
            Whether it was done; False if another change made the copies out of date, or if no row is known.

        Raises:
            MemoryError: there is not enough memory for the copies.
        """
        return self._replace(replace_values(self.view, numbers, values, self._layout))

    def _replace(self, replaced: list[Replacement]) -> bool:
        if not replaced:
            return False
        with self._turn:
            segments = apply_replacements(replaced, self.view.segments, self._layout)
            if segments is None:
                return False
            self.view = _with_segments(self.view, segments)
            if self._since_staged is not None:
                self._since_staged.append(replaced)
            return True

    def _next(self, add: Rows | None, remove: I64 | None) -> View:
        view = self.view
        segments = list(view.segments)
        if add is not None and len(add):
            _check(view, add)
        if remove is not None and len(remove):
            numbers = np.unique(integers("remove", remove))
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
    """Return the segments with `rows` appended to the last one, and to new blocks if it is full.

    Args:
        segments: the segments of a view.
        rows: the rows to append.
        layout: the format of new blocks.
        expected: the number of rows that the memory will have in all; 0 if unknown.
    """
    start, limits = 0, layout.limits
    while start < len(rows):
        if not (segments and _fits(segments[-1], rows.part(start, start + 1), limits.block_rows)):
            to_come = expected - sum(segment.count for segment in segments)
            # A power of two, as a block has that grew to it: what is written later finds room.
            capacity = max(len(rows) - start, limits.first_rows, 1 << max(to_come - 1, 0).bit_length())
            capacity, dimension = min(capacity, limits.block_rows), rows.keys.shape[1]
            width = None if rows.values is None else rows.values.shape[1]
            if segments:
                segments = [_with_codes_of(segment, layout) for segment in segments]
            form = layout if segments else layout.of_only_block(capacity, dimension)
            segments = [*segments, Segment(Block.allocate(capacity, dimension, width, form), 0)]
        stop = min(len(rows), start + limits.block_rows - segments[-1].count)
        segments = [*segments[:-1], segments[-1].append(rows.part(start, stop), layout)]
        start = stop
    return segments


def _with_codes_of(segment: Segment, layout: BlockFormat) -> Segment:
    """Return the segment with 8-bit codes, if the format stores codes; a memory's only block may have none."""
    if not (segment.block.bare and layout.codes(segment.block.dimension)):
        return segment
    coded = segment.block.with_codes(segment.count, layout)
    return Segment(coded, segment.count, segment.live, segment.several)


def _fits(last: Segment, row: Rows, block_rows: int) -> bool:
    """Return whether one row can be appended to a segment.

    The block must have space for it, and no file of another process. Its number must be larger than all numbers in the
    segment, and the block must be able to store a separate value if the row has one.
    """
    ascends = last.count == 0 or row.numbers[0] > last.numbers[-1]
    placed = last.block.values is not None or row.values is None
    return bool(last.count < block_rows and ascends and placed and last.block.writable)


def _check(view: View, rows: Rows) -> None:
    """Raise an error if the rows cannot be added to the view.

    Raises:
        ShapeError: keys or values differ in width from the stored ones.
        ParameterError: cosine is not defined for a key, a number was used before, or a number lies between the rows of
            another document.
    """
    value_dimension = (rows.keys if rows.values is None else rows.values).shape[1]
    widths = (("keys", rows.keys.shape[1], view.dimension), ("values", value_dimension, view.value_dimension))
    for name, actual, width in widths:
        if width is not None and actual != width:
            raise ShapeError(f"{name} have width {actual}, those stored have {width}: encode both with the same model")
    if view.similarity == "cosine" and not rows.keys.any(axis=1).all():
        zero = int(rows.numbers[~rows.keys.any(axis=1)][0])
        raise ParameterError(
            f"the key of row {zero} is a zero vector in float32, for which cosine is not defined: leave it out, scale "
            "it up, or use dot"
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
    """Raise ParameterError if a row of one group lies between two rows of one document of the other group.

    Args:
        numbers, owners: int64[n], the numbers of the rows of the first group, ascending, and their documents.
        other_numbers, other_owners: int64[m], the same for the other group.
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

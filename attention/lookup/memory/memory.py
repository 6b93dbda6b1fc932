"""The keys and values of one collection, written by one writer and read by many readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np

from attention.dtypes import F32, I64
from attention.errors import ParameterError, ShapeError
from attention.lookup.memory.blocks import BLOCK_ROWS, FIRST_ROWS, Block, BlockFormat
from attention.lookup.memory.compaction import Replacement, apply_replacements, compact
from attention.lookup.memory.rows import Rows
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import View
from attention.similarity import SIMILARITIES


@dataclass
class CodedBlock:
    """A block that was given codes, and how many of its rows have them."""

    block: Block
    count: int

    def in_place_of(self, bare: Segment) -> Segment:
        """The segment with codes, those of rows that came meanwhile too."""
        if bare.count > self.count:
            self.block.code(self.count, bare.count)
            self.count = bare.count
        return Segment(self.block, bare.count, bare.live, bare.several)


class Memory:
    """Keys and values in blocks; `publish` puts a new view in the place of the last one.

    Args:
        similarity: cosine, dot, scaled_dot or gaussian.
        directory: keep the float32 originals of large blocks in files there, 4·d bytes a row and as much again for
            values of their own; None, or a full disk, keeps them in memory. What remains in memory is d bytes for a
            row's key and d_v for its value.
        expected: how many rows are to be added, as far as it is known: nothing is moved until more come.
        codes_later: give rows no codes before `code` is called; until then every answer is made from the originals.

    Raises:
        ParameterError: another similarity.
    """

    def __init__(
        self, similarity: str, directory: Path | None = None, *, expected: int = 0, codes_later: bool = False
    ) -> None:
        if not (isinstance(similarity, str) and similarity in SIMILARITIES):
            got = repr(similarity) if isinstance(similarity, str) else f"a {type(similarity).__name__}: use Memory.of"
            raise ParameterError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {got}")
        self._view = View(similarity)
        self._layout = BlockFormat(similarity, directory, codes_later)
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
    ) -> Self:
        """A memory of n rows, numbered from 0 on.

        Args:
            keys: float32[n, d].
            values: float32[n, d_v], or None where the values are the keys.
            similarity: cosine, dot, scaled_dot or gaussian.
            owners: int64[n], the first row of each row's document, see `Rows`; None where each is a document.

        Raises:
            ShapeError: keys, values and owners are not so many rows each.
            ParameterError: another similarity, a key that it is not defined for, or an owner that its rows do not
                follow.
        """
        memory = cls(similarity)
        memory.publish(add=Rows.numbered(keys, values, owners))
        return memory

    def adopt(self, segments: Sequence[Segment]) -> None:
        """Begin with blocks that were written before, of no row twice that lives; nothing may have been published."""
        first = segments[0].block
        self._view = self._view.followed_by(tuple(segments), first.dimension, first.value_dimension)

    def __repr__(self) -> str:
        return f"<Memory {self._view.n:,} keys of width {self._view.dimension}, {self._view.similarity}>"

    @property
    def view(self) -> View:
        """The current view; hold on to it, and it stays as it is."""
        return self._view

    def publish(self, *, add: Rows | None = None, remove: I64 | None = None) -> View:
        """Remove documents and add rows in one step: a reader sees both or neither. One writer at a time.

        Args:
            add: rows whose numbers no row of this memory ever had.
            remove: int64[r], documents, each with all of its rows; one that is not there is ignored.

        Returns:
            The new view, which is current from now on.

        Raises:
            ShapeError: keys or values of another width than those before; nothing is written.
            ParameterError: a key that cosine is not defined for, a number used before, or one between the rows of
                another document; nothing is written.
        """
        with self._turn:
            self._view = self._next(add, remove)
            self._since_staged = None
            return self._view

    def stage(self, *, add: Rows | None = None, remove: I64 | None = None) -> View:
        """The view that `publish` would make, for `show` to make current: whatever can fail fails here.

        For a writer who has to write elsewhere in between. Until then nobody sees it, and a view that is never shown
        leaves nothing behind. The next call that writes must be `show`, or this one again.

        Raises:
            ShapeError, ParameterError: as `publish`.
            MemoryError: there is no room for the rows.
        """
        with self._turn:
            self._since_staged = []
            return self._next(add, remove)

    def show(self, staged: View) -> None:
        """Make the view that was staged last the current one, with those blocks in it that were compacted since."""
        with self._turn:
            for replaced in self._since_staged or ():
                segments = apply_replacements(replaced, staged.segments, self._layout)
                if segments is None:
                    break
                staged = _with_segments(staged, segments)
            self._view = self._with_codes(staged)
            self._since_staged = None

    def code(self) -> None:
        """Give codes to the rows that were written without, see `codes_later`; for a thread of its own.

        Readers and the writer go on meanwhile; what is written from now on has codes.

        Raises:
            MemoryError: there is no room for them; the rows are answered from their originals as before.
        """
        with self._turn:
            self._layout = replace(self._layout, codes_later=False)
        dimension = self._view.dimension
        if dimension is None or not self._layout.codes(dimension):
            return
        while bare := next((segment for segment in self._view.segments if segment.block.bare), None):
            made = CodedBlock(bare.block.coded(bare.count, self._layout), bare.count)
            with self._turn:
                self._coded[bare.block] = made
                self._view = self._with_codes(self._view)

    def _with_codes(self, view: View) -> View:
        """The view with codes for what got some since it was staged."""
        if not any(segment.block in self._coded for segment in view.segments):
            return view
        segments = tuple(
            segment if (made := self._coded.get(segment.block)) is None else made.in_place_of(segment)
            for segment in view.segments
        )
        return _with_segments(view, segments)

    def compact(self) -> bool:
        """Write blocks anew that hold many removed rows, and small ones together; for a thread of its own.

        Readers and the writer go on meanwhile. Rows that are removed meanwhile stay removed, those written stay.

        Returns:
            Whether there was anything to do, and nothing came in between.
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
        return view.followed_by(tuple(segments), dimension, value_dimension)


def _with_segments(view: View, segments: tuple[Segment, ...]) -> View:
    return view.followed_by(segments, view.dimension, view.value_dimension)


def _append_rows(segments: list[Segment], rows: Rows, layout: BlockFormat, expected: int) -> list[Segment]:
    """The segments with `rows` behind the last one, or in blocks of their own; in all there will be `expected` ones."""
    start = 0
    while start < len(rows):
        if not (segments and _fits(segments[-1], rows.part(start, start + 1))):
            to_come = expected - sum(segment.count for segment in segments)
            # A power of two, as a block has that grew to it: what is written later finds room.
            room = min(max(len(rows) - start, FIRST_ROWS, 1 << max(to_come - 1, 0).bit_length()), BLOCK_ROWS)
            width = None if rows.values is None else rows.values.shape[1]
            segments = [*segments, Segment(Block.allocate(room, rows.keys.shape[1], width, layout), 0)]
        stop = min(len(rows), start + BLOCK_ROWS - segments[-1].count)
        segments = [*segments[:-1], segments[-1].extended(rows.part(start, stop), layout)]
        start = stop
    return segments


def _fits(last: Segment, row: Rows) -> bool:
    """Whether the row may stand behind the segment: numbers ascend, and values have a place."""
    ascends = last.count == 0 or row.numbers[0] > last.numbers[-1]
    placed = last.block.values is not None or row.values is None
    return bool(last.count < BLOCK_ROWS and ascends and placed)


def _check(view: View, rows: Rows) -> None:
    """Refuse rows that do not belong into the view."""
    value_dimension = (rows.keys if rows.values is None else rows.values).shape[1]
    widths = (("keys", rows.keys.shape[1], view.dimension), ("values", value_dimension, view.value_dimension))
    for name, found, width in widths:
        if width is not None and found != width:
            raise ShapeError(f"{name} have width {found}, those stored have {width}: encode both with the same model")
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


def _check_not_interleaved(numbers: I64, own: I64, others: I64, owners: I64) -> None:
    """Refuse numbers int64[n] that lie between the rows of one document among others; both say by whom they are
    owned."""
    first, last = np.searchsorted(numbers, [owners[0], others[-1]])
    followed = numbers[first:last]
    owner = owners[np.searchsorted(others, followed)]
    between = (owner < followed) & (owner != own[first:last])
    if np.any(between):
        row, document = int(followed[between][0]), int(owner[between][0])
        raise ParameterError(
            f"row number {row} lies between rows of document {document}: "
            "number the rows of a document so that no others lie between them"
        )


def _ranges_overlap(segment: Segment, rows: Rows) -> bool:
    return bool(segment.count and segment.numbers[-1] >= rows.numbers[0] and segment.numbers[0] <= rows.numbers[-1])

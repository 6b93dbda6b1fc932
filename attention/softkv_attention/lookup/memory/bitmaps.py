"""Bitmaps of the rows of a block that pass a condition, and selections among rows that are not in a view yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from softkv_attention.arrays import I64, Bools, Bytes
from softkv_attention.forked import cached_property
from softkv_attention.kernels.layout import PANEL
from softkv_attention.lookup.codes.moments import Residuals
from softkv_attention.lookup.memory.rows import expand_ranges


@dataclass(eq=False)
class Bitmap:
    """One bit for each of the first rows of a block: whether the row passes a condition.

    A bitmap is immutable, because masks of several views share it.

    Attributes:
        packed: uint8[⌈count/8⌉], the first row in the lowest bit; the bits after the last row are 0.
        count: the number of rows.
        residuals: Σ (v − v̂) over the passing rows, the part of their values v that the 8-bit codes v̂ leave out; None
            until `sum_masked_residuals` has computed it.
        earlier: a bitmap of the same condition for an earlier version of the block, with known `residuals`; or None.
    """

    packed: Bytes
    count: int
    residuals: Residuals | None = field(default=None, repr=False)
    earlier: Bitmap | None = field(default=None, repr=False)

    @classmethod
    def of(cls, passes: Bools) -> Bitmap:
        """Return the bitmap for bool[count], which says for each row whether it passes."""
        return cls(np.packbits(passes, bitorder="little"), len(passes))

    def passes(self, start: int = 0) -> Bools:
        """Return bool[count − start], True for each row from `start` on that passes."""
        first = start // 8
        unpacked = np.unpackbits(self.packed[first:], count=self.count - 8 * first, bitorder="little")
        return unpacked[start - 8 * first :].view(np.bool_)

    @cached_property
    def n(self) -> int:
        """The number of rows that pass."""
        return int(_BITS_IN_BYTE[self.packed].sum(dtype=np.int64))

    @cached_property
    def scanned(self) -> int:
        """The number of rows that a scan of 8-bit codes reads to reach the passing ones.

        A scan reads rows in panels of 64, and skips panels without a passing row.
        """
        full = self.count // PANEL
        panels = self.packed[: full * PANEL // 8].view(np.int64)  # of 64 rows each
        rest = self.packed[full * PANEL // 8 :].any()
        return PANEL * int(np.count_nonzero(panels)) + (self.count - PANEL * full) * int(rest)

    def append(self, more: Bools) -> Bitmap:
        """Return a bitmap with more rows appended: bool[r], whether each of them passes."""
        return Bitmap.of(np.concatenate([self.passes(), more]))

    def follow(self, earlier: Bitmap | None) -> None:
        """Remember an earlier bitmap of the same condition, so that `residuals` is computed only from the difference.

        Do nothing if `earlier` is None or this bitmap.
        """
        if earlier is not None and earlier is not self:
            self.earlier = earlier if earlier.residuals is not None else earlier.earlier

    @property
    def nbytes(self) -> int:
        """The memory that the bitmap uses, in bytes."""
        return self.packed.nbytes

    def among(self, live: Bitmap | None) -> Bitmap:
        """Return the bitmap of the rows that pass and were not removed.

        Args:
            live: the rows that were not removed; None if no row was removed.
        """
        return self if live is None else Bitmap(self.packed & live.packed, self.count)


_BITS_IN_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class RowSelection:
    """The rows among some spans that meet a condition; a span is a run of consecutive rows of one block.

    `&`, `|` and `~` are and, or and not; both selections must have the same spans.

    Attributes:
        spans: for each span int64[r], the number of the document that each row belongs to, ascending. Removed rows are
            included.
        passes: for each span bool[r], True for the selected rows.
    """

    spans: Sequence[I64]
    passes: tuple[Bools, ...]

    @classmethod
    def of(cls, spans: Sequence[I64], numbers: I64) -> RowSelection:
        """Select the rows of the documents with the given numbers.

        Args:
            spans: for each span int64[r], the document of each row, ascending.
            numbers: int64[m], the documents, in any order; unknown documents are ignored.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        if not (numbers[1:] >= numbers[:-1]).all():
            numbers = np.sort(numbers)
        return cls(spans, tuple(_rows_of(owners, numbers) for owners in spans))

    def __and__(self, other: RowSelection) -> RowSelection:
        return RowSelection(self.spans, tuple(a & b for a, b in zip(self.passes, other.passes, strict=True)))

    def __or__(self, other: RowSelection) -> RowSelection:
        return RowSelection(self.spans, tuple(a | b for a, b in zip(self.passes, other.passes, strict=True)))

    def __invert__(self) -> RowSelection:
        return RowSelection(self.spans, tuple(~passing for passing in self.passes))


def _rows_of(owners: I64, numbers: I64) -> Bools:
    """Return bool[r], whether each of r rows belongs to one of the documents `numbers`.

    Args:
        owners: int64[r], the document of each row, ascending.
        numbers: int64[m], the documents, ascending.
    """
    passes = np.zeros(len(owners), dtype=np.bool_)
    if not len(owners):
        return passes
    first, last = np.searchsorted(numbers, (owners[0], owners[-1] + 1))
    numbers = numbers[first:last]
    if not len(numbers):
        return passes
    numbers_between = int(owners[-1] - owners[0]) + 1
    # To find a number among the rows takes as long as to look some hundred rows up in a table.
    if 256 * len(numbers) > len(owners) and numbers_between <= 8 * len(
        owners
    ):  # then a table of every number there is takes no search
        table = np.zeros(numbers_between, dtype=np.bool_)
        table[numbers - owners[0]] = True
        return np.asarray(table[owners - owners[0]])
    begin, end = np.searchsorted(owners, numbers), np.searchsorted(owners, numbers, side="right")
    passes[expand_ranges(begin, end)] = True
    return passes

"""The limits of a memory: sizes of blocks, tiles and scans, and where one path becomes faster than another."""

from __future__ import annotations

from dataclasses import dataclass

from softkv_attention.errors import ParameterError

MAX_BLOCK_ROWS = 131_072
"""The largest block that a scan has masks for."""


@dataclass(frozen=True)
class ScanWidth:
    """The numbers of rows that a scan of 8-bit codes keeps one by one for each query, instead of only in sums.

    Attributes:
        lookups: the most rows that a query looks up in float64.
        listed: about how many rows it lists as candidates.
    """

    lookups: int
    listed: int


@dataclass(frozen=True)
class Limits:
    """Sizes that decide how one memory stores and reads rows; its views carry them.

    They change the time and the memory that an answer takes, not its correctness.

    The defaults are measured. A test passes smaller ones, so that a few hundred rows take the path of millions:
    `Memory("dot", limits=Limits(block_rows=64, exact_max_components=0))`.

    Attributes:
        block_rows: the most rows of a block, at most 131,072.
        first_rows: the smallest number of rows that a new block has room for, unless `block_rows` is smaller.
        min_file_bytes: originals of a block with fewer bytes stay in memory, even if the memory has a directory.
        removed_in_last: the last block is rewritten if more rows than this were removed from it, and more than it still
            has.
        exact_max_components: the most components of passing rows that the exact path reads as fast as a scan begins and
            ends. The path of a question does not depend on the others of its batch. −1 leaves even an empty selection
            to a scan.
        rows_scanned_per_exact_row: the number of rows that a scan reads while the exact path reads one.
        exact_batch_cells: the most similarities that the exact path has in memory at once.
        scan_widths: the widths of successive scans. A wider scan follows if a narrower one leaves open which rows are
            the best, or cannot prove `max_error`. The scan for many temperatures has the first width.
        min_rows_per_candidate: a scan lists at most one row in this many.
        max_tile_rows: the most rows of a tile, the unit that one thread scans at a time; a tile has 1,024 or more.
        max_document_lookups: the most rows that are looked up to choose between documents of several keys; for more,
            the exact path is as fast.

    Raises:
        ParameterError: a limit is out of its range.
    """

    block_rows: int = MAX_BLOCK_ROWS
    first_rows: int = 64
    min_file_bytes: int = 2**24
    removed_in_last: int = 8_192
    exact_max_components: int = 2_816 * 384
    rows_scanned_per_exact_row: float = 24
    exact_batch_cells: int = 2**23
    scan_widths: tuple[ScanWidth, ...] = (ScanWidth(2_048, 512), ScanWidth(8_192, 16_384))
    min_rows_per_candidate: int = 8
    max_tile_rows: int = 32_768
    max_document_lookups: int = 2**17

    def __post_init__(self) -> None:
        if not 1 <= self.block_rows <= MAX_BLOCK_ROWS:
            raise ParameterError(f"Expected block_rows from 1 to {MAX_BLOCK_ROWS:,}, got {self.block_rows}.")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ParameterError(f"Expected {name} above 0, got {getattr(self, name)}.")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise ParameterError(f"Expected {name} of 0 or more, got {getattr(self, name)}.")
        if not self.exact_max_components >= -1:
            raise ParameterError(f"Expected exact_max_components of -1 or more, got {self.exact_max_components}.")
        if not self.scan_widths:
            raise ParameterError("Expected at least one of scan_widths, got none. Leave it out for the default.")


_POSITIVE = (
    "first_rows",
    "rows_scanned_per_exact_row",
    "exact_batch_cells",
    "min_rows_per_candidate",
    "max_tile_rows",
)
_NOT_NEGATIVE = (
    "min_file_bytes",
    "removed_in_last",
    "max_document_lookups",
)

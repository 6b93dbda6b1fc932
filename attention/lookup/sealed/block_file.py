"""One block in a file: its originals, codes and sums, and what its rows can be told by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attention.dtypes import F64, I64, Bools
from attention.kernels.layout import CHUNK, LANES, PANEL
from attention.lookup.codes.moments import Moments, SpreadBound
from attention.lookup.codes.quantisation import Codes, ValueCodes
from attention.lookup.memory.blocks import BLOCK_ROWS, Block
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import View
from attention.lookup.sealed.pieces import CheckedPieces, SealedOriginals, checksums
from attention.lookup.sealed.sections import Array, SealedError, read, write

MIN_FULL_SHARE = 0.5
"""A block that is not full is worth a file from this part of its rows on, once none is added to it any more."""
MIN_COMPLETE_SHARE = 1 / 16
"""The same where no other block will ever take in its rows."""


@dataclass(frozen=True, eq=False)
class SealedBlock:
    """What a file holds, every byte of it checked but the originals, which `block.unread` checks as they are used.

    Attributes:
        ties: int64[count], what the rows are told by, as the one who sealed them says; 0 of a row that was removed.
        similarity: what its rows are compared by.
    """

    block: Block
    count: int
    ties: I64
    similarity: str

    @property
    def numbers(self) -> I64:
        """int64[count], ascending, rows included that were removed since."""
        return self.block.numbers[: self.count]

    @property
    def owners(self) -> I64:
        """int64[count], ascending: the document that each row is a key of."""
        return self.block.owners[: self.count]

    def segment(self, live: Bools) -> Segment:
        """As a view has it in which only these bool[count] are left."""
        several = bool((self.owners != self.numbers).any())
        return Segment(self.block, self.count, None if live.all() else live, several)


def sealable_segments(view: View, *, complete: bool = False) -> list[Segment]:
    """The segments of a view whose blocks no row is added to: full ones, and large ones that others stand behind.

    Those that have no codes stay in memory.

    Args:
        complete: no row will be added to the view, so that none is added to its last block either.
    """
    last = None if complete or not view.segments else view.segments[-1]
    least = MIN_COMPLETE_SHARE if complete else MIN_FULL_SHARE
    return [
        segment
        for segment in view.segments
        if segment.block.codes is not None
        and _has_current_sums(segment)
        and segment.count >= BLOCK_ROWS * (least if segment is not last else 1)
    ]


def _has_current_sums(segment: Segment) -> bool:
    """Whether what its values add up to is of its rows and no more: else rows were added meanwhile."""
    moments = None if segment.block.value_codes is None else segment.block.value_codes.moments
    return moments is None or moments.count == segment.count


def seal(path: Path, view: View, segment: Segment, ties: I64) -> None:
    """Write the block of a segment into a file, whole or not at all.

    Args:
        ties: int64[count], see `SealedBlock`.

    Raises:
        OSError: the disk is full, or fails; nothing is left behind.
    """
    block, count = segment.block, segment.count
    codes, values = block.codes, block.value_codes
    assert codes is not None
    assert values is not None
    groups = -(-count // PANEL) * (PANEL // LANES)
    arrays: dict[str, Array] = {
        "numbers": segment.numbers,
        "owners": segment.owners,
        "ties": ties,
        "keys": segment.keys,
        "key_checksums": checksums(segment.keys),
        "norms": block.norms[:count],
        "codes": codes.codes[:groups],
        "scales": codes.scales[:count],
        "residuals": codes.residuals[:count],
        "value_codes": values.codes[: -(-count // CHUNK)],
        "value_scales": values.scales[:count],
        "value_residuals": values.residuals[:count],
    }
    if block.values is not None:
        arrays |= {"values": segment.values, "value_norms": block.value_norms[:count]}
        arrays["value_checksums"] = checksums(segment.values)
    if codes.grams is not None:
        arrays["grams"] = codes.grams
    said: dict[str, Any] = {
        "similarity": view.similarity,
        "count": count,
        "value_width": values.width,
        "normalised": block.normalised,
    }
    moments = values.moments
    if moments is not None:
        found = moments.found()
        arrays |= {
            "value_total": moments.total,
            "value_residual_total": moments.residual_total,
            "value_grams": np.asarray(moments.grams),
        }
        said["moments"] = [moments.count, found.spread, found.residual_spread, found.usual]
    write(path, said, arrays, later=("keys", "values"))


def unseal(path: Path) -> SealedBlock:
    """What `seal` wrote; its originals are only mapped, and checked as they are used.

    Raises:
        SealedError: another byte is not what was written, or it was written by another version.
        OSError: it cannot be read.
    """
    said, arrays = read(path)
    try:
        norms, keys = arrays["norms"], arrays["keys"]
        values = arrays.get("values")
        of_values = None if values is None else CheckedPieces(path, "values", values, arrays["value_checksums"])
        block = Block(
            numbers=arrays["numbers"],
            owners=arrays["owners"],
            keys=keys,
            values=values,
            norms=norms,
            value_norms=norms if values is None else arrays["value_norms"],
            codes=Codes(arrays["codes"], arrays["scales"], arrays["residuals"], arrays.get("grams")),
            value_codes=ValueCodes(
                arrays["value_codes"],
                arrays["value_scales"],
                arrays["value_residuals"],
                said["value_width"],
                _moments(said.get("moments"), arrays),
            ),
            normalised=said["normalised"],
            unread=SealedOriginals(CheckedPieces(path, "keys", keys, arrays["key_checksums"]), of_values),
        )
        return SealedBlock(block, said["count"], arrays["ties"], said["similarity"])
    except KeyError as error:
        raise SealedError(path, f"has no {error}") from None


def _moments(said: list[float] | None, arrays: dict[str, Array]) -> Moments | None:
    if said is None:
        return None
    count, spread, residual_spread, usual = said
    total: F64 = arrays["value_total"]
    known = SpreadBound(total / max(count, 1), spread, residual_spread, usual)
    return Moments(int(count), total, arrays["value_residual_total"], arrays["value_grams"], known)

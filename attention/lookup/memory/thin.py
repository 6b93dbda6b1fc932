"""What a scan of thin codes needs of a view: how far they are from their keys, and a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np

from attention.dtypes import F32, F64, I64, Bytes
from attention.kernels.layout import fields_room, put_fields
from attention.lookup.codes.rotation import Rotation
from attention.lookup.memory.segments import Segment

USUAL = (1.15, 1.25)
"""Times the typical ‖k‖·tan θ, of 2 bits and of 4: of directions of width 384 one row in a hundred has more."""


@dataclass(frozen=True, eq=False)
class ThinSample:
    """Some rows of a segment in thin codes, in an order of no meaning; see `Segment.sample_places`.

    Attributes:
        places: int64[r], where they stand in it.
        high, low: uint8[groups, quads, 16, 4], theirs side by side.
        scales, spreads: float32[2, r], as in `ThinCodes`.
    """

    places: I64
    high: Bytes
    low: Bytes
    scales: F32
    spreads: F32


@dataclass(frozen=True, eq=False)
class ThinFacts:
    """Of all rows of a view, removed ones included.

    Attributes:
        rotation: the one that all codes are made with.
        largest: float64[2], the largest ‖k‖·tan θ, of 2 bits and of 4.
        typical: float64[2], the root of the mean of its square.
        samples: one for each segment.
    """

    rotation: Rotation
    largest: F64
    typical: F64
    samples: tuple[ThinSample, ...]

    def usual(self, code: int) -> float:
        """What few rows exceed; they are scanned as if they were as much nearer to the query as they may be, see
        `bounds.thin.thin_errors`."""
        return min(float(np.float32(USUAL[code] * self.typical[code])), float(self.largest[code]))

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Self | None:
        """Of the segments of a view; None where one of them has no thin codes, or there is none."""
        found = [_summary(segment) for segment in segments]
        known = [each for each in found if each is not None]
        if not known or len(known) < len(found):
            return None
        rows = sum(segment.count for segment in segments)
        squares = np.sum([each.squares for each in known], axis=0) / rows
        largest = np.max([each.largest for each in known], axis=0)
        return cls(known[0].rotation, largest, np.sqrt(squares), tuple(each.sample for each in known))


@dataclass(frozen=True, eq=False)
class _Summary:
    rotation: Rotation
    largest: F64
    squares: F64
    sample: ThinSample


_summaries: WeakKeyDictionary[Segment, _Summary] = WeakKeyDictionary()
"""Of segments that views share, so that a write looks only at the segment that it changed."""


def _summary(segment: Segment) -> _Summary | None:
    thin = segment.block.thin
    if thin is None:
        return None
    found = _summaries.get(segment)
    if found is None:
        spreads = thin.spreads[:, : segment.count].astype(np.float64)
        places = segment.sample_places
        sample = ThinSample(
            places,
            fields_room(len(places), thin.width),
            fields_room(len(places), thin.width),
            np.ascontiguousarray(thin.scales[:, places]),
            np.ascontiguousarray(thin.spreads[:, places]),
        )
        for plane, fields in zip((sample.high, sample.low), thin.at(places), strict=True):
            put_fields(plane, 0, fields)
        found = _Summary(thin.rotation, spreads.max(axis=1, initial=0.0), (spreads * spreads).sum(axis=1), sample)
        _summaries[segment] = found
    return found

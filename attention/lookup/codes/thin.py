"""Thin codes: vectors as 2 or 4 bits a component after one secret rotation.

x = R·k, R the rotation, is cut at steps of a fixed part of ‖k‖/√d into sixteen numbers, the odd ones from −15 to 15:
the code c of 4 bits. Its two upper bits alone are one of four numbers, −3, −1, 1, 3: the code of 2 bits. They lie in
planes of their own, so that a scan of 2 bits reads the upper one, and a scan of 4 both.

A similarity is estimated by ŝ = f·⟨c, R·q⟩ with f = ‖k‖² / ⟨c, x⟩. With θ the angle between c and x, and u the unit
vector at right angles to x that c lies towards, c/‖c‖ = cos θ·x/‖x‖ + sin θ·u, and so

    ŝ = ⟨k, q⟩ + ‖k‖·tan θ·⟨u, R·q⟩.

What is kept beside the codes is f, and the *spread* ‖k‖·tan θ; `bounds.thin` says how the last factor is distributed.
This is the estimator of RaBitQ (Gao and Long, arXiv 2405.12497 and 2409.09913).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention.dtypes import F32, F64, Bytes, Index
from attention.kernels.layout import fields_at, fields_room, put_fields
from attention.lookup.codes.rotation import Rotation

NARROWEST = 16
"""Vectors below this width are not worth it, and their errors have another law."""

STEP = 0.335
"""Of ‖k‖/√d, which is the deviation of a component after the rotation: near the least angle, for either code."""

CENTRE = 8
"""The number of the step that begins at 0."""

TWO, FOUR = 2, 4
"""Bits a component, of the two codes that there are."""


@dataclass(eq=False)
class ThinCodes:
    """Thin codes of many vectors, with room at the end like the block that holds them.

    Attributes:
        rotation: the secret one.
        width: d.
        high, low: uint8[groups, quads, 16, 4], the upper and the lower 2 bits of each component, see `kernels.layout`.
        scales: float32[2, capacity], f, of 2 bits and of 4; of directions where these are coded.
        spreads: float32[2, capacity], ‖k‖·tan θ, rounded up.
    """

    rotation: Rotation
    width: int
    high: Bytes
    low: Bytes
    scales: F32
    spreads: F32

    @classmethod
    def with_room(cls, rows: int, width: int, rotation: Rotation | None) -> ThinCodes | None:
        """Room for so many vectors; None where there is no rotation, or they are too narrow."""
        if rotation is None or width < NARROWEST:
            return None
        return cls(
            rotation,
            width,
            fields_room(rows, width),
            fields_room(rows, width),
            np.empty((2, rows), dtype=np.float32),
            np.empty((2, rows), dtype=np.float32),
        )

    def copy_from(self, other: ThinCodes, count: int) -> None:
        """Take over the first `count` vectors of another one."""
        for mine, theirs in ((self.high, other.high), (self.low, other.low)):
            mine[: len(theirs)] = theirs
        self.scales[:, :count] = other.scales[:, :count]
        self.spreads[:, :count] = other.spreads[:, :count]

    def at(self, places: Index) -> tuple[Bytes, Bytes]:
        """uint8[n, d] twice: the upper and the lower 2 bits of the vectors at `places`."""
        return fields_at(self.high, places, self.width), fields_at(self.low, places, self.width)

    def write(self, start: int, vectors: F32, norms: F64 | None) -> None:
        """Code `vectors` float32[n, d] from row `start` on; with `norms`, their directions."""
        for first in range(0, len(vectors), 1024):
            wide = vectors[first : first + 1024].astype(np.float64)
            if norms is not None:
                wide /= norms[first : first + 1024, None]
            here = slice(start + first, start + first + len(wide))
            lengths = np.sqrt((wide * wide).sum(axis=1))
            turned = self.rotation.turned(wide)
            steps = to_steps(turned, lengths)
            high, low = steps >> np.uint8(2), steps & np.uint8(3)
            put_fields(self.high, here.start, high)
            put_fields(self.low, here.start, low)
            for code, (fields, centre) in enumerate(((high, 3), (steps, 15))):
                scales, spreads = fitted(2 * fields.astype(np.float64) - centre, turned, lengths)
                self.scales[code, here] = scales
                self.spreads[code, here] = np.nextafter(spreads.astype(np.float32), np.float32(np.inf))


def to_steps(turned: F64, lengths: F64) -> Bytes:
    """uint8[n, d]: which of sixteen steps each component of rotated vectors float64[n, d] falls on.

    Where the steps begin follows from a vector's length alone, not from how it was turned: what the law of the errors
    needs is that a code is a function of R·k.
    """
    steps = np.where(lengths > 0, STEP / np.sqrt(turned.shape[1]) * lengths, 1.0)
    numbers: Bytes = np.clip(np.floor(turned / steps[:, None]) + CENTRE, 0, 2 * CENTRE - 1).astype(np.uint8)
    return numbers


def fitted(codes: F64, turned: F64, lengths: F64) -> tuple[F64, F64]:
    """(f, ‖k‖·tan θ), float64[n] each, of codes float64[n, d] of rotated vectors; 0 of a zero vector."""
    squares = lengths * lengths
    products = np.einsum("ij,ij->i", codes, turned)
    some = products > 0
    scales = np.divide(squares, products, out=np.zeros_like(products), where=some)
    norms = (codes * codes).sum(axis=1)
    # ‖k‖·tan θ = √(f²·‖c‖² − ‖k‖²), with room for what its rounding comes to.
    apart = np.maximum(scales * scales * norms - squares, 0.0) + 1e-11 * squares
    return scales, np.where(some, np.sqrt(apart), 0.0)

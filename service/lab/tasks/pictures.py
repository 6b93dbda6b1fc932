"""Small pictures made here, and what is to be said of them: "large cross top left"."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from service.lab.errors import UnreadableSource
from service.lab.tasks.task import HELD_OUT, Example, Task

SIDE, PATCH = 16, 4
"""Pixels of a picture's side, and of a patch's."""

SHAPES = ("disc", "ring", "square", "frame", "cross", "bar")
RADII = {"small": (2.1, 2.6), "large": (3.3, 3.9)}
"""Pixels from the middle of a shape to its edge, the least and the most."""

CENTRES = {
    "top left": (4.0, 4.0),
    "top right": (4.0, 11.0),
    "bottom left": (11.0, 4.0),
    "bottom right": (11.0, 11.0),
    "middle": (7.5, 7.5),
}
"""Row and column, from which a shape is at most a pixel away."""

HALF_LINE = 0.7
NOISE = 0.08


def drawn(name: str, centre: tuple[float, float], radius: float) -> NDArray[np.float64]:
    """Where a shape has ink, [SIDE, SIDE], 0 to 1, its edges smooth over a pixel."""
    y, x = np.abs(np.mgrid[:SIDE, :SIDE] - np.array(centre)[:, None, None])
    outside = {
        "disc": np.hypot(y, x) - radius,
        "ring": np.abs(np.hypot(y, x) - radius) - HALF_LINE,
        "square": np.maximum(y, x) - radius,
        "frame": np.abs(np.maximum(y, x) - radius) - HALF_LINE,
        "cross": np.maximum(np.minimum(y, x) - HALF_LINE, np.maximum(y, x) - radius),
        "bar": np.maximum(y - HALF_LINE, x - radius),
    }[name]
    ink: NDArray[np.float64] = np.clip(0.5 - outside, 0, 1)
    return ink


def patches(picture: NDArray[Any]) -> NDArray[np.float32]:
    """[SIDE, SIDE] → [n, PATCH·PATCH], row by row from the top left."""
    parts = np.asarray(picture, np.float32).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH)
    return parts.swapaxes(1, 2).reshape(-1, PATCH * PATCH)


def picture(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `patches` takes apart."""
    across = SIDE // PATCH
    return parts.reshape(across, across, PATCH, PATCH).swapaxes(1, 2).reshape(SIDE, SIDE)


def _draw(random: Generator, _: bool) -> Example:
    shape, size, place = (names[random.integers(len(names))] for names in (SHAPES, tuple(RADII), tuple(CENTRES)))
    down, right = np.array(CENTRES[place]) + random.uniform(-1, 1, 2)
    ink = drawn(shape, (down, right), random.uniform(*RADII[size]))
    grey = random.uniform(0.6, 1) * ink + NOISE * random.standard_normal(ink.shape)
    return Example(patches(np.round(np.clip(grey, 0, 1), 2)), (size, shape, *place.split()))


@dataclass(frozen=True)
class PictureTask(Task):
    """From a picture's patches to tokens."""

    def held_out(self, example: Example) -> bool:
        """One picture in ten; the noise alone makes all of them different."""
        return zlib.crc32(example.source.tobytes()) % HELD_OUT == 0

    def sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The patches side by side."""
        stacked = np.stack([example.source for example in examples])
        return stacked, np.full(len(examples), stacked.shape[1])

    def of(self, pixels: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        """A picture's patches [n, numbers].

        Raises:
            UnreadableSource: it is not SIDE rows of as many numbers.
        """
        if len(pixels) != SIDE or any(len(row) != SIDE for row in pixels):
            raise UnreadableSource(
                f"a picture has {SIDE} rows of {SIDE} numbers, this one has {len(pixels)} rows of "
                f"{', '.join(map(str, sorted({len(row) for row in pixels})))}: 0 is paper, 1 is ink"
            )
        return patches(np.array(pixels))


PICTURES = PictureTask(
    name="pictures",
    target=(*RADII, *SHAPES, *dict.fromkeys(word for place in CENTRES for word in place.split())),
    draw=_draw,
    joined=" ".join,
    longest=(SIDE // PATCH) ** 2,
    most_written=4,
    reaches=False,
)

"""Unseen pictures for a record of the lab's network that writes captions."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from softkv_workshop.lab.tasks import PICTURES, join_patches
from workshop.tools.recorded.training import SEED

STEPS = 1500
SHOWN = 5


def select() -> list[tuple[Any, str]]:
    """Return unseen pictures, each of another shape, with what they show; a pixel is a whole number of 1/255."""
    shown: dict[str, tuple[Any, str]] = {}
    for example in islice(PICTURES.examples(np.random.default_rng(SEED + 2), held_out=True), 200):
        pixels = np.round(join_patches(example.source) * 255) / 255
        shown.setdefault(example.target[1], (pixels, PICTURES.join(example.target)))
    return list(shown.values())[:SHOWN]

"""The lab's network that writes captions, as it was trained for the record, with its attention over patches."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch

from softkv_workshop.lab.networks import Plan
from softkv_workshop.lab.tasks import PICTURES, join_patches
from workshop.tools.recorded import pack_weights
from workshop.tools.recorded.training import SEED, Recording, read_aloud, unseen

STEPS = 1500
SHOWN = 5


def pictures() -> dict[str, Any]:
    """Return what the network writes of each picture, and its weights [head, token, patch] and [head, patch, patch]."""
    torch.set_num_threads(1)
    plan = Plan(PICTURES, "transformer", SEED)
    recording = Recording(plan, STEPS, unseen(PICTURES))
    (network,) = recording.run([STEPS])
    shown = select()
    output = [read_aloud(PICTURES, network, pixels.tolist()) for pixels, _ in shown]
    decoded = [one.pop("decoded") for one in output]
    summary = recording.summary()
    return {
        "seed": SEED,
        "steps": STEPS,
        "pictures": [{"picture": pack_weights(pixels), "target": target} for pixels, target in shown],
        "accuracy": summary["accuracy"],
        "written": [{**one, "weights": pack_weights(of.weights[-1])} for one, of in zip(output, decoded, strict=True)],
        "patches": [pack_weights(of.source_weights[-1]) for of in decoded],
    }


def select() -> list[tuple[Any, str]]:
    """Return unseen pictures, each of another shape, with what they show; a pixel is a whole number of 1/255."""
    shown: dict[str, tuple[Any, str]] = {}
    for example in islice(PICTURES.examples(np.random.default_rng(SEED + 2), held_out=True), 200):
        pixels = np.round(join_patches(example.source) * 255) / 255
        shown.setdefault(example.target[1], (pixels, PICTURES.join(example.target)))
    return list(shown.values())[:SHOWN]

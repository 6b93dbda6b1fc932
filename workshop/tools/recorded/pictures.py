"""A recorded training of the lab's network that writes captions, with its attention over patches."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch

from softkv_workshop.lab.networks import Plan, build_network, count_parameters
from softkv_workshop.lab.tasks import PICTURES, join_patches
from workshop.tools.recorded import pack_weights
from workshop.tools.recorded.training import SEED, Recording, moments, read_aloud, unseen

STEPS = 1500
MOMENTS = 25
SHOWN = 5


def pictures(*, last: int = STEPS) -> dict[str, Any]:
    """Return the recorded training.

    Args:
        last: stop after this number of steps; for a test, which repeats the beginning.
    """
    torch.set_num_threads(1)
    plan = Plan(PICTURES, "transformer", SEED)
    recording = Recording(plan, STEPS, unseen(PICTURES))
    shown = _select()
    written: list[list[dict[str, Any]]] = [[] for _ in shown]
    patches: list[str] = []
    numbers = [step for step in moments(STEPS, MOMENTS) if step <= last]
    for network in recording.run(numbers):
        patches = []
        for outputs, (pixels, _) in zip(written, shown, strict=True):
            output = read_aloud(PICTURES, network, pixels.tolist())
            decoded = output.pop("decoded")
            outputs.append({**output, "weights": pack_weights(decoded.weights[-1])})
            patches.append(pack_weights(decoded.source_weights[-1]))
        if len(recording.moments) == len(numbers) and last < STEPS:
            return {"moments": recording.moments, "written": written}
    return {
        "seed": SEED,
        "steps": STEPS,
        "heads": 4,
        "pictures": [{"picture": pack_weights(pixels), "target": target} for pixels, target in shown],
        "parameters": count_parameters(build_network(plan)),
        **recording.summary(),
        "written": written,
        "patches": patches,
    }


def _select() -> list[tuple[Any, str]]:
    """Return unseen pictures, each of another shape, with what they show; a pixel is a whole number of 1/255."""
    shown: dict[str, tuple[Any, str]] = {}
    for example in islice(PICTURES.examples(np.random.default_rng(SEED + 2), held_out=True), 200):
        pixels = np.round(join_patches(example.source) * 255) / 255
        shown.setdefault(example.target[1], (pixels, PICTURES.join(example.target)))
    return list(shown.values())[:SHOWN]

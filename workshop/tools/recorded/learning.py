"""Recorded trainings of the lab's tasks that read texts: five networks each, with their alignments at each moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from softkv_workshop.lab.networks import MODELS, Model, Plan, build_network, count_parameters
from softkv_workshop.lab.tasks import TASKS, Example, TextTask
from workshop.tools.recorded import pack_weights
from workshop.tools.recorded.training import SEED, Recording, moments, read_aloud, unseen

STEPS = 800
SOURCES = {
    "translation": ["the dog does not see the old red car", "the man loves a blue house", "my star loves a white book"],
    "dates": ["March 14, 2015", "14/7/2014", "1. September 2014"],
    "numbers": ["three hundred ninety nine", "one thousand two hundred seventy one"],
    "copy": ["badge", "abcdefgh", "abcdefghijab"],
    "reverse": ["badge", "abcdefgh", "abcdefghijab"],
}
"""Sources that no training reads: held out, or longer than any that is trained on."""


def learn(name: str, *, steps: int = STEPS, last: int = STEPS, models: tuple[Model, ...] = MODELS) -> dict[str, Any]:
    """Return the recorded trainings of a task.

    Args:
        name: the task.
        steps: the number of steps of each training.
        last: stop after this number of steps; for a test, which repeats the beginning of a training.
        models: the networks.
    """
    torch.set_num_threads(1)
    task = TASKS[name]
    assert isinstance(task, TextTask)
    examples = [Example(task.tokenise(source), ()) for source in SOURCES[name]]
    assert all(task.is_held_out(example) or len(example.source) > 10 for example in examples), name
    return {
        "task": name,
        "seed": SEED,
        "steps": steps,
        "sources": [{"text": task.format(example.source), "tokens": example.source} for example in examples],
        "runs": {model: _run(Plan(task, model, SEED), SOURCES[name], steps, last) for model in models},
    }


def _run(plan: Plan, sources: list[str], steps: int, last: int) -> dict[str, Any]:
    recording = Recording(plan, steps, unseen(plan.task))
    written: list[list[dict[str, Any]]] = [[] for _ in sources]
    numbers = [step for step in moments(steps) if step <= last]
    for network in recording.run(numbers):
        for outputs, source in zip(written, sources, strict=True):
            output = read_aloud(plan.task, network, source)
            decoded = output.pop("decoded")
            if decoded.weights:
                output["weights"] = pack_weights(decoded.weights[-1].mean(axis=0))
            outputs.append(output)
        if len(recording.moments) == len(numbers) and last < steps:
            return {"moments": recording.moments, "written": written}
    parameters = count_parameters(build_network(plan))
    return {"parameters": parameters, **recording.summary(), "written": written}


LEARNING: dict[str, Callable[[], Any]] = {name: partial(learn, name) for name in SOURCES}

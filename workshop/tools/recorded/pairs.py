"""The recorded learning of W_Q and W_K from pairs of opposites, which cosine alone gets wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from softkv_attention import attend
from softkv_service.encoding import DEFAULT_MODEL, load_encoder
from softkv_workshop.lab.jobs import D_K, select_held_out
from softkv_workshop.lab.training import Budget, ProjectionStep, learn_projections
from workshop.tools.recorded import pack_weights
from workshop.tools.recorded.training import SECONDS, SEED

STEPS = 200
TEMPERATURE = 0.05
OPPOSITES = [
    *("hot cold", "open closed", "up down", "light dark", "early late", "old new", "big small", "rich poor"),
    *("strong weak", "wet dry"),
]
"""Each is a pair to and fro: cosine finds the word itself."""


def both_directions() -> list[list[str]]:
    """Return the pairs, all of one direction first, so that no held-out pair stands beside its reverse."""
    words = [pair.split() for pair in OPPOSITES]
    return [*words, *([key, query] for query, key in words)]


def pairs(*, last: int = STEPS) -> dict[str, Any]:
    """Return the recorded learning.

    Args:
        last: stop after this number of steps; for a test, which repeats the beginning.
    """
    torch.set_num_threads(1)
    texts = both_directions()
    encoder = load_encoder(DEFAULT_MODEL, threads=1)
    query = encoder.encode([query for query, _ in texts], "query").vectors
    key = encoder.encode([key for _, key in texts], "document").vectors
    before = attend(query, key, key, similarity="cosine", temperature=TEMPERATURE).weights
    steps: list[ProjectionStep] = []
    for step in learn_projections(query, key, Budget(SECONDS, STEPS), SEED):
        steps.append(step)
        if step.step >= last:
            break
    return {
        "pairs": texts,
        "temperature": TEMPERATURE,
        "before": pack_weights(before),
        "loss_before": round(_loss(before), 4),
        "parameters": 2 * query.shape[1] * D_K,
        "held_out": np.flatnonzero(select_held_out(len(texts))).tolist(),
        "steps": [_summarise(step) for step in steps if step.step <= 40 or step.step % 10 == 0],
    }


def _summarise(step: ProjectionStep) -> dict[str, Any]:
    numbers = {"loss": step.loss, "right": step.right, "right_held_out": step.right_held_out}
    rounded = {name: round(float(number), 4) for name, number in numbers.items()}
    return {"step": step.step, **rounded, "weights": pack_weights(step.weights)}


def _loss(weights: NDArray[np.float32]) -> float:
    """Return −mean log of the weight on the own key, among the pairs that are learned from: as in the learning."""
    rows = np.flatnonzero(~select_held_out(len(weights)))
    trained = np.asarray(weights, np.float64)[np.ix_(rows, rows)]
    return float(-np.log(np.diag(trained) / trained.sum(axis=1)).mean())

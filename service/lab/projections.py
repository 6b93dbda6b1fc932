"""W_Q and W_K learned from pairs that belong together: each question is to attend to its own key.

    weights = softmax(query W_Q (key W_K)ᵀ / √d_k),  loss = −mean log weights[i, i]

At the beginning both are one random projection, so that the weights are those of the lookup without them, more or less.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from attention import attend
from service.lab.jobs import D_K, held_out
from service.lab.training import Budget

WARMTH = 20.0
"""What a cosine is multiplied by at the beginning: temperature 0.05."""

RATE = 0.01
TOLD_EVERY = 2
STEPS = 200


class Learned(NamedTuple):
    """Where W_Q and W_K stand.

    Attributes:
        step: how many steps were taken.
        seconds: since the first.
        loss: of the pairs that are learned from, in nats.
        weights: float32 [n, n], how much each question rests on each key.
        right: of the pairs that are learned from, the share whose question rests most on its own key.
        right_held_out: the same of the others.
    """

    step: int
    seconds: float
    loss: float
    weights: NDArray[np.float32]
    right: float
    right_held_out: float


def learning(query: NDArray[np.float32], key: NDArray[np.float32], budget: Budget, seed: int = 0) -> Iterator[Learned]:
    """Learn from pairs, told every few steps; the first that is told has learned nothing yet.

    Args:
        query: [n, d], of length 1.
        key: [n, d], the key of each question, of length 1.
        budget: without steps, `STEPS`.
        seed: of the projection at the beginning.
    """
    n, d = query.shape
    began = time.perf_counter()
    random = np.random.default_rng(seed).standard_normal((d, D_K)) / math.sqrt(D_K)
    start = torch.tensor(random * math.sqrt(WARMTH * math.sqrt(D_K)), dtype=torch.float32)
    W_Q, W_K = start.clone().requires_grad_(), start.clone().requires_grad_()
    adam = torch.optim.Adam([W_Q, W_K], lr=RATE)
    asked, keys = torch.from_numpy(query), torch.from_numpy(key)
    apart = held_out(n)
    learned, steps = torch.from_numpy(np.flatnonzero(~apart)), budget.steps or STEPS
    within = Budget(budget.seconds, steps)
    for step in range(steps + 1):
        weights = attend(asked @ W_Q, keys @ W_K, keys).weights
        of_own = attend(asked[learned] @ W_Q, keys[learned] @ W_K, keys[learned]).weights.diagonal()
        loss = -of_own.clamp_min(torch.finfo(torch.float32).tiny).log().mean()
        seconds = time.perf_counter() - began
        done = within.spent(seconds, step) >= 1
        if step % TOLD_EVERY == 0 or done:
            told = weights.detach().numpy()
            right = told.argmax(axis=1) == np.arange(n)
            yield Learned(step, seconds, float(loss.detach()), told, _share(right[~apart]), _share(right[apart]))
        if done:
            return
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else math.nan

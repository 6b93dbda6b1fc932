"""Training on torch: networks for a task, and the projections W_Q and W_K for pairs."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from attention import attend
from attention.transformer import arrays, map_arrays
from service.lab.jobs import D_K, held_out
from service.lab.networks import Network, Plan, learned, network, steps
from service.lab.tasks import BEGIN, END, Batch, Example, PictureTask

BATCH = 64
RATE = 3e-3
WARMING_STEPS = 100
CONSTANT = 0.5
"""The share of the budget after which the rate falls."""

TRAINING = 0.95
"""The share of the seconds after which nothing is learned any more: the last test takes the rest."""

MOST_NORM = 1.0
"""Of all gradients together, which recurrent networks need."""

TOLD_SECONDS, TESTED_SECONDS = 0.25, 3.0
TESTED, TESTED_LAST = 100, 500
"""Unseen examples of a test on the way, and of the last one."""


@dataclass(frozen=True)
class Budget:
    """What training may take: it ends with what is spent first, and falls behind neither.

    Attributes:
        seconds: from the first step to the last test.
        steps: None for as many as there is time for.
    """

    seconds: float
    steps: int | None = None

    def spent(self, seconds: float, steps: int) -> float:
        """The share of it, 1 where the last test begins."""
        return max(seconds / (self.seconds * TRAINING), steps / self.steps if self.steps else 0.0)


class Step(NamedTuple):
    """Where training stands.

    Attributes:
        step: how many were taken.
        seconds: since the first.
        loss: mean cross-entropy a token, in nats, over the steps since the last that was told.
        step_ms: the median time of these steps.
    """

    step: int
    seconds: float
    loss: float
    step_ms: float


class Tested(NamedTuple):
    """How a network does on what it was never trained on: a target counts where all of it is right.

    Attributes:
        step: how many were taken.
        seconds: since the first.
        accuracy: of unseen sources of the trained lengths, 0 to 1.
        lengths: the same by the length of the source, longer ones among them where the task has any: all are unseen.
    """

    step: int
    seconds: float
    accuracy: float
    lengths: dict[int, float]


class Trained(NamedTuple):
    """The end.

    Attributes:
        network: over NumPy.
        tested: on many.
        aligned: of the target's tokens that are read from a known place, the share whose largest weight lies there;
            None where the network does not attend, or nobody knows the places.
        examples: some that it was not trained on.
    """

    network: Network
    tested: Tested
    aligned: float | None
    examples: list[Example]


def training(plan: Plan, budget: Budget) -> Iterator[Step | Tested | Trained]:
    """Train a network; the last thing told is the trained one."""
    return _Training(plan, budget).told()


class _Training:
    def __init__(self, plan: Plan, budget: Budget) -> None:
        self._task, self._budget = plan.task, budget
        self._network = map_arrays(lambda array: torch.from_numpy(np.array(array)), network(plan))
        self._parameters = [array.requires_grad_() for name, array in arrays(self._network) if learned(name)]
        self._adam = torch.optim.Adam(self._parameters, lr=RATE, betas=(0.9, 0.98))
        seeds = np.random.SeedSequence(plan.seed).spawn(2)
        self._random, self._unseen = (np.random.default_rng(seed) for seed in seeds)
        self._steps, self._began = 0, time.perf_counter()

    def told(self) -> Iterator[Step | Tested | Trained]:
        examples = self._task.examples(self._random, held_out=False)
        losses, times, told, tested = [], [], 0.0, 0.0
        while (spent := self._budget.spent(self._seconds, self._steps)) < 1:
            begun = time.perf_counter()
            losses.append(self._step(list(islice(examples, BATCH)), spent))
            times.append(time.perf_counter() - begun)
            if self._seconds - told >= TOLD_SECONDS:
                told = self._seconds
                yield Step(self._steps, told, float(np.mean(losses)), 1000 * float(np.median(times)))
                losses, times = [], []
            if self._seconds - tested >= TESTED_SECONDS:
                yield self._tested(TESTED)
                tested = self._seconds
        shown = list(islice(self._task.examples(self._unseen, held_out=True), TESTED))
        last = self._tested(TESTED_LAST)
        yield Trained(
            map_arrays(lambda array: array.detach().numpy(), self._network), last, self._aligned(shown), shown
        )

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def _step(self, examples: Sequence[Example], spent: float) -> float:
        """Learn from a batch → its loss."""
        for group in self._adam.param_groups:
            falling = min(1.0, (1 - spent) / (1 - CONSTANT))
            group["lr"] = RATE * min(1.0, (self._steps + 1) / WARMING_STEPS) * falling
        batch = self._task.batch(examples)
        logits = self._network(*self._read(batch))
        counts = torch.arange(batch.wanted.shape[1]) < torch.from_numpy(batch.counts)[:, None]
        loss = cross_entropy(logits[counts], torch.from_numpy(batch.wanted)[counts])
        self._adam.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._parameters, MOST_NORM)
        self._adam.step()
        self._steps += 1
        return float(loss.detach())

    def _read(self, batch: Batch) -> tuple[Any, ...]:
        """What a network is called with."""
        source, given, lengths = (torch.from_numpy(each) for each in (batch.source, batch.given, batch.lengths))
        return (source, given) if isinstance(self._task, PictureTask) else (source, given, lengths)

    def _tested(self, count: int) -> Tested:
        unseen = list(islice(self._task.examples(self._unseen, held_out=True), count))
        trained = self._right(unseen)
        longer = list(islice(self._task.examples(self._unseen, held_out=True, longer=True), count // 4))
        farther = self._right(longer) if self._task.reaches else np.empty(0, bool)
        by_length: defaultdict[int, list[bool]] = defaultdict(list)
        for example, right in zip([*unseen, *longer], [*trained, *farther], strict=False):
            by_length[len(example.source)].append(bool(right))
        lengths = {length: float(np.mean(rights)) for length, rights in sorted(by_length.items())}
        return Tested(self._steps, self._seconds, float(trained.mean()), lengths)

    @torch.no_grad()
    def _right(self, examples: Sequence[Example]) -> NDArray[np.bool_]:
        """Which of them it writes without a mistake [b]."""
        batch = self._task.batch(examples)
        source, _, *lengths = self._read(batch)
        said = self._task.written
        written = self._network.generate(
            source, *lengths, begin=said.index(BEGIN), end=said.index(END), limit=batch.wanted.shape[1]
        ).numpy()
        filled = np.full_like(batch.wanted, said.index(END))
        filled[:, : written.shape[1]] = written
        right: NDArray[np.bool_] = (filled == batch.wanted).all(axis=1)
        return right

    @torch.no_grad()
    def _aligned(self, examples: Sequence[Example]) -> float | None:
        weights = steps(self._network, *self._read(self._task.batch(examples))).weights
        found = [
            int(weights[-1][row, :, at].mean(dim=0).argmax()) in places
            for row, example in enumerate(examples)
            for at, places in enumerate(example.right or ())
            if weights and places
        ]
        return float(np.mean(found)) if found else None


WARMTH = 20.0
"""What a cosine is multiplied by at the beginning: temperature 0.05."""

PROJECTION_RATE = 0.01
TOLD_EVERY = 2
PROJECTION_STEPS = 200


class ProjectionStep(NamedTuple):
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


def learn_projections(
    query: NDArray[np.float32], key: NDArray[np.float32], budget: Budget, seed: int = 0
) -> Iterator[ProjectionStep]:
    """Learn from pairs, told every few steps; the first that is told has learned nothing yet.

    Args:
        query: [n, d], of length 1.
        key: [n, d], the key of each question, of length 1.
        budget: without steps, `PROJECTION_STEPS`.
        seed: of the projection at the beginning.
    """
    n, d = query.shape
    began = time.perf_counter()
    random = np.random.default_rng(seed).standard_normal((d, D_K)) / math.sqrt(D_K)
    start = torch.tensor(random * math.sqrt(WARMTH * math.sqrt(D_K)), dtype=torch.float32)
    W_Q, W_K = start.clone().requires_grad_(), start.clone().requires_grad_()
    adam = torch.optim.Adam([W_Q, W_K], lr=PROJECTION_RATE)
    asked, keys = torch.from_numpy(query), torch.from_numpy(key)
    apart = held_out(n)
    learned, steps = torch.from_numpy(np.flatnonzero(~apart)), budget.steps or PROJECTION_STEPS
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
            yield ProjectionStep(step, seconds, float(loss.detach()), told, _share(right[~apart]), _share(right[apart]))
        if done:
            return
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else math.nan

"""Training on torch: networks for a task, and the projections W_Q and W_K for pairs."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from softkv_attention import attend
from softkv_attention.transformer import arrays, map_arrays
from softkv_workshop.lab.jobs import D_K, select_held_out
from softkv_workshop.lab.networks import Plan, build_network, is_learned, run_decoder
from softkv_workshop.lab.tasks import BEGIN, END, Batch, Example, PictureTask

if TYPE_CHECKING:
    from softkv_workshop.lab.networks import Network

BATCH = 64
RATE = 3e-3
WARMING_STEPS = 100
CONSTANT_SHARE = 0.5
"""The share of the budget after which the learning rate falls."""

TRAINING_SHARE = 0.95
"""The share of the seconds after which training stops; the rest is for the last test."""

MAX_NORM = 1.0
"""The limit of the norm of all gradients together, which recurrent networks need."""

REPORT_SECONDS, TEST_SECONDS = 0.25, 3.0
"""The time between two reports of a step, and between two tests."""

TEST_EXAMPLES, LAST_TEST_EXAMPLES = 100, 500
"""The number of unseen examples in a test during training, and in the last one."""


@dataclass(frozen=True)
class Budget:
    """The limits of a training; it ends when it reaches the first of them.

    Attributes:
        seconds: the seconds from the first step to the end of the last test.
        steps: None for no limit.
    """

    seconds: float
    steps: int | None = None

    def share_spent(self, seconds: float, steps: int) -> float:
        """Return the share of the budget that is spent; the last test begins at 1."""
        return max(seconds / (self.seconds * TRAINING_SHARE), steps / self.steps if self.steps else 0.0)


class Step(NamedTuple):
    """A report of the training's progress.

    Attributes:
        step: the number of steps so far.
        seconds: seconds since the first step.
        loss: mean cross-entropy a token, in nats, over the steps since the last report.
        step_ms: the median duration of these steps.
    """

    step: int
    seconds: float
    loss: float
    step_ms: float


class Evaluation(NamedTuple):
    """The accuracy of a network on unseen examples; a target counts only if every token is right.

    Attributes:
        step: the number of steps so far.
        seconds: seconds since the first step.
        accuracy: for unseen sources of the trained lengths, 0 to 1.
        lengths: the accuracy by the length of the source, with lengths beyond the trained ones if the task has any.
    """

    step: int
    seconds: float
    accuracy: float
    lengths: dict[int, float]


class Snapshot(NamedTuple):
    """A network amid its training.

    Attributes:
        step: the number of steps so far.
        seconds: seconds since the first step.
        loss: of the last step, in nats; NaN before the first.
        network: a copy, over NumPy.
    """

    step: int
    seconds: float
    loss: float
    network: Network


class TrainingResult(NamedTuple):
    """The result of a training.

    Attributes:
        network: the trained network, over NumPy.
        evaluation: the last test.
        aligned_share: the share of target tokens with a known source position whose largest weight lies on that
            position; None if the network does not attend, or the task knows no positions.
        examples: unseen examples.
    """

    network: Network
    evaluation: Evaluation
    aligned_share: float | None
    examples: list[Example]


Report: TypeAlias = Step | Evaluation | TrainingResult


def train(plan: Plan, budget: Budget) -> Iterator[Report]:
    """Train a network, and yield reports; the last is its result."""
    return (report for report in _Training(plan, budget).run(frozenset()) if not isinstance(report, Snapshot))


def train_with_snapshots(plan: Plan, budget: Budget, moments: Collection[int]) -> Iterator[Report | Snapshot]:
    """Train a network as `train` does, and yield a snapshot after each of these numbers of steps, too."""
    return _Training(plan, budget).run(moments)


class _Training:
    def __init__(self, plan: Plan, budget: Budget) -> None:
        self._task, self._budget = plan.task, budget
        self._network = map_arrays(lambda array: torch.from_numpy(np.array(array)), build_network(plan))
        self._parameters = [array.requires_grad_() for name, array in arrays(self._network) if is_learned(name)]
        self._adam = torch.optim.Adam(self._parameters, lr=RATE, betas=(0.9, 0.98))
        seeds = np.random.SeedSequence(plan.seed).spawn(2)
        self._random, self._unseen = (np.random.default_rng(seed) for seed in seeds)
        self._steps, self._start = 0, time.perf_counter()

    def run(self, moments: Collection[int]) -> Iterator[Report | Snapshot]:
        examples = self._task.examples(self._random, held_out=False)
        losses, durations, last_report, last_test = [], [], 0.0, 0.0
        if 0 in moments:
            yield Snapshot(0, 0.0, math.nan, self._copy())
        while (spent := self._budget.share_spent(self._seconds, self._steps)) < 1:
            start = time.perf_counter()
            losses.append(self._step(list(islice(examples, BATCH)), spent))
            durations.append(time.perf_counter() - start)
            if self._steps in moments:
                yield Snapshot(self._steps, self._seconds, losses[-1], self._copy())
            if self._seconds - last_report >= REPORT_SECONDS:
                last_report = self._seconds
                step_ms = 1000 * float(np.median(durations))
                yield Step(self._steps, last_report, float(np.mean(losses)), step_ms)
                losses, durations = [], []
            if self._seconds - last_test >= TEST_SECONDS:
                yield self._evaluate(TEST_EXAMPLES)
                last_test = self._seconds
        unseen = list(islice(self._task.examples(self._unseen, held_out=True), TEST_EXAMPLES))
        evaluation = self._evaluate(LAST_TEST_EXAMPLES)
        yield TrainingResult(self._copy(), evaluation, self._alignment_share(unseen), unseen)

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._start

    def _copy(self) -> Network:
        return map_arrays(lambda array: array.detach().numpy().copy(), self._network)

    def _step(self, examples: Sequence[Example], spent: float) -> float:
        """Train on one batch of examples, and return the loss."""
        for group in self._adam.param_groups:
            decay = min(1.0, (1 - spent) / (1 - CONSTANT_SHARE))
            group["lr"] = RATE * min(1.0, (self._steps + 1) / WARMING_STEPS) * decay
        batch = self._task.batch(examples)
        logits = self._network(*self._inputs(batch))
        counts = torch.arange(batch.target.shape[1]) < torch.from_numpy(batch.counts)[:, None]
        loss = cross_entropy(logits[counts], torch.from_numpy(batch.target)[counts])
        self._adam.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._parameters, MAX_NORM)
        self._adam.step()
        self._steps += 1
        return float(loss.detach())

    def _inputs(self, batch: Batch) -> tuple[Any, ...]:
        """Return the arguments of a call of the network."""
        source, decoder_input, lengths = (
            torch.from_numpy(array) for array in (batch.source, batch.decoder_input, batch.lengths)
        )
        return (source, decoder_input) if isinstance(self._task, PictureTask) else (source, decoder_input, lengths)

    def _evaluate(self, count: int) -> Evaluation:
        unseen = list(islice(self._task.examples(self._unseen, held_out=True), count))
        is_right = self._compare(unseen)
        longer = list(islice(self._task.examples(self._unseen, held_out=True, longer=True), count // 4))
        is_longer_right = self._compare(longer) if self._task.has_longer else np.empty(0, bool)
        by_length: defaultdict[int, list[bool]] = defaultdict(list)
        for example, right in zip([*unseen, *longer], [*is_right, *is_longer_right], strict=False):
            by_length[len(example.source)].append(bool(right))
        lengths = {length: float(np.mean(rights)) for length, rights in sorted(by_length.items())}
        return Evaluation(self._steps, self._seconds, float(is_right.mean()), lengths)

    @torch.no_grad()
    def _compare(self, examples: Sequence[Example]) -> NDArray[np.bool_]:
        """Return for which examples the network writes the whole target without a mistake; bool [b]."""
        batch = self._task.batch(examples)
        source, _, *lengths = self._inputs(batch)
        begin, end = self._task.vocabulary.index(BEGIN), self._task.vocabulary.index(END)
        output = self._network.generate(source, *lengths, begin=begin, end=end, limit=batch.target.shape[1]).numpy()
        padded = np.full_like(batch.target, end)
        padded[:, : output.shape[1]] = output
        is_right: NDArray[np.bool_] = (padded == batch.target).all(axis=1)
        return is_right

    @torch.no_grad()
    def _alignment_share(self, examples: Sequence[Example]) -> float | None:
        weights = run_decoder(self._network, *self._inputs(self._task.batch(examples))).weights
        is_aligned = [
            int(weights[-1][row, :, token].mean(dim=0).argmax()) in positions
            for row, example in enumerate(examples)
            for token, positions in enumerate(example.alignment or ())
            if weights and positions
        ]
        return float(np.mean(is_aligned)) if is_aligned else None


INITIAL_SCALE = 20.0
"""The factor of a cosine at the start: temperature 0.05."""

PROJECTION_RATE = 0.01
REPORT_STEPS = 2
"""The number of steps from one report to the next."""

PROJECTION_STEPS = 200


class ProjectionStep(NamedTuple):
    """A report of the progress of W_Q and W_K.

    Attributes:
        step: the number of steps so far.
        seconds: seconds since the first step.
        loss: for the pairs in training, in nats.
        weights: float32 [n, n], the weight of each key for each query.
        right: for the pairs in training, the share whose query has its largest weight on its own key.
        right_held_out: the same share for the pairs that are held out.
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
    """Learn W_Q and W_K from pairs, and yield a report every few steps; the first precedes all learning.

    Args:
        query: [n, d], of length 1.
        key: [n, d], the key of each query, of length 1.
        budget: its `steps` default to `PROJECTION_STEPS`.
        seed: the seed of the initial projection.
    """
    n, d = query.shape
    start = time.perf_counter()
    random = np.random.default_rng(seed).standard_normal((d, D_K)) / math.sqrt(D_K)
    initial = torch.tensor(random * math.sqrt(INITIAL_SCALE * math.sqrt(D_K)), dtype=torch.float32)
    W_Q, W_K = initial.clone().requires_grad_(), initial.clone().requires_grad_()
    adam = torch.optim.Adam([W_Q, W_K], lr=PROJECTION_RATE)
    queries, keys = torch.from_numpy(query), torch.from_numpy(key)
    is_held_out = select_held_out(n)
    rows, steps = torch.from_numpy(np.flatnonzero(~is_held_out)), budget.steps or PROJECTION_STEPS
    limits = Budget(budget.seconds, steps)
    for step in range(steps + 1):
        weights = attend(queries @ W_Q, keys @ W_K, keys).weights
        pair_weights = attend(queries[rows] @ W_Q, keys[rows] @ W_K, keys[rows]).weights.diagonal()
        loss = -pair_weights.clamp_min(torch.finfo(torch.float32).tiny).log().mean()
        seconds = time.perf_counter() - start
        done = limits.share_spent(seconds, step) >= 1
        if step % REPORT_STEPS == 0 or done:
            matrix = weights.detach().numpy()
            is_right = matrix.argmax(axis=1) == np.arange(n)
            right, right_held_out = _share(is_right[~is_held_out]), _share(is_right[is_held_out])
            yield ProjectionStep(step, seconds, float(loss.detach()), matrix, right, right_held_out)
        if done:
            return
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()


def _share(is_right: NDArray[np.bool_]) -> float:
    return float(is_right.mean()) if len(is_right) else math.nan

"""Parts that recordings of the lab's trainings share: the moments, the unseen examples, and the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from softkv_workshop.lab.networks import Plan, decode, run_decoder
from softkv_workshop.lab.tasks import BEGIN, END, Example, PictureTask, Task
from softkv_workshop.lab.training import Budget, Evaluation, Snapshot, Step, TrainingResult, train_with_snapshots

if TYPE_CHECKING:
    from softkv_workshop.lab.networks import Network

SEED = 0
MOMENTS = 33
UNSEEN = 200
"""The number of unseen examples that measure the loss and the accuracy of each moment."""

SECONDS = 3600.0
"""More than any recorded training takes: its steps end it, so that the seed alone decides the result."""


def moments(steps: int, count: int = MOMENTS) -> list[int]:
    """Return the numbers of steps at which a network is looked at: dense at the beginning, where most is learned."""
    return sorted({round(steps * (i / (count - 1)) ** 2) for i in range(count)})


def unseen(task: Task, count: int = UNSEEN) -> list[Example]:
    """Return held-out examples, the same at each moment."""
    return list(islice(task.examples(np.random.default_rng(SEED + 1), held_out=True), count))


@dataclass
class Recording:
    """A training that is being recorded.

    Attributes:
        plan: the network.
        steps: the number of steps.
        examples: the examples that measure each moment.
        losses: [step, seconds, loss, milliseconds a step] of each report.
        moments: [step, seconds, loss, accuracy] of each moment, on unseen examples.
        evaluation, aligned: the last test, and the share of weights on the right source; known at the end.
    """

    plan: Plan
    steps: int
    examples: list[Example]
    losses: list[list[float]] = field(default_factory=list)
    moments: list[list[float]] = field(default_factory=list)
    evaluation: Evaluation | None = None
    aligned: float | None = None

    def run(self, numbers: list[int]) -> Iterator[Network]:
        """Train, and yield the network after these numbers of steps. Seconds are of one core, without the pauses."""
        reports = train_with_snapshots(self.plan, Budget(SECONDS, self.steps), numbers)
        seconds, last = 0.0, (0, 0.0)
        while True:
            start = time.process_time()
            report = next(reports, None)
            seconds += time.process_time() - start
            if report is None:
                return
            if isinstance(report, Step):
                step_ms = 1000 * (seconds - last[1]) / (report.step - last[0])
                self.losses.append([report.step, round(seconds, 2), round(report.loss, 4), round(step_ms, 1)])
                last = (report.step, seconds)
            elif isinstance(report, Snapshot):
                self.moments.append([report.step, round(seconds, 2), *self._measure(report.network)])
                yield report.network
            elif isinstance(report, TrainingResult):
                self.evaluation, self.aligned = report.evaluation, report.aligned_share

    def summary(self) -> dict[str, Any]:
        """Return what the page shows of the whole run."""
        assert self.evaluation is not None
        lengths = [[length, round(share, 3)] for length, share in self.evaluation.lengths.items()]
        return {
            "losses": self.losses,
            "moments": self.moments,
            "accuracy": round(self.evaluation.accuracy, 3),
            "lengths": lengths,
            "aligned": None if self.aligned is None else round(self.aligned, 3),
        }

    def _measure(self, network: Network) -> tuple[float, float]:
        """Return the loss and the accuracy on unseen examples."""
        task = self.plan.task
        batch = task.batch(self.examples)
        inputs = (batch.source,) if isinstance(task, PictureTask) else (batch.source, batch.lengths)
        logits = np.asarray(run_decoder(network, batch.source, batch.decoder_input, *inputs[1:]).logits, np.float64)
        largest = logits.max(axis=-1, keepdims=True)
        log_sum = largest + np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True))
        log_probability = np.take_along_axis(logits - log_sum, batch.target[..., None], axis=-1)[..., 0]
        counts = np.arange(batch.target.shape[1]) < batch.counts[:, None]
        begin, end = task.vocabulary.index(BEGIN), task.vocabulary.index(END)
        output = network.generate(*inputs, begin=begin, end=end, limit=batch.target.shape[1])
        written = np.full_like(batch.target, end)
        written[:, : output.shape[1]] = output
        accuracy = (written == batch.target).all(axis=1).mean()
        return round(float(-log_probability[counts].mean()), 4), round(float(accuracy), 3)


def read_aloud(task: Task, network: Network, source: Any) -> dict[str, Any]:
    """Return what a network writes for a source: its text, its tokens, and the probability of each."""
    decoded = decode(task, network, source)
    probabilities = [round(float(probability), 2) for probability in decoded.probabilities]
    return {"text": decoded.text, "tokens": decoded.tokens, "probabilities": probabilities, "decoded": decoded}

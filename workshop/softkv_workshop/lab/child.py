"""The process that trains: `python -m softkv_workshop.lab.child` reads a job and writes its events, each on a line.

The process has a low priority. It ends when the service closes its standard input.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from softkv_workshop.lab.jobs import Job, NetworkJob, PairsJob, TrainingEvent, pack_parameters, parse_job
from softkv_workshop.lab.tasks import Example, PictureTask, Task, TextTask, join_patches

if TYPE_CHECKING:
    from softkv_workshop.lab.training import Evaluation

NICENESS = 5
SHOWN_EXAMPLES = 12
"""The number of examples in the event of a trained network."""


def main() -> None:
    """Run the training job on the first line of standard input, and write its events to standard output."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    requests, events = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a library may print; only events go to standard output
    line = requests.readline()
    if not line:
        return
    threading.Thread(target=_exit_at_end_of, args=(requests,), daemon=True).start()
    for event in _run(parse_job(line)):
        events.write(event.line())
        events.flush()


def _exit_at_end_of(requests: BinaryIO) -> None:
    """End this process when the service closes the other end of the pipe."""
    requests.read()
    os._exit(0)


def _run(job: Job) -> Iterator[TrainingEvent]:
    """Yield the events of a job; the first comes before torch is imported, which takes seconds."""
    yield TrainingEvent("begun", job.summary())
    import torch

    torch.set_num_threads(1)  # the networks are so small that a second thread makes nothing faster
    yield from _train_network(job) if isinstance(job, NetworkJob) else _learn_pairs(job)


def _train_network(job: NetworkJob) -> Iterator[TrainingEvent]:
    from softkv_workshop.lab.training import Budget, Step, TrainingResult, train

    plan = job.plan
    for report in train(plan, Budget(job.seconds, job.steps)):
        if isinstance(report, Step):
            yield TrainingEvent("step", report._asdict())
        elif not isinstance(report, TrainingResult):
            yield TrainingEvent("tested", _evaluation_data(report))
        else:
            examples = [_example_data(plan.task, example) for example in report.examples[:SHOWN_EXAMPLES]]
            data = {**_evaluation_data(report.evaluation), "aligned": report.aligned_share, "examples": examples}
            yield TrainingEvent("trained", data | {"numbers": pack_parameters(report.network)})


def _evaluation_data(evaluation: Evaluation) -> dict[str, Any]:
    lengths = [{"length": length, "accuracy": share} for length, share in evaluation.lengths.items()]
    return {"step": evaluation.step, "seconds": evaluation.seconds, "accuracy": evaluation.accuracy, "lengths": lengths}


def _example_data(task: Task, example: Example) -> dict[str, Any]:
    target = {"target": task.join(example.target)}
    if isinstance(task, PictureTask):
        return {"picture": join_patches(example.source), **target}
    assert isinstance(task, TextTask)
    return {"source": task.format(example.source), **target}


def _learn_pairs(job: PairsJob) -> Iterator[TrainingEvent]:
    from softkv_workshop.lab.training import Budget, learn_projections

    last: dict[str, Any] = {}
    for step in learn_projections(job.query, job.key, Budget(job.seconds, job.steps), job.seed):
        last = step._asdict()
        yield TrainingEvent("step", last)
    names = ("step", "seconds", "weights", "right", "right_held_out")
    yield TrainingEvent("trained", {name: last[name] for name in names})


if __name__ == "__main__":
    main()

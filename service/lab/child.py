"""The process that trains: `python -m service.lab.child`, a job on its first line, what it tells line by line.

It gives way to everything else on the machine, and ends when nobody listens any more.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from service.lab.jobs import Job, NetworkJob, PairsJob, Told, job, numbers
from service.lab.tasks import Example, PictureTask, Task, TextTask, join_patches

if TYPE_CHECKING:
    from service.lab.training import Tested

NICENESS = 5
SHOWN = 12
"""Examples that come with a trained network."""


def main() -> None:
    """Do what the first line says."""
    os.nice(NICENESS)
    given, told = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints is nothing told
    line = given.readline()
    if not line:
        return
    threading.Thread(target=_end_with, args=(given,), daemon=True).start()
    for each in _done(job(line)):
        told.write(each.line())
        told.flush()


def _end_with(given: BinaryIO) -> None:
    """Nobody who listens is left when the other end of the pipe is closed."""
    given.read()
    os._exit(0)


def _done(what: Job) -> Iterator[Told]:
    """It has begun before torch is imported, which takes seconds."""
    yield Told("begun", what.begun())
    import torch

    torch.set_num_threads(1)  # the networks are so small that a second one does nothing for them
    yield from _network(what) if isinstance(what, NetworkJob) else _pairs(what)


def _network(what: NetworkJob) -> Iterator[Told]:
    from service.lab.training import Budget, Step, Trained, training

    plan = what.plan
    for each in training(plan, Budget(what.seconds, what.steps)):
        if isinstance(each, Step):
            yield Told("step", each._asdict())
        elif not isinstance(each, Trained):
            yield Told("tested", _tested(each))
        else:
            examples = [_example(plan.task, one) for one in each.examples[:SHOWN]]
            data = {**_tested(each.tested), "aligned": each.aligned, "examples": examples}
            yield Told("trained", data | {"numbers": numbers(each.network)})


def _tested(tested: Tested) -> dict[str, Any]:
    lengths = [{"length": length, "accuracy": share} for length, share in tested.lengths.items()]
    return {"step": tested.step, "seconds": tested.seconds, "accuracy": tested.accuracy, "lengths": lengths}


def _example(task: Task, example: Example) -> dict[str, Any]:
    shown = {"target": task.joined(example.target)}
    if isinstance(task, PictureTask):
        return {"picture": join_patches(example.source), **shown}
    assert isinstance(task, TextTask)
    return {"source": task.shown(example.source), **shown}


def _pairs(what: PairsJob) -> Iterator[Told]:
    from service.lab.training import Budget, learn_projections

    last: dict[str, Any] = {}
    for each in learn_projections(what.query, what.key, Budget(what.seconds, what.steps), what.seed):
        last = each._asdict()
        yield Told("step", last)
    yield Told("trained", {name: last[name] for name in ("step", "seconds", "weights", "right", "right_held_out")})


if __name__ == "__main__":
    main()

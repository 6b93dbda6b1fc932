"""One training at a time, in a child process; the networks that came of the last ones."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from secrets import token_hex

from service.lab.errors import LabBusy, LibraryNeeded, ModelNotTrained, TrainingFailed
from service.lab.jobs import LONGEST_LINE, Job, NetworkJob, Told, restored
from service.lab.networks import Decoded, Network, decode, parameters

CHILD = "service.lab.child"
MOST_KEPT = 16
MOST_SECONDS = 120.0
ENDED_SECONDS = 0.5
"""How long one waits for a training that its caller has just given up."""

STARTING_SECONDS, ENDING_SECONDS = 120.0, 30.0
"""How long a child may take to import torch, and over its budget for the last test, before it is ended."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network that was trained.

    Attributes:
        id: what a caller names it by.
        job: how it was trained.
        network: over NumPy.
        parameters: how many numbers it learned.
        accuracy: of its last test.
    """

    id: str
    job: NetworkJob
    network: Network
    parameters: int
    accuracy: float


class Lab:
    """What is trained, and what was."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()
        self._models: OrderedDict[str, TrainedModel] = OrderedDict()

    @property
    def training(self) -> bool:
        """Whether a model is being trained."""
        return not self._free.is_set()

    @property
    def models(self) -> list[TrainedModel]:
        """Those that are kept, the last one first: the `MOST_KEPT` that were trained last."""
        return list(reversed(self._models.values()))

    async def check(self) -> None:
        """Refuse, where nothing can be trained now.

        Raises:
            LibraryNeeded: torch is not installed.
            LabBusy: another one is being trained.
        """
        if find_spec("torch") is None:
            raise LibraryNeeded("training wants torch, which this installation leaves out: use the whole softkv")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._free.wait(), ENDED_SECONDS)
        if self.training:
            raise LabBusy("a model is being trained, and one is at a time: try again when it is done")

    async def train(self, job: Job) -> AsyncGenerator[Told]:
        """What the child tells; at the end of a network it is kept, and its id told. The child ends with this.

        Raises:
            LibraryNeeded, LabBusy: as of `check`.
            TrainingFailed: the child ended before.
        """
        await self.check()
        self._free.clear()
        try:
            async with _child(job) as child:
                async for told in _lines(child, job.seconds):
                    if told.name == "trained" and isinstance(job, NetworkJob):
                        told.data["id"] = await self._trained(job, told)
                    yield told
                    if told.name == "trained":
                        return
            raise TrainingFailed("the process that trained has ended without a model: see the service's log")
        finally:
            self._free.set()

    def keep(self, model: TrainedModel) -> None:
        """Answer for it from now on; where there are too many the oldest is let go."""
        self._models[model.id] = model
        while len(self._models) > MOST_KEPT:
            self._models.popitem(last=False)

    def model(self, identity: str) -> TrainedModel:
        """Raises: ModelNotTrained: there is none of that id."""
        if identity not in self._models:
            raise ModelNotTrained(
                f"there is no trained model {identity!r}: the last {MOST_KEPT} are kept until the service stops, see "
                "GET /v1/lab; train it again with POST /v1/lab/train"
            )
        return self._models[identity]

    async def decode(self, model: TrainedModel, source: str | list[list[float]]) -> Decoded:
        """What a model writes for a source, and what it looked at; errors are those of `service.lab.networks`."""
        return await asyncio.to_thread(decode, model.job.plan.task, model.network, source)

    async def _trained(self, job: NetworkJob, told: Told) -> str:
        trained = await asyncio.to_thread(restored, job.plan, told.data.pop("numbers"))
        model = TrainedModel(f"m-{token_hex(4)}", job, trained, parameters(trained), told.data["accuracy"])
        self.keep(model)
        return model.id


@asynccontextmanager
async def _child(job: Job) -> AsyncIterator[Process]:
    """A child at its job; it is gone when the block ends, however that ends."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", CHILD, stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
    )
    try:
        assert child.stdin is not None
        child.stdin.write(job.line())
        await child.stdin.drain()
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await asyncio.shield(child.wait())


async def _lines(child: Process, seconds: float) -> AsyncIterator[Told]:
    """What it tells, until it ends or takes longer than it may."""
    assert child.stdout is not None
    try:
        async with asyncio.timeout(STARTING_SECONDS) as limit:
            while line := await child.stdout.readline():
                told = Told.of(line)
                if told.name == "begun":
                    limit.reschedule(asyncio.get_running_loop().time() + seconds + STARTING_SECONDS + ENDING_SECONDS)
                yield told
    except TimeoutError:
        raise TrainingFailed(
            "the process that trained took longer than its budget, and was ended: try again when the machine does less"
        ) from None

"""The lab trains one model at a time in a child process, and keeps the networks that it trained last."""

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
from typing import TYPE_CHECKING

from softkv_workshop.lab.errors import LabBusy, LibraryNeeded, ModelNotTrained, TrainingFailed
from softkv_workshop.lab.jobs import LONGEST_LINE, Job, NetworkJob, TrainingEvent, restore_network
from softkv_workshop.lab.networks import Decoded, count_parameters, decode

if TYPE_CHECKING:
    from softkv_workshop.lab.networks import Network

CHILD = "softkv_workshop.lab.child"
MAX_MODELS = 16
MAX_SECONDS = 120.0
CANCELLED_SECONDS = 0.5
"""The seconds that a new training waits for one whose caller has just hung up."""

STARTING_SECONDS, ENDING_SECONDS = 120.0, 30.0
"""Time limits of a child: to import torch, and beyond its budget for the last test. A child that exceeds them ends."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network that the lab has trained, with the job that trained it.

    Attributes:
        id: the name by which callers address it.
        job: the job that trained it.
        network: the network, with NumPy arrays.
        parameters: the number of learned parameters.
        accuracy: the accuracy in the last test, 0 to 1.
    """

    id: str
    job: NetworkJob
    network: Network
    parameters: int
    accuracy: float


class Lab:
    """A lab: it trains one model at a time, and keeps the newest models."""

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
        """The newest `MAX_MODELS` models, the newest first."""
        return list(reversed(self._models.values()))

    async def check(self) -> None:
        """Raise if no training can start now.

        Raises:
            LibraryNeeded: torch is not installed.
            LabBusy: another training is in progress.
        """
        if find_spec("torch") is None:
            raise LibraryNeeded(
                "training needs torch 2.6 or later, and this installation has no torch: in a checkout start the "
                "service with `make run LAB=1`, elsewhere run `pip install torch` or take the image with -full "
                "in its tag"
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCELLED_SECONDS):
                await self._free.wait()
        if self.training:
            raise LabBusy("a model is being trained, and one is at a time: try again when it is done")

    async def train(self, job: Job) -> AsyncGenerator[TrainingEvent]:
        """Yield the events of a job; a trained network is kept, and its last event has its id.

        The child process ends when this generator does.

        Raises:
            LibraryNeeded, LabBusy: as in `check`.
            TrainingFailed: the child ended without a model.
        """
        await self.check()
        self._free.clear()
        try:
            async with _start_child(job) as child:
                async for event in _events(child, job.seconds):
                    if event.name == "trained" and isinstance(job, NetworkJob):
                        event.data["id"] = await self._keep_network(job, event)
                    yield event
                    if event.name == "trained":
                        return
            raise TrainingFailed("the process that trains has ended without a model: see the service's log")
        finally:
            self._free.set()

    def keep(self, model: TrainedModel) -> None:
        """Keep a model; if there are then more than `MAX_MODELS`, remove the oldest."""
        self._models[model.id] = model
        while len(self._models) > MAX_MODELS:
            self._models.popitem(last=False)

    def model(self, identity: str) -> TrainedModel:
        """Return the model with this id.

        Raises:
            ModelNotTrained: the lab keeps no model with this id.
        """
        if identity not in self._models:
            raise ModelNotTrained(
                f"there is no trained model {identity!r}: the last {MAX_MODELS} are kept until the service stops, see "
                "GET /v1/lab; train it again with POST /v1/lab/train"
            )
        return self._models[identity]

    async def decode(self, model: TrainedModel, source: str | list[list[float]]) -> Decoded:
        """Return the output of a model for a source, and its attention; it raises as `networks.decode`."""
        return await asyncio.to_thread(decode, model.job.plan.task, model.network, source)

    async def _keep_network(self, job: NetworkJob, event: TrainingEvent) -> str:
        network = await asyncio.to_thread(restore_network, job.plan, event.data.pop("numbers"))
        model = TrainedModel(f"m-{token_hex(4)}", job, network, count_parameters(network), event.data["accuracy"])
        self.keep(model)
        return model.id


@asynccontextmanager
async def _start_child(job: Job) -> AsyncIterator[Process]:
    """Start a child process on a job, and kill it when the block ends for any reason."""
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


async def _events(child: Process, seconds: float) -> AsyncIterator[TrainingEvent]:
    """Yield the events of a child until it ends.

    Raises:
        TrainingFailed: the child exceeded its time limit.
    """
    assert child.stdout is not None
    try:
        async with asyncio.timeout(STARTING_SECONDS) as limit:
            while line := await child.stdout.readline():
                event = TrainingEvent.parse(line)
                if event.name == "begun":
                    limit.reschedule(asyncio.get_running_loop().time() + seconds + STARTING_SECONDS + ENDING_SECONDS)
                yield event
    except TimeoutError:
        raise TrainingFailed(
            "the process that trains took longer than its budget, and was ended: try again when the machine is less "
            "busy"
        ) from None

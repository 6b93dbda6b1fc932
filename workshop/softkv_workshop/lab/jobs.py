"""The jobs of the child process and its events: one line of JSON each, with arrays in base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from softkv_workshop.lab.networks import Plan, build_network, count_parameters, is_learned
from softkv_workshop.lab.tasks import TASKS

if TYPE_CHECKING:
    from softkv_workshop.lab.networks import Network

D_K = 32
"""The width of W_Q and W_K."""

HELD_OUT_PERIOD = 5
"""Every fifth pair is held out: training does not use it."""

LONGEST_LINE = 16 << 20
"""The limit of a line in bytes: a network of 200,000 parameters takes about a million."""


class TrainingEvent(NamedTuple):
    """An event of a training: `begun`, `step`, `tested` or `trained`, with its data."""

    name: str
    data: dict[str, Any]

    def line(self) -> bytes:
        """Return the event as a line of JSON."""
        return orjson.dumps([self.name, self.data], option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS) + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> TrainingEvent:
        """Parse a line that `line` made."""
        return cls(*orjson.loads(line))


@dataclass(frozen=True)
class NetworkJob:
    """A job that trains a network.

    Attributes:
        plan: the network to train; its seed also draws the examples and the tests.
        seconds: the time limit.
        steps: the limit of steps; None for no limit.
    """

    plan: Plan
    seconds: float
    steps: int | None

    def line(self) -> bytes:
        """Return the job as a line of JSON for the child process."""
        plan = [self.plan.task.name, self.plan.model, self.plan.seed]
        return orjson.dumps({"network": vars(self) | {"plan": plan}}) + b"\n"

    def summary(self) -> dict[str, Any]:
        """Return the data of the event `begun`, which is sent before the training: facts such as the number of
        parameters.
        """
        return {"parameters": count_parameters(build_network(self.plan))}


@dataclass(frozen=True, eq=False)
class PairsJob:
    """A job that learns W_Q and W_K from pairs.

    Attributes:
        query: float32 [n, d]
        key: float32 [n, d]
        seconds, steps: the limits, as in a `NetworkJob`.
        seed: the seed of the initial W_Q and W_K.
    """

    query: NDArray[np.float32]
    key: NDArray[np.float32]
    seconds: float
    steps: int | None
    seed: int

    def line(self) -> bytes:
        """Return the job as a line of JSON for the child process."""
        fields = vars(self) | {"query": pack_array(self.query), "key": pack_array(self.key)}
        return orjson.dumps({"pairs": fields}) + b"\n"

    def summary(self) -> dict[str, Any]:
        """Return the data of the event `begun`, which is sent before the training: facts such as the number of
        parameters.
        """
        n, d = self.query.shape
        return {"parameters": 2 * d * D_K, "held_out": select_held_out(n).nonzero()[0]}


def select_held_out(n: int) -> NDArray[np.bool_]:
    """Return which of n pairs training does not use; bool [n]."""
    is_held_out: NDArray[np.bool_] = np.arange(1, n + 1) % HELD_OUT_PERIOD == 0
    return is_held_out


Job: TypeAlias = NetworkJob | PairsJob


def parse_job(line: bytes) -> Job:
    """Parse the line of a job."""
    fields = orjson.loads(line)
    if "network" in fields:
        task, model, seed = fields["network"]["plan"]
        return NetworkJob(**fields["network"] | {"plan": Plan(TASKS[task], model, seed)})
    pairs = fields["pairs"]
    return PairsJob(**pairs | {"query": unpack_array(pairs["query"]), "key": unpack_array(pairs["key"])})


def pack_array(array: NDArray[np.float32]) -> dict[str, Any]:
    """Return an array as an object for JSON, its numbers in base64."""
    return {"shape": array.shape, "float32": base64.b64encode(np.asarray(array, np.float32).tobytes()).decode()}


def unpack_array(packed: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the array that `pack_array` packed."""
    return np.frombuffer(base64.b64decode(packed["float32"]), np.float32).reshape(packed["shape"]).copy()


def pack_parameters(network: Network) -> dict[str, Any]:
    """Pack the learned parameters of a network for JSON. Its other arrays follow from its plan."""
    from softkv_attention.transformer import arrays

    return pack_array(np.concatenate([array.reshape(-1) for name, array in arrays(network) if is_learned(name)]))


def restore_network(plan: Plan, packed: Mapping[str, Any]) -> Network:
    """Build the network of a plan with the parameters that `pack_parameters` packed."""
    from softkv_attention.transformer import arrays, map_arrays

    initial, numbers = build_network(plan), unpack_array(packed)
    learned_ids = {id(array) for name, array in arrays(initial) if is_learned(name)}

    def take_parameters(array: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal numbers
        if id(array) not in learned_ids:
            return array
        parameters, numbers = numbers[: array.size], numbers[array.size :]
        return parameters.reshape(array.shape)

    return map_arrays(take_parameters, initial)

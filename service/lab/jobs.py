"""What a child process is told to do, and what it tells: a line of JSON each, arrays in base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from attention.transformer import arrays, map_arrays
from service.lab.networks import Network, Plan, learned, network, parameters
from service.lab.tasks import TASKS

D_K = 32
"""Of W_Q and W_K."""

HELD_OUT = 5
"""Every so many-th pair is not learned from."""

LONGEST_LINE = 16 << 20
"""Bytes: a network of 200,000 numbers takes a million."""


class Told(NamedTuple):
    """Something that a child tells: `begun`, `step`, `tested`, `trained`."""

    name: str
    data: dict[str, Any]

    def line(self) -> bytes:
        """As it is written."""
        return orjson.dumps([self.name, self.data], option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS) + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Told:
        """As it is read."""
        return cls(*orjson.loads(line))


@dataclass(frozen=True)
class NetworkJob:
    """Train a network.

    Attributes:
        plan: the network; its seed is that of the examples and the tests too.
        seconds: at most.
        steps: at most; None for any number.
    """

    plan: Plan
    seconds: float
    steps: int | None

    def line(self) -> bytes:
        """As the child is given it."""
        plan = [self.plan.task.name, self.plan.model, self.plan.seed]
        return orjson.dumps({"network": vars(self) | {"plan": plan}}) + b"\n"

    def begun(self) -> dict[str, Any]:
        """What is known before it learns."""
        return {"parameters": parameters(network(self.plan))}


@dataclass(frozen=True, eq=False)
class PairsJob:
    """Learn W_Q and W_K from pairs.

    Attributes:
        query: float32 [n, d]
        key: float32 [n, d]
        seconds, steps: as for a network.
        seed: of the first W_Q and W_K.
    """

    query: NDArray[np.float32]
    key: NDArray[np.float32]
    seconds: float
    steps: int | None
    seed: int

    def line(self) -> bytes:
        """As the child is given it."""
        sent = vars(self) | {"query": packed(self.query), "key": packed(self.key)}
        return orjson.dumps({"pairs": sent}) + b"\n"

    def begun(self) -> dict[str, Any]:
        """What is known before it learns."""
        n, d = self.query.shape
        return {"parameters": 2 * d * D_K, "held_out": held_out(n).nonzero()[0]}


def held_out(n: int) -> NDArray[np.bool_]:
    """Which of n pairs are not learned from [n]."""
    apart: NDArray[np.bool_] = np.arange(1, n + 1) % HELD_OUT == 0
    return apart


Job: TypeAlias = NetworkJob | PairsJob


def job(line: bytes) -> Job:
    """The job of a line."""
    sent = orjson.loads(line)
    if "network" in sent:
        task, model, seed = sent["network"]["plan"]
        return NetworkJob(**sent["network"] | {"plan": Plan(TASKS[task], model, seed)})
    pairs = sent["pairs"]
    return PairsJob(**pairs | {"query": unpacked(pairs["query"]), "key": unpacked(pairs["key"])})


def packed(array: NDArray[np.float32]) -> dict[str, Any]:
    """An array as JSON has it."""
    return {"shape": array.shape, "float32": base64.b64encode(np.asarray(array, np.float32).tobytes()).decode()}


def unpacked(sent: Mapping[str, Any]) -> NDArray[np.float32]:
    """The array again."""
    return np.frombuffer(base64.b64decode(sent["float32"]), np.float32).reshape(sent["shape"]).copy()


def numbers(trained: Network) -> dict[str, Any]:
    """What a network has learned, without what its plan says."""
    return packed(np.concatenate([each.reshape(-1) for name, each in arrays(trained) if learned(name)]))


def restored(plan: Plan, sent: Mapping[str, Any]) -> Network:
    """The network that learned these numbers."""
    begun, rest = network(plan), unpacked(sent)
    taught = {id(each) for name, each in arrays(begun) if learned(name)}

    def taken(array: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal rest
        if id(array) not in taught:
            return array
        own, rest = rest[: array.size], rest[array.size :]
        return own.reshape(array.shape)

    return map_arrays(taken, begun)

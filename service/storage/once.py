"""A write that is to be done once, however often its caller sends it, and answered each time as it was the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

LIFETIME_SECONDS = 24 * 60 * 60
"""For how long the answer to a write is kept, from when it was asked for."""

Did = TypeVar("Did")
Inner = TypeVar("Inner")


@dataclass(frozen=True)
class WriteRequest:
    """A write under the name that its caller gave it.

    Attributes:
        caller: who asks; each caller has names of its own.
        key: the name.
        digest: of all that is asked.
        at: when, in seconds of Unix time.
    """

    caller: str
    key: str
    digest: bytes
    at: int


@dataclass(frozen=True)
class WriteAnswer:
    """What a write was answered with."""

    status: int
    body: bytes


@dataclass(frozen=True)
class IdempotentWrite(Generic[Did]):
    """What a write transaction needs to be done once.

    Attributes:
        answer: what the write did → its answer, which is stored in the same transaction. It is made under the writer's
            lock; what it raises undoes the write.
    """

    request: WriteRequest
    answer: Callable[[Did], WriteAnswer]

    def of(self, did: Callable[[Inner], Did]) -> IdempotentWrite[Inner]:
        """The same for a part of the write, of which `did` tells what the whole did."""
        return IdempotentWrite(self.request, lambda inner: self.answer(did(inner)))

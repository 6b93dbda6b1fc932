"""What a request's time goes to: the rooms that work on it say so, and whoever follows it hears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, ParamSpec, Protocol, TypeVar

Stage = Literal["encode", "scan", "finish", "storage"]
STAGES: dict[Stage, str] = {
    "encode": "texts to vectors, by the encoder, in batches",
    "scan": "what is asked of a collection, answered from its keys, in batches",
    "finish": "the documents that an answer names",
    "storage": "a write transaction, its wait for the one before included; or a read of documents",
}
Queue = Literal["encode", "scan"]
QUEUES: tuple[Queue, ...] = ("encode", "scan")  # the stages that one waits for

P = ParamSpec("P")
T = TypeVar("T")


class Listener(Protocol):
    """Hears what happens, whatever request it is for; from any thread."""

    def waited(self, queue: Queue, seconds: float) -> None:
        """A request stood in a queue."""

    def done(self, stage: Stage, seconds: float, size: int) -> None:
        """A batch went through a stage: so many texts, questions or transactions."""

    def encoded(self, tokens: int) -> None:
        """The encoder read so many tokens."""

    def answered(self, method: str, total_variation: float) -> None:
        """A question was answered with such a certificate."""


class Silence:
    """Hears nothing."""

    def waited(self, queue: Queue, seconds: float) -> None:
        """Nothing."""

    def done(self, stage: Stage, seconds: float, size: int) -> None:
        """Nothing."""

    def encoded(self, tokens: int) -> None:
        """Nothing."""

    def answered(self, method: str, total_variation: float) -> None:
        """Nothing."""


@dataclass
class Spell:
    """The times that a request spent in a stage: from the first's beginning to the last's end, and all of it.

    Attributes:
        began, ended: as `time.perf_counter` has them.
        seconds: in the stage, without what lies between its times.
    """

    began: float
    ended: float
    seconds: float = 0.0
    times: int = 0

    def add(self, began: float, ended: float) -> None:
        """One more."""
        self.ended = max(ended, self.ended)
        self.seconds += ended - began
        self.times += 1


@dataclass
class Trail:
    """One request's way.

    Attributes:
        spells: by stage, and by `wait for` a stage.
        documents: of the collection that it asked; None where it asked none.
    """

    listener: Listener
    spells: dict[str, Spell] = field(default_factory=dict)
    documents: int | None = None

    def spent(self, name: str, began: float, ended: float) -> None:
        """The request was there, between these instants."""
        self.spells.setdefault(name, Spell(began, ended)).add(began, ended)


_NOBODYS = Trail(Silence())
_current: ContextVar[Trail] = ContextVar("trail", default=_NOBODYS)


@contextmanager
def following(trail: Trail) -> Iterator[None]:
    """Whatever the block does, in this task and the threads it asks, belongs to that request."""
    token = _current.set(trail)
    try:
        yield
    finally:
        _current.reset(token)


@dataclass
class Wait:
    """A request's in a queue."""

    queue: Queue
    trail: Trail = field(default_factory=_current.get)
    _asked: float | None = field(default_factory=time.perf_counter)

    def over(self, now: float) -> None:
        """It ends; of a request that comes in parts the first counts."""
        if self._asked is not None:
            self.trail.spent(f"wait for {self.queue}", self._asked, now)
            self.trail.listener.waited(self.queue, now - self._asked)
            self._asked = None

    def spending(self, stage: Stage, work: Callable[P, T]) -> Callable[P, T]:
        """The work, whose time goes to the stage."""

        def timed(*arguments: P.args, **named: P.kwargs) -> T:
            with spending(stage, self.trail):
                return work(*arguments, **named)

        return timed


@contextmanager
def together(waits: Sequence[Wait], size: int) -> Iterator[None]:
    """What the block does is done for all of them at once; `size` is how much that is."""
    began = time.perf_counter()
    for wait in waits:
        wait.over(began)
    yield
    ended = time.perf_counter()
    for wait in waits:
        wait.trail.spent(wait.queue, began, ended)
    for wait in waits[:1]:
        wait.trail.listener.done(wait.queue, ended - began, size)


@contextmanager
def spending(stage: Stage, trail: Trail | None = None) -> Iterator[None]:
    """The time of the block goes to the stage, of that request or the one that is followed."""
    trail, began = trail or _current.get(), time.perf_counter()
    try:
        yield
    finally:
        ended = time.perf_counter()
        trail.spent(stage, began, ended)
        trail.listener.done(stage, ended - began, 1)

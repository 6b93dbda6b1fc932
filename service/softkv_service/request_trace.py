"""The time that each request spends in each stage of its processing, for metrics, spans and the log of slow requests.

The code that works on a request reports to its trace; the API attaches the trace and reads it at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Literal, Protocol

Stage = Literal["encode", "scan", "finish", "storage"]
STAGES: dict[Stage, str] = {
    "encode": "the encoder turns texts into vectors, in batches",
    "scan": "a collection's keys are scanned for queries, in batches",
    "finish": "the documents of an answer are read",
    "storage": "a write transaction, including its wait for the one before, or a read of documents",
}
Queue = Literal["encode", "scan"]
QUEUES: tuple[Queue, ...] = ("encode", "scan")
"""The stages that have a queue."""

LookupPath = Literal["loop", "loop and thread", "bounds", "keys", "store", "refused"]
LOOKUP_PATHS: dict[LookupPath, str] = {
    "loop": "the event loop answered them, from memory",
    "loop and thread": "the event loop, but a thread read documents that were not in memory",
    "bounds": "a thread, because they are many, read many keys or documents, or have a bias, groups or sums",
    "keys": "a thread, because memory does not hold the files of the keys, or the collection has several a document",
    "store": "a thread, because a write is being shown, documents have expired, or the store keeps nothing in memory",
    "refused": "a thread, because the event loop refused one of them, or its filter is costly",
}
"""The threads that answer the lookups of a batch, with the reasons."""


class Listener(Protocol):
    """Receives the events of all requests, from any thread."""

    def record_wait(self, queue: Queue, seconds: float) -> None:
        """Record how long a request waited in a queue."""

    def record_stage(self, stage: Stage, seconds: float, size: int) -> None:
        """Record how long a batch took in a stage; `size` is the number of its texts, queries or transactions."""

    def record_tokens(self, tokens: int) -> None:
        """Record the number of tokens that the encoder read."""

    def record_answer(self, method: str, total_variation: float) -> None:
        """Record the method by which an answer was computed, and its proven error bound (total variation)."""

    def record_lookups(self, path: LookupPath, number: int) -> None:
        """Record the thread that answered the lookups of a batch."""


class NullListener:
    """A listener that ignores every event."""

    def record_wait(self, queue: Queue, seconds: float) -> None:
        """Ignore the event."""

    def record_stage(self, stage: Stage, seconds: float, size: int) -> None:
        """Ignore the event."""

    def record_tokens(self, tokens: int) -> None:
        """Ignore the event."""

    def record_answer(self, method: str, total_variation: float) -> None:
        """Ignore the event."""

    def record_lookups(self, path: LookupPath, number: int) -> None:
        """Ignore the event."""


@dataclass
class StageTiming:
    """The time that a request spent in one stage, which it may enter several times.

    Attributes:
        began, ended: the first start and the last end, in seconds of `time.perf_counter`.
        seconds: time inside the stage, without the gaps between the visits.
        times: the number of visits.
    """

    began: float
    ended: float
    seconds: float = 0.0
    times: int = 0

    def add(self, began: float, ended: float) -> None:
        """Add one visit to the stage, between these two instants."""
        self.ended = max(ended, self.ended)
        self.seconds += ended - began
        self.times += 1


@dataclass
class RequestTrace:
    """The stages that one request went through.

    Inside its `with` block, this task and threads that copy its context add the time of their work to it.

    Attributes:
        timings: by stage name, and by `wait for` and the name of a queue.
        documents: the number of documents in the queried collection, or None if the request queried none.
    """

    listener: Listener
    timings: dict[str, StageTiming] = field(default_factory=dict)
    documents: int | None = None
    _token: Token[RequestTrace] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self)

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _current.reset(self._token)

    def add(self, name: str, began: float, ended: float) -> None:
        """Add the time between two instants to a stage."""
        self.timings.setdefault(name, StageTiming(began, ended)).add(began, ended)


_UNUSED = RequestTrace(NullListener())
_current: ContextVar[RequestTrace] = ContextVar("request_trace", default=_UNUSED)


@dataclass
class Wait:
    """The wait of the current request in a queue; it begins when this object is created."""

    queue: Queue
    trace: RequestTrace = field(default_factory=_current.get)
    _began: float | None = field(default_factory=time.perf_counter)

    def end(self, now: float) -> float | None:
        """End the wait, and return its seconds. If a request is processed in pieces, only the first piece ends it."""
        if self._began is None:
            return None
        began, self._began = self._began, None
        self.trace.add(f"wait for {self.queue}", began, now)
        return now - began


def end_waits(waits: Sequence[Wait], now: float, stages: Sequence[tuple[Stage, float, float]] = ()) -> None:
    """End the waits of a batch, and add stages with their first and last instants to the traces of its requests."""
    seconds = list[float | None]()
    for wait in waits:
        seconds.append(wait.end(now))
        for stage, began, ended in stages:
            wait.trace.add(stage, began, ended)
    for wait, waited in zip(waits, seconds, strict=True):
        if waited is not None:
            wait.trace.listener.record_wait(wait.queue, waited)


@contextmanager
def batch_stage(waits: Sequence[Wait], size: int) -> Iterator[None]:
    """Record the time of a batch, which is the block, in the traces of all its requests.

    At the beginning each request stops waiting in its queue. At the end the time of the block is added to each trace,
    as the stage that has the queue's name. The listener receives one event for the whole batch. If the block raises,
    its time is not recorded.

    Args:
        waits: the wait of each request of the batch in the queue, see `Wait`.
        size: the number of texts or queries in the batch.
    """
    began = time.perf_counter()
    end_waits(waits, began)
    yield
    ended = time.perf_counter()
    for wait in waits:
        wait.trace.add(wait.queue, began, ended)
    for wait in waits[:1]:
        wait.trace.listener.record_stage(wait.queue, ended - began, size)


@contextmanager
def time_stage(stage: Stage, trace: RequestTrace | None = None) -> Iterator[None]:
    """Add the time of the block to a stage of a trace; without a trace, of that of the current request."""
    trace, began = trace or _current.get(), time.perf_counter()
    try:
        yield
    finally:
        ended = time.perf_counter()
        trace.add(stage, began, ended)
        trace.listener.record_stage(stage, ended - began, 1)

"""All contenders called in turns, round after round, by one process that does nothing else."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from benchmarks.callers import Calls, Span, call
from benchmarks.contenders.server import processor_seconds
from benchmarks.contenders.store import Way

SLOW = 10


@dataclass
class Cell:
    """The results of one way, filter and number of connections, round by round.

    Attributes:
        a_second: answers a second.
        p50: milliseconds, of the calls of a round.
        p99: the same.
        processor: the share of a core that the callers used.
        cost: milliseconds of the server's processor time an answer.
        answered: in all rounds.
        errors: in all rounds.
        seconds: of the longest round.
    """

    a_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    answered: int = 0
    errors: int = 0
    seconds: float = 0.0

    def add(self, calls: Calls, cost: float | None) -> None:
        """Add a round; see `cost`, None if it was not measured."""
        if cost is not None:
            self.cost.append(cost)
        self.a_second.append(calls.a_second)
        self.processor.append(calls.processor)
        self.answered += calls.answered
        self.errors += calls.errors
        self.seconds = max(self.seconds, calls.seconds)
        if calls.milliseconds:
            self.p50.append(float(np.quantile(calls.milliseconds, 0.5)))
            self.p99.append(float(np.quantile(calls.milliseconds, 0.99)))

    @property
    def rate(self) -> float:
        """Answers a second, the median of the rounds."""
        return median(self.a_second)


@dataclass
class Measured:
    """The results of all cells.

    Attributes:
        cells: by the way's name, filter and connections.
        answers: the first answer to each query, by the way's name and filter, and the query's index.
        error: the first error of each way and filter.
    """

    cells: dict[tuple[str, int | None, int], Cell] = field(default_factory=dict)
    answers: dict[tuple[str, int | None], dict[int, bytes]] = field(default_factory=dict)
    error: dict[tuple[str, int | None], str] = field(default_factory=dict)


class Callers:
    """The process that calls, and how long it does.

    Attributes:
        seconds: of a cell; where fewer answers came in that time than there are connections, up to a minute.
        rounds: how many; a cell that took `SLOW` times as long as it should has one round only.
    """

    def __init__(self, process: ProcessPoolExecutor, seconds: float, rounds: int) -> None:
        self.seconds, self.rounds = seconds, rounds
        self._process = process
        self._next: dict[tuple[str, int | None], int] = {}

    def measure(self, ways: Sequence[Way], connections: Sequence[int]) -> Measured:
        """Measure every way under each of its filters, in rounds: for each number of connections, the ways in turns."""
        measured = Measured()
        filters = list(dict.fromkeys(below for way in ways for below in way.requests))
        for way in ways:  # caches and plans
            for below in way.requests:
                self._call(way, below, 1, Span(self.seconds / 2))
        for _ in range(self.rounds):
            for below in filters:
                for count in connections:
                    for way in (way for way in ways if below in way.requests):
                        cell = measured.cells.setdefault((way.name, below, count), Cell())
                        if cell.seconds > SLOW * self.seconds:
                            continue
                        span = Span(self.seconds, self.seconds / 4, least=count)
                        before = 0.0 if way.pid is None else processor_seconds(way.pid)
                        calls = self._call(way, below, count, span)
                        taken = 0.0 if way.pid is None else processor_seconds(way.pid) - before
                        cell.add(calls, 1e3 * taken / calls.received if way.pid and calls.received else None)
                        answers = measured.answers.setdefault((way.name, below), {})
                        measured.answers[way.name, below] = calls.answers | answers
                        if calls.error:
                            measured.error.setdefault((way.name, below), calls.error)
        return measured

    def _call(self, way: Way, below: int | None, connections: int, span: Span) -> Calls:
        first = self._next.get((way.name, below), 0)
        arguments = (way.address, way.wire, way.requests[below], connections, span, first)
        calls = self._process.submit(call, *arguments).result()
        self._next[way.name, below] = calls.next
        return calls


@contextmanager
def callers(seconds: float, rounds: int) -> Iterator[Callers]:
    """In a process of their own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        yield Callers(process, seconds, rounds)

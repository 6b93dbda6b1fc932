"""All contenders called in turns, round after round, by one process that does nothing else, and some by wrk as well."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks.callers import Calls, Http, Span, call
from benchmarks.contenders.server import processor_seconds
from benchmarks.contenders.store import Way
from benchmarks.contenders.wrk import WrkCalls, call_with_wrk, is_installed

SLOW = 10
MAX_ABANDONED = 0.5
"""The p99 in seconds above which wrk is left out: the calls that it abandons would burden the next server."""


@dataclass
class Cell:
    """The results of one way, filter and number of connections, round by round.

    Attributes:
        a_second: answers a second.
        p50: milliseconds, of the calls of a round.
        p99: the same.
        cost: milliseconds of the server's processor time an answer.
        answered: in all rounds.
        errors: in all rounds.
        seconds: of the longest round.
    """

    a_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    answered: int = 0
    errors: int = 0
    seconds: float = 0.0

    def add(self, calls: Calls | WrkCalls, cost: float | None) -> None:
        """Add a round; see `cost`, None if it was not measured."""
        if cost is not None:
            self.cost.append(cost)
        self.a_second.append(calls.a_second)
        self.answered += calls.answered
        self.errors += calls.errors
        self.seconds = max(self.seconds, calls.seconds)
        for share, column in ((0.5, self.p50), (0.99, self.p99)):
            if (milliseconds := calls.milliseconds_of(share)) is not None:
                column.append(milliseconds)

    @property
    def rate(self) -> float:
        """Answers a second, the median of the rounds."""
        return median(self.a_second)


@dataclass
class Measured:
    """The results of all cells.

    Attributes:
        cells: by the way's name, filter and connections.
        by_wrk: the same of calls by wrk, without a filter; empty if it is not installed.
        answers: the first answer to each query, by the way's name and filter, and the query's index.
        error: the first error of each way and filter.
    """

    cells: dict[tuple[str, int | None, int], Cell] = field(default_factory=dict)
    by_wrk: dict[tuple[str, int | None, int], Cell] = field(default_factory=dict)
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
        """Measure every way under each of its filters, in rounds: for each number of connections, the ways in turns.

        Without a filter, wrk calls the ways that speak HTTP afterwards, in turns as well, if it is installed.
        """
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
                        before = _processor(way)
                        calls = self._call(way, below, count, Span(self.seconds, self.seconds / 4, least=count))
                        cell.add(calls, _cost(way, before, calls.received))
                        answers = measured.answers.setdefault((way.name, below), {})
                        measured.answers[way.name, below] = calls.answers | answers
                        if calls.error:
                            measured.error.setdefault((way.name, below), calls.error)
                    if below is None and is_installed():
                        self._measure_with_wrk([way for way in ways if isinstance(way.wire, Http)], count, measured)
        return measured

    def _measure_with_wrk(self, ways: Sequence[Way], connections: int, measured: Measured) -> None:
        """Add a round of calls by wrk, without a filter, of ways that are fast enough for it."""
        for way in ways:
            p99 = measured.cells[way.name, None, connections].p99
            if not p99 or p99[-1] > 1e3 * MAX_ABANDONED:
                continue
            cell = measured.by_wrk.setdefault((way.name, None, connections), Cell())
            first, before, requests = self._next.get((way.name, None), 0), _processor(way), way.requests[None]
            calls = call_with_wrk(way.address, requests, connections, self.seconds, first)
            time.sleep(p99[-1] / 1e3)  # until the server has done what wrk abandoned
            self._next[way.name, None] = (first + calls.answered) % len(requests)
            cell.add(calls, _cost(way, before, calls.answered))

    def _call(self, way: Way, below: int | None, connections: int, span: Span) -> Calls:
        first = self._next.get((way.name, below), 0)
        arguments = (way.address, way.wire, way.requests[below], connections, span, first)
        calls = self._process.submit(call, *arguments).result()
        self._next[way.name, below] = calls.next
        return calls


def _processor(way: Way) -> float:
    return 0.0 if way.pid is None else processor_seconds(way.pid)


def _cost(way: Way, before: float, answers: int) -> float | None:
    """Return the milliseconds of the server's processor time an answer; None if they are unknown."""
    return 1e3 * (_processor(way) - before) / answers if way.pid and answers else None


@contextmanager
def callers(seconds: float, rounds: int) -> Iterator[Callers]:
    """In a process of their own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        yield Callers(process, seconds, rounds)

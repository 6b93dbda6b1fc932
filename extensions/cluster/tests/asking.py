"""Clients of several services, and one that writes, while a block runs; every answer is checked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import httpx
import numpy as np
import psycopg

from extensions.cluster.tests.shelf import DOCUMENTS, GROUPS, Shelf
from tests.meanwhile import Meanwhile
from tests.waiting import until

CLIENTS = 16
PAUSE_SECONDS = 0.05
WRITE_SECONDS = 0.25
WRITES_PER_SHARD = 16
LATE_SECONDS = 11.0
"""The deadline of a query is 10 s, and the way to the service and back takes some time."""
REFUSALS = frozenset({(503, "shards_missing"), (503, "store_unavailable"), (503, "stopping")})
"""The refusals that may replace an answer."""
Refusal = tuple[int, str]
"""The status and the code of an answer."""


@dataclass(frozen=True)
class Answer:
    """The end of one query; times are of time.monotonic().

    Attributes:
        refusal: None for a success.
        error: what is wrong with the answer.
        moves: how often the client turned to another service, because one was unreachable.
    """

    began: float
    ended: float
    refusal: Refusal | None
    error: str | None
    moves: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Record:
    """All answers of a block, and its writes."""

    answers: list[Answer] = field(default_factory=list)
    writes: int = 0
    write_refusals: Counter[Refusal] = field(default_factory=Counter)

    def __iadd__(self, other: Record) -> Record:
        self.answers += other.answers
        self.writes += other.writes
        self.write_refusals += other.write_refusals
        return self

    @property
    def refusals(self) -> Counter[Refusal]:
        return Counter(answer.refusal for answer in self.answers if answer.refusal is not None)

    @property
    def errors(self) -> list[str]:
        """The errors of answers, the refusals outside of REFUSALS, and late refusals."""
        errors = [answer.error for answer in self.answers if answer.error is not None]
        errors += [str(refusal) for refusal in (*self.refusals, *self.write_refusals) if refusal not in REFUSALS]
        late = [answer for answer in self.answers if answer.refusal and answer.seconds > LATE_SECONDS]
        return [*errors, *(f"{answer.refusal} after {answer.seconds:.1f} s" for answer in late)]

    @property
    def moves(self) -> int:
        return sum(answer.moves for answer in self.answers)

    @property
    def longest(self) -> float:
        """Seconds of the longest query."""
        return max(answer.seconds for answer in self.answers)


class Asking(Meanwhile):
    """Sixteen clients, each of one service until that is unreachable, and one client that writes."""

    def __init__(self, shelf: Shelf, urls: Sequence[str]) -> None:
        clients = [partial(self._guard, self._ask, seed) for seed in range(CLIENTS)]
        super().__init__([*clients, partial(self._guard, self._write, 0)])
        self._shelf, self._urls = shelf, urls
        self._record, self._failures = Record(), list[BaseException]()

    @property
    def record(self) -> Record:
        """The answers so far. Raise the error that ended a client."""
        if self._failures:
            raise self._failures[0]
        return self._record

    def wait_for_answers(self, count: int, seconds: float = 120) -> None:
        """Wait until as many queries that begin after this call have succeeded."""
        now = time.monotonic()

        def answered() -> bool:
            recent = (answer.began > now and answer.refusal is None for answer in reversed(self.record.answers))
            return sum(recent) >= count

        until(answered, seconds, lambda: self.record.refusals)

    def _guard(self, work: Callable[[httpx.Client, int], None], seed: int) -> None:
        try:
            with httpx.Client(timeout=60, trust_env=False) as client:
                work(client, seed)
        except BaseException as error:
            self._failures.append(error)

    def _ask(self, client: httpx.Client, seed: int) -> None:
        random, turn = np.random.default_rng(seed), seed
        while not self.stop.is_set():
            row, acknowledged = int(random.integers(DOCUMENTS)), list(self._shelf.acknowledged)
            began, moves = time.monotonic(), 0
            while True:
                client.base_url = self._urls[turn % len(self._urls)]
                try:
                    response = self._shelf.ask(client, row)
                    break
                except httpx.TransportError as failure:
                    turn, moves = turn + 1, moves + 1
                    if time.monotonic() - began > 60:
                        raise AssertionError(f"no service answers: {failure}") from None
                    time.sleep(0.01)
            ended, error = time.monotonic(), None
            if response.is_success:
                error = self._shelf.error(response.json(), row, acknowledged)
            self._record.answers.append(Answer(began, ended, _refusal(response), error, moves))
            self.stop.wait(PAUSE_SECONDS)

    def _write(self, client: httpx.Client, turn: int) -> None:
        number = max(self._shelf.acknowledged)
        while not self.stop.is_set():
            number, group = number + 1, number % GROUPS
            rows = np.flatnonzero(self._shelf.groups == group)
            while not self.stop.is_set():  # the same write again, until it is acknowledged
                client.base_url = self._urls[turn % len(self._urls)]
                try:
                    refusal = _refusal(self._shelf.write(client, rows, number))
                    if refusal is None:
                        self._shelf.acknowledged[group] = number
                        self._record.writes += 1
                        break
                    self._record.write_refusals[refusal] += 1
                except httpx.TransportError:
                    pass
                turn += 1
                self.stop.wait(PAUSE_SECONDS)
            if number % WRITES_PER_SHARD == 0:
                with suppress(psycopg.Error):  # the database is away
                    self._shelf.begin_shard()
            self.stop.wait(WRITE_SECONDS)


def _refusal(response: httpx.Response) -> Refusal | None:
    return None if response.is_success else (response.status_code, str(response.json().get("code")))

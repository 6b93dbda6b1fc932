"""Clients of several services, and one that writes, as long as a block runs; what each answer was is kept."""

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

from tests.meanwhile import Meanwhile
from tests.service.cluster.shelf import DOCUMENTS, GROUPS, Shelf

CLIENTS = 16
PAUSE_SECONDS = 0.05
WRITE_SECONDS = 0.25
TURN_OVER_WRITES = 16
LATE_SECONDS = 11.0
"""Ten are the deadline, and some time goes by on the way."""
REFUSALS = frozenset({(503, "shards_missing"), (503, "store_unavailable"), (503, "stopping")})
"""The refusals that may replace an answer."""


@dataclass(frozen=True)
class Answer:
    """The end of one question; its times are of time.monotonic().

    Attributes:
        said: the status, and the code if the call failed.
        wrong: the error in an answer.
        moved: how often the caller turned to another service, because one was unreachable.
    """

    began: float
    ended: float
    said: tuple[int, str]
    wrong: str | None
    moved: int


@dataclass
class Told:
    """All answers that were begun while something broke.

    Attributes:
        fault: when it did.
        writes: how many were acknowledged.
    """

    fault: float
    answers: list[Answer]
    writes: int
    write_refusals: Counter[tuple[int, str]] = field(default_factory=Counter)

    @property
    def good(self) -> int:
        return sum(answer.said[0] == 200 and answer.wrong is None for answer in self.answers)

    @property
    def wrong(self) -> list[str]:
        """Return the errors in answers, the refusals outside of REFUSALS, and late refusals."""
        problems = [str(refusal) for refusal in (*self.refused, *self.write_refusals) if refusal not in REFUSALS]
        late = [
            answer for answer in self.answers if answer.said[0] != 200 and answer.ended - answer.began > LATE_SECONDS
        ]
        problems += [f"{refusal.said} after {refusal.ended - refusal.began:.1f} s" for refusal in late]
        return [*problems, *(answer.wrong for answer in self.answers if answer.wrong is not None)]

    @property
    def refused(self) -> Counter[tuple[int, str]]:
        return Counter(answer.said for answer in self.answers if answer.said[0] != 200)

    @property
    def moved(self) -> int:
        return sum(answer.moved for answer in self.answers)

    @property
    def longest(self) -> float:
        """Seconds, of a question until its end, whatever that was."""
        return max(answer.ended - answer.began for answer in self.answers)

    @property
    def full_after(self) -> float:
        """Seconds from the fault until nothing but answers came."""
        return max([0.0, *(answer.ended - self.fault for answer in self.answers if answer.said[0] != 200)])


class Asking(Meanwhile):
    """Sixteen clients, each at one of the services until that is not to be connected to, and one that writes.

    Args:
        writes: whether there is one.
        temperature: of all questions.
    """

    def __init__(self, shelf: Shelf, urls: Sequence[str], *, writes: bool = True, temperature: float = 0.2) -> None:
        works = [partial(self._kept, self._ask, i) for i in range(CLIENTS)]
        super().__init__([*works, *([partial(self._kept, self._write, 0)] if writes else [])])
        self._shelf, self._urls, self._temperature = shelf, urls, temperature
        self._answers: list[Answer] = []
        self._failed: list[BaseException] = []
        self._writes, self._write_refusals = 0, Counter[tuple[int, str]]()
        self._fault = time.monotonic()

    def broken(self) -> None:
        """Record that something breaks now."""
        self._fault = time.monotonic()

    @property
    def told(self) -> Told:
        """Return the answers, once the block has ended."""
        if self._failed:
            raise self._failed[0]
        return Told(self._fault, self._answers, self._writes, self._write_refusals)

    def _kept(self, work: Callable[[httpx.Client, int], None], seed: int) -> None:
        try:
            with httpx.Client(timeout=60, trust_env=False) as client:
                work(client, seed)
        except BaseException as error:
            self._failed.append(error)

    def _ask(self, client: httpx.Client, seed: int) -> None:
        random, turn = np.random.default_rng(seed), seed
        while not self.stop.is_set():
            row, before = int(random.integers(DOCUMENTS)), list(self._shelf.acknowledged)
            began, moved = time.monotonic(), 0
            while True:
                client.base_url = self._urls[turn % len(self._urls)]
                try:
                    answer = self._shelf.ask(client, row, self._temperature)
                    break
                except httpx.TransportError as error:
                    turn, moved = turn + 1, moved + 1
                    if time.monotonic() - began > 60:
                        raise AssertionError(f"no service answers: {error}") from None
                    time.sleep(0.01)
            ended, outcome, wrong = time.monotonic(), (answer.status_code, _code(answer)), None
            if answer.status_code == 200:
                wrong = self._shelf.wrong(answer.json(), row, self._temperature, before)
            self._answers.append(Answer(began, ended, outcome, wrong, moved))
            self.stop.wait(PAUSE_SECONDS)

    def _write(self, client: httpx.Client, next_number: int) -> None:
        number = max(self._shelf.acknowledged)
        while not self.stop.is_set():
            number, group = number + 1, number % GROUPS
            rows = np.flatnonzero(self._shelf.groups == group)
            while not self.stop.is_set():  # the same again, until somebody says that it is done
                client.base_url = self._urls[next_number % len(self._urls)]
                try:
                    answer = self._shelf.write(client, rows, number)
                    if answer.is_success:
                        self._shelf.acknowledged[group] = number
                        self._writes += 1
                        break
                    self._write_refusals[answer.status_code, _code(answer)] += 1
                except httpx.TransportError:
                    pass
                next_number += 1
                self.stop.wait(PAUSE_SECONDS)
            if number % TURN_OVER_WRITES == 0:
                with suppress(psycopg.Error):  # the database is away: the next time
                    self._shelf.turn_over()
            self.stop.wait(WRITE_SECONDS)


def _code(answer: httpx.Response) -> str:
    return "" if answer.is_success else str(answer.json().get("code"))

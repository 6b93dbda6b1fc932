"""Answers in part, where each range has one copy and a machine is gone: what they are made of, and what they bound."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median

import httpx
import numpy as np

from service.cluster import SHARD_ROWS
from service.cluster.catalogue import SUMMARY_SECONDS
from tests.service.cluster.fleet import Fleet
from tests.service.cluster.running import Machine
from tests.service.cluster.shelf import DOCUMENTS, IN_RANGE
from tests.waiting import until

TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 1.0, 10.0)
AT_ONCE = 4
SUMMED_SECONDS = 2.4 * SUMMARY_SECONDS
"""Until sums of all ranges are kept."""


@dataclass
class InPart:
    """The answers at one temperature.

    Attributes:
        answers: the number of partial answers.
        true, said: the weight of missing documents in float64, and the limit in each answer.
        wrong: the errors.
    """

    answers: int = 0
    true: list[float] = field(default_factory=list)
    said: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the number of answers, the share of right ones in per cent, and medians."""
        right = 100 * (1 - len(self.wrong) / max(1, len(self.wrong), len(self.true)))
        true, claimed = (median(values) if values else float("nan") for values in (self.true, self.said))
        return [str(self.answers), f"{right:g} %", f"{true:.3g}", f"{claimed:.3g}"]


class Parts:
    """A fleet without copies that loses a machine; the others answer.

    Attributes:
        missing: bool[documents], the documents of lost ranges.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self.missing = fleet, np.zeros(DOCUMENTS, dtype=bool)
        self._gone = set[str]()

    def lose(self, machine: Machine) -> None:
        """Kill it, once sums of its ranges are kept; until others take its ranges over there are thirty seconds."""
        shards = self._fleet.shelf.held()
        self._gone = {name for name in self._fleet.members() if name.startswith(f"{machine.name}-")}
        gone = {first_row for name, first_row in shards if name in self._gone}
        self.missing = np.isin(np.arange(DOCUMENTS) // IN_RANGE * SHARD_ROWS, list(gone))
        assert 0 < self.missing.sum() < DOCUMENTS
        with self._client() as client:
            self._fleet.shelf.ask(client, 0, 1.0).raise_for_status()
            time.sleep(SUMMED_SECONDS)
            machine.kill()
            until(lambda: self._fleet.shelf.ask(client, 0, 1.0).status_code == 503, 20)

    def asked(self, rounds: int) -> dict[float, InPart]:
        """Ask near documents that are there and near documents that are not, at each temperature by turns.

        What is asked when others begin to take the ranges over does not count, and is the end of it.
        """
        random, by_temperature = np.random.default_rng(0), {t: InPart() for t in TEMPERATURES}
        with ThreadPoolExecutor(AT_ONCE) as pool, self._client() as client:
            for _ in range(rounds):
                pairs = [(int(random.integers(DOCUMENTS)), t) for t in TEMPERATURES for _ in range(AT_ONCE)]
                answers = list(pool.map(lambda each: self._ask(client, *each), pairs))
                if not self._gone <= self._fleet.members():
                    break
                for (row, temperature), answer in zip(pairs, answers, strict=True):
                    self._see(by_temperature[temperature], row, temperature, answer)
        return by_temperature

    def _see(self, part: InPart, row: int, temperature: float, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            part.wrong.append(f"{answer.status_code} {answer.text}")
            return
        content, shelf = answer.json(), self._fleet.shelf
        wrong = shelf.wrong(content, row, temperature, [0] * DOCUMENTS, self.missing)
        if wrong is not None:
            part.wrong.append(f"T {temperature:g}: {wrong}")
        part.answers += content["coverage"]["documents"] < DOCUMENTS
        part.true.append(float(shelf.weights(row, temperature)[self.missing].sum()))
        part.said.append(content["coverage"]["max_missing_weight"])

    def _ask(self, client: httpx.Client, row: int, temperature: float) -> httpx.Response:
        return self._fleet.shelf.ask(client, row, temperature, allow_missing=True)

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._fleet.services[0].url, timeout=60, trust_env=False)

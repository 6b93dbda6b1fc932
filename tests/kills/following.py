"""Reads of a write through the other replica at once; and answers beside writers, each of one version."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx

from benchmarks.running import Service
from tests.kills.killing import wait_for_keys

WRITERS = 8
TOGETHER = 5
"""Documents that are always written in one batch, and bear its number."""
WIDTH = 8
PATH = "/v1/collections/followed"


class DocumentSet:
    """Documents that one writer rewrites as a whole, and what may be seen of them.

    Attributes:
        acknowledged: the number of the last write that was.
        begun: of the last one that was sent.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged = self.begun = 0
        self._deletions: set[int] = set()

    def begin(self, *, deletes: bool) -> int:
        """The number of a write that is sent now."""
        number = self.begun + 1
        if deletes:
            self._deletions.add(number)
        self.begun = number
        return number

    def end(self) -> None:
        """The write that was begun is acknowledged."""
        self.acknowledged = self.begun

    def refused(self, matches: list[dict[str, Any]], since: int, *, until: int) -> str | None:
        """Return why an answer about all of the group fits no version from `since` to `until`; else None."""
        numbers = {match["value"] for match in matches} | {match["metadata"]["number"] for match in matches}
        if len(numbers) > 1:
            return f"{self.name}: a mixture of the writes {sorted(numbers)}"
        if matches and len(matches) != TOGETHER:
            return f"{self.name}: {len(matches)} of {TOGETHER} documents of write {numbers}"
        if matches:
            (number,) = numbers
            possible = since <= number <= until and number not in self._deletions
        else:
            possible = since == 0 or any(number in self._deletions for number in range(since, until + 1))
        return None if possible else f"{self.name}: {numbers or 'nothing'}, where {since} to {until} could be seen"


class Following:
    """Writes through one service and asks the other, in eight threads.

    Attributes:
        missed: what was not seen at once through the other service, a line each.
        mixed: answers beside writers that are of no version that could be seen.
        asked: how often, by the way of asking.
        beside: how many answers there were beside writers.
    """

    def __init__(self, services: list[Service]) -> None:
        self._services = services
        self._groups = [DocumentSet(f"g{number}") for number in range(WRITERS)]
        self.missed: list[str] = []
        self.mixed: list[str] = []
        self.asked: Counter[str] = Counter()
        self.beside = 0

    def run(self, questions: int, seed: int) -> None:
        """Write and ask `questions` times."""
        for service in self._services:
            wait_for_keys(service)
        with self._services[0].client() as client:
            client.put(PATH, json={"encoder": None, "dimension": WIDTH, "null": False}).raise_for_status()
        with ThreadPoolExecutor(WRITERS) as pool:
            shares = [len(range(number, questions, WRITERS)) for number in range(WRITERS)]
            for counts, beside in pool.map(self._follow, range(WRITERS), shares, [seed] * WRITERS):
                self.asked += counts
                self.beside += beside

    def _follow(self, worker: int, questions: int, seed: int) -> tuple[Counter[str], int]:
        chosen, counts, beside = random.Random(f"{seed} {worker}"), Counter[str](), 0
        with ExitStack() as stack:
            clients = [stack.enter_context(service.client()) for service in self._services]
            for number in range(questions):
                writer, reader = chosen.sample(clients, 2)
                counts[self._write_and_ask(worker, chosen, writer, reader)] += 1
                if number % 2:
                    beside += self._ask_beside(chosen.choice(self._groups), chosen, reader)
        return counts, beside

    def _write_and_ask(self, worker: int, chosen: random.Random, writer: httpx.Client, reader: httpx.Client) -> str:
        """One write of the worker's group, and one question that it has to be in; what was asked."""
        group = self._groups[worker]
        deletes = group.acknowledged > 0 and chosen.random() < 0.1
        number = group.begin(deletes=deletes)
        keys = [_vector(chosen) for _ in range(TOGETHER)]
        of_group = {"field": "metadata.group", "operator": "==", "value": group.name}
        if deletes:
            written = writer.post(f"{PATH}/documents/delete", json={"filter": of_group})
        else:
            batch = [
                {
                    "id": f"{group.name}-{part}",
                    "key_vector": key,
                    "value": number,
                    "metadata": {"group": group.name, "number": number},
                }
                for part, key in enumerate(keys)
            ]
            written = writer.post(f"{PATH}/documents", json={"documents": batch})
        group.end()
        way = "all" if deletes else chosen.choice(("get", "nearest", "by number", "all"))
        part = chosen.randrange(TOGETHER)
        if way == "get":
            answer = reader.get(f"{PATH}/documents/{group.name}-{part}")
            sound = answer.status_code == 200 and answer.json()["value"] == number
        else:
            body: dict[str, Any] = {"query": keys[part], "temperature": 0, "top_k": 1}
            if way != "nearest":
                name, value = ("group", group.name) if way == "all" else ("number", number)
                same = {"field": f"metadata.{name}", "operator": "==", "value": value}
                both = {"operator": "AND", "conditions": [same, of_group]}
                body |= {"temperature": 1, "top_k": 1000, "filter": both}
            answer = reader.post(f"{PATH}/attend", json=body)
            matches = answer.json().get("matches", []) if answer.status_code == 200 else None
            if matches is None:
                sound = False
            elif way == "nearest":
                sound = [(match["id"], match["value"]) for match in matches] == [(f"{group.name}-{part}", number)]
            else:
                sound = group.refused(matches, number, until=number) is None
        if written.status_code != 200 or not sound:
            self.missed.append(f"{way}, write {number} of {group.name}: {written.text} {answer.text}")
        return "deletion" if deletes else way

    def _ask_beside(self, group: DocumentSet, chosen: random.Random, reader: httpx.Client) -> int:
        """Two questions in one request about a group that somebody may be writing; how many answers there were."""
        since = group.acknowledged
        same = {"field": "metadata.group", "operator": "==", "value": group.name}
        body = {"queries": [_vector(chosen), _vector(chosen)], "temperature": 1, "top_k": 1000, "filter": same}
        answer = reader.post(f"{PATH}/attend", json=body)
        until = group.begun
        if answer.status_code != 200:
            self.mixed.append(f"beside writers: {answer.text}")
            return 0
        first, second = (result["matches"] for result in answer.json()["results"])
        for matches in (first, second):
            if (why := group.refused(matches, since, until=until)) is not None:
                self.mixed.append(f"beside writers: {why}")
        if {match["value"] for match in first} != {match["value"] for match in second}:
            self.mixed.append(f"beside writers: two answers of one request differ: {answer.text}")
        return 2


def _vector(chosen: random.Random) -> list[float]:
    return [chosen.gauss(0, 1) for _ in range(WIDTH)]

"""Writers whose service may die at any moment, and what each of them knows to be stored.

Each has ids of its own and waits for each answer, so that of every document one knows what was acknowledged last, and
the one write that was under way when the process died. A write of several documents gives all of them one number.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

WIDTH = 64
BATCH = 40
IDS = 120
PATH = "/v1/collections/c"
EXPIRED = "2026-01-01T00:00:00Z"

State = dict[str, int | None]  # id → the number of the write that it is of; None: it is not there


def vector(number: int) -> list[float]:
    """Return a vector that follows from the number of the write."""
    chosen = random.Random(number)
    return [chosen.uniform(-1, 1) for _ in range(WIDTH)]


def document(identity: str, number: int) -> dict[str, Any]:
    """Return a document whose parts all show the number of the write."""
    return {
        "id": identity,
        "key": f"key {number}",
        "key_vector": vector(number),
        "value": {"write": number, "filling": "x" * (number % 3000)},
        "metadata": {"write": number, "writer": identity.partition("-")[0]},
    }


def number_of(actual: dict[str, Any]) -> int:
    """The write that a stored document is of, all of its parts."""
    number: int = actual["metadata"]["write"]
    expected = document(actual["id"], number)
    close = [abs(a - b) < 1e-6 for a, b in zip(actual["key_vector"], expected["key_vector"], strict=True)]
    whole = all(actual[name] == expected[name] for name in ("key", "value", "metadata")) and all(close)
    assert whole, f"{actual['id']} is of several writes: {actual['metadata']}"
    return number


@dataclass
class Writer:
    """A writer of its own documents until the service is gone.

    Attributes:
        known: the acknowledged documents.
        under_way: the possible results of the unanswered write.
    """

    name: str
    chosen: random.Random
    numbers: Iterator[int]
    known: State = field(default_factory=dict)
    under_way: list[State] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)

    def run(self, url: str) -> None:
        """Write, one after another."""
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while self.once(client):
                pass

    def once(self, client: httpx.Client, *, streams: bool = True) -> bool:
        """Do one write of any kind; return whether it was answered. `streams` includes writes in several requests."""
        ways = [self._batch, self._batch, self._patch, self._delete, self._delete_where, self._expired, self._one]
        way = self.chosen.choice([*ways, self._lines] if streams else ways)
        try:
            way(client)
        except httpx.TransportError:
            return False
        self.acknowledged[way.__name__.strip("_")] += 1
        return True

    def _ids(self, limit: int) -> list[str]:
        return [f"{self.name}-{number}" for number in self.chosen.sample(range(IDS), self.chosen.randint(1, limit))]

    def _done(self, state: State, send: Callable[[], httpx.Response], *codes: int) -> httpx.Response:
        self.under_way = [state]
        answer = send()
        assert answer.status_code in codes, (answer.status_code, answer.text)
        self.known, self.under_way = state, []
        return answer

    def _batch(self, client: httpx.Client) -> None:
        number, ids = next(self.numbers), self._ids(BATCH)
        content = {"documents": [document(identity, number) for identity in ids]}
        state = self.known | dict.fromkeys(ids, number)
        self._done(state, lambda: client.post(f"{PATH}/documents", json=content), 200)

    def _expired(self, client: httpx.Client) -> None:
        """A batch of documents that are absent at once, and that the sweep deletes at some time."""
        number, ids = next(self.numbers), self._ids(BATCH)
        content = {"documents": [document(identity, number) | {"expires": EXPIRED} for identity in ids]}
        state = self.known | dict.fromkeys(ids, None)
        self._done(state, lambda: client.post(f"{PATH}/documents", json=content), 200)

    def _one(self, client: httpx.Client) -> None:
        number, (identity, *_) = next(self.numbers), self._ids(1)
        content = {name: part for name, part in document(identity, number).items() if name != "id"}
        self._done(
            self.known | {identity: number}, lambda: client.put(f"{PATH}/documents/{identity}", json=content), 200, 201
        )

    def _lines(self, client: httpx.Client) -> None:
        """Two batches of 1,000 lines, most of them empty of news: each is written as a whole, the first one first."""
        first, second, ids = next(self.numbers), next(self.numbers), self._ids(BATCH)
        after_first = self.known | dict.fromkeys(ids, first)
        state = after_first | dict.fromkeys(ids[: len(ids) // 2], second)
        lines = [document(identity, first) for identity in ids] + [{"id": ""}] * (1000 - len(ids))
        lines += [document(identity, second) for identity in ids[: len(ids) // 2]]
        body = b"\n".join(json.dumps(identity).encode() for identity in lines)
        self.under_way = [after_first, state]
        with client.stream(
            "POST", f"{PATH}/documents", content=body, headers={"content-type": "application/x-ndjson"}
        ) as answer:
            for line in answer.iter_lines():
                said = json.loads(line)
                if said.get("problem", {}).get("status") == 503:
                    raise httpx.ReadError(said["problem"]["detail"])
                if self.under_way[0] is after_first and "done" not in said:
                    self.known, self.under_way = after_first, [state]
        assert said["done"], said
        self.known, self.under_way = state, []

    def _patch(self, client: httpx.Client) -> None:
        numbers = [each for each, number in self.known.items() if number is not None]
        if not numbers:
            return
        number, identity = next(self.numbers), self.chosen.choice(numbers)
        changed = {name: part for name, part in document(identity, number).items() if name != "id"}
        self._done(
            self.known | {identity: number}, lambda: client.patch(f"{PATH}/documents/{identity}", json=changed), 200
        )

    def _delete(self, client: httpx.Client) -> None:
        ids = self._ids(BATCH // 2)
        state = self.known | dict.fromkeys(ids)
        self._done(state, lambda: client.post(f"{PATH}/documents/delete", json={"ids": ids}), 200)

    def _delete_where(self, client: httpx.Client) -> None:
        numbers = [number for number in self.known.values() if number is not None]
        if not numbers:
            return
        number = self.chosen.choice(numbers)
        state = {identity: None if found == number else found for identity, found in self.known.items()}
        content = {"filter": {"field": "metadata.write", "operator": "==", "value": number}}
        self._done(state, lambda: client.post(f"{PATH}/documents/delete", json=content), 200)

    def settle(self, state_found: State) -> None:
        """See that what is found is what was acknowledged, or that and the whole of the write that was under way.

        Raises:
            AssertionError: something was lost, or half done.
        """
        own_documents = {
            identity: number for identity, number in state_found.items() if identity.startswith(f"{self.name}-")
        }
        states = [
            {identity: number for identity, number in state.items() if number is not None} for state in self.under_way
        ]
        acknowledged = {identity: number for identity, number in self.known.items() if number is not None}
        if own_documents != acknowledged and own_documents not in states:
            differing = {
                identity
                for identity in own_documents | acknowledged
                if own_documents.get(identity) != acknowledged.get(identity)
            }
            raise AssertionError(f"writer {self.name}: {differing} differ; {len(states)} writes were under way")
        self.known, self.under_way = dict(own_documents), []

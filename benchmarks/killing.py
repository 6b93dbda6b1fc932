"""A service that is killed in the middle of writing, and a model of what it acknowledged.

Each writer has ids of its own and waits for each answer, so that of every document one knows what was acknowledged
last, and the one write that was under way when the process died. A write of several documents gives all of them one
number.
"""

from __future__ import annotations

import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.running import Service
from service.storage import Store, restore

WIDTH = 64
BATCH = 40
IDS = 120
WRITERS = 4
PATH = "/v1/collections/c"
RESTORE_EVERY = 10

State = dict[str, int | None]  # id → the number of the write that it is of; None: it is not there


def vector(number: int) -> list[float]:
    """Which follows from the number of the write."""
    chosen = random.Random(number)
    return [chosen.uniform(-1, 1) for _ in range(WIDTH)]


def document(identity: str, number: int) -> dict[str, Any]:
    """As it is sent; every part says of which write it is."""
    return {
        "id": identity,
        "key": f"key {number}",
        "key_vector": vector(number),
        "value": {"write": number, "filling": "x" * (number % 3000)},
        "metadata": {"write": number, "writer": identity.partition("-")[0]},
    }


def number_of(found: dict[str, Any]) -> int:
    """The write that a stored document is of, all of its parts."""
    number: int = found["metadata"]["write"]
    wanted = document(found["id"], number)
    close = [abs(a - b) < 1e-6 for a, b in zip(found["key_vector"], wanted["key_vector"], strict=True)]
    whole = all(found[name] == wanted[name] for name in ("key", "value", "metadata")) and all(close)
    assert whole, f"{found['id']} is of several writes: {found['metadata']}"
    return number


@dataclass
class Writer:
    """One that writes its own documents until the service is gone.

    Attributes:
        known: what was acknowledged.
        under_way: what the write that was not answered would make of it; each a state that may be found.
    """

    name: str
    chosen: random.Random
    numbers: Iterator[int]
    known: State = field(default_factory=dict)
    under_way: list[State] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)

    def run(self, url: str) -> None:
        """Write, one after another."""
        ways = (self._batch, self._batch, self._lines, self._patch, self._delete, self._delete_where, self._one)
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while True:
                way = self.chosen.choice(ways)
                try:
                    way(client)
                except httpx.TransportError:
                    return
                self.acknowledged[way.__name__.strip("_")] += 1

    def _ids(self, most: int) -> list[str]:
        return [f"{self.name}-{each}" for each in self.chosen.sample(range(IDS), self.chosen.randint(1, most))]

    def _done(self, state: State, send: Callable[[], httpx.Response], *codes: int) -> httpx.Response:
        self.under_way = [state]
        answer = send()
        assert answer.status_code in codes, (answer.status_code, answer.text)
        self.known, self.under_way = state, []
        return answer

    def _batch(self, client: httpx.Client) -> None:
        number, ids = next(self.numbers), self._ids(BATCH)
        content = {"documents": [document(each, number) for each in ids]}
        state = self.known | dict.fromkeys(ids, number)
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
        lines = [document(each, first) for each in ids] + [{"id": ""}] * (1000 - len(ids))
        lines += [document(each, second) for each in ids[: len(ids) // 2]]
        body = b"\n".join(json.dumps(each).encode() for each in lines)
        self.under_way = [after_first, state]
        with client.stream(
            "POST", f"{PATH}/documents", content=body, headers={"content-type": "application/x-ndjson"}
        ) as answer:
            for line in answer.iter_lines():
                said = json.loads(line)
                if self.under_way[0] is after_first and "done" not in said:
                    self.known, self.under_way = after_first, [state]
        assert said["done"], said
        self.known, self.under_way = state, []

    def _patch(self, client: httpx.Client) -> None:
        there = [each for each, number in self.known.items() if number is not None]
        if not there:
            return
        number, identity = next(self.numbers), self.chosen.choice(there)
        changed = {name: part for name, part in document(identity, number).items() if name != "id"}
        self._done(
            self.known | {identity: number}, lambda: client.patch(f"{PATH}/documents/{identity}", json=changed), 200
        )

    def _delete(self, client: httpx.Client) -> None:
        ids = self._ids(BATCH // 2)
        state = self.known | dict.fromkeys(ids)
        self._done(state, lambda: client.post(f"{PATH}/documents/delete", json={"ids": ids}), 200)

    def _delete_where(self, client: httpx.Client) -> None:
        there = [number for number in self.known.values() if number is not None]
        if not there:
            return
        number = self.chosen.choice(there)
        state = {each: None if found == number else found for each, found in self.known.items()}
        content = {"filter": {"field": "metadata.write", "operator": "==", "value": number}}
        self._done(state, lambda: client.post(f"{PATH}/documents/delete", json=content), 200)

    def settle(self, found: State) -> None:
        """See that what is found is what was acknowledged, or that and the whole of the write that was under way.

        Raises:
            AssertionError: something was lost, or half done.
        """
        own = {each: number for each, number in found.items() if each.startswith(f"{self.name}-")}
        states = [{each: number for each, number in state.items() if number is not None} for state in self.under_way]
        known = {each: number for each, number in self.known.items() if number is not None}
        if own != known and own not in states:
            differing = {each for each in own | known if own.get(each) != known.get(each)}
            raise AssertionError(f"writer {self.name}: {differing} differ; {len(states)} writes were under way")
        self.known, self.under_way = dict(own), []


class Killed:
    """A store whose service is killed again and again.

    Args:
        directory: for its data, and what is restored.
        options: of `softkv serve`.
        most_seconds: that writers have.
    """

    def __init__(self, directory: Path, chosen: random.Random, *options: str, most_seconds: float = 2.0) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._chosen = chosen
        self._most_seconds = most_seconds
        self._options = ("--encoder", "none", "--drain-seconds", "0", *options)
        self._lock, self._last = threading.Lock(), 0
        self._writers = [
            Writer(f"w{number}", random.Random(chosen.random()), iter(self._number, None)) for number in range(WRITERS)
        ]
        self._kills = self._restored = self._documents = 0

    def _number(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def once(self) -> None:
        """Start, see what the last kill has left, write, and kill."""
        restored = None
        with Service(self._data, *self._options) as service:
            _wait(service)
            with service.client() as client:
                client.put(PATH, json={"encoder": None, "dimension": WIDTH}).raise_for_status()
                self._see(client)
                if self._kills % RESTORE_EVERY == RESTORE_EVERY - 1:
                    restored = self._restore(client)
            if restored is None:
                self._write_and_kill(service)
        if restored is not None:
            shutil.rmtree(self._data)
            restored.rename(self._data)
            with Service(self._data, *self._options) as service:
                _wait(service)
                self._write_and_kill(service)
        self._kills += 1

    def end(self) -> None:
        """See what the last kill has left, and read every row."""
        with Service(self._data, *self._options) as service:
            _wait(service)
            with service.client() as client:
                self._see(client)
        self.check_rows()

    def _write_and_kill(self, service: Service) -> None:
        threads = [threading.Thread(target=each.run, args=(service.url,)) for each in self._writers]
        threads.append(threading.Thread(target=_back_up, args=(service.url,)))
        for thread in threads:
            thread.start()
        time.sleep(self._chosen.uniform(0, self._most_seconds))
        service.process.kill()
        service.process.wait()
        for thread in threads:
            thread.join()

    def _see(self, client: httpx.Client) -> None:
        found: State = {}
        page: dict[str, Any] = {"limit": 10_000, "include": ["key", "value", "metadata", "key_vector"]}
        while True:
            answer = client.post(f"{PATH}/documents/query", json=page).raise_for_status().json()
            found |= {each["id"]: number_of(each) for each in answer["documents"]}
            if answer["next_cursor"] is None:
                break
            page["cursor"] = answer["next_cursor"]
        for writer in self._writers:
            writer.settle(found)
        asked = {"query": vector(0), "top_k": 10_000, "include": [], "null": False}
        attended = client.post(f"{PATH}/attend", json=asked).raise_for_status().json()
        stored = client.get(PATH).raise_for_status().json()["documents"]
        assert attended["documents"] == stored == len(found)
        assert {match["id"] for match in attended["matches"]} == found.keys()
        self._documents = stored

    def _restore(self, client: httpx.Client) -> Path:
        """What a backup holds, in a directory of its own, to stand in the store's place from now on."""
        copy = self._directory / "copy"
        copy.write_bytes(client.get("/v1/backup").raise_for_status().content)
        restored = self._directory / "restored"
        with copy.open("rb") as source:
            restore(source, restored)
        self._restored += 1
        return restored

    def check_rows(self) -> None:
        """Read everything, and hold it against its checksums."""
        with Store.open(self._data) as store:
            assert list(store.check()) == []

    @property
    def acknowledged(self) -> int:
        """How many writes were."""
        return sum(sum(each.acknowledged.values()) for each in self._writers)

    def report(self) -> str:
        """What was done so far."""
        total = sum((each.acknowledged for each in self._writers), Counter[str]())
        kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(total.items()))
        return (
            f"{self.acknowledged:,} writes acknowledged ({kinds}); restored {self._restored} times; "
            f"{self._documents} documents at last"
        )


def _wait(service: Service) -> None:
    """Until keys are read; machine code may come later."""
    deadline = time.monotonic() + 60
    with service.client() as client:
        while time.monotonic() < deadline:
            try:
                if not any(each.startswith("collection") for each in client.get("/readyz").json()["loading"]):
                    return
            except httpx.TransportError:
                if service.process.poll() is not None:
                    raise RuntimeError("the service did not start") from None
            time.sleep(0.01)
    raise TimeoutError("the service did not read its keys")


def _back_up(url: str) -> None:
    """Make backups until the service is gone."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while True:
            try:
                answer = client.get("/v1/backup")
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text

"""A service that is killed in the middle of writing, again and again, and what it then holds against its writers."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from benchmarks.running import Service
from benchmarks.writers import PATH, WIDTH, State, Writer, number_of, vector
from service.storage import SQLiteStore, restore

WRITERS = 4
RESTORE_EVERY = 10


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
            wait_for_keys(service)
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
                wait_for_keys(service)
                self._write_and_kill(service)
        self._kills += 1

    def end(self) -> None:
        """See what the last kill has left, and read every row."""
        with Service(self._data, *self._options) as service:
            wait_for_keys(service)
            with service.client() as client:
                self._see(client)
        self.check_rows()

    def _write_and_kill(self, service: Service) -> None:
        threads = [threading.Thread(target=writer.run, args=(service.url,)) for writer in self._writers]
        threads.append(threading.Thread(target=_back_up, args=(service.url,)))
        for thread in threads:
            thread.start()
        time.sleep(self._chosen.uniform(0, self._most_seconds))
        service.kill()
        for thread in threads:
            thread.join()

    def _see(self, client: httpx.Client) -> None:
        result = held(client)
        for writer in self._writers:
            writer.settle(result)
        self._documents = len(result)

    def _restore(self, client: httpx.Client) -> Path:
        """Restore a backup into a new directory, which replaces the store from now on."""
        copy = self._directory / "copy"
        copy.write_bytes(client.get("/v1/backup").raise_for_status().content)
        restored = self._directory / "restored"
        with copy.open("rb") as source:
            restore(source, restored)
        self._restored += 1
        return restored

    def check_rows(self) -> None:
        """Read everything, and hold it against its checksums."""
        with SQLiteStore.open(self._data) as store:
            assert list(store.check()) == []

    @property
    def acknowledged(self) -> int:
        """Return the number of acknowledged writes."""
        return sum(sum(writer.acknowledged.values()) for writer in self._writers)

    def report(self) -> str:
        """Describe the work so far."""
        total = sum((writer.acknowledged for writer in self._writers), Counter[str]())
        kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(total.items()))
        return (
            f"{self.acknowledged:,} writes acknowledged ({kinds}); restored {self._restored} times; "
            f"{self._documents} documents at last"
        )


def held(client: httpx.Client) -> State:
    """Every document that a service gives out, each whole; and they are those that it attends to and counts."""
    numbers: State = {}
    page: dict[str, Any] = {"limit": 10_000, "include": ["key", "value", "metadata", "key_vector"]}
    while True:
        answer = client.post(f"{PATH}/documents/query", json=page).raise_for_status().json()
        numbers |= {document["id"]: number_of(document) for document in answer["documents"]}
        if answer["next_cursor"] is None:
            break
        page["cursor"] = answer["next_cursor"]
    body = {"query": vector(0), "top_k": 10_000, "include": [], "null": False}
    attended = client.post(f"{PATH}/attend", json=body).raise_for_status().json()
    stored = client.get(PATH).raise_for_status().json()
    assert attended["documents"] == stored["documents"] == stored["keys"] == len(numbers)
    assert {match["id"] for match in attended["matches"]} == numbers.keys()
    return numbers


def wait_for_keys(service: Service) -> None:
    """Until keys are read."""
    deadline = time.monotonic() + 60
    with service.client() as client:
        while time.monotonic() < deadline:
            try:
                if not any(name.startswith("collection") for name in client.get("/readyz").json()["loading"]):
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

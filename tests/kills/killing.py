"""A service that is killed in the middle of writing, again and again, and what it then holds against its writers."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.running import Service
from softkv_attention.lookup import unseal
from softkv_service.storage import SQLiteStore, restore
from tests.kills.writers import PATH, WIDTH, State, Writer, number_of, vector
from tests.running import children_of

WRITERS = 4
RESTORE_EVERY = 10
# Blocks are written to files, files removed and expired documents deleted all the time.
SMALL_BLOCKS = """
from functools import partial
from softkv_attention.lookup import Limits
from softkv_service import lifespan, startup
from softkv.scripts import softkv
from softkv_service.retrieval.documents import expiry

limits = Limits(block_rows=32, exact_max_components=0)
startup.open_in_background = partial(startup.open_in_background, limits=limits)
lifespan.IDLE_SECONDS = expiry.INTERVAL_SECONDS = 0.2
softkv()
"""
BLOCK_SHARE = 0.3
TABLE_ROWS, TABLE_PARTS = 20_000, 20


class Killed:
    """A store whose service is killed again and again.

    Beside the writers, a thread sends files to `/v1/tables`, one makes and deletes a collection, and one makes backups.

    Args:
        directory: for its data, and what is restored.
        options: of `softkv serve`.
        most_writes: that are acknowledged before a kill.
    """

    def __init__(self, directory: Path, chosen: random.Random, *options: str, most_writes: int = 40) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._chosen = chosen
        self._most_writes = most_writes
        self._options = ("--encoder", "none", "--drain-seconds", "0", *options)
        self._lock, self._last = threading.Lock(), 0
        self._writers = [
            Writer(f"w{number}", random.Random(chosen.random()), iter(self._number, None)) for number in range(WRITERS)
        ]
        self._kills = self._restored = self._documents = 0
        self._table, self._readers = "no file", list[int]()
        self._under_way = Counter[str]()

    def _service(self) -> Service:
        return Service(self._data, *self._options, program=("-c", SMALL_BLOCKS))

    def _number(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def once(self) -> None:
        """Start, see what the last kill has left, write, and kill."""
        restored = None
        with self._service() as service:
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
            with self._service() as service:
                wait_for_keys(service)
                self._write_and_kill(service)
        self._kills += 1

    def end(self) -> None:
        """See what the last kill has left, and read every row."""
        with self._service() as service:
            wait_for_keys(service)
            with service.client() as client:
                self._see(client)
        self.check_rows()

    def _write_and_kill(self, service: Service) -> None:
        threads = [threading.Thread(target=writer.run, args=(service.url,)) for writer in self._writers]
        others = (_back_up, self._send_tables, _make_and_delete)
        threads += [threading.Thread(target=other, args=(service.url,)) for other in others]
        for thread in threads:
            thread.start()
        self._wait_for_writes(threads)
        self._under_way[self._table] += 1
        self._readers = children_of(service.process.pid, module="softkv.tables")
        service.kill()
        self._under_way["a block being written"] += self._unwritten()
        for thread in threads:
            thread.join()
        self._under_way["a write"] += any(writer.under_way for writer in self._writers)

    def _wait_for_writes(self, threads: list[threading.Thread]) -> None:
        """Wait for a random number of writes, then for a random time; often until a block is being written, too."""
        target = self.acknowledged + self._chosen.randrange(self._most_writes)
        pause, hits = self._chosen.uniform(0, 0.1), self._chosen.random() < BLOCK_SHARE
        while self.acknowledged < target and all(thread.is_alive() for thread in threads):
            time.sleep(0.001)
        time.sleep(pause)
        deadline = time.monotonic() + 1
        while hits and time.monotonic() < deadline and not self._unwritten():
            pass

    def _unwritten(self) -> bool:
        return any(name.endswith(".block.new") for name in os.listdir(self._data))

    def _send_tables(self, url: str) -> None:
        """Send files until the service is gone, a part at a time."""

        def parts() -> Iterator[bytes]:
            self._table = "a file being received"
            for part in range(TABLE_PARTS):
                yield "".join(f'{{"id": "{part}-{row}"}}\n' for row in range(TABLE_ROWS // TABLE_PARTS)).encode()
                time.sleep(0.01)
            self._table = "a file being read"

        headers = {"content-type": "application/octet-stream"}
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while True:
                try:
                    answer = client.post("/v1/tables", params={"file": "a.ndjson"}, content=parts(), headers=headers)
                except httpx.TransportError:
                    return
                assert f'"rows":{TABLE_ROWS}' in answer.text[-200:], answer.text[-200:]

    def _see(self, client: httpx.Client) -> None:
        """See that what was acknowledged is there, and nothing else: no file that nothing names either."""
        result = held(client)
        deadline = time.monotonic() + 60
        while left := [
            *(self._data / "received").glob("*"),
            *self._data.glob("softkv.copy-*"),
            *self._files_left(),
            *filter(_runs, self._readers),
        ]:
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.05)
        for writer in self._writers:
            writer.settle(result)
        self._documents = len(result)

    def _files_left(self) -> Iterator[Path]:
        """Yield files of blocks that are incomplete, of no collection, or with rows that another file has."""
        with closing(sqlite3.connect(f"file:{self._data / 'softkv.sqlite3'}?mode=ro", uri=True)) as connection:
            collections = {str(number) for (number,) in connection.execute("SELECT id FROM collections")}
        seen = set[tuple[str, int]]()
        for path in sorted(self._data.glob("softkv.sealed-*")):
            rows, collection = set[tuple[str, int]](), path.name.split("-")[1]
            if path.suffix == ".block":
                with suppress(FileNotFoundError):  # the service has just removed it
                    rows = {(collection, row) for row in unseal(path).numbers.tolist()}
            if not rows or rows & seen or collection not in collections:
                yield path
            seen |= rows

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
        phases = ", ".join(f"{count} {name}" for name, count in sorted(self._under_way.items()))
        return (
            f"{self.acknowledged:,} writes acknowledged ({kinds}); restored {self._restored} times; "
            f"{self._documents} documents at last; at the kills there were {phases}"
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


def _runs(process: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent has no command line."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    return False


def _back_up(url: str) -> None:
    """Make backups until the service is gone."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while True:
            try:
                answer = client.get("/v1/backup")
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text


def _make_and_delete(url: str) -> None:
    """Make a collection of several blocks and delete it, until the service is gone."""
    documents = [{"id": str(number), "key_vector": vector(number)} for number in range(100)]
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while True:
            try:
                client.put(f"{PATH}-2", json={"encoder": None, "dimension": WIDTH})
                client.post(f"{PATH}-2/documents", json={"documents": documents})
                client.delete(f"{PATH}-2")
            except httpx.TransportError:
                return

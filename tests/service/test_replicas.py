"""Processes of the service on one PostgreSQL: what one acknowledges the others answer with, whoever is killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.contenders.server import free_port
from tests.postgres import running

pytestmark = pytest.mark.postgres
QUESTIONS, WORKERS = 1000, 4
DOCUMENTS = "/v1/collections/c/documents"


class Replica:
    """A process of the service, which may be killed and started again on its port."""

    def __init__(self, store: str, directory: Path) -> None:
        self._directory = directory
        self._command = [sys.executable, "-m", "service", "serve", "--encoder", "none", "--slow-ms", "0"]
        self._command += ["--store", store, "--data-dir", str(directory)]
        self.port = free_port()
        self.refused = ""
        self.start()

    def start(self) -> None:
        log = self._directory / "log"
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*self._command, "--port", str(self.port)], stdout=file, stderr=file, cwd=Path(__file__).parents[2]
            )
        deadline = time.monotonic() + 120
        while "listens on" not in log.read_text():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        while self.tried("GET", "/livez") is None:
            assert time.monotonic() < deadline, log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def tried(self, method: str, path: str, **given: Any) -> httpx.Response | None:
        """The answer; None where there was none, or one that says to try again."""
        try:
            answer = self.client.request(method, path, **given)
        except httpx.TransportError:
            return None
        self.refused = answer.text
        return None if answer.status_code == 503 else answer


@contextmanager
def replicas(tmp_path: Path, *, durable: bool) -> Iterator[tuple[Any, list[Replica]]]:
    with running(durable=durable) as server:
        store = server.database()
        found: list[Replica] = []
        try:
            for name in ("one", "two"):
                (tmp_path / name).mkdir()
                found.append(Replica(store, tmp_path / name))
            assert found[0].client.put("/v1/collections/c", json={"similarity": "cosine"}).status_code == 201
            yield server, found
        finally:
            for each in found:
                each.process.send_signal(signal.SIGTERM)
            for each in found:
                with suppress(subprocess.TimeoutExpired):
                    each.process.wait(30)
                each.kill()


def vector(chosen: random.Random) -> list[float]:
    return [chosen.gauss(0, 1) for _ in range(8)]


def test_a_read_through_the_other_replica_sees_every_write_that_was_acknowledged(tmp_path: Path) -> None:
    missed = list[Any]()

    def ask(both: list[Replica], worker: int) -> None:
        chosen = random.Random(worker)
        for i in range(QUESTIONS // WORKERS):
            writer, reader = (each.client for each in (both if i % 2 else both[::-1]))
            key, number = vector(chosen), worker * QUESTIONS + i
            sent = {"id": f"{worker}-{i % 10}", "value": number, "key_vector": key, "metadata": {"n": number}}
            written = writer.post(DOCUMENTS, json={"documents": [sent]})
            asked: dict[str, Any] = {"query": key, "top_k": 1}
            if i % 3:
                asked["filter"] = {"field": "metadata.n", "operator": "==", "value": number}
            answer = reader.post("/v1/collections/c/attend", json=asked)
            read = reader.get(f"{DOCUMENTS}/{sent['id']}").json()["value"] if i % 10 == 0 else number
            matches = [(each["id"], each["value"]) for each in answer.json().get("matches", ())]
            if (written.status_code, read, matches) != (200, number, [(sent["id"], number)]):
                missed.append((written.text, read, answer.text))

    with replicas(tmp_path, durable=False) as (_, both):
        threads = [threading.Thread(target=ask, args=(both, worker)) for worker in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert missed == []
        for each in both:
            told = each.client.get("/v1/collections/c").json()
            assert (told["documents"], told["keys"]) == (10 * WORKERS,) * 2


def test_nothing_acknowledged_is_lost_whatever_is_killed_under_writers(tmp_path: Path) -> None:
    with replicas(tmp_path, durable=True) as (server, both):
        stop, acknowledged, lost = threading.Event(), [0] * 8, list[str]()

        def write(writer: int) -> None:
            """Each of its documents in pairs, which are written together or not at all."""
            chosen = random.Random(writer)
            while not stop.is_set():
                turn = acknowledged[writer] + 1
                pair = [
                    {"id": f"{writer}-{part}", "value": turn, "key_vector": vector(chosen)}
                    for part in ("left", "right")
                ]
                at = both[(turn + writer) % 2]
                answer = at.tried("POST", DOCUMENTS, json={"documents": pair})
                if answer is None:
                    continue
                if answer.status_code != 200:
                    lost.append(answer.text)
                    return
                acknowledged[writer] = turn
                seen = both[(turn + writer + 1) % 2].tried("GET", f"{DOCUMENTS}/{writer}-left")
                if seen is not None and seen.json()["value"] < turn:
                    lost.append(f"{writer} was acknowledged {turn}, and {seen.text} is there")

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
        for thread in threads:
            thread.start()
        for victim in (both[0], server, both[1], server):
            before = sum(acknowledged)
            deadline = time.monotonic() + 120
            while sum(acknowledged) < before + 40 and not lost:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            victim.kill()
            time.sleep(0.3)
            victim.start()
        stop.set()
        for thread in threads:
            thread.join()
        assert lost == []
        for each in both:
            deadline = time.monotonic() + 60
            while (answer := each.tried("POST", f"{DOCUMENTS}/query", json={"limit": 100})) is None:
                assert time.monotonic() < deadline, each.refused
            stored = {one["id"]: one["value"] for one in answer.json()["documents"]}
            for writer, turn in enumerate(acknowledged):
                left, right = stored[f"{writer}-left"], stored[f"{writer}-right"]
                assert left == right >= turn

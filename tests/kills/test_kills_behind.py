"""`kill -9` of a service whose worker encodes values, or moves the collection, behind uploads.

No document is lost, every value comes, and the move ends.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.running import Service
from softkv_service.storage import SQLiteStore
from tests.checkpoints import write_static
from tests.thorough import thorough

PATH = "/v1/collections/faq"
BATCH = 24
LONGEST_SECONDS = 1.5


def document(number: int) -> dict[str, Any]:
    """A document of which no text was encoded before; every third value is the same."""
    value = "the same for a third" if number % 3 == 0 else f"answer {number}: {number * 7919} steps to the left"
    return {"id": f"{number:05}", "key": f"question {number}?", "value": value}


def has_work(described: dict[str, Any]) -> bool:
    """Return whether the worker has something to do for a collection."""
    job = described["re_encode"]
    return bool(described["values"]["waiting"]) or (job is not None and job["state"] in ("running", "paused"))


class KilledBehind:
    """A service that gets documents until it is killed, again and again."""

    def __init__(self, directory: Path, chosen: random.Random) -> None:
        self.data, self.chosen = directory / "data", chosen
        self.sent, self.acknowledged = 0, list[int]()

    def start(self) -> Service:
        """Return a service of the data, which is to be entered."""
        return Service(self.data, "--drain-seconds", "0")

    def once(self) -> None:
        """Start, see what the last kill has left, upload, and kill while values are encoded."""
        with self.start() as service:
            service.wait_until_ready()
            with service.client() as client:
                if client.get(PATH).status_code == 404:
                    client.put(PATH, json={}).raise_for_status()
                self.see(client)
            uploading = threading.Thread(target=self.upload, args=(service,))
            before, pause = len(self.acknowledged), self.chosen.uniform(0, LONGEST_SECONDS)
            uploading.start()
            while len(self.acknowledged) == before and uploading.is_alive():
                time.sleep(0.001)
            time.sleep(pause)
            service.kill()
            uploading.join()
            assert len(self.acknowledged) > before

    def upload(self, service: Service) -> None:
        """Write batches until the service is gone; sometimes the worker gets time in between."""
        with service.client() as client:
            while True:
                numbers = list(range(self.sent, self.sent + BATCH))
                self.sent += BATCH
                try:
                    answer = client.post(f"{PATH}/documents", json={"documents": list(map(document, numbers))})
                except httpx.TransportError:
                    return
                answer.raise_for_status()
                self.acknowledged += numbers
                if self.chosen.random() < 0.5:
                    time.sleep(self.chosen.uniform(0, 0.5))

    def see(self, client: httpx.Client) -> None:
        """Check that every acknowledged document is there, with its texts, and that its value waits or is known."""
        ids, stored = [f"{number:05}" for number in self.acknowledged], dict[str, Any]()
        for start in range(0, len(ids), 1000):
            body = {"ids": ids[start : start + 1000], "limit": 1000}
            page = client.post(f"{PATH}/documents/query", json=body).json()["documents"]
            stored |= {one["id"]: one for one in page}
        for number in self.acknowledged:
            expected = document(number)
            assert {name: stored[expected["id"]][name] for name in expected} == expected
        described = client.get(PATH).json()
        assert described["values"]["encoded"] + described["values"]["waiting"] == described["documents"]
        assert described["values"]["failed"] == 0

    def end(self) -> None:
        """Let the worker do everything, compare some vectors, and check every row."""
        with self.start() as service:
            service.wait_until_ready()
            with service.client() as client:
                self.see(client)
                deadline = time.monotonic() + 600
                while has_work(described := client.get(PATH).json()):
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                numbers = self.chosen.sample(self.acknowledged, min(50, len(self.acknowledged)))
                texts = [document(number)["value"] for number in numbers]
                body = {"texts": texts, "purpose": "document", "model": described["encoder"]}
                vectors = np.array(client.post("/v1/encode", json=body).json()["embeddings"])
                for number, vector in zip(numbers, vectors, strict=True):
                    one = client.get(f"{PATH}/documents/{number:05}", params={"include": "value_vector"}).json()
                    np.testing.assert_allclose(one["value_vector"], vector, rtol=0, atol=1e-6)
                asked = {"query": "question 3?", "include": ["output"], "null": False}
                assert client.post(f"{PATH}/attend", json=asked).status_code == 200
        with SQLiteStore.open(self.data) as store:
            assert list(store.check()) == []


class KilledMoving(KilledBehind):
    """The same while the collection moves from one encoder to the other, and back."""

    def __init__(self, directory: Path, chosen: random.Random) -> None:
        super().__init__(directory, chosen)
        self.goes_on = 0  # jobs that a start found and went on with
        (directory / "static").mkdir()
        write_static(directory / "static", 48)
        self.encoders = directory / "encoders.toml"
        models = {"minilm": "all-MiniLM-L6-v2", "static": str(directory / "static")}
        tables = [f"[encoders.{name}]\nmodel = {model!r}" for name, model in models.items()]
        self.encoders.write_text("\n".join(['default = "minilm"', *tables]), "utf-8")

    def start(self) -> Service:
        """Return a service of the data with both encoders, which is to be entered."""
        return Service(self.data, "--drain-seconds", "0", "--encoders", str(self.encoders))

    def see(self, client: httpx.Client) -> None:
        """Check the documents, and begin a move unless one goes on."""
        super().see(client)
        described = client.get(PATH).json()
        job = described["re_encode"]
        assert job is None or job["state"] in ("running", "paused", "done"), job
        if job is not None and job["state"] != "done":
            self.goes_on += 1
        elif described["documents"]:
            other = "static" if described["encoder"] == "minilm" else "minilm"
            client.post(f"{PATH}/re-encode", json={"encoder": other}).raise_for_status()


@pytest.mark.kill
@pytest.mark.parametrize("kills", [1, thorough(50)])
def test_kills_while_a_collection_moves_lose_nothing(tmp_path: Path, kills: int) -> None:
    killed = KilledMoving(tmp_path, random.Random(5))
    while killed.goes_on < kills:
        killed.once()
    killed.end()


@pytest.mark.kill
@pytest.mark.parametrize("kills", [3, thorough(100)])
def test_kills_while_values_are_encoded_lose_nothing(tmp_path: Path, kills: int) -> None:
    killed = KilledBehind(tmp_path, random.Random(5))
    for _ in range(kills):
        killed.once()
    killed.end()

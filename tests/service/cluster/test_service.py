"""The service in front of slots on Ray: what it answers while machines come, go and break."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.meanwhile import Meanwhile
from tests.postgres import PostgresServer
from tests.service.cluster.running import Api, Machine, slots_running
from tests.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not here: make cluster")]
WIDTH, DOCUMENTS = 16, 600
NAMES = ("one", "two", "three")
KEYS = np.random.default_rng(0).standard_normal((DOCUMENTS, WIDTH)).astype(np.float32)
T = 0.2


def fill(client: httpx.Client) -> None:
    for name in NAMES:
        made = client.put(f"/v1/collections/{name}", json={"similarity": "cosine", "dimension": WIDTH})
        assert made.status_code == 201, made.text
        documents = [
            {"id": str(row), "key_vector": key, "value": row, "metadata": {"even": row % 2 == 0}}
            for row, key in enumerate(KEYS.tolist())
        ]
        assert client.post(f"/v1/collections/{name}/documents", json={"documents": documents}).status_code < 300


def attend(client: httpx.Client, name: str, row: int, **options: Any) -> httpx.Response:
    question = {"query": KEYS[row].tolist(), "temperature": T, "top_k": 5, **options}
    return client.post(f"/v1/collections/{name}/attend", json=question)


def check(answer: dict[str, Any], row: int, among: np.ndarray | None = None) -> None:
    """Check that the weights are those of softmax in float64, within the certificate."""
    keys = KEYS.astype(np.float64)
    similarities = keys @ keys[row] / np.linalg.norm(keys, axis=1) / np.linalg.norm(keys[row])
    masses = np.exp(similarities / T)
    if among is not None:
        masses = np.where(among, masses, 0.0)
    weights = masses / masses.sum()
    best = np.argsort(-weights)[:5]
    assert [match["id"] for match in answer["matches"]] == [str(number) for number in best]
    actual = np.array([match["weight"] for match in answer["matches"]])
    assert np.abs(actual - weights[best]).sum() / 2 <= answer["certificate"]["total_variation"] + 1e-12


class Asking(Meanwhile):
    """Asks in threads as long as the block runs, and keeps what was not as it should be."""

    def __init__(self, url: str) -> None:
        super().__init__([partial(self._ask, seed) for seed in range(4)])
        self.wrong: list[Any] = []
        self.answered = 0
        self._url = url

    def _ask(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self.stop.is_set():
                row, name = int(random.integers(DOCUMENTS)), NAMES[random.integers(3)]
                try:
                    answer = attend(client, name, row)
                    if answer.status_code != 200:
                        self.wrong.append((answer.status_code, answer.text))
                        continue
                    check(answer.json(), row)
                    self.answered += 1
                except Exception as error:
                    self.wrong.append(error)


def test_it_answers_while_machines_come_go_and_break(postgres: PostgresServer, tmp_path: Path, head: str) -> None:
    address = postgres.database()
    token = os.environ["RAY_AUTH_TOKEN"]
    with (
        Machine("m1", address, head, tmp_path),
        Api("serve", address, head, tmp_path) as serving,
        httpx.Client(base_url=(url := serving.url), timeout=60) as client,
    ):
        serving.wait_until_ready()
        until(lambda: len(slots_running(token)) == 2, 90)
        fill(client)
        for name in NAMES:
            check(attend(client, name, 7).json(), 7)
        even = {"field": "metadata.even", "operator": "==", "value": True}
        check(attend(client, "one", 8, filter=even).json(), 8, np.arange(DOCUMENTS) % 2 == 0)
        covered = attend(client, "one", 9, allow_missing=True).json()["coverage"]
        assert covered == {"documents": DOCUMENTS, "total": DOCUMENTS, "max_missing_weight": 0.0}

        with Asking(url) as asking:  # a slot's process is killed, and comes again
            os.kill(slots_running(token)[0], signal.SIGKILL)
            until(lambda: len(slots_running(token)) == 2, 60)
            time.sleep(3)
        assert asking.wrong == []
        assert asking.answered > 0

        with Asking(url) as asking, Machine("m2", address, head, tmp_path) as second:  # one more, and one less
            until(lambda: len(slots_running(token)) == 4, 90)
            time.sleep(3)
            assert second.stop() == 0
        assert asking.wrong == []
        assert asking.answered > 0

        for process in slots_running(token):  # no slot is left for a moment
            os.kill(process, signal.SIGKILL)
        until(lambda: attend(client, "two", 3).status_code == 503, 10)
        refused = attend(client, "two", 3)
        if refused.status_code == 503:
            assert refused.json()["code"] == "shards_missing"
            assert "retry-after" in refused.headers
        partly = attend(client, "two", 3, allow_missing=True)
        assert partly.status_code == 200
        assert partly.json()["coverage"]["total"] == DOCUMENTS
        until(lambda: attend(client, "two", 3).status_code == 200, 60)
        check(attend(client, "two", 3).json(), 3)
        serving.process.send_signal(signal.SIGINT)
        assert serving.process.wait(60) == 0
    assert "Traceback" not in serving.said

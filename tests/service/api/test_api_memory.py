"""A process whose memory runs out refuses what it cannot do, and never forgets what it stored."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.running import Service
from tests.service.api.test_openapi import DESCRIBED

WIDTH = 384
PATH = "/v1/collections/c"
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


@contextmanager
def short_of_memory(pid: int, spare: int) -> Iterator[None]:
    """Limit the process to `spare` more bytes of address space while the block runs."""
    status = Path(f"/proc/{pid}/status").read_text()
    size = 1024 * int(status.partition("VmSize:")[2].split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (size + spare, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def batch(first: int, count: int) -> dict[str, Any]:
    keys = np.random.default_rng(first).standard_normal((count, WIDTH))
    return {"documents": [{"id": f"d{first + i}", "key_vector": row.tolist()} for i, row in enumerate(keys.round(3))]}


@pytest.fixture
def bare_service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path, "--encoder", "none") as running:
        running.wait_until_ready()
        yield running


@pytest.mark.thorough
def test_twenty_failures_leave_memory_as_the_disk_is(bare_service: Service) -> None:
    """Each is a write of some hundreds of documents that has less room than it needs, where blocks grow too."""
    chosen = random.Random(3)
    refused = sent = 0
    with httpx.Client(base_url=bare_service.url, timeout=60, trust_env=False) as client:
        assert client.put(PATH, json={"encoder": None}).status_code == 201
        while refused < 20:
            body = batch(sent, chosen.randrange(300, 1500))
            sent += len(body["documents"])
            with short_of_memory(bare_service.process.pid, chosen.randrange(96 * 2**20)):
                try:
                    answer = client.post(f"{PATH}/documents", json=body)
                except httpx.TransportError:  # even an answer takes memory
                    answer = None
            if answer is None or answer.status_code != 200:
                refused += 1
                if answer is not None:
                    assert (answer.status_code, answer.json()["code"]) == (503, "out_of_memory"), answer.text
            bare_service.wait_until_ready(60)
            stored = client.post(f"{PATH}/documents/query", json={"count": True, "limit": 1}).json()["count"]
            query = np.ones(WIDTH).tolist()
            answer = client.post(f"{PATH}/attend", json={"query": query, "top_k": 10_000, "include": []})
            assert answer.status_code == 200, answer.text
            assert answer.json()["documents"] == stored == client.get(PATH).json()["documents"]
            assert sent < 60_000, "it was never short of memory"
        listed: list[str] = []
        page: dict[str, Any] = {"limit": 10_000, "include": []}
        while page.get("cursor", "first") is not None:
            page_of_documents = client.post(f"{PATH}/documents/query", json=page).json()
            listed += [document["id"] for document in page_of_documents["documents"]]
            page = {**page, "cursor": page_of_documents["next_cursor"]}
        attended = client.post(f"{PATH}/attend", json={"query": query, "top_k": 10_000, "include": []}).json()
        assert len(listed) == stored
        assert {match["id"] for match in attended["matches"]} <= set(listed)


@pytest.mark.thorough
def test_arrays_that_there_is_no_memory_for_are_a_503(bare_service: Service) -> None:
    many = [[1.0, 2.0]] * 1900
    with httpx.Client(base_url=bare_service.url, timeout=60, trust_env=False) as client:
        body = {"query": many, "key": many, "value": many}
        with short_of_memory(bare_service.process.pid, 8 * 2**20):
            answer = client.post("/v1/attend", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "out_of_memory")
        assert answer.headers["retry-after"]
        DESCRIBED.keeps(answer)
        assert client.post("/v1/attend", json=body).status_code == 200

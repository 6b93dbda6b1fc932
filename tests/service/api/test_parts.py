"""A service whose large collections are scanned by processes of its own: asked over HTTP, and one of them killed."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from attention.lookup import Parted, answering
from attention.lookup.memory import compaction as compaction_module
from attention.lookup.memory import memory as memory_module
from attention.lookup.memory import segments as segments_module
from service.settings import Settings
from tests.running import RunningService
from tests.waiting import until

ROWS = 5_000


@pytest.fixture
def small_blocks(monkeypatch):
    for module in (segments_module, memory_module, compaction_module):
        monkeypatch.setattr(module, "BLOCK_ROWS", 1024)
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)


def asked(client, **how):
    found = client.post("/v1/collections/rows/attend", json={"top_k": 5, **how})
    assert found.status_code == 200, found.text
    return [(match["id"], match["similarity"]) for match in found.json()["matches"]]


@pytest.mark.thorough
def test_answers_are_the_same_with_parts_without_and_while_one_is_lost(tmp_path, small_blocks):
    keys = np.random.default_rng(1).standard_normal((ROWS, 8)).round(3)
    documents = [
        {"id": f"d{row}", "key_vector": key.tolist(), "metadata": {"row": row}} for row, key in enumerate(keys)
    ]
    questions = [{"query": (keys[row] + 0.1).tolist()} for row in (5, 2_000, 4_999)]
    questions.append({**questions[0], "filter": {"field": "metadata.row", "operator": "<", "value": 3_000}})
    with RunningService(data_dir=tmp_path, encoder="none", parts=2) as service, service.client() as client:
        made = client.put(
            "/v1/collections/rows", json={"encoder": None, "dimension": 8, "temperature": 0.1, "null": None}
        )
        assert made.status_code == 201, made.text
        for first in range(0, ROWS, 1000):
            written = client.post("/v1/collections/rows/documents", json={"documents": documents[first : first + 1000]})
            assert written.status_code == 200, written.text
        catalogue = service.app.state.parts.catalogue
        processes, collection = catalogue.processes, catalogue.collection("rows")
        until(lambda: processes.ready, 120)
        with collection.snapshot() as snapshot:
            assert isinstance(processes.split(snapshot.view), Parted)
        before = [asked(client, **question) for question in questions]
        pids = processes.pids
        os.kill(pids[1], signal.SIGKILL)
        assert [asked(client, **question) for question in questions] == before
        until(lambda: processes.ready and processes.pids != pids, 120)
        assert [asked(client, **question) for question in questions] == before
        client.post("/v1/collections/rows/documents/delete", json={"ids": [before[0][0][0]]})
        assert asked(client, **questions[0])[0] != before[0][0]
        pids = processes.pids
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 120)
    with RunningService(data_dir=tmp_path, encoder="none") as service, service.client() as client:
        assert service.app.state.parts.catalogue.processes is None
        assert [asked(client, **question) for question in questions[1:3]] == before[1:3]


@pytest.mark.parametrize(("given", "parts"), [("1", 1), ("4", 4), ("numa", "numa")])
def test_the_setting_is_a_number_or_numa(monkeypatch, given, parts):
    monkeypatch.setenv("SOFTKV_PARTS", given)
    assert Settings().parts == parts

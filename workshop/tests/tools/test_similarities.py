"""The similarities that the story shows are those of the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.running import RunningService
from workshop.tools.similarities import RECORDED, record


def test_the_recorded_similarities_are_the_services(tmp_path: Path) -> None:
    recorded = json.loads(RECORDED.read_text())
    with RunningService(data_dir=tmp_path, precision="float32") as running:
        running.wait_until_ready()
        with running.client() as client:
            fresh = record(client)
    assert recorded.keys() == fresh.keys()
    for query, memories in fresh.items():
        for known, memory in zip(recorded[query], memories, strict=True):
            assert known["keys"] == memory["keys"]
            assert known["similarities"] == pytest.approx(memory["similarities"], abs=1e-5)
            assert known["background"]["mean"] == pytest.approx(memory["background"]["mean"], abs=1e-5)

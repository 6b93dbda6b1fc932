"""`/mcp` of a service without the distribution that answers it."""

from __future__ import annotations

from pathlib import Path

import pytest

import service.app
from service.api.parts import find_parts
from tests.running import RunningService


def test_without_its_part_mcp_is_a_501_that_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.app, "find_parts", lambda: [part for part in find_parts() if part.name != "mcp"])
    with RunningService(data_dir=tmp_path, encoder="none", api_keys=("w",)) as running, running.client() as client:
        assert client.post("/mcp", json={}).status_code == 401
        answer = client.post("/mcp", json={}, headers={"x-api-key": "w"})
        assert (answer.status_code, answer.json()["code"]) == (501, "mcp_missing")
        assert "its operator installs `softkv[mcp]`" in answer.json()["detail"]
        assert client.get("/mcp", headers={"x-api-key": "w"}).status_code == 405

"""Disks that fail and clocks that jump: a clear status for what cannot be done, reads go on, and nothing is lost.

A full disk is in `problems/test_table_refusals.py` and `storage/sqlite/test_store.py`, damage in
`test_api_damage.py`, lack of memory in `test_api_memory.py`.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import httpx
import pytest

from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED

PATH = "/v1/collections/c"
DAY = 86_400


def put(client: httpx.Client, identity: str, **headers: str) -> httpx.Response:
    answer = client.put(f"{PATH}/documents/{identity}", json={"key_vector": [1, 2]}, headers=headers)
    DESCRIBED.keeps(answer)
    return answer


def ids(client: httpx.Client) -> list[str]:
    """Return the stored ids; check that as many documents are attended to."""
    listed = [document["id"] for document in client.post(f"{PATH}/documents/query", json={}).json()["documents"]]
    attended = client.post(f"{PATH}/attend", json={"query": [1, 2], "top_k": 100}).json()
    assert sorted(match["id"] for match in attended["matches"]) == listed
    return listed


def test_a_write_that_the_disk_refuses_is_a_503_and_not_stored(tmp_path: Path) -> None:
    with RunningService(data_dir=tmp_path, encoder="none") as service, service.client() as client:
        service.wait_until_ready()
        client.put(PATH, json={"encoder": None}).raise_for_status()
        assert put(client, "before").status_code == 201
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            for identity in ("a", "b"):
                refused = put(client, identity)
                assert (refused.status_code, refused.json()["code"]) == (503, "storage_failed")
            assert client.delete(f"{PATH}/documents/before").status_code == 503
            assert client.get("/v1/backup").status_code == 503
            assert ids(client) == ["before"]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert put(client, "after").status_code == 201
        assert ids(client) == ["after", "before"]
        assert list(service.app.state.parts.catalogue.store.check()) == []
    with RunningService(data_dir=tmp_path, encoder="none") as service, service.client() as client:
        service.wait_until_ready()
        assert ids(client) == ["after", "before"]


def test_a_clock_that_jumps_forgets_no_write_and_does_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    with RunningService(data_dir=tmp_path, encoder="none") as service, service.client() as client:
        service.wait_until_ready()
        client.put(PATH, json={"encoder": None}).raise_for_status()
        written: list[str] = []
        for number, jump in enumerate((0, 400 * DAY, -400 * DAY, -20_000 * DAY, 0)):
            monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump)
            identity = f"d{number}"
            first = put(client, identity, **{"Idempotency-Key": identity})
            again = put(client, identity, **{"Idempotency-Key": identity})
            assert (first.status_code, again.status_code) == (201, 201)
            assert again.headers["idempotency-replayed"] == "true"
            written.append(identity)
            assert ids(client) == written
            assert client.get("/readyz").status_code == 200
        # Back again, what was written in the future is known still.
        assert put(client, "d1", **{"Idempotency-Key": "d1"}).headers["idempotency-replayed"] == "true"
    monkeypatch.undo()
    with RunningService(data_dir=tmp_path, encoder="none") as service, service.client() as client:
        service.wait_until_ready()
        assert ids(client) == written

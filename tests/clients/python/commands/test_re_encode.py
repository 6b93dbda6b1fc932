"""`softkv re-encode`: moves a collection to another encoder, and says what became of it."""

from __future__ import annotations

import json
import signal
import subprocess
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from softkv_service.retrieval import documents
from softkv_service.retrieval.documents import re_encoding
from tests.running import RunningService
from tests.service.commands.conftest import COMMAND, Softkv
from tests.waiting import until


def test_a_collection_without_an_encoder_gets_one(softkv: Softkv, tmp_path: Path) -> None:
    rows = ({"id": str(i), "value": f"text {i}"} for i in range(5))
    (tmp_path / "texts.ndjson").write_text("\n".join(map(json.dumps, rows)))
    softkv("load", str(tmp_path / "texts.ndjson"), "--collection", "moving", "--encoder", "none")
    refused = softkv("re-encode", "moving", "no-such-encoder")
    assert refused.exit_code == 1
    assert "no-such-encoder" in refused.stderr
    moved = softkv("re-encode", "moving", "all-MiniLM-L6-v2", "--json")
    assert moved.exit_code == 0, moved.stderr
    job = json.loads(moved.stdout)
    assert (job["state"], job["from"], job["to"], job["done"]) == ("done", None, "all-MiniLM-L6-v2", 5)
    again = softkv("re-encode", "moving", "all-MiniLM-L6-v2", "--json")  # as after Ctrl-C and the end of the job
    assert (again.exit_code, json.loads(again.stdout)) == (0, job)
    refused = softkv("re-encode", "moving", "all-MiniLM-L6-v2", "--temperature", "-1")
    assert (refused.exit_code, "temperature" in refused.stderr) == (1, True)
    over = softkv("re-encode", "moving", "all-MiniLM-L6-v2", "--cancel")
    assert over.exit_code == 1
    assert "has ended" in over.stderr


def test_ctrl_c_ends_the_watching_and_not_the_move(
    softkv: Softkv, service: RunningService, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "texts.ndjson").write_text(json.dumps({"id": "a", "value": "a text"}))
    softkv("load", str(tmp_path / "texts.ndjson"), "--collection", "watched", "--encoder", "none")
    go_on, looked = Event(), list[str]()
    encode, read_last_job = re_encoding._Move._encode, documents.read_last_job

    async def encode_later(*arguments: Any, **options: Any) -> Any:
        if not go_on.is_set():
            raise TimeoutError("the test holds it")
        return await encode(*arguments, **options)

    def count(name: str, reader: Any) -> Any:
        looked.append(name)
        return read_last_job(name, reader)

    monkeypatch.setattr(re_encoding._Move, "_encode", encode_later)
    monkeypatch.setattr(documents, "read_last_job", count)
    # A run in the background may ignore Ctrl-C, and its children would too.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [*COMMAND, "re-encode", "watched", "all-MiniLM-L6-v2", "--url", service.url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        until(lambda: len(looked) >= 2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines()[-1] == (
        "softkv: the service goes on re-encoding 'watched': the same command watches it again, with --cancel it ends"
    )
    assert client.get("/v1/collections/watched").json()["re_encode"]["state"] in ("running", "paused")
    go_on.set()
    again = softkv("re-encode", "watched", "all-MiniLM-L6-v2", "--json")
    assert (again.exit_code, json.loads(again.stdout)["state"]) == (0, "done")

"""`softkv re-encode`: moves a collection to another encoder, and says what became of it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.service.commands.conftest import Softkv


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

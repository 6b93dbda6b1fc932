"""The service without the parts of other distributions: the explorer is at /, and everything else is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from softkv_service.api.parts import ENTRY_POINTS
from tests.examples import ROOT
from tests.service.api.contract import checked_in

ALONE = f"""
import importlib.metadata, json, sys
find = importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **named: [] if named.get("group") == "{ENTRY_POINTS}" else find(**named)
from tests.running import RunningService
with RunningService(data_dir=sys.argv[1], encoder="none") as running, running.client() as client:
    print(json.dumps({{
        "/": client.get("/").text,
        "/v1": client.get("/v1").json(),
        "/v1/rooms": client.post("/v1/rooms", json={{}}).status_code,
        "/deeper": client.get("/deeper").status_code,
        "/openapi.json": client.get("/openapi.json").json(),
        "modules": list(sys.modules),
    }}))
"""


def test_without_parts_the_explorer_is_at_the_root_and_the_other_calls_are_there(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    answers = json.loads(ended.stdout.splitlines()[-1])
    assert "built/explore.js" in answers["/"]
    assert "data-alone" in answers["/"]
    assert {value for name, value in answers["/v1"]["limits"].items() if name.startswith("room")} == {0}
    assert (answers["/v1/rooms"], answers["/deeper"]) == (404, 404)
    missing = checked_in()["paths"].keys() - answers["/openapi.json"]["paths"].keys()
    assert missing
    assert all(path.startswith(("/v1/rooms", "/v1/lab")) for path in missing)
    assert "softkv_workshop" not in answers["modules"]

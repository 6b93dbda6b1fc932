"""The calls of the kernel that `softkv serve` makes are those that its systemd unit permits."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.examples import ROOT
from tests.service.api.calls import MINILM
from tests.service.commands.conftest import COMMAND, serving

pytestmark = [
    pytest.mark.process,
    pytest.mark.thorough,
    pytest.mark.skipif(not (shutil.which("strace") and shutil.which("systemd-analyze")), reason="a program is missing"),
]


def permitted(name: str) -> set[str]:
    """Return the calls of a set of systemd, such as @system-service, or the one call itself."""
    if not name.startswith("@"):
        return {name}
    command = ["systemd-analyze", "syscall-filter", name]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    names = (line.strip() for line in lines)
    return set().union(*(permitted(inner) for inner in names if inner and not inner.startswith("#")))


def test_the_unit_permits_the_calls_of_the_service_and_of_its_child_processes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    trace, unit = tmp_path / "trace", (ROOT / "docker" / "systemd" / "softkv.service").read_text(encoding="utf-8")
    traced = ["strace", "-f", "-qq", "--output", str(trace), *COMMAND]
    with (
        serving(tmp_path / "data", "--encoder", MINILM, command=traced) as running,
        httpx.Client(base_url=running.url, timeout=120) as client,
    ):
        traced_process = int(trace.read_text(encoding="utf-8").split()[0])
        try:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.1)
            client.put("/v1/collections/c", json={}).raise_for_status()
            document = {"documents": [{"id": "a", "key": "cats purr"}]}
            client.post("/v1/collections/c/documents", json=document).raise_for_status()
            client.post("/v1/collections/c/attend", json={"query": "cats"}).raise_for_status()
            client.get("/v1/backup").raise_for_status()
            headers = {"content-type": "application/octet-stream"}
            table = client.post("/v1/tables?file=a.csv", content=b"id,key\n1,a\n", headers=headers)
            assert '"done":true' in table.text
            plan = {"task": "copy", "model": "gru", "steps": 1}
            assert '"id":"m-' in client.post("/v1/lab/train", json=plan).text
        finally:
            os.kill(traced_process, signal.SIGTERM)
            assert running.process.wait(120) == 0
    made = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", trace.read_text(encoding="utf-8"), re.MULTILINE))
    match = re.search(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE)
    assert match is not None
    assert made > {"execve", "openat", "accept4"}
    assert made - set().union(*map(permitted, match[1].split())) == set()

"""The protocol's official client in TypeScript, over HTTP and standard input and output, in both revisions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import RunningService
from tests.service.mcp.speaking import COMMAND, VERSIONS
from tests.test_typescript import OWN_FAULTS, npm

PROJECT = Path(__file__).parent / "typescript"

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with its packages."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not found: install Node.js 20 or later")
    if int(subprocess.check_output(["node", "--version"], text=True)[1:].partition(".")[0]) < 20:
        pytest.skip("the client wants Node.js 20 or later")
    project = tmp_path_factory.mktemp("mcp") / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("node_modules"))
    installed = npm(project, "ci", "--no-audit", "--no-fund")
    if installed.returncode != 0:
        assert not any(fault in installed.stderr for fault in OWN_FAULTS), installed.stderr
        pytest.skip(f"npm ci could not install the packages: {installed.stderr.strip()[-500:]}")
    return project


@pytest.mark.parametrize("mode", VERSIONS)
@pytest.mark.parametrize("way", ["http", "stdio"])
def test_it_is_answered(project: Path, service: RunningService, library: str, way: str, mode: str) -> None:
    started = {"command": sys.executable, "args": [*COMMAND, "--url", service.url]}
    target = {"url": f"{service.url}/mcp"} if way == "http" else started
    ended = subprocess.run(
        ["node", "speak.mjs", way, mode, json.dumps(target), library],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == 0, ended.stderr
    heard = json.loads(ended.stdout)
    assert heard["version"] == VERSIONS[mode]
    assert len(heard["tools"]) == 8
    assert heard["known"]["answered"]
    assert heard["known"]["matches"][0]["id"] == "old-possums-book-of-practical-cats"
    assert not heard["unknown"]["answered"]
    assert heard["page"]["count"] == 110
    assert heard["compared"]["attention"]["answered"]
    assert "/top_k: wanted a number from 1, got 0" in heard["refused"]
    assert heard["document"]["id"] == "dune"
    assert heard["prompts"] == ["answer_from"]

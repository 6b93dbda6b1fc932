"""The protocol's official client in TypeScript, over HTTP and standard input and output, in both revisions."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.running import RunningService
from tests.speaking import COMMAND, VERSIONS
from tools import node

PROJECT = Path(__file__).parent / "typescript"

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with its packages."""
    try:
        return node.project(PROJECT, tmp_path_factory.mktemp("mcp") / "project")
    except node.NodeMissingError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("mode", VERSIONS)
@pytest.mark.parametrize("way", ["http", "stdio"])
def test_the_official_typescript_client_gets_answers(
    project: Path, service: RunningService, library: str, way: str, mode: str
) -> None:
    started = {"command": sys.executable, "args": [*COMMAND, "--url", service.url]}
    target = {"url": f"{service.url}/mcp"} if way == "http" else started
    words = ("speak.mjs", way, mode, json.dumps(target), library)
    heard = json.loads(node.checked(node.node(project, *words, PYTHONPATH=os.pathsep.join(sys.path))))
    assert heard["version"] == VERSIONS[mode]
    assert len(heard["tools"]) == 8
    assert heard["known"]["verdict"] == "one"
    assert heard["known"]["matches"][0]["id"] == "old-possums-book-of-practical-cats"
    assert heard["unknown"]["verdict"] == "none"
    assert heard["page"]["count"] == 110
    assert heard["compared"]["attention"]["verdict"] in ("one", "several")
    assert "/top_k: expected a number from 1, got 0" in heard["refused"]
    assert heard["document"]["id"] == "dune"
    assert heard["prompts"] == ["answer_from"]

"""The client's own tests, in TypeScript, against a real service: a file is a test here. All together ask every call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from softkv_service.encoding import DEFAULT_MODEL
from tests.checkpoints import write_cross_encoder
from tests.running import RunningService
from tests.thorough import thorough
from tools.description import FILE
from tools.node import CLIENT, ROOT, node

FILES = sorted(path.name for path in (ROOT / CLIENT / "test").glob("*.test.ts"))
SHORT = [name for name in FILES if not name.endswith(".long.test.ts")]
COUNTED = re.compile(r'^softkv_http_requests_total\{method="(\w+)",route="([^"]+)",status="2\d\d"\}', re.MULTILINE)
# A whole store, which goes into a file: the Python client and `curl` have it.
# The second form of rerank is for Cohere's clients.
ELSEWHERE = {("GET", "/v1/backup"), ("POST", "/v2/rerank")}
OF_THE_WORKSHOP = ("/v1/rooms", "/v1/lab")
"""Paths that its own scripts call."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with no other caller, because it counts its requests."""
    folder = tmp_path_factory.mktemp("sources")
    file = folder / "encoders.toml"
    file.write_text(
        f'[encoders."{DEFAULT_MODEL}"]\nmodel = "{DEFAULT_MODEL}"\n'
        f'[rerankers.marco]\nmodel = "{write_cross_encoder(folder / "marco")}"\n'
    )
    with RunningService(data_dir=folder / "data", encoders=file) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def passed() -> list[str]:
    """Return the files that were visited."""
    return []


@pytest.mark.parametrize("file", [name if name in SHORT else thorough(name) for name in FILES])
def test_file(project, alone, passed, file):
    done = node(project, "--test", "--test-reporter=spec", f"test/{file}", SOFTKV_URL=alone.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"pass [1-9]", done.stdout)
    passed.append(file)


def test_every_call_is_made(alone, passed):
    if not set(SHORT) <= set(passed):
        pytest.skip("not all files were gone through")
    with alone.client() as client:
        made = {(method, path.replace(":path}", "}")) for method, path in COUNTED.findall(client.get("/metrics").text)}
    paths = json.loads(FILE.read_text(encoding="utf-8"))["paths"]
    described = {
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if not path.startswith(OF_THE_WORKSHOP)
    }
    assert len(described) > 30
    assert described - made - ELSEWHERE == set()

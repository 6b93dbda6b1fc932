"""The client's own tests, in TypeScript, against the real service: a file is a test here."""

from __future__ import annotations

import pytest

from tests.node import CLIENT, ROOT, node

FILES = sorted(path.name for path in (ROOT / CLIENT / "test").glob("*.test.ts"))


def test_there_are_some():
    assert len(FILES) >= 3


@pytest.mark.parametrize("file", FILES)
def test_file(project, service, file):
    done = node(project, "--test", "--test-reporter=spec", f"test/{file}", SOFTKV_URL=service.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 0" not in done.stdout

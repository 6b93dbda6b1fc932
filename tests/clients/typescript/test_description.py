"""The TypeScript types generated from service/softkv_service/api/openapi.json: code that uses them compiles."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.clients.typescript.conftest import HERE
from tools.node import ROOT, node


def compiled(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Return the compiler's output for the TypeScript of these tests."""
    copy_folder = checkout / HERE.relative_to(ROOT)
    return node(checkout, "clients/typescript/node_modules/typescript/bin/tsc", "--noEmit", "--project", copy_folder)


def test_calls_compile(checkout):
    done = compiled(checkout)
    assert done.returncode == 0, done.stdout + done.stderr

"""docs/openapi.json as TypeScript has it: types are made of it, and what is written with them compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.description import FILE

PROJECT = Path(__file__).parent / "typescript"
# What no network changes: the lock is not of the package, or a package is not the one that was locked.
OWN_FAULTS = ("EUSAGE", "EINTEGRITY", "EJSONPARSE")

pytestmark = pytest.mark.node


def npm(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["npm", *words], cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its packages, and the types made of the description."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not found: install Node.js 18 or later")
    project = tmp_path_factory.mktemp("typescript") / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(FILE, project)
    installed = npm(project, "ci", "--no-audit", "--no-fund")
    if installed.returncode != 0:
        assert not any(fault in installed.stderr for fault in OWN_FAULTS), installed.stderr
        pytest.skip(f"npm ci could not install the packages: {installed.stderr.strip()[-500:]}")
    generated = npm(project, "run", "generate")
    assert generated.returncode == 0, generated.stderr
    return project


def test_calls_compile(project):
    checked = npm(project, "run", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_is_wrong_does_not(project):
    calls = (project / "calls.ts").read_text(encoding="utf-8")
    allowed, expected = re.subn(r"^ *// @ts-expect-error.*$", "//", calls, flags=re.MULTILINE)
    assert expected >= 8
    (project / "calls.ts").write_text(allowed, encoding="utf-8")
    checked = npm(project, "run", "check")
    (project / "calls.ts").write_text(calls, encoding="utf-8")
    assert len(re.findall(r"error TS\d+", checked.stdout)) == expected, checked.stdout

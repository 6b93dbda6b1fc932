"""`make` installs with uv, which gets pip's settings, and with pip if uv fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import ROOT
from tools.environment import settings_of_pip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as `make` does."""
    command = [sys.executable, str(ROOT / "tools" / "environment.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def script(folder: Path, text: str) -> str:
    """Write a program in place of uv, and return its path."""
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_uv_gets_the_settings_of_pip_with_variables_before_files() -> None:
    lines = [
        ":env:.find-links='/wheels /others'",
        "global.index-url='https://one.example/simple'",
        "global.extra-index-url='https://two.example/simple https://three.example/simple'",
        "install.index-url='https://four.example/simple'",
        "global.find-links='/older'",
        "global.no-color='true'",
    ]
    assert settings_of_pip(lines) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://four.example/simple",
        "UV_INDEX": "https://two.example/simple https://three.example/simple",
        "UV_FIND_LINKS": "/wheels,/others",
    }


def test_uv_installs_into_the_environment_of_this_python(tmp_path: Path) -> None:
    ended = run("install", script(tmp_path, 'echo "$UV_INDEX_STRATEGY" "$@"'), "--quiet", "-e", ".")
    assert ended.returncode == 0
    expected = f"pip install --refresh-package softkv-core --python {sys.executable} --quiet -e ."
    assert ended.stdout == f"unsafe-best-match {expected}\n"


@pytest.mark.parametrize("text", ["exit 3", None])
def test_pip_installs_if_uv_fails_or_is_missing(tmp_path: Path, text: str | None) -> None:
    uv = script(tmp_path, text) if text else str(tmp_path / "missing")
    ended = run("install", uv, "--help")
    assert ended.returncode == 0
    assert "pip install [options]" in ended.stdout
    assert ended.stderr.startswith("uv failed with exit code 3, so pip" if text else "uv cannot be run ([Errno 2]")


def test_a_failure_of_both_ends_with_that_of_pip(tmp_path: Path) -> None:
    ended = run("install", script(tmp_path, "exit 3"), "--unknown-option")
    assert ended.returncode == 2
    assert "no such option: --unknown-option" in ended.stderr


def test_venv_makes_an_environment_if_uv_fails(tmp_path: Path) -> None:
    assert run("create", script(tmp_path, "exit 3"), str(tmp_path / "made")).returncode == 0
    assert (tmp_path / "made" / "bin" / "pip").exists()

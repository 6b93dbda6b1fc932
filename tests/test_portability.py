"""softkv without the modules and names that only POSIX has, and writes that work in another way there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from softkv_attention.lookup.memory.blocks import machine_memory
from softkv_service.storage.directory import Ballast
from tools import ROOT

SOURCES = ("attention", "service", "clients", "extensions", "workshop")


def test_the_packages_start_without_modules_of_posix() -> None:
    command = [sys.executable, "-m", "tools.portability"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stderr
    *packages, answer = finished.stdout.splitlines()
    assert answer == "a"
    for line, modules in zip(packages, (100, 150, 25), strict=True):
        assert int(line.split()[1]) > modules, line


def test_no_pattern_has_a_possessive_group() -> None:
    """Python before 3.11.5 matches a possessive or atomic group wrongly if what is in it backtracks (gh-106052)."""
    sources = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py") if ".venv" not in str(path)]
    assert len(sources) > 500
    characters, group = re.compile(r"\[(?:\\.|[^\]\\])*\]"), re.compile(r"\)(?:[*+?]|\{[\d,]+\})\+|\(\?>")
    patterns = [(path.name, line) for path in sources for line in path.read_text().splitlines() if "re.compile" in line]
    assert [(name, line) for name, line in patterns if group.search(characters.sub("x", line))] == []
    assert group.search(characters.sub("x", r're.compile("(?:[(]b*)*+c")'))


def test_the_reserved_disk_space_is_real_without_fallocate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    ballast = Ballast(tmp_path / "ballast", (1 << 21) + 7)
    ballast.reserve()
    status = (tmp_path / "ballast").stat()
    assert status.st_size == (1 << 21) + 7
    assert status.st_blocks * 512 >= status.st_size
    ballast.release()
    assert not ballast.reserved


def test_the_memory_of_a_machine_that_does_not_tell_is_unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 << 28 < machine_memory() < 1 << 50
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert machine_memory() == sys.maxsize

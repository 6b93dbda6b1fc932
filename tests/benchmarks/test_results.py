"""Figures are kept beside commit and machine, the newest of each; made-up ones of benchmarks that measure nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.__main__ import NAMES
from benchmarks.results import Figures, commit, keep, machine

ROOT = Path(__file__).parents[2]
HEAD = "# Figures\n\nWhat stands here stays.\n"
ONE = Figures("lookup", "2 cores of One", "abc", "\n| rows | ms |  \n|---|---|\n| 7 | 1.5 |\n\n")
NAMES_HERE = ["questions", "lookup", "page"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text(HEAD, encoding="utf-8")
    return path


def test_a_record_is_written_below_its_benchmark(file):
    keep(file, ONE, NAMES_HERE)
    assert file.read_text(encoding="utf-8") == HEAD + (
        "\n## lookup\n\n### 2 cores of One, commit abc\n\n```text\n| rows | ms |\n|---|---|\n| 7 | 1.5 |\n```\n"
    )


def test_a_machine_has_its_latest_figures_beside_other_machines(file):
    other = replace(ONE, machine="2 cores of One, AMX", printed="other")
    for figures in (ONE, other, replace(ONE, commit="def", printed="new")):
        keep(file, figures, NAMES_HERE)
    text = file.read_text(encoding="utf-8")
    assert text.count("## lookup\n") == 1
    assert "abc\n\n```text\nother" in text
    assert "def\n\n```text\nnew" in text
    assert "1.5" not in text
    keep(file, replace(ONE, commit="def", printed="new"), NAMES_HERE)
    assert file.read_text(encoding="utf-8") == text


def test_a_commit_with_changes_is_marked(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    assert commit(tmp_path) == "unknown"
    git("init")
    (tmp_path / "benchmarks").mkdir()
    written, code = tmp_path / "benchmarks" / "RESULTS.md", tmp_path / "code.py"
    for file in (written, code):
        file.write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    clean = commit(tmp_path)
    assert len(clean) == 10
    written.write_text("2")
    assert commit(tmp_path) == clean
    code.write_text("2")
    assert commit(tmp_path) == f"{clean} with changes"


def test_only_successful_runs_are_recorded(tmp_path):
    """The real command, in a repository whose benchmarks are made up."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("__init__.py", "__main__.py", "results.py"):
        shutil.copy(ROOT / "benchmarks" / name, folder)
    (folder / "RESULTS.md").write_text(HEAD, encoding="utf-8")
    (folder / "lookup.py").write_text("print('3.5 frames — a second')")
    (folder / "upload.py").write_text("print('half'); raise SystemExit(1)")
    run = [sys.executable, "-m", "benchmarks"]
    plain = subprocess.run([*run, "lookup"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert plain.stdout == "3.5 frames — a second\n"
    assert (folder / "RESULTS.md").read_text(encoding="utf-8") == HEAD
    recording = subprocess.run(
        [*run, "--record", "upload", "lookup"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (recording.returncode, recording.stdout) == (1, "half\n3.5 frames — a second\n")
    assert recording.stderr == "failed: upload\n"
    text = (folder / "RESULTS.md").read_text(encoding="utf-8")
    assert f"## lookup\n\n### {machine()}, commit unknown\n\n```text\n3.5 frames — a second\n```\n" in text
    assert "half" not in text


def test_the_file_of_this_repository_has_a_place_for_every_benchmark(tmp_path):
    copy = tmp_path / "RESULTS.md"
    shutil.copy(results.RESULTS, copy)
    lines = copy.read_text(encoding="utf-8").splitlines()
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == list(NAMES)
    for name in NAMES:
        keep(copy, replace(ONE, name=name), list(NAMES))
        keep(copy, replace(ONE, name=name), list(NAMES))
    assert copy.read_text(encoding="utf-8").count(str(ONE)) == len(NAMES)

"""The landing and the workflow run the same tiers, and each mark has one; `make run` installs what serves."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from shutil import which

import pytest
import yaml

from tools.lowest import lowest

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
PYTEST_SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LANDING = re.findall(r"^\.ci/tier (\d+) ([\w-]+)", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)


def commands(venv: Path, *targets: str) -> str:
    """Return what make would run with an empty environment."""
    make = ["make", "--dry-run", "UV=", *targets, f"VENV={venv}", f"DIST={venv}/dist", "PYTHON=python3"]
    return subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_workflow_runs_the_same_tiers_as_a_landing():
    checks = yaml.safe_load((WORKFLOWS / "checks.yml").read_text())["jobs"]["tier"]
    assert sorted(checks["strategy"]["matrix"]["tier"]) == sorted(target for _, target in LANDING)
    assert checks["steps"][-1]["run"] == "make ${{ matrix.tier }} PYTHON=python${{ matrix.python }}"
    nightly = yaml.safe_load((WORKFLOWS / "nightly.yml").read_text())
    assert nightly["jobs"]["nightly"]["steps"][-1]["run"] == "make test-nightly PYTHON=python3.11 --keep-going"


def test_every_mark_has_a_tier():
    marks = {line.partition(":")[0] for line in PYTEST_SETTINGS["markers"]}
    named = re.findall(r"^(?:SHARED|ALONE|NIGHTLY|LANDING) := (.*)$", MAKEFILE, re.MULTILINE)
    assert {mark for line in named for mark in line.split(" or ")} == marks


def test_make_run_installs_torch_only_for_the_lab(tmp_path):
    plain, lab = commands(tmp_path, "run"), commands(tmp_path, "run", "LAB=1")
    assert "-e attention" in plain
    assert "[lab]" not in plain
    assert lab.index("-e attention") < lab.index("-e '.[lab]'") < lab.index("softkv serve")
    (tmp_path / "bin").mkdir()
    for name in ("bin/pip", ".installed", ".serves", ".lab"):  # an environment with torch, to which nothing is added
        (tmp_path / name).touch()
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "softkv_model_minilm-1.0.0-py3-none-any.whl").touch()
    for stamp in (".serves", ".lab"):
        (tmp_path / stamp).touch()
    assert "constraints.txt" not in commands(tmp_path, "run")
    assert "constraints.txt" not in commands(tmp_path, "run", "LAB=1")


@pytest.mark.parametrize(("target", "size"), [("run", "about 0.3 GB"), ("install", "2.5 GB for tests")])
def test_a_first_installation_says_its_size_and_duration_and_names_each_package(tmp_path, target, size):
    run = commands(tmp_path, target)
    announced, installed = run.index(f"installing {size} into "), run.index("-m pip install --progress-bar off")
    assert announced < installed
    assert "With uv on the path (pip install uv) it takes half the time" in run
    by_uv = commands(tmp_path, target, "UV=uv")
    assert "in one to five minutes" in by_uv
    assert "With uv" not in by_uv
    (tmp_path / ".installed").touch()
    assert "-m pip install --quiet" in commands(tmp_path, "install")  # of a later change


def test_make_takes_a_python_that_was_compiled_with_optimisation(tmp_path):
    for program in ("sh", "which"):
        (tmp_path / program).symlink_to(which(program) or "")

    def shown() -> str:
        path = {"PATH": str(tmp_path)}
        command = [which("make") or "make", "--silent", "--eval", "shown:; $(info $(PYTHON))", "shown"]
        return subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, check=True).stdout.strip()

    def install(name: str, script: str) -> str:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
        return str(tmp_path / name)

    unoptimised = install("python3.13", "case $2 in *sysconfig*) exit 1;; esac")
    assert shown() == unoptimised
    assert shown() != install("python3.12", "exit 1")  # as pyenv's of a version that is not installed
    assert shown() == unoptimised
    assert install("python3.11", "exit 0") == shown()
    assert install("python3.14", "exit 0") != shown()  # gensim has no wheel for it
    for older in ("python3.11", "python3.12", "python3.13"):
        (tmp_path / older).unlink()
    assert shown() == str(tmp_path / "python3.14")


@pytest.mark.parametrize(
    ("script", "usable"),
    [
        ("echo 'uv 0.9.7 (0adb44480 2025-10-30)'", True),
        ("echo 'uv 0.4.30'", True),
        ("echo 'uv 0.4.29'", False),
        ("echo 'uv 0.10.0'", True),
        ("echo 'another program 0.9.7'", False),
        ("exit 1", False),
    ],
)
def test_make_takes_a_uv_on_the_path_that_is_new_enough(tmp_path, script, usable):
    (tmp_path / "uv").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "uv").chmod(0o755)
    path = {"PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]])}
    show = ["make", "--silent", "--eval", "shown:; $(info $(UV))", "shown"]
    for named, expected in ((), str(tmp_path / "uv") if usable else ""), (["UV="], ""), (["UV=mine"], "mine"):
        shown = subprocess.run([*show, *named], cwd=ROOT, env=path, capture_output=True, text=True, check=True).stdout
        assert shown.strip() == expected


def test_the_lowest_versions_are_those_that_the_distributions_allow():
    assert (ROOT / "constraints-lowest.txt").read_text() == lowest(), "python -m tools.lowest"


@pytest.mark.parametrize(
    ("minutes", "target", "code", "message"),
    [
        ("1", "quick", 0, "make quick took 0.0 minutes of processor time, of 1"),
        ("0.0001", "busy", 0, "That is over its budget in .ci/run."),
        ("1", "failing", 2, "make failing failed. Failed tests run once more"),
        ("1", "unreliable", 0, "make unreliable failed. Failed tests run once more"),
    ],
)
def test_a_tier_fails_if_make_does_and_reports_processor_time(tmp_path, minutes, target, code, message):
    commands = {"quick": "@true", "busy": "@python3 -c 'sum(range(10**7))'", "failing": "@false"}
    commands["unreliable"] = '@[ "$(RERUN)" = --last-failed ]'
    rules = [f"{name}:\n\t{command}\n" for name, command in commands.items()]
    (tmp_path / "Makefile").write_text("".join(rules))
    tier = [ROOT / ".ci" / "tier", minutes, target]
    done = subprocess.run(tier, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stdout

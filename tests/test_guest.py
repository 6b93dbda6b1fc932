"""softkv as a guest in other projects: the names that it takes, and the ones that it leaves to a project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import ROOT, Page

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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with packages and a module of its own, of the names that a checkout of softkv has as folders."""
    for name in NAMES:
        file = tmp_path / (f"{name}.py" if name == "attention" else f"{name}/__init__.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"OWNER = 'the project: {name}'\n", encoding="utf-8")
    return tmp_path


def expected(example: str) -> list[str]:
    """Return the lines that an example says it prints."""
    return [line.removeprefix("# ") for line in example.splitlines() if line.startswith("# ")]


@pytest.mark.parametrize("example", EXAMPLES, ids=["client", "library"])
def test_an_example_of_the_readme_runs_beside_a_project_s_own_packages(project: Path, example: str) -> None:
    own = "".join(f"import {name}\nassert {name}.OWNER == 'the project: {name}'\n" for name in NAMES)
    (project / "main.py").write_text(f"{own}{example}{own}", encoding="utf-8")
    done = subprocess.run([sys.executable, "main.py"], cwd=project, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == expected(example), done.stderr


def test_the_examples_of_the_readme_run_in_a_test_of_a_project(project: Path) -> None:
    body = "".join(f"    {line}\n" for example in EXAMPLES for line in example.splitlines())
    own = "".join(f"    import {name}\n    assert {name}.OWNER == 'the project: {name}'\n" for name in NAMES)
    (project / "tests" / "test_softkv.py").write_text(f"def test_it():\n{own}{body}{own}", encoding="utf-8")
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert [line for line in expected("\n".join(EXAMPLES)) if line not in done.stdout] == []


def test_the_commands_run_beside_a_project_s_own_packages(project: Path) -> None:
    command = [sys.executable, "-m", "softkv", "doctor", "--json", "--data-dir", str(project / "data")]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)

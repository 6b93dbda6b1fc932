"""The packages in clients/ for frameworks: what they import, and their wheels beside each framework."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.container.locks import plain
from tests.examples import ROOT
from tests.test_wheels import ASK, Bare, dist, plain_environment

__all__ = ["dist"]

# The distribution of each folder, and a program that imports its packages beside the framework.
PARTNERS = {
    "langchain": (
        "langchain-softkv",
        "import langchain_core\nfrom langchain_softkv import SoftkvRetriever, SoftkvVectorStore",
    ),
    "langgraph": (
        "langgraph-store-softkv",
        "import langgraph.checkpoint.memory\nfrom langgraph_store_softkv import SoftkvStore",
    ),
    "llamaindex": (
        "llama-index-vector-stores-softkv",
        "import llama_index.core\nfrom llama_index.vector_stores.softkv import SoftkvRetriever, SoftkvVectorStore",
    ),
    "haystack": (
        "softkv-haystack",
        "import haystack\n"
        "from haystack_integrations.components.retrievers.softkv import SoftkvRetriever\n"
        "from haystack_integrations.document_stores.softkv import SoftkvDocumentStore",
    ),
    "mem0": ("softkv-mem0", "import mem0\nfrom softkv_mem0 import SoftkvMemoryStore"),
    "widget": ("softkv-widget", "import anywidget\nfrom softkv.widget import Heads, Lookup"),
}
# Libraries beside which a program may have softkv.
NEIGHBOURS = (
    *("chromadb", "gradio", "haystack-ai", "langchain", "llama-index", "mem0ai"),
    *("sentence-transformers", "streamlit", "transformers"),
)
# Folders that other distributions share: a file in them would hide, or overwrite, those of others.
SHARED = (
    *("haystack_integrations", "haystack_integrations/components", "haystack_integrations/components/retrievers"),
    *("haystack_integrations/document_stores", "llama_index", "llama_index/vector_stores"),
)


def modules(name: str) -> list[Path]:
    """Return the modules of a package for a framework."""
    folder = ROOT / "clients" / name
    return [
        path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] not in ("tests", "examples", "build")
    ]


def imported(path: Path) -> set[str]:
    """Return the names of the modules that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("name", PARTNERS)
def test_a_package_knows_the_client_and_nothing_else_of_softkv(name: str) -> None:
    names = {module for path in modules(name) for module in imported(path)}
    assert "softkv.integrations" in names or name in ("mem0", "widget")
    known = {module.partition(".")[0] for module in names} & {"softkv_attention", "softkv_service", "tests", "tools"}
    assert known == ({"softkv_attention"} if name == "widget" else set())  # a widget of arrays computes with the core
    assert [module for module in names if module.startswith("softkv.integrations.")] == []


@pytest.mark.parametrize("name", PARTNERS)
def test_a_package_names_its_distribution_and_requires_the_client(name: str) -> None:
    project = tomllib.loads((ROOT / "clients" / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == PARTNERS[name][0]
    assert f"softkv-client=={project['version']}" in project["dependencies"]


@pytest.fixture(scope="module")
def wheels(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the output of `make partners` and `make wheels`."""
    checkout = tmp_path_factory.mktemp("partners")
    shutil.copy(ROOT / "Makefile", checkout)
    for name in PARTNERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
        shutil.copytree(ROOT / "clients" / name, checkout / "clients" / name, ignore=ignored)
    settings = [f"VENV={sys.prefix}", f"DIST={dist}", "WHEEL_FLAGS=--no-build-isolation --no-index"]
    subprocess.run(["make", "-s", "partners", *settings], cwd=checkout, check=True, env=plain_environment())
    return dist


@pytest.mark.thorough
@pytest.mark.parametrize("name", PARTNERS)
def test_a_wheel_has_its_modules_and_no_file_in_a_shared_folder(wheels: Path, name: str) -> None:
    [path] = wheels.glob(f"{PARTNERS[name][0].replace('-', '_')}-*.whl")
    files = [file for file in ZipFile(path).namelist() if ".dist-info/" not in file]
    folder = ROOT / "clients" / name
    assert {file for file in files if file.endswith(".py")} == {str(path.relative_to(folder)) for path in modules(name)}
    assert [file for file in files if str(Path(file).parent) in (*SHARED, ".")] == []
    packages = {str(Path(file).parent) for file in files if file.endswith("__init__.py")}
    assert packages == {str(Path(file).parent) for file in files if file.endswith("py.typed")}


@pytest.mark.install
@pytest.mark.thorough
@pytest.mark.parametrize("name", PARTNERS)
def test_a_wheel_works_beside_its_framework_in_a_bare_environment(wheels: Path, tmp_path: Path, name: str) -> None:
    distribution, program = PARTNERS[name]
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    pins = ["-c", str(ROOT / "clients" / name / "constraints.txt"), "--find-links", str(wheels)]
    for command in ([*pip, *pins, distribution], [str(python), "-c", program]):
        done = subprocess.run(
            command, cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.install
@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_no_requirement_takes_a_newest_version_from_a_program(wheels: Path, tmp_path: Path) -> None:
    """torch has the tested version: of an open range, pip may take a build of gigabytes."""
    bare = Bare(tmp_path / "bare", wheels)
    [torch] = re.findall(r"^torch==.*", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    bare.install_any(torch, *NEIGHBOURS)
    before = bare.distributions()
    assert set(map(plain, NEIGHBOURS)) < before.keys()
    bare.install_any("softkv[mcp,models,otel,tables]", *(distribution for distribution, _ in PARTNERS.values()))
    after = bare.distributions()
    assert {name: version for name, version in before.items() if after[name] != version} == {}
    assert [line for line in bare.conflicts() if "softkv" in line] == []
    assert json.loads(bare.run("python", "-c", ASK)) == "found"

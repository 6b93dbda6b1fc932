"""`make wheels`: a bare environment takes both distributions from there, and asks a question."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.container.locks import entries, plain
from tests.examples import ROOT

# The files that go into the build, and no other files of a checkout.
BUILT_OF = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "attention",
    "service",
    "clients/python/pyproject.toml",
    "clients/python/README.md",
    "clients/python/softkv",
)
# NumPy answers: machine code is kept by the place of its source, and would be made anew for this one.
ASK = """
import sys
sys.modules["numba"] = None
import json, attention, service, softkv
from importlib.metadata import requires, version
with softkv.Client.local(encoder=None) as client:
    notes = client.collection("notes")
    notes.create(similarity="dot", temperature=0.5)
    notes.put("a", key_vector=[1, 0], value="found")
    notes.put("b", key_vector=[0, 1])
    best = notes.attend([1.0, 0.0])[0].value
places = [module.__file__ for module in (attention, service, softkv)]
print(json.dumps([best, places, version("softkv"), version("softkv-client"), requires("softkv")]))
"""

# Every module, but those that ask for a framework or a program of others.
IMPORT_ALL = """
import importlib, json, pkgutil, attention, service, softkv
extras = ("softkv.langchain", "softkv.llamaindex", "softkv.haystack", "service.storage.postgres",
          "service.cluster.ray_cluster", "service.mcp", "softkv.mcp")
names = [each.name for package in (attention, service, softkv)
         for each in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=lambda name: None)]
names = [name for name in names if not name.startswith(extras)]
for name in names:
    if name.rpartition(".")[2] != "__main__":
        importlib.import_module(name)
print(json.dumps({"modules": len(names)}))
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of `make wheels` in a copy of the checkout, with the setuptools that is installed here."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in BUILT_OF:
        source, target = ROOT / name, checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, target)
    (checkout / "build" / "lib" / "service").mkdir(parents=True)
    (checkout / "build" / "lib" / "service" / "left_over.py").touch()
    command = ["make", "-s", "wheels", f"VENV={sys.prefix}", "WHEEL_FLAGS=--no-build-isolation --no-index"]
    subprocess.run(command, cwd=checkout, check=True, env=plain_environment())
    return checkout / "dist"


def plain_environment() -> dict[str, str]:
    """Return this environment without variables that lead Python or make back to the checkout."""
    hidden = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "WHEEL_FLAGS", "DIST")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def test_both_are_built_of_what_is_there_now(dist: Path) -> None:
    contents = {re.split(r"-\d", path.name)[0]: ZipFile(path).namelist() for path in dist.iterdir()}
    assert contents.keys() == {"softkv", "softkv_client"}
    assert {name.split("/")[0] for name in contents["softkv"] if ".dist-info" not in name} == {"attention", "service"}
    assert {name.split("/")[0] for name in contents["softkv_client"] if ".dist-info" not in name} == {"softkv"}
    assert "service/left_over.py" not in contents["softkv"]
    assert "service/web/index.html" in contents["softkv"]
    assert "softkv/py.typed" in contents["softkv_client"]


@pytest.mark.thorough
@pytest.mark.timeout(500)
def test_pip_installs_it_into_a_bare_environment_and_nothing_for_tests(dist: Path, tmp_path: Path) -> None:
    """pip uses the packages on this machine at the tested versions; this takes minutes, most of them torch's."""
    venv.create(tmp_path / "bare", with_pip=False)
    bare = tmp_path / "bare" / "bin"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(bare / "python")]
    wheels = [str(path) for path in dist.iterdir()]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", "-c", str(ROOT / "constraints.txt"), *wheels],
        check=True, env=plain_environment(), cwd=tmp_path,
    )  # fmt: skip
    listed = subprocess.check_output([*pip, "list", "--format", "json"], env=plain_environment(), text=True)
    distributions = {plain(load["name"]) for load in json.loads(listed)}
    assert distributions == {*entries("requirements.lock"), "torch", "softkv", "softkv-client"}
    assert not distributions & {
        "pytest",
        "hypothesis",
        "mypy",
        "ruff",
        "pandas",
        "matplotlib",
        "playwright",
        "schemathesis",
    }
    subprocess.run([*pip, "check"], check=True, env=plain_environment())
    ran = subprocess.run(
        [bare / "python", "-c", IMPORT_ALL],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout)["modules"] > 200
    report = subprocess.check_output([bare / "python", "-c", ASK], cwd=tmp_path, env=plain_environment(), text=True)
    assert json.loads(report)[0] == "found"


def test_a_bare_environment_takes_both_and_asks(dist: Path, tmp_path: Path) -> None:
    """Other requirements come from the environment of these tests; whether pip would find them is not tested here."""
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python), "install"]
    take = [*pip, "--no-index", "--no-deps", "--find-links", str(dist), "softkv", "softkv-client"]
    subprocess.run(take, check=True, env=plain_environment(), cwd=tmp_path)
    python_folder = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = tmp_path / "bare" / "lib" / python_folder / "site-packages"
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    ran = subprocess.run(
        [python, "-c", ASK], cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, check=True
    )
    best, paths, service, client, required = json.loads(ran.stdout)
    assert best == "found"
    assert [Path(path).is_relative_to(site) for path in paths] == [True] * 3
    assert f"softkv-client=={client}" in required
    assert service == client
    output = subprocess.run(
        [tmp_path / "bare" / "bin" / "softkv", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert output.stdout == f"softkv {service}\n"

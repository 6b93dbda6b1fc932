"""`make wheels`: bare environments install the distributions from there, and each does its main job."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from service.encoding.registry import SHA256
from tests.container.locks import entries, plain
from tests.examples import ROOT, Page
from tests.running import RunningService

# The files that go into the build, and no other files of a checkout.
BUILT_OF = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "docker/model.lock",
    "tests/model_wheel.py",
    "attention",
    "service",
    "clients/python/pyproject.toml",
    "clients/python/README.md",
    "clients/python/softkv",
)
LEFT_OVERS = ("build/lib/service", "attention/build/lib/attention", "clients/python/build/lib/softkv")
DISTRIBUTIONS = {"softkv", "softkv_core", "softkv_client", "softkv_model_minilm"}
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

ASK_BY_TEXT = """
import json, sys, softkv
assert not {"torch", "sentence_transformers"} & set(sys.modules)
with softkv.Client.local() as client:
    notes = client.collection("notes")
    notes.create()
    notes.put("dal", key="red lentils with cumin", value="Masoor dal")
    notes.put("soup", key="chicken broth with noodles", value="Chicken soup")
    print(json.dumps(notes.attend("pulses and spices")[0].value))
"""
ASK_SERVICE = """
import json, sys, softkv
with softkv.Client(sys.argv[1]) as client:
    notes = client.collection("notes")
    notes.create(similarity="dot", temperature=0.5)
    notes.put("a", key_vector=[1, 0], value="found")
    notes.put("b", key_vector=[0, 1])
    print(json.dumps(notes.attend([1.0, 0.0])[0].value))
"""

# Every module, but those that ask for a program of others.
IMPORT_ALL = """
import importlib, json, pkgutil, attention, service, softkv
extras = ("service.storage.postgres", "service.cluster.ray_cluster", "service.mcp", "softkv.mcp",
          "service.lab.training", "attention.transformer.packed")
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
    for left_over in LEFT_OVERS:
        (checkout / left_over).mkdir(parents=True)
        (checkout / left_over / "left_over.py").touch()
    # A test of tests/documentation builds the real site, in an environment of its own.
    shutil.rmtree(checkout / "service" / "site", ignore_errors=True)
    (checkout / "service" / "site" / "guide").mkdir(parents=True)
    (checkout / "service" / "site" / "guide" / "asking.html").touch()
    # The model's wheel needs a download, so it is the one with which this checkout was installed.
    [model] = (ROOT / "dist").glob("softkv_model_minilm-*.whl")
    (checkout / "dist").mkdir()
    shutil.copy(model, checkout / "dist")  # newer than what it is made of
    settings = [f"VENV={sys.prefix}", "WHEEL_FLAGS=--no-build-isolation --no-index"]
    command = ["make", "-s", "--assume-old=docs", "wheels", *settings]
    subprocess.run(command, cwd=checkout, check=True, env=plain_environment())
    return checkout / "dist"


def plain_environment() -> dict[str, str]:
    """Return this environment without variables that lead Python or make back to the checkout."""
    hidden = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "WHEEL_FLAGS", "DIST")
    return {name: value for name, value in os.environ.items() if name not in hidden}


@pytest.mark.end_to_end
@pytest.mark.install
def test_each_has_its_folder_as_it_is_now(dist: Path) -> None:
    contents = {re.split(r"-\d", path.name)[0]: ZipFile(path).namelist() for path in dist.iterdir()}
    assert contents.keys() == DISTRIBUTIONS
    folders = {
        name: {file.split("/")[0] for file in files if ".dist-info" not in file} for name, files in contents.items()
    }
    package = {"softkv": "service", "softkv_core": "attention", "softkv_client": "softkv"}
    assert folders == {name: {package.get(name, name)} for name in DISTRIBUTIONS}
    assert not [file for files in contents.values() for file in files if file.endswith("left_over.py")]
    assert {"service/web/story.html", "service/web/built/story.js", "service/site/guide/asking.html"} <= set(
        contents["softkv"]
    )
    assert "softkv/py.typed" in contents["softkv_client"]
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "attention").rglob("*.py")}
    assert modules <= set(contents["softkv_core"])


@pytest.mark.end_to_end
@pytest.mark.install
def test_the_models_wheel_has_the_published_weights_and_no_requirements(dist: Path) -> None:
    [path] = dist.glob("softkv_model_minilm-*")
    with ZipFile(path) as wheel:
        weights = wheel.read("softkv_model_minilm/model/model.safetensors")
        [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        headers = Parser().parsestr(wheel.read(metadata).decode())
    assert hashlib.sha256(weights).hexdigest() == SHA256
    assert headers.get_all("Requires-Dist") is None
    assert headers["License-Expression"] == "Apache-2.0"


class Bare:
    """An environment without packages, into which pip installs from the wheels.

    Args:
        folder: where it is made.
        dist: the directory of the wheels.
    """

    def __init__(self, folder: Path, dist: Path) -> None:
        venv.create(folder, with_pip=False)
        self.python, self._dist = folder / "bin" / "python", dist
        self._pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python)]

    def install(self, *requirements: str) -> None:
        """Install requirements at the tested versions, softkv's own from the wheels."""
        pins = ["-c", str(ROOT / "constraints.txt"), "--find-links", str(self._dist)]
        self._run([*self._pip, "install", "--quiet", "--no-compile", *pins, *requirements])
        self._run([*self._pip, "check"])

    def distributions(self) -> set[str]:
        """Return the names of all installed distributions."""
        listed = self._run([*self._pip, "list", "--format", "json"])
        return {plain(distribution["name"]) for distribution in json.loads(listed)}

    def megabytes(self) -> float:
        """Return the size of site-packages in millions of bytes."""
        [site] = self.python.parents[1].glob("lib/python*/site-packages")
        return sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6

    def run(self, *arguments: str) -> str:
        """Run a program of the environment; return its output."""
        return self._run([str(self.python.parent / arguments[0]), *arguments[1:]])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.python.parents[1], env=plain_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.end_to_end
@pytest.mark.install
def test_the_service_is_small_and_answers_a_text(dist: Path, tmp_path: Path) -> None:
    bare = Bare(tmp_path / "bare", dist)
    bare.install("softkv")
    wheels = {plain(name) for name in DISTRIBUTIONS}
    assert bare.distributions() == {*entries("requirements.lock"), *wheels}
    assert bare.megabytes() < 550
    assert json.loads(bare.run("python", "-c", IMPORT_ALL))["modules"] > 200
    assert json.loads(bare.run("python", "-c", ASK))[0] == "found"
    assert json.loads(bare.run("python", "-c", ASK_BY_TEXT)) == "Masoor dal"


@pytest.mark.install
def test_the_core_alone_looks_up(dist: Path, tmp_path: Path) -> None:
    bare = Bare(tmp_path / "bare", dist)
    bare.install("softkv-core")
    assert bare.megabytes() < 310
    blocks = dict(Page("attention/README.md").blocks)
    assert bare.run("python", "-c", blocks["python"]) == "7\n[   7    8 1574]\n"


@pytest.mark.install
def test_the_client_alone_asks_a_service(dist: Path, tmp_path: Path, service_url: str) -> None:
    bare = Bare(tmp_path / "bare", dist)
    bare.install("softkv-client")
    assert bare.megabytes() < 95
    assert json.loads(bare.run("python", "-c", ASK_SERVICE, service_url)) == "found"


@pytest.fixture
def service_url(tmp_path: Path) -> Iterator[str]:
    """Run a service without an encoder; return its URL."""
    with RunningService(data_dir=tmp_path / "data", encoder="none") as running:
        yield running.url


@pytest.mark.end_to_end
@pytest.mark.install
def test_a_bare_environment_takes_all_and_asks(dist: Path, tmp_path: Path) -> None:
    """Other requirements come from the environment of these tests; whether pip would find them is not tested here."""
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python), "install"]
    take = [*pip, "--no-index", "--no-deps", "--find-links", str(dist), *DISTRIBUTIONS]
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
    assert {f"softkv-client=={client}", f"softkv-core=={client}"} <= set(required)
    assert service == client
    output = subprocess.run(
        [tmp_path / "bare" / "bin" / "softkv", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert output.stdout == f"softkv {service}\n"

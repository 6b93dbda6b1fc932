"""`make wheels`: bare environments install the distributions from there, and each does its main job."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from softkv_attention.kernels.native.build import PLATFORMS
from softkv_attention.kernels.native.kinds import this_platform
from softkv_service.encoding.registry import DEFAULT_MODEL, PACKAGED
from tests.container.locks import entries, plain
from tests.examples import ROOT, Page
from tests.type_checking import check_typed, check_typed_by_pyright
from tools.walls import WALLS

# The files that go into the build, and no other files of a checkout.
BUILT_OF = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "docker/model.lock",
    "tools/model_wheel.py",
    "attention",
    "service",
    "clients/python/pyproject.toml",
    "clients/python/README.md",
    "clients/python/softkv",
    *(wall.folder for wall in WALLS.values()),
)
LEFT_OVERS = (
    *(f"{wall.folder}/build/lib/{wall.package}" for wall in WALLS.values()),
    *("build/lib/softkv_service", "attention/build/lib/softkv_attention", "clients/python/build/lib/softkv"),
)
NATIVE = "softkv_attention/kernels/native"
SERVICE = {"softkv", "softkv_core", "softkv_client", "softkv_model_minilm", "softkv_workshop"}
"""The distributions that `softkv` requires."""
DISTRIBUTIONS = SERVICE | {wall.package for wall in WALLS.values()}
ASK = """
import json, softkv
with softkv.Client.local(encoder=None) as client:
    notes = client.collection("notes")
    notes.create(similarity="dot", temperature=0.5)
    notes.put("a", key_vector=[1, 0], value="found")
    notes.put("b", key_vector=[0, 1])
    print(json.dumps(notes.attend([1.0, 0.0])[0].value))
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

# The library of kernels that an installed core has, the tags of its wheel, and a look-up.
LOADED = """
import importlib.metadata, json, re
import numpy as np
from softkv_attention.kernels import kernels_in_c
from softkv_attention.lookup import Memory, attend
wheel = importlib.metadata.distribution("softkv-core").read_text("WHEEL")
best = attend(np.eye(3)[1], Memory.of(np.eye(3)), temperature=0.5, top_k=1).numbers
print(json.dumps([kernels_in_c() is not None, re.findall("Tag: (.*)", wheel), best.tolist()]))
"""
# How the library of each platform begins: its format, and where a number names the processor.
FORMATS = {
    "linux-x86_64": (b"\x7fELF", 18, b"\x3e\x00"),
    "linux-aarch64": (b"\x7fELF", 18, b"\xb7\x00"),
    "macos-arm64": (b"\xcf\xfa\xed\xfe", 4, b"\x0c\x00\x00\x01"),
    "windows-amd64": (b"MZ", None, b"\x64\x86"),
}

# Every module, but those that ask for a program of others.
IMPORT_ALL = """
import importlib, json, pkgutil, softkv_attention, softkv_service, softkv, softkv_workshop
extras = ("softkv_workshop.lab.training", "softkv.widget", "softkv.mcp.", "softkv_attention.estimators",
          "softkv_attention.torch", "softkv.attention.estimators", "softkv.attention.torch",
          "softkv_service.api.mcp.endpoint", "softkv_service.commands.fitting")
names = [each.name for package in (softkv_attention, softkv_service, softkv, softkv_workshop)
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
    shutil.rmtree(checkout / "service" / "softkv_service" / "site", ignore_errors=True)
    (checkout / "service" / "softkv_service" / "site" / "guide").mkdir(parents=True)
    (checkout / "service" / "softkv_service" / "site" / "guide" / "asking.html").touch()
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
    hidden = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "WHEEL_FLAGS", "DIST", "PLATFORMS")
    return {name: value for name, value in os.environ.items() if name not in hidden}


@pytest.mark.end_to_end
@pytest.mark.install
def test_each_has_its_folder_as_it_is_now(dist: Path) -> None:
    contents = {re.split(r"-\d", path.name)[0]: ZipFile(path).namelist() for path in dist.glob("*.whl")}
    assert contents.keys() == DISTRIBUTIONS
    folders = {
        name: {file.split("/")[0] for file in files if ".dist-info" not in file} for name, files in contents.items()
    }
    package = {"softkv": "softkv_service", "softkv_core": "softkv_attention", "softkv_client": "softkv"}
    assert folders == {name: {package.get(name, name)} for name in DISTRIBUTIONS}
    assert not [file for files in contents.values() for file in files if file.endswith("left_over.py")]
    pages = {
        "softkv_service/web/explore.html",
        "softkv_service/web/built/explore.js",
        "softkv_service/site/guide/asking.html",
    }
    assert pages <= set(contents["softkv"])
    assert {"softkv_workshop/web/story.html", "softkv_workshop/web/built/story.js"} <= set(contents["softkv_workshop"])
    assert "softkv/py.typed" in contents["softkv_client"]
    for wall in WALLS.values():
        sources = {str(path.relative_to(ROOT / wall.folder)) for path in (ROOT / wall.folder).rglob("softkv_*/**/*.py")}
        files = {name for name in contents[wall.package] if ".dist-info/" not in name}
        assert {name for name in files if name.endswith(".py")} == sources
        assert f"{wall.package}/py.typed" in files
    modules = {str(path.relative_to(ROOT / "attention")) for path in (ROOT / "attention").rglob("*.py")}
    assert modules - set(contents["softkv_core"]) == {"softkv_core_build.py"}
    [wheel] = dist.glob("softkv_core-*")
    assert parse_wheel_filename(wheel.name)[-1] & set(sys_tags())
    libraries = [name for name in contents["softkv_core"] if "softkv-kernels" in name]
    assert libraries == [f"{NATIVE}/softkv-kernels{PLATFORMS[this_platform()].suffix}"]


@pytest.mark.end_to_end
@pytest.mark.install
def test_every_first_name_of_a_wheel_begins_with_softkv(dist: Path) -> None:
    """A name that another project has would be overwritten by it, or overwrite it."""
    records = {}
    for path in dist.glob("*.whl"):
        with ZipFile(path) as wheel:
            [record] = [name for name in wheel.namelist() if name.endswith(".dist-info/RECORD")]
            lines = wheel.read(record).decode().splitlines()
        records[path.name] = {re.split("[/,]", line)[0] for line in lines}
    assert len(records) == len(DISTRIBUTIONS)
    assert [(name, first) for name, names in records.items() for first in names if not first.startswith("softkv")] == []


def core(folder: Path) -> Path:
    """Copy the sources of softkv-core, without anything that was built from them."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "softkv-kernels.*")
    return shutil.copytree(ROOT / "attention", folder / "attention", ignore=ignored)


def test_a_release_has_a_wheel_of_the_core_for_each_platform() -> None:
    [released] = re.findall(r"^RELEASED := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert released.split() == [*PLATFORMS, "any"] == [*FORMATS, "any"]


@pytest.mark.install
def test_the_wheel_of_each_platform_has_its_library(tmp_path: Path) -> None:
    """One after another from the same folder: a library of the one before must not get into the next."""
    source = core(tmp_path)
    for name in (*PLATFORMS, "any"):
        dist = tmp_path / name
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", str(dist)]
        subprocess.run([*build, str(source)], check=True, env=plain_environment() | {"SOFTKV_PLATFORM": name})
        [path] = dist.iterdir()
        tag = PLATFORMS[name].tag if name in PLATFORMS else "any"
        assert path.name.endswith(f"-py3-none-{tag}.whl")
        with ZipFile(path) as wheel:
            libraries = {file: wheel.read(file) for file in wheel.namelist() if "softkv-kernels" in file}
        if name == "any":
            assert not libraries
            continue
        [(file, library)] = libraries.items()
        assert file == f"{NATIVE}/softkv-kernels{PLATFORMS[name].suffix}"
        magic, offset, machine = FORMATS[name]
        # The header of a library for Windows is where the number at 60 says.
        start = offset or int.from_bytes(library[60:64], "little") + 4
        assert library.startswith(magic)
        assert library[start : start + len(machine)] == machine


@pytest.mark.install
def test_without_a_compiler_the_source_distribution_installs_and_numpy_answers(tmp_path: Path) -> None:
    source, dist = core(tmp_path), tmp_path / "dist"
    sources = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    make = f"from setuptools import build_meta; build_meta.build_sdist({str(dist)!r})"
    subprocess.run([sys.executable, "-c", make], cwd=source, check=True, env=plain_environment(), capture_output=True)
    [archive] = dist.iterdir()
    with tarfile.open(archive) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    assert sources <= names
    bare = Bare(tmp_path / "bare", dist)
    bare.install("setuptools>=77")
    bare.install("--no-build-isolation", str(archive))
    assert json.loads(bare.run("python", "-c", LOADED)) == [False, ["py3-none-any"], [1]]
    # A build for a platform that was asked for has to succeed.
    with pytest.raises(AssertionError, match="Expected the package ziglang"):
        bare.install("--no-build-isolation", "--force-reinstall", str(archive), SOFTKV_PLATFORM=this_platform())


@pytest.mark.end_to_end
@pytest.mark.install
def test_the_models_wheel_has_the_published_weights_and_no_requirements(dist: Path) -> None:
    [path] = dist.glob("softkv_model_minilm-*")
    with ZipFile(path) as wheel:
        weights = wheel.read("softkv_model_minilm/model/model.safetensors")
        [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        headers = Parser().parsestr(wheel.read(metadata).decode())
    assert hashlib.sha256(weights).hexdigest() == PACKAGED[DEFAULT_MODEL].sha256
    assert headers.get_all("Requires-Dist") is None
    assert headers["License-Expression"] == "Apache-2.0"


class Bare:
    """An environment without packages, into which pip installs from the wheels.

    Args:
        folder: where it is made.
        dist: the directory of the wheels.
        python: the Python that it is of.
    """

    def __init__(self, folder: Path, dist: Path, python: str = sys.executable) -> None:
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True, env=plain_environment())
        self.python, self._dist = folder / "bin" / "python", dist
        self._pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python)]

    def install(self, *requirements: str, **environment: str) -> None:
        """Install requirements at the tested versions, softkv's own from the wheels."""
        self.install_any("-c", str(ROOT / "constraints.txt"), *requirements, **environment)
        self._run([*self._pip, "check"])

    def install_any(self, *requirements: str, **environment: str) -> None:
        """Install requirements at the newest versions, softkv's own from the wheels."""
        options = ["--quiet", "--no-compile", "--find-links", str(self._dist)]
        self._run([*self._pip, "install", *options, *requirements], **environment)

    def conflicts(self) -> list[str]:
        """Return the lines of `pip check`: requirements that are not met."""
        command = [*self._pip, "check"]
        done = subprocess.run(command, env=plain_environment(), capture_output=True, text=True, check=False)
        return done.stdout.splitlines() if done.returncode else []

    def distributions(self) -> dict[str, str]:
        """Return the versions of all installed distributions, by their names."""
        listed = self._run([*self._pip, "list", "--format", "json"])
        return {plain(distribution["name"]): distribution["version"] for distribution in json.loads(listed)}

    def megabytes(self) -> float:
        """Return the size of site-packages in millions of bytes."""
        [site] = self.python.parents[1].glob("lib/python*/site-packages")
        return sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6

    def run(self, *arguments: str) -> str:
        """Run a program of the environment; return its output."""
        return self._run([str(self.python.parent / arguments[0]), *arguments[1:]])

    def _run(self, command: list[str], **environment: str) -> str:
        environment = plain_environment() | environment
        done = subprocess.run(
            command, cwd=self.python.parents[1], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.end_to_end
@pytest.mark.install
def test_the_service_is_small_and_answers_a_text(dist: Path, tmp_path: Path) -> None:
    bare = Bare(tmp_path / "bare", dist)
    bare.install("softkv")
    wheels = {plain(name) for name in SERVICE}
    assert bare.distributions().keys() == {*entries("requirements.lock"), *wheels}
    assert bare.megabytes() < 280
    assert json.loads(bare.run("python", "-c", IMPORT_ALL))["modules"] > 200
    assert json.loads(bare.run("python", "-c", ASK)) == "found"
    assert json.loads(bare.run("python", "-c", ASK_BY_TEXT)) == "Masoor dal"


@pytest.mark.install
def test_the_core_alone_looks_up(dist: Path, tmp_path: Path) -> None:
    bare = Bare(tmp_path / "bare", dist)
    bare.install("softkv-core")
    assert bare.megabytes() < 80
    blocks = dict(Page("attention/README.md").blocks)
    assert bare.run("python", "-c", blocks["python"]) == "7\n[   7    8 1574]\n"


@pytest.mark.install
def test_a_type_checker_sees_the_core_through_the_client(dist: Path, tmp_path: Path) -> None:
    bare = Bare(tmp_path / "bare", dist)
    bare.install("softkv-core", "softkv-client")
    file = Path(shutil.copy(ROOT / "tests/clients/python/typed_attention.py", tmp_path / "main.py"))
    check_typed(file, mistakes=3, folder=tmp_path, python=str(bare.python))
    assert bare.run("python", "-c", "import softkv.attention.lookup as door; print(door.attend.__module__)") == (
        "softkv_attention.lookup.planner\n"
    )


@pytest.mark.install
@pytest.mark.node
@pytest.mark.thorough
def test_pyright_sees_the_core_through_the_client(dist: Path, tmp_path: Path) -> None:
    bare = Bare(tmp_path / "bare", dist)
    bare.install("softkv-core", "softkv-client")
    (tmp_path / "project").mkdir()
    file = ROOT / "tests/clients/python/typed_attention.py"
    check_typed_by_pyright(file, mistakes=3, folder=tmp_path / "project", python=str(bare.python))

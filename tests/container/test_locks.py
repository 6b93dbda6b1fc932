"""The image is made of docker/locks: what serves, at tested versions, and nothing that only tests need."""

from __future__ import annotations

import runpy
import tomllib
from importlib.metadata import requires

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.container.locks import FOLDER, lock, plain
from tests.container.tool import ROOT

NAMES = sorted(path.stem for path in FOLDER.iterdir())
PINNED = {
    plain(name): version
    for name, version in (
        line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    )
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
required = runpy.run_path(str(ROOT / "docker" / "requirements.py"))["required"]
IMAGE = default_environment() | {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}


def closure(begin: list[str]) -> set[str]:
    """What these require, and what that requires, as it is installed here."""
    found, waiting = set[tuple[str, str]](), [(Requirement(each), "") for each in begin]
    while waiting:
        each, extra = waiting.pop()
        if each.marker is not None and not each.marker.evaluate(IMAGE | {"extra": extra}):
            continue
        for wanted in ("", *sorted(each.extras)):
            if (plain(each.name), wanted) not in found:
                found.add((plain(each.name), wanted))
                waiting += [(Requirement(line), wanted) for line in requires(each.name) or ()]
    return {name for name, _ in found}


def test_there_is_one_of_what_serves_one_for_the_build_and_one_of_each_extra_that_serves():
    assert set(NAMES) == {"runtime", "build", "parquet", "otel"}
    extras = PROJECT["optional-dependencies"].keys() - {"bench", "test", "lint", "dev"}
    assert extras == set(NAMES) - {"runtime", "build"}


@pytest.mark.parametrize("name", NAMES)
def test_every_package_has_digests_and_the_version_that_is_tested(name):
    pins = lock(name)
    assert len(pins) > 0
    assert [package for package, pin in pins.items() if not pin.digests] == []
    differing = {
        package: pin.version
        for package, pin in pins.items()
        if package in PINNED and pin.version.partition("+")[0] != PINNED[package]
    }
    assert differing == {}, "docker/locks is older than constraints.txt: make lock"
    assert name == "build" or pins.keys() <= PINNED.keys()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "build"])
def test_it_holds_what_is_required_and_nothing_else(name):
    assert lock(name).keys() == closure(required(name)), "pyproject.toml asks for something else: make lock"


def test_torch_is_the_build_for_processors_and_nothing_is_for_tests():
    pins = lock("runtime")
    assert pins["torch"].version.endswith("+cpu")
    assert not [name for name in pins if name.startswith(("nvidia", "triton"))]
    own = [Requirement(each) for extra in ("test", "lint", "bench") for each in PROJECT["optional-dependencies"][extra]]
    shared = {"pyyaml", "setuptools"}  # which transformers and torch require
    assert pins.keys() & {plain(each.name) for each in own} == shared

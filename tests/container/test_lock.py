"""docker/*.lock: what the image installs, and nothing else, each file by its digest."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.container.tool import ROOT

# name==version, and after it one or more digests, each on a line of its own.
ENTRY = re.compile(
    r"^([a-z0-9-]+)==([^\s;]+)(?: ; [^\\\n]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE
)
AGAIN = "run `make lock`"


def entries(name: str) -> dict[str, str]:
    """Name → version of a lock; every line of it that is no comment belongs to one."""
    text = (ROOT / "docker" / name).read_text(encoding="utf-8")
    rest = [line for line in ENTRY.sub("", text).splitlines() if line and not line.startswith("#")]
    assert rest == []
    return {found[1]: found[2] for found in ENTRY.finditer(text)}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return {name.lower().replace("_", "-"): version for name, _, version in (line.partition("==") for line in lines)}


def needs(folder: str = "") -> set[str]:
    """The names of what a project requires to run."""
    found = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {named(each) for each in found["dependencies"]}


def named(requirement: str) -> str:
    """The name that a requirement begins with."""
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def test_it_holds_what_the_service_and_its_client_need_at_the_versions_that_are_tested():
    locked, pinned = entries("requirements.lock"), pins()
    wanted = (needs() | needs("clients/python")) - {"torch", "softkv-client"}
    assert wanted - locked.keys() == set(), AGAIN
    assert {name: locked[name] for name in locked.keys() & pinned} == {
        name: pinned[name] for name in locked.keys() & pinned
    }, AGAIN
    assert locked.keys() - pinned.keys() == set(), "constraints.txt pins everything that runs"


def test_it_holds_nothing_that_only_tests_need():
    tools = {"hypothesis", "matplotlib", "mypy", "pandas", "pip-tools", "playwright", "pytest", "ruff", "schemathesis"}
    assert entries("requirements.lock").keys() & tools == set()


def test_torch_is_not_in_it_since_a_build_chooses_which():
    assert "torch" not in entries("requirements.lock")
    assert pins()["torch"] == "2.13.0"


@pytest.mark.parametrize("name", ["requirements.lock", "tools.lock"])
def test_the_dockerfile_takes_a_lock_by_its_digests_alone(name):
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert f"--require-hashes -r {name}" in dockerfile
    assert entries(name)
    assert f"!docker/{name}" in (ROOT / ".dockerignore").read_text(encoding="utf-8")

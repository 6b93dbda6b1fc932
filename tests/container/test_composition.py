"""What the files of docker/ promise, without building anything."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.util import find_spec

import pytest

from service.settings import Settings
from tests.container.composition import PRODUCTION, SERVICE
from tests.container.tool import ROOT

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_the_label_has_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert re.findall(r'image\.version="(.*)"', DOCKERFILE) == [project["version"]]
    assert re.findall(r'image\.licenses="(.*)"', DOCKERFILE) == [project["license"]]


def test_what_the_build_runs_and_imports_is_there():
    rehearsal = ast.parse((ROOT / "docker" / "rehearsal.py").read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(rehearsal) if isinstance(node, ast.ImportFrom)]
    run = re.findall(r"python -B -m ([\w.]+)", DOCKERFILE)
    assert run
    assert any(name.startswith("service.") for name in imported)
    assert [name for name in (*imported, *run) if find_spec(name) is None] == []


def test_anyone_may_write_only_because_the_port_is_this_machines():
    assert SERVICE["environment"]["SOFTKV_ALLOW_ANONYMOUS"] == "write"
    assert [port.rsplit(":", 2)[0] for port in SERVICE["ports"]] == ["127.0.0.1"]


def test_the_other_services_of_a_compose_file_may_call_it_by_its_name():
    assert SERVICE["environment"]["SOFTKV_ALLOWED_HOSTS"] == "softkv"


@pytest.mark.parametrize("service", [SERVICE, PRODUCTION], ids=["compose", "production"])
def test_compose_gives_the_container_nothing_it_does_not_need(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert service["volumes"] == ["data:/data"]
    assert {name.lower().removeprefix("softkv_") for name in service["environment"]} <= Settings.model_fields.keys()


def test_in_production_callers_have_keys_from_a_secret_and_the_container_has_limits():
    environment = PRODUCTION["environment"]
    [secret] = PRODUCTION["secrets"]
    assert environment["SOFTKV_KEYS_FILE"] == f"/run/secrets/{secret}"
    assert "SOFTKV_ALLOW_ANONYMOUS" not in environment
    assert environment["SOFTKV_THREADS"] == PRODUCTION["cpus"]
    assert PRODUCTION.keys() >= {"cpus", "mem_limit", "pids_limit", "logging"}
    assert PRODUCTION["build"] == SERVICE["build"]

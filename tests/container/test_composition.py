"""What the files of docker/ promise, without building anything."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.util import find_spec

from service.settings import Settings
from tests.container.composition import LIMITS, SERVICE
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


def test_who_calls_has_a_key_from_a_secret_and_the_port_is_this_machines():
    assert not SERVICE["environment"].keys() & {"SOFTKV_API_KEYS", "SOFTKV_READ_KEYS", "SOFTKV_ALLOW_ANONYMOUS"}
    assert SERVICE["environment"]["SOFTKV_KEYS_FILE"] == "/run/secrets/keys"
    assert SERVICE["secrets"] == ["keys"]
    assert [port.rsplit(":", 2)[0] for port in SERVICE["ports"]] == ["127.0.0.1"]


def test_every_setting_that_compose_names_is_one():
    fields = {f"SOFTKV_{name.upper()}" for name in Settings.model_fields}
    assert SERVICE["environment"].keys() <= fields
    assert set(re.findall(r"\bSOFTKV_[A-Z_]+[A-Z]", DOCKERFILE)) <= fields


def test_it_takes_no_more_of_its_machine_than_is_said():
    assert all(SERVICE[limit] for limit in LIMITS)
    assert SERVICE["environment"]["SOFTKV_THREADS"] == SERVICE["cpus"]


def test_the_base_is_an_argument_and_every_stage_is_made_of_it():
    assert re.findall(r"^ARG BASE=(\S+)", DOCKERFILE, re.MULTILINE) == ["python:3.11-slim-bookworm"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}", "packages"}
    assert "BASE" in SERVICE["build"]["args"]


def test_the_other_services_of_a_compose_file_may_call_it_by_its_name():
    assert SERVICE["environment"]["SOFTKV_ALLOWED_HOSTS"] == "softkv"


def test_compose_gives_the_container_nothing_it_does_not_need():
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges"]
    assert SERVICE["volumes"] == ["data:/data"]

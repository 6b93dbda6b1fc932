"""The promises of the files in docker/, without a build."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.util import find_spec
from ipaddress import collapse_addresses, ip_network

import pytest
import yaml

from softkv_service.settings import Settings
from tests.container.composition import FOLDER, PRODUCTION, SERVICE
from tests.container.tool import ROOT

REPLICAS = yaml.safe_load((FOLDER / "compose.replicas.yaml").read_text(encoding="utf-8"))["services"]
PROXY = (FOLDER / "proxy.conf").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_the_label_has_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert re.findall(r'image\.version="(.*)"', DOCKERFILE) == [project["version"]]
    assert re.findall(r'image\.licenses="(.*)"', DOCKERFILE) == [project["license"]]


def test_modules_that_the_build_imports_exist():
    rehearsal = ast.parse((ROOT / "docker" / "rehearsal.py").read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(rehearsal) if isinstance(node, ast.ImportFrom)]
    assert any(name.startswith("softkv_service.") for name in imported)
    assert [name for name in imported if find_spec(name) is None] == []


def test_anyone_may_write_only_because_the_port_is_this_machines():
    assert SERVICE["environment"]["SOFTKV_ALLOW_ANONYMOUS"] == "write"
    assert [port.rsplit(":", 2)[0] for port in SERVICE["ports"]] == ["127.0.0.1"]


@pytest.mark.parametrize("service", [SERVICE, PRODUCTION], ids=["compose", "production"])
def test_compose_gives_the_container_nothing_it_does_not_need(service):
    assert service["read_only"] is True
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges"])
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


def test_no_two_compose_files_share_a_project_and_so_a_volume():
    names = [yaml.safe_load(path.read_text(encoding="utf-8"))["name"] for path in FOLDER.glob("compose*.yaml")]
    assert len(names) == 4
    assert len(set(names)) == len(names)


def test_replicas_differ_by_name_only_and_have_the_settings_of_production():
    replica = REPLICAS["softkv-1"]
    assert REPLICAS["softkv-2"] == replica
    own_fields = {"environment", "volumes", "ports", "build"}
    assert {name: replica[name] for name in PRODUCTION if name not in own_fields} == {
        name: PRODUCTION[name] for name in PRODUCTION if name not in own_fields
    }
    assert "ports" not in replica
    assert "volumes" not in replica
    assert replica["environment"].items() - PRODUCTION["environment"].items() == {
        ("SOFTKV_STORE", replica["environment"]["SOFTKV_STORE"]),
        ("SOFTKV_TRUSTED_PROXIES", replica["environment"]["SOFTKV_TRUSTED_PROXIES"]),
    }
    assert {*replica["build"]["args"]} == {*PRODUCTION["build"]["args"]}


@pytest.mark.parametrize("name", ["compose.replicas.yaml", "compose.cluster.yaml"])
def test_services_believe_the_networks_of_their_file_alone(name):
    file = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    subnets = [ip_network(network["ipam"]["config"][0]["subnet"]) for network in file["networks"].values()]
    trusted = Settings(
        trusted_proxies=file["services"]["softkv-1"]["environment"]["SOFTKV_TRUSTED_PROXIES"], allow_anonymous="read"
    ).trusted_proxies
    assert list(map(ip_network, trusted)) == list(collapse_addresses(subnets))


def test_replicas_have_the_driver_of_the_database_that_they_share():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    replica, database = REPLICAS["softkv-1"], REPLICAS["postgres"]["environment"]
    assert replica["build"]["args"]["EXTRAS"] in extras
    password = database["POSTGRES_PASSWORD"]
    address = f"postgresql://{database['POSTGRES_USER']}:{password}@postgres/{database['POSTGRES_USER']}"
    assert replica["environment"]["SOFTKV_STORE"] == address
    assert password.startswith("${POSTGRES_PASSWORD:?")


def test_the_proxy_spreads_requests_except_those_about_the_memory_of_one_replica():
    upstreams = {
        name: re.findall(r"server ([\w-]+):8000", body)
        for name, body in re.findall(r"upstream (\w+) {(.*?)}", PROXY, re.DOTALL)
    }
    replicas = [name for name in REPLICAS if name.startswith("softkv-")]
    assert upstreams == {"replicas": replicas, "first": replicas}
    assert re.findall(r"server softkv-2:8000 (backup)", PROXY) == ["backup"]
    alone = re.compile(re.search(r"location ~ (\S+) {", PROXY)[1])
    routes = {
        path: bool(alone.search(path))
        for path in (
            "/v1/rooms",
            "/v1/rooms/ABCD/rows",
            "/room",
            "/v1/lab/train",
            "/v1/labels",
            "/v1/collections/rooms/attend",
            "/rooms",
        )
    }
    assert routes == dict(zip(routes, (True, True, True, True, False, False, False), strict=True))
    assert [port.rsplit(":", 2)[0] for port in REPLICAS["proxy"]["ports"]] == ["127.0.0.1"]

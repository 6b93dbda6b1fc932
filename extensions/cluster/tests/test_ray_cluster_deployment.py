"""docker/compose.cluster.yaml and docker/kuberay: the members of the cluster find each other, and others do not."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from typer.testing import CliRunner

from softkv.cli import program as softkv_program
from softkv_service.app import create_app
from softkv_service.settings import Settings
from tests.container.composition import FOLDER, PRODUCTION
from tests.container.tool import ROOT

FILE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.cluster.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = FILE["services"]
APIS, WORKERS = (
    {name: each for name, each in SERVICES.items() if name.startswith(kind)} for kind in ("softkv-", "worker-")
)
JOINING = {**APIS, "deploy": SERVICES["deploy"]}
OURS = {**JOINING, **WORKERS, "ray-head": SERVICES["ray-head"]}
KUBERAY = [
    document
    for path in sorted((FOLDER / "kuberay").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
[RAY] = [each["spec"] for each in KUBERAY if each["kind"] == "RayCluster"]
[GROUP] = RAY["workerGroupSpecs"]
[DEPLOYMENT] = [each for each in KUBERAY if each["kind"] == "Deployment"]
[JOB] = [each for each in KUBERAY if each["kind"] == "Job"]
TEMPLATES = {
    "head": RAY["headGroupSpec"]["template"],
    "workers": GROUP["template"],
    "deploy": JOB["spec"]["template"],
    "api": DEPLOYMENT["spec"]["template"],
}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def environment_of_servers() -> dict[str, str]:
    """Return Ray's settings that softkv sets, without importing Ray."""
    source = (ROOT / "extensions" / "cluster" / "softkv_cluster" / "ray_cluster.py").read_text(encoding="utf-8")
    [values] = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ENVIRONMENT"
    ]
    environment: dict[str, str] = ast.literal_eval(values)
    return environment


ENVIRONMENT = environment_of_servers()
# Ray's own, which it documents.
RAY_NAMES = {
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S",
    "RAY_REDIS_ADDRESS",
    "RAY_worker_niceness",
    *ENVIRONMENT,
}


def container(of: str) -> dict[str, Any]:
    [definition] = TEMPLATES[of]["spec"]["containers"]
    return definition


def environment(of: str) -> dict[str, Any]:
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container(of)["env"]}


def taken(names: set[str]) -> set[str]:
    """Return the names that are neither settings of softkv nor Ray's."""
    ours = {f"SOFTKV_{name.upper()}" for name in Settings.model_fields}
    return names - ours - RAY_NAMES


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths of the service that answer GET."""
    app: FastAPI = create_app(Settings(data_dir=tmp_path_factory.mktemp("data"), encoder="none"))
    return {path for path, calls in app.openapi()["paths"].items() if "get" in calls}


@pytest.fixture(scope="module")
def options() -> set[str]:
    """The options of `softkv cluster up`."""
    help_text = CliRunner().invoke(softkv_program(), ["cluster", "up", "--help"], env={"COLUMNS": "200"}).stdout
    return set(re.findall(r"--[a-z-]+", help_text))


def deployed(words: list[str], options: set[str]) -> dict[str, str]:
    """Return the options of a `cluster up …` command with their values."""
    assert words[:2] == ["cluster", "up"]
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    assert flags.keys() <= options
    return flags


def test_every_variable_of_compose_is_a_setting_or_rays():
    for name, member in OURS.items():
        assert not taken(set(member["environment"])), name
        assert member["environment"].items() >= {
            ("RAY_AUTH_MODE", "token"),
            ("RAY_AUTH_TOKEN_PATH", "/run/secrets/ray-token"),
            ("RAY_gcs_rpc_server_reconnect_timeout_s", 3600),
            ("RAY_USAGE_STATS_ENABLED", 0),
        }
        assert "ray-token" in member["secrets"]


def test_all_members_have_one_image_with_ray_and_the_driver():
    assert {member["image"] for member in OURS.values()} == {"softkv"}
    [build] = {str(member["build"]): member["build"] for member in OURS.values()}.values()
    assert build["args"].keys() == {*PRODUCTION["build"]["args"]}
    required = [name.partition("[")[0].partition("=")[0] for name in EXTRAS[build["args"]["EXTRAS"]]]
    assert required == ["psycopg", "ray", "softkv-cluster", "softkv-postgres"]


def test_the_extra_has_the_tested_version_of_ray():
    pins = dict(line.split("==") for line in (ROOT / "constraints-cluster.txt").read_text().splitlines())
    assert f"ray=={pins['ray']}" in EXTRAS["cluster"]
    assert RAY["rayVersion"] == pins["ray"]
    assert "-c constraints-cluster.txt" in (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def test_members_of_compose_get_nothing_they_do_not_need():
    for name, member in OURS.items():
        same = ("read_only", "cap_drop", "security_opt", "logging")
        assert {key: member[key] for key in same} == {key: PRODUCTION[key] for key in same}, name
        assert member["restart"] == ("on-failure" if name == "deploy" else PRODUCTION["restart"])
        assert member.keys() >= {"cpus", "mem_limit", "pids_limit"}
        assert "privileged" not in member
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert [port.rsplit(":", 2)[0] for port in SERVICES["proxy"]["ports"]] == ["127.0.0.1"]


def test_only_the_proxy_is_in_a_network_that_leads_outside():
    networks = FILE["networks"]
    outside = {name for name, network in networks.items() if not (network or {}).get("internal")}
    assert [name for name, service in SERVICES.items() if outside & set(service["networks"])] == ["proxy"]


def test_redis_takes_the_head_alone():
    redis, head = SERVICES["redis"], SERVICES["ray-head"]
    assert redis["networks"] == ["inside"]
    password = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert redis["command"][-2:] == ["--requirepass", password]
    assert redis["environment"] == {"REDISCLI_AUTH": password}
    assert f"--redis-password={password}" in head["command"]


def test_members_find_the_database_the_head_and_one_another():
    database = SERVICES["postgres"]["environment"]
    password, user = database["POSTGRES_PASSWORD"], database["POSTGRES_USER"]
    head = SERVICES["ray-head"]
    [port] = [option.partition("=")[2] for option in head["command"] if option.startswith("--port=")]
    for member in (*JOINING.values(), *WORKERS.values()):
        command = " ".join((*member["entrypoint"], *member["command"]))
        assert re.findall(r"--address=(\S+)", command) == [f"ray-head:{port}"]
        assert "inside" in member["networks"]
    for member in JOINING.values():
        assert member["environment"]["SOFTKV_STORE"] == f"postgresql://{user}:{password}@postgres/{user}"
        assert member["environment"]["SOFTKV_SHARDS"] == "auto"
        assert member["depends_on"]["postgres"] == {"condition": "service_healthy"}
    for member in (*APIS.values(), *WORKERS.values()):
        assert member["depends_on"]["ray-head"] == {"condition": "service_healthy"}
    assert head["environment"]["RAY_REDIS_ADDRESS"] == "redis:6379"
    assert {"--num-cpus=0", "--disable-usage-stats"} <= set(head["command"])
    proxied = set(re.findall(r"server ([\w-]+):8000", (FOLDER / "proxy.conf").read_text(encoding="utf-8")))
    assert proxied == APIS.keys()


def test_a_server_has_a_worker_of_its_own_with_all_of_its_processors(options):
    deploy = SERVICES["deploy"]
    flags = deployed(deploy["command"], options)
    assert int(flags["--servers"]) == int(flags["--copies"]) == len(WORKERS)
    # A server that finds no worker free would share one.
    assert {name for name in deploy["depends_on"] if name.startswith("worker-")} == WORKERS.keys()
    for name, worker in WORKERS.items():
        assert deploy["depends_on"][name] == {"condition": "service_healthy"}
        assert worker["hostname"] == name
        assert worker["volumes"] == [f"{name}:{flags['--data-dir']}"]
        assert worker["entrypoint"] == ["ray"]
        assert {"start", "--block", f"--num-cpus={worker['cpus']}"} <= set(worker["command"])


@pytest.mark.parametrize("name", JOINING)
def test_a_command_runs_beside_a_node_on_which_no_server_is_placed(name, tmp_path):
    """Compose writes $$ for a $, and appends the command to the entrypoint."""
    for program in ("ray", "softkv"):
        (tmp_path / program).write_text(f"#!/bin/sh\necho {program} $*\n")
        (tmp_path / program).chmod(0o755)
    member = JOINING[name]
    command = [word.replace("$$", "$") for word in (*member["entrypoint"], *member["command"])]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True)
    joined, ran = done.stdout.splitlines()
    assert joined.startswith("ray start --address=ray-head:6379 --num-cpus=0 ")
    assert ran == " ".join(("softkv", *member["command"]))


def test_callers_have_keys():
    for member in APIS.values():
        assert member["environment"]["SOFTKV_KEYS_FILE"] == "/run/secrets/softkv-keys"
        assert "SOFTKV_ALLOW_ANONYMOUS" not in member["environment"]
        assert member["environment"]["SOFTKV_THREADS"] == member["cpus"]


@pytest.mark.parametrize("of", TEMPLATES)
def test_a_pod_has_no_rights_and_limits(of):
    pod, main_container = TEMPLATES[of]["spec"], container(of)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert main_container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (
        main_container["resources"]["limits"].keys()
        == main_container["resources"]["requests"].keys()
        == {"cpu", "memory"}
    )
    assert {member["name"] for member in main_container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }


@pytest.mark.parametrize("of", TEMPLATES)
def test_a_pod_has_the_token_and_settings_that_are_ones(of, monkeypatch):
    variables = environment(of)
    assert not taken(set(variables))
    assert variables["RAY_AUTH_MODE"] == "token"
    assert variables["RAY_AUTH_TOKEN"] == {"secretKeyRef": {"name": "softkv-ray", "key": "token"}}
    assert {container(template)["image"] for template in TEMPLATES} == {container(of)["image"]}
    assert variables["RAY_USAGE_STATS_ENABLED"] == "0"
    if of in ("head", "workers"):
        return
    assert variables["SOFTKV_STORE"] == {"secretKeyRef": {"name": "softkv-store", "key": "address"}}
    monkeypatch.setenv("SOFTKV_STORE", "postgresql://softkv@postgres/softkv")
    for name, value in variables.items():
        if name.startswith("SOFTKV_") and isinstance(value, str):
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.shards == "auto"
    # The operator's name for the head's service.
    [name] = [manifest["metadata"]["name"] for manifest in KUBERAY if manifest["kind"] == "RayCluster"]
    assert container(of)["command"] == ["/bin/sh", "-c"]
    [script] = container(of)["args"]
    assert f"ray start --address={name}-head-svc:6379 --num-cpus=0 " in script
    assert "&& exec softkv " in script


@pytest.mark.parametrize("of", ["head", "workers"])
def test_the_command_that_the_operator_writes_is_read_as_a_shell_reads_it(of):
    """It names the password of Redis by its variable, as in the command that the operator would run by itself."""
    [annotations] = [manifest["metadata"]["annotations"] for manifest in KUBERAY if manifest["kind"] == "RayCluster"]
    assert annotations == {"ray.io/overwrite-container-cmd": "true"}
    main_container = container(of)
    written = "printf %s --redis-password=$REDIS_PASSWORD"
    variables = {"KUBERAY_GEN_RAY_START_CMD": written, "REDIS_PASSWORD": "known", "PATH": os.environ["PATH"]}
    [script] = main_container["args"]
    script = script.removeprefix("rm -rf /tmp/ray; ")
    done = subprocess.run(
        [*main_container["command"], script], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "--redis-password=known"


def test_every_server_has_a_worker_and_the_directory_for_its_files(options):
    [script] = container("deploy")["args"]
    flags = deployed(script.partition("exec softkv ")[2].split(), options)
    assert int(flags["--copies"]) <= int(flags["--servers"]) == GROUP["replicas"]
    assert flags["--data-dir"] in {mount["mountPath"] for mount in container("workers")["volumeMounts"]}
    assert "num-cpus" not in GROUP["rayStartParams"]  # the operator takes the limit of the container


def test_the_service_and_its_probes_reach_the_api(paths):
    [service] = [manifest for manifest in KUBERAY if manifest["kind"] == "Service"]
    labels = TEMPLATES["api"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= labels.items()
    main_container = container("api")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert main_container[probe]["httpGet"]["path"] in paths
        assert main_container[probe]["httpGet"]["port"] == main_container["ports"][0]["name"]
    assert TEMPLATES["api"]["metadata"]["annotations"]["prometheus.io/path"] in paths
    drain = float(environment("api")["SOFTKV_DRAIN_SECONDS"])
    assert TEMPLATES["api"]["spec"]["terminationGracePeriodSeconds"] > drain + 9

"""docker/compose.cluster.yaml and docker/kuberay: the members of the cluster find each other, and others do not."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from typer.testing import CliRunner

from service.app import create_app
from service.cli import app as cli
from service.cluster.ray_node import ENVIRONMENT
from service.settings import Settings
from tests.container.composition import FOLDER, PRODUCTION
from tests.container.tool import ROOT

FILE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.cluster.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = FILE["services"]
APIS, WORKERS = (
    {name: each for name, each in SERVICES.items() if name.startswith(kind)} for kind in ("softkv-", "worker-")
)
OURS = {**APIS, **WORKERS, "ray-head": SERVICES["ray-head"]}
KUBERAY = [
    document
    for path in sorted((FOLDER / "kuberay").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
[RAY] = [each["spec"] for each in KUBERAY if each["kind"] == "RayCluster"]
[GROUP] = RAY["workerGroupSpecs"]
[DEPLOYMENT] = [each for each in KUBERAY if each["kind"] == "Deployment"]
TEMPLATES = {
    "head": RAY["headGroupSpec"]["template"],
    "shards": GROUP["template"],
    "api": DEPLOYMENT["spec"]["template"],
}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
# Ray's own, which it documents.
RAY_NAMES = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_REDIS_ADDRESS", *ENVIRONMENT}


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
    """The options of `softkv shard`."""
    help_text = CliRunner().invoke(cli, ["shard", "--help"], env={"COLUMNS": "200"}).stdout
    return set(re.findall(r"--[a-z-]+", help_text))


def test_every_variable_of_compose_is_a_setting_or_rays():
    for name, member in OURS.items():
        assert not taken(set(member["environment"])), name
        assert member["environment"].items() >= {
            ("RAY_AUTH_MODE", "token"),
            ("RAY_AUTH_TOKEN_PATH", "/run/secrets/ray-token"),
            ("RAY_gcs_rpc_server_reconnect_timeout_s", 3600),
        }
        assert "ray-token" in member["secrets"]


def test_all_members_have_one_image_with_ray_and_the_driver():
    assert {member["image"] for member in OURS.values()} == {"softkv"}
    [build] = {str(member["build"]): member["build"] for member in OURS.values()}.values()
    assert build["args"].keys() == {*PRODUCTION["build"]["args"]}
    assert [name.partition("[")[0].partition("=")[0] for name in EXTRAS[build["args"]["EXTRAS"]]] == ["psycopg", "ray"]


def test_the_extra_is_pinned_to_what_is_tested_and_what_the_operator_is_told():
    pins = dict(line.split("==") for line in (ROOT / "constraints-cluster.txt").read_text().splitlines())
    assert f"ray=={pins['ray']}" in EXTRAS["cluster"]
    assert RAY["rayVersion"] == pins["ray"]
    assert "-c constraints-cluster.txt" in (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def test_members_of_compose_get_nothing_they_do_not_need():
    for name, member in OURS.items():
        same = ("read_only", "cap_drop", "security_opt", "logging", "restart")
        assert {key: member[key] for key in same} == {key: PRODUCTION[key] for key in same}, name
        assert member.keys() >= {"cpus", "mem_limit", "pids_limit"}
        assert "privileged" not in member
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert [port.rsplit(":", 2)[0] for port in SERVICES["proxy"]["ports"]] == ["127.0.0.1"]


def test_only_the_proxy_is_in_a_network_that_leads_outside():
    networks = FILE["networks"]
    outside = {name for name, network in networks.items() if not (network or {}).get("internal")}
    assert [name for name, service in SERVICES.items() if outside & set(service["networks"])] == ["proxy"]


def test_who_joins_is_in_one_network():
    """Without a route outside, Ray takes a node's address from its name, which in two networks has two."""
    assert [name for name, member in OURS.items() if member["networks"] != ["inside"]] == []


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
    for member in (*APIS.values(), *WORKERS.values()):
        assert member["environment"]["SOFTKV_STORE"] == f"postgresql://{user}:{password}@postgres/{user}"
        assert member["environment"]["SOFTKV_SHARDS"] == f"ray://ray-head:{port}"
        assert "inside" in member["networks"]
        assert member["depends_on"]["ray-head"] == {"condition": "service_healthy"}
    assert head["environment"]["RAY_REDIS_ADDRESS"] == "redis:6379"
    assert "--num-cpus=0" in head["command"]
    proxied = set(re.findall(r"server ([\w-]+):8000", (FOLDER / "proxy.conf").read_text(encoding="utf-8")))
    assert proxied == APIS.keys()


def test_workers_are_as_many_as_copies_and_keep_their_names(options):
    assert len(WORKERS) >= int(SERVICES["worker-1"]["environment"]["SOFTKV_COPIES"])
    for name, worker in WORKERS.items():
        assert worker["hostname"] == name
        assert worker["volumes"] == [f"{name}:/data"]
        command, *arguments = worker["command"]
        assert command == "shard"
        assert set(arguments[::2]) <= options
        flags = dict(zip(arguments[::2], arguments[1::2], strict=True))
        assert int(worker["stop_grace_period"].removesuffix("s")) > int(flags["--leave-seconds"])
        assert worker["healthcheck"]["test"][-1] == flags["--ready-file"]


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
    if of == "head":
        return
    assert variables["SOFTKV_STORE"] == {"secretKeyRef": {"name": "softkv-store", "key": "address"}}
    monkeypatch.setenv("SOFTKV_STORE", "postgresql://softkv@postgres/softkv")
    for name, value in variables.items():
        if name.startswith("SOFTKV_") and isinstance(value, str):
            monkeypatch.setenv(name, value)
    settings = Settings()
    # The operator's name for the head's service.
    [name] = [manifest["metadata"]["name"] for manifest in KUBERAY if manifest["kind"] == "RayCluster"]
    assert settings.shards == f"ray://{name}-head-svc:6379"
    assert settings.copies <= GROUP["replicas"]


def test_the_head_has_no_slots_and_outlives_itself():
    head = RAY["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert RAY["gcsFaultToleranceOptions"]["redisAddress"]
    assert "secretKeyRef" in RAY["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]
    main_container = container("head")
    assert main_container["readinessProbe"]["tcpSocket"]["port"] == main_container["ports"][0]["name"]
    assert main_container["livenessProbe"]["exec"]["command"][:2] == ["ray", "health-check"]


def test_the_command_that_the_operator_writes_is_read_as_a_shell_reads_it():
    """It names the password of Redis by its variable, as in the command that the operator would run by itself."""
    main_container = container("head")
    written = "printf %s --redis-password=$REDIS_PASSWORD"
    variables = {"KUBERAY_GEN_RAY_START_CMD": written, "REDIS_PASSWORD": "known", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [*main_container["command"], *main_container["args"]], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "--redis-password=known"


def test_no_member_is_ended_while_the_head_is_away():
    """The operator has workers wait for ten minutes, where nothing else is said."""
    for of in ("head", "shards"):
        assert (
            environment(of)["RAY_gcs_rpc_server_reconnect_timeout_s"]
            == ENVIRONMENT["RAY_gcs_rpc_server_reconnect_timeout_s"]
        )


def test_workers_run_our_command_and_have_the_time_to_leave(options):
    [annotations] = [manifest["metadata"]["annotations"] for manifest in KUBERAY if manifest["kind"] == "RayCluster"]
    assert annotations == {"ray.io/overwrite-container-cmd": "true"}
    main_container = container("shards")
    command, *arguments = main_container["args"]
    assert (main_container["command"], command) == (["softkv"], "shard")
    assert set(arguments[::2]) <= options
    flags = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert TEMPLATES["shards"]["spec"]["terminationGracePeriodSeconds"] > int(flags["--leave-seconds"])
    assert main_container["readinessProbe"]["exec"]["command"][-1] == flags["--ready-file"]


def test_one_worker_and_one_process_at_a_time_are_taken_away():
    budgets = [manifest["spec"] for manifest in KUBERAY if manifest["kind"] == "PodDisruptionBudget"]
    assert [budget["maxUnavailable"] for budget in budgets] == [1, 1]
    selected = [budget["selector"]["matchLabels"] for budget in budgets]
    assert sum(labels.items() <= TEMPLATES["shards"]["metadata"]["labels"].items() for labels in selected) == 1
    assert sum(labels.items() <= TEMPLATES["api"]["metadata"]["labels"].items() for labels in selected) == 1
    [rule] = TEMPLATES["shards"]["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert rule["labelSelector"]["matchLabels"].items() <= TEMPLATES["shards"]["metadata"]["labels"].items()


def test_the_api_is_asked_where_it_answers(paths):
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

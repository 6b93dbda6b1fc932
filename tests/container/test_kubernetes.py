"""The manifests of docker/kubernetes: nothing is applied, but what they name is there and what they allow is little."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from fastapi.routing import iter_route_contexts

from service.app import create_app
from service.settings import Settings
from tests.container.test_composition import DOCKERFILE
from tests.container.tool import ROOT

FILE = ROOT / "docker" / "kubernetes" / "softkv.yaml"
TEXT = FILE.read_text(encoding="utf-8")
PARTS: dict[str, dict[str, Any]] = {part["kind"]: part for part in yaml.safe_load_all(TEXT)}
POD = PARTS["StatefulSet"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}
PROBES = {kind: CONTAINER[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}


def test_there_is_a_service_a_set_with_a_volume_and_a_policy():
    assert PARTS.keys() == {"Service", "StatefulSet", "NetworkPolicy"}
    assert len({part["metadata"]["name"] for part in PARTS.values()}) == 1
    labels = PARTS["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert PARTS["Service"]["spec"]["selector"] == labels
    assert PARTS["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    assert PARTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert PARTS["StatefulSet"]["spec"]["replicas"] == 1


@pytest.mark.parametrize("kind", PROBES)
def test_a_probe_asks_what_the_service_answers(kind):
    asked = PROBES[kind]["httpGet"]
    paths = {context.path for context in iter_route_contexts(create_app(Settings(encoder="none")).routes)}
    assert asked["path"] in paths
    assert asked["path"] == ("/readyz" if kind == "readiness" else "/livez")
    assert asked["port"] in {port["name"] for port in CONTAINER["ports"]}


def test_ports_are_those_of_the_image():
    assert [port["containerPort"] for port in CONTAINER["ports"]] == [Settings.model_fields["port"].default]
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == ["8000"]
    annotations = PARTS["StatefulSet"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "8000"
    assert [port["targetPort"] for port in PARTS["Service"]["spec"]["ports"]] == ["http"]


def test_every_setting_is_one_and_may_be_what_it_says():
    given = {name.removeprefix("SOFTKV_").lower(): value for name, value in ENVIRONMENT.items()}
    assert given.keys() <= Settings.model_fields.keys()
    assert Settings(host="0.0.0.0", **given).keyed
    assert POD["enableServiceLinks"] is False  # a service of the name softkv would set SOFTKV_PORT


def test_keys_come_from_a_secret_as_a_folder_so_that_they_change_while_it_runs():
    mounts = {each["name"]: each for each in CONTAINER["volumeMounts"]}
    folder = mounts["keys"]["mountPath"]
    assert ENVIRONMENT["SOFTKV_KEYS_FILE"].rpartition("/")[0] == folder
    assert "subPath" not in mounts["keys"]
    (secret,) = [each["secret"] for each in POD["volumes"] if each["name"] == "keys"]
    assert secret["secretName"]


def test_it_may_use_so_much_and_no_more():
    for of in ("requests", "limits"):
        assert CONTAINER["resources"][of].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert ENVIRONMENT["SOFTKV_THREADS"] == CONTAINER["resources"]["limits"]["cpu"]
    assert all(each["emptyDir"]["sizeLimit"] for each in POD["volumes"] if "emptyDir" in each)
    assert POD["terminationGracePeriodSeconds"] > 9


def test_it_may_do_nothing_but_write_its_data():
    user, group = map(int, re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE).groups())
    pod, own = POD["securityContext"], CONTAINER["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) == (True, user, group, group)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    mounted = {each["mountPath"]: each.get("readOnly", False) for each in CONTAINER["volumeMounts"]}
    assert mounted == {"/data": False, "/tmp": False, "/run/softkv": True}
    assert re.findall(r"SOFTKV_DATA_DIR=(\S+)", DOCKERFILE) == ["/data"]
    assert PARTS["NetworkPolicy"]["spec"]["egress"] == []


def test_every_volume_that_is_mounted_is_there():
    claimed = {each["metadata"]["name"] for each in PARTS["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == claimed | {each["name"] for each in POD["volumes"]}


def test_nobody_takes_it_for_tried():
    assert "applied nowhere" in TEXT.partition("apiVersion")[0]

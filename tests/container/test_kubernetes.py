"""docker/kubernetes/softkv.yaml, read: it asks for what the service has, and gives it nothing it does not need."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from fastapi import FastAPI

from softkv_service.app import create_app
from softkv_service.settings import Settings
from tests.container.tool import ROOT

MANIFESTS = {
    each["kind"]: each
    for each in yaml.safe_load_all((ROOT / "docker" / "kubernetes" / "softkv.yaml").read_text(encoding="utf-8"))
}
POD: dict[str, Any] = MANIFESTS["StatefulSet"]["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
ENVIRONMENT: dict[str, str] = {each["name"]: each["value"] for each in CONTAINER["env"]}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths of the service that answer GET."""
    app: FastAPI = create_app(Settings(data_dir=tmp_path_factory.mktemp("data"), encoder="none"))
    return {path for path, calls in app.openapi()["paths"].items() if "get" in calls}


@pytest.mark.parametrize("probe", PROBES)
def test_probes_are_paths_of_the_service(paths, probe):
    endpoint = CONTAINER[probe]["httpGet"]
    assert endpoint["path"] in paths
    assert endpoint["port"] in {port["name"] for port in CONTAINER["ports"]}


def test_settings_of_the_manifest_exist_with_valid_values(monkeypatch):
    fields = Settings.model_fields.keys()
    assert {name.lower().removeprefix("softkv_") for name in ENVIRONMENT} <= fields
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.threads == int(CONTAINER["resources"]["limits"]["cpu"])


def test_callers_have_keys_from_a_secret_that_is_mounted_as_a_folder():
    folder, _, _ = ENVIRONMENT["SOFTKV_KEYS_FILE"].rpartition("/")
    [mount] = [entry for entry in CONTAINER["volumeMounts"] if entry["mountPath"] == folder]
    [volume] = [entry for entry in POD["volumes"] if entry["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "softkv-keys"
    assert "subPath" not in mount
    assert mount["readOnly"] is True


def test_there_is_one_process_and_it_has_the_time_to_stop():
    assert MANIFESTS["StatefulSet"]["spec"]["replicas"] == 1
    assert POD["terminationGracePeriodSeconds"] > float(ENVIRONMENT["SOFTKV_DRAIN_SECONDS"]) + 9


def test_the_pod_has_no_rights_and_limits():
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] == POD["securityContext"]["fsGroup"] == 10001
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert CONTAINER["resources"]["limits"].keys() == CONTAINER["resources"]["requests"].keys() == {"cpu", "memory"}


def test_the_pod_calls_no_other_service_and_its_metrics_are_scraped(paths):
    policy = MANIFESTS["NetworkPolicy"]["spec"]
    assert (policy["egress"], policy["ingress"]) == ([], [{"ports": [{"port": "http"}]}])
    annotations = MANIFESTS["StatefulSet"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] in paths
    assert int(annotations["prometheus.io/port"]) == CONTAINER["ports"][0]["containerPort"]


def test_only_the_data_and_a_temporary_folder_can_be_written():
    writable = [mount["mountPath"] for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/data", "/tmp"]
    [claim] = MANIFESTS["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"

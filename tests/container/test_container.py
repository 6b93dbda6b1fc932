"""The image at work: as the compose file runs it, without a network, and where it must refuse."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.checkpoints import made_wheel
from tests.container.composition import PRODUCTION, build_options, run_options
from tests.container.tool import STOP_SECONDS

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

DOCUMENTS = [
    {"id": "dal", "key": "red lentils with cumin", "value": "Masoor dal"},
    {"id": "soup", "key": "chicken broth with noodles", "value": "Chicken soup"},
]


def weights(client: httpx.Client) -> dict[str, float]:
    answer = client.post("/v1/collections/recipes/attend", json={"query": "pulses and spices", "null": False})
    assert answer.status_code == 200, answer.text
    return {match["id"]: match["weight"] for match in answer.json()["matches"]}


@pytest.mark.end_to_end
def test_data_survives_a_restart_of_the_composed_service(tool, image, name, volume, port):
    with (
        tool.container(name, image, *run_options(port=port, volume=volume)) as container,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        container.wait_until_healthy()
        assert client.put("/v1/collections/recipes", json={}).status_code == 201
        assert client.post("/v1/collections/recipes/documents", json={"documents": DOCUMENTS}).json()["upserted"] == 2
        before = weights(client)
        assert max(before, key=before.__getitem__) == "dal"
        assert sum(before.values()) == pytest.approx(1)

        status = container.execute("cat", "/proc/1/status")
        assert "Uid:\t10001\t10001\t10001\t10001" in status
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status

        code, seconds = container.stop()
        assert code == 0, container.log()
        assert seconds < STOP_SECONDS

        container.start()
        container.wait_until_healthy()
        assert weights(client) == pytest.approx(before, abs=1e-6)


def test_without_a_network_it_answers_by_meaning(tool, image, name, volume):
    options = run_options(port=None, volume=volume)
    with tool.container(name, image, *options, "--env", "SOFTKV_DEMO=library") as container:
        container.wait_until_healthy()
        answer = json.loads(container.execute("softkv", "attend", "library", "pets that purr", "--json"))
        assert (answer["matches"][0]["key"], answer["evidence"]["verdict"]) == ("cats", "one")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "demo", "question", "key"),
    [("multilingual", "library-zh", "睡不着怎么办", "睡眠"), ("mpnet", "library", "pets that purr", "cats")],
)
def test_an_image_with_another_model_answers_by_it(tool, image, name, volume, model, demo, question, key):
    made_wheel(model)
    tool.build(f"{image}-{model}", *build_options(), "--build-arg", f"MODEL={model}")
    options = [*run_options(port=None, volume=volume), "--env", f"SOFTKV_DEMO={demo}"]
    with tool.container(name, f"{image}-{model}", *options) as container:
        container.wait_until_healthy()
        script = f"import softkv; print(softkv.Client().collection({demo!r}).info().encoder)"
        assert container.execute("python", "-c", script).strip() == model
        answer = json.loads(container.execute("softkv", "attend", demo, question, "--json"))
        assert (answer["matches"][0]["key"], answer["evidence"]["verdict"]) == (key, "one")


def test_a_container_without_permissions_refuses_to_start(tool, image):
    refused = tool.run("run", "--rm", "--network", "none", image)
    assert refused.returncode == 1
    assert "SOFTKV_API_KEYS" in refused.stderr
    assert "SOFTKV_ALLOW_ANONYMOUS" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_in_production_keys_come_from_a_secret_and_change_while_it_runs(tool, image, name, volume, port, tmp_path):
    def made(owner: str) -> tuple[str, str]:
        key = json.loads(tool("run", "--rm", "--network", "none", image, "key", owner, "--scope", "write", "--json"))
        return key["key"], key["line"]

    def list_status(key: str) -> int:
        return client.get("/v1/collections", headers={"X-API-Key": key}).status_code

    (old, first), (new, second) = made("app"), made("app")
    keys = tmp_path / "keys"
    keys.write_text(f"{first}\n")
    keys.chmod(0o644)
    options = run_options(port=port, volume=volume, service=PRODUCTION, secrets={"softkv-keys": str(keys)})
    with (
        tool.container(name, image, *options) as container,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        container.wait_until_healthy()
        assert [client.get("/v1/collections").status_code, list_status(old), list_status(new)] == [401, 200, 401]
        keys.write_text(f"{second}\n")
        deadline = time.monotonic() + 30
        while list_status(new) != 200:
            assert time.monotonic() < deadline, container.log()
            time.sleep(0.2)
        assert list_status(old) == 401
        assert old not in container.log()
        assert new not in container.log()


def test_a_second_container_of_the_same_data_is_refused(tool, image, name, volume):
    options = [*run_options(port=None, volume=volume), "--env", "SOFTKV_ENCODER=none", "--env", "SOFTKV_DEMO="]
    with tool.container(name, image, *options) as container:
        container.wait_until_healthy()
        refused = tool.run("run", "--rm", *tool.strict(options), image)
        assert refused.returncode == 1
        assert "in use" in refused.stderr


def test_a_container_that_cannot_get_ready_is_alive_but_not_healthy(tool, image, name, port):
    publish = ("--publish", f"127.0.0.1:{port}:8000")
    failing = ("--env", "SOFTKV_ALLOW_ANONYMOUS=read", "--env", "SOFTKV_ENCODER=no-such-model")
    with (
        tool.container(name, image, *publish, *failing) as container,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        container.wait_for("listens on")
        while (state := client.get("/readyz").json())["status"] == "loading":
            time.sleep(0.1)
        assert "no-such-model" in state["failed"][0]
        assert client.get("/livez").status_code == 200
        assert not container.healthy()

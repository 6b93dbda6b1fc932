"""/metrics: what operators look for is there, moves with what happens, and stays small whatever comes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from softkv_service.api.admission import KINDS
from softkv_service.api.keyring import line_of
from softkv_service.api.problems.table import OF_STATUS, TABLE
from softkv_service.request_trace import QUEUES, STAGES
from tests.running import RunningService

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(client: httpx.Client) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def value(series: Samples, name: str, **labels: str) -> float:
    return series.get((f"softkv_{name}", tuple(sorted(labels.items()))), 0.0)


@pytest.fixture
def moved(client):
    """Yield a function that returns the change of a series since the start."""
    before = samples(client)
    return lambda name, **labels: value(samples(client), name, **labels) - value(before, name, **labels)


def test_calls_are_counted_by_route(client, collection):
    path = collection(encoder=None)
    assert client.put(f"{path}/documents/some-id", json={"key_vector": [1, 2]}).status_code == 201
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "some-id" not in answer.text
    assert path.rpartition("/")[2] not in answer.text
    series, about = samples(client), {"method": "PUT", "route": "/v1/collections/{name}/documents/{id:path}"}
    assert value(series, "http_requests_total", **about, status="201") >= 1
    assert value(series, "http_request_duration_seconds_count", **about) >= 1
    assert value(series, "http_requests_in_progress") >= 1
    assert value(series, "documents") >= 1
    assert value(series, "document_keys") >= value(series, "documents")


def test_a_question_moves_the_metrics_of_its_stages(client, collection, moved):
    path = collection([{"id": "a", "key": "a text that nobody has encoded before"}])
    assert moved("encoder_texts_total") == 1
    assert 5 < moved("encoder_tokens_total") < 30
    assert client.post(f"{path}/attend", json={"query": "another text that nobody asked"}).status_code == 200
    assert moved("encoder_texts_total") == 2
    for stage in STAGES:
        assert moved("stage_duration_seconds_count", stage=stage) >= 1, stage
    for queue in QUEUES:
        assert moved("queue_wait_seconds_count", queue=queue) >= 1, queue
        assert moved("batch_size_count", queue=queue) >= 1, queue
    assert moved("certificate_total_variation_count", method="exact") == 1


def test_a_refusal_is_counted_by_its_code(client, moved):
    client.get("/v1/collections/none")
    client.post("/v1/encode", content=b"{", headers={"content-type": "application/json"})
    client.get("/nothing")
    for code in ("collection_not_found", "malformed_json", "not_found"):
        assert moved("refusals_total", code=code) == 1


def test_the_disk_is_weighed(client, service):
    database, size = service.settings.data_dir / "softkv.sqlite3", 0
    while size != database.stat().st_size:  # what was deleted before goes back to the disk meanwhile
        size, series = database.stat().st_size, samples(client)
    assert value(series, "storage_bytes", part="database") == size > 0
    assert 0 < value(series, "disk_free_bytes") < value(series, "disk_size_bytes")
    assert ("softkv_storage_bytes", (("part", "log"),)) in series


def test_the_metrics_agree_with_readyz(tmp_path):
    with RunningService(data_dir=tmp_path, encoder="nothing-of-this-name") as running, running.client() as client:
        while client.get("/readyz").json()["status"] == "loading":
            pass
        series = samples(client)
        assert client.get("/readyz").status_code == 503
        assert (value(series, "ready"), value(series, "damage")) == (0, len(client.get("/readyz").json()["failed"]))
        assert value(series, "damage") == 1
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        series = samples(client)
        assert (value(series, "ready"), value(series, "damage"), value(series, "keys_file_usable")) == (1, 0, 1)


def test_whatever_comes_it_stays_small(tmp_path):
    keys = [(f"caller-{i}", f"key-{i}") for i in range(50)]
    (tmp_path / "keys").write_text("".join(line_of(name, "write", "", key) + "\n" for name, key in keys))
    settings = {"data_dir": tmp_path / "data", "encoder": "none", "keys_file": tmp_path / "keys"}
    with RunningService(**settings) as running, running.client() as client:
        running.wait_until_ready()
        for i, (_, key) in enumerate(keys):
            with_key = {"x-api-key": key, "x-request-id": f"request-{i}"}
            client.put(f"/v1/collections/c{i}", json={}, headers=with_key)
            client.put(f"/v1/collections/c{i}/documents/document-{i}", json={"key_vector": [i]}, headers=with_key)
            client.request(f"M{i}", f"/made-up-{i}", headers=with_key)
            client.post(f"/v1/collections/c{i}/documents?q={i}", content=b"x" * i, headers={"x-api-key": f"no-{i}"})
        text = client.get("/metrics").text
        assert len(text) < 100_000
        assert not re.search(r"c49|document-49|made-up|caller-|M49|request-49|key-49", text)
        series = [(name, dict(labels)) for name, labels in samples(client)]
        codes = {labels["code"] for name, labels in series if name == "softkv_refusals_total"}
        assert codes == {*TABLE, *OF_STATUS.values()}
        assert {labels["kind"] for name, labels in series if name == "softkv_places_taken"} == set(KINDS)
        assert 'method="other"' in text

"""A slow request is a line that says where its time went; no line of the log has a text or a key."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from softkv_service.encoding import DEFAULT_MODEL
from softkv_service.retrieval.documents.seeding import Progress
from tests.running import RunningService
from tests.service.commands.conftest import serving

SECRETS = ("hushword", "hushkey")
TEXT, KEY = SECRETS


def lines(log: str, event: str) -> list[dict]:
    return [line for line in map(json.loads, log.splitlines()) if line["event"] == event]


def test_a_slow_question_says_where_its_time_went(tmp_path, capfd):
    settings = {"api_keys": (KEY,), "slow_request_ms": 0.001, "log_format": "json"}
    with RunningService(data_dir=tmp_path, **settings) as running, running.client(headers={"x-api-key": KEY}) as client:
        running.wait_until_ready()
        client.put("/v1/collections/notes", json={})
        client.put("/v1/collections/notes/documents/a", json={"key": TEXT})
        response = client.post("/v1/collections/notes/attend", json={"query": f"what is {TEXT}"})
        counted = client.get("/metrics").text
    slow_lines = lines(capfd.readouterr().err, "slow request")
    (slow,) = [line for line in slow_lines if line["request_id"] == response.headers["x-request-id"]]
    stages = slow.pop("stages_ms")
    assert stages.keys() == {"wait for encode", "encode", "wait for scan", "scan", "finish"}
    assert 0 < sum(stages.values()) <= slow.pop("took_ms") * 1.01
    assert slow.pop("timestamp")
    assert slow == {
        "event": "slow request",
        "level": "warning",
        "method": "POST",
        "route": "/v1/collections/{name}/attend",
        "status": 200,
        "collection": "notes",
        "documents": 1,
        "key": "API_KEYS#1",
        "request_id": response.headers["x-request-id"],
    }
    assert "softkv_slow_requests_total 0.0" not in counted


def test_a_slow_request_without_stages_names_the_work_of_the_process(tmp_path, capfd):
    settings = {"encoder": "none", "slow_request_ms": 0.001, "log_format": "json"}
    with RunningService(data_dir=tmp_path, **settings) as running, running.client() as client:
        running.wait_until_ready()
        client.get("/v1/nothing")
        running.app.state.parts.demo.progress["library"] = Progress("library")
        client.get("/v1/nothing")
    idle, busy = (line for line in lines(capfd.readouterr().err, "slow request") if line["status"] == 404)
    assert "stages_ms" not in idle
    assert idle["cause"].startswith("no stage took part of the time")
    assert busy["cause"] == "the process was busy, it loads demo library"


@pytest.mark.parametrize("slow_request_ms", [0, 60_000])
def test_a_fast_request_is_not_logged_as_slow(tmp_path, capfd, slow_request_ms):
    settings = {"encoder": "none", "slow_request_ms": slow_request_ms, "log_format": "json"}
    with RunningService(data_dir=tmp_path, **settings) as running, running.client() as client:
        client.put("/v1/collections/c", json={})
        assert "softkv_slow_requests_total 0.0" in client.get("/metrics").text
    log = capfd.readouterr().err
    assert lines(log, "request")
    assert lines(log, "slow request") == []


def test_the_time_of_a_listener_does_not_count_as_slow(tmp_path, capfd):
    with (
        RunningService(data_dir=tmp_path, encoder="none", slow_request_ms=0.001) as running,
        running.client() as client,
    ):
        code = client.post("/v1/rooms", json={}).json()["code"]
        with client.stream("GET", f"/v1/rooms/{code}/events") as heard:
            next(events := heard.iter_raw())
            del events
        client.get("/livez")
        while "/v1/rooms/{code}/events" not in (counted := client.get("/metrics").text):
            assert counted
    assert 'http_requests_total{method="GET",route="/v1/rooms/{code}/events",status="200"} 1.0' in counted
    (taken,) = [line for line in counted.splitlines() if "seconds_count" in line and "/events" in line]
    assert taken.endswith(" 0.0")
    assert not [line for line in capfd.readouterr().err.splitlines() if "slow" in line and "/events" in line]


def hostile(url: str, port: int) -> None:
    """Send a text and a key in every place that could be logged, except ids and names."""
    json_, documents = {"content-type": "application/json"}, "/v1/collections/c/documents"
    with httpx.Client(base_url=url, headers={"x-api-key": KEY}, timeout=60) as client:
        client.put("/v1/collections/c", json={})
        client.put(f"{documents}/a", json={"key": TEXT, "value": {"said": TEXT}, "metadata": {TEXT: TEXT}})
        client.patch(f"{documents}/a", json={"metadata": {TEXT: {TEXT: None}}})
        for body in (
            b"{" + TEXT.encode(),
            f'{{"{TEXT}": 1}}'.encode(),
            f'["{TEXT}"]'.encode(),
            b"\xff" + TEXT.encode(),
        ):
            for path in (documents, "/v1/collections/c/attend", "/v1/encode", "/v1/embeddings", "/v1/attend"):
                client.post(path, content=body, headers=json_)
                client.post(path, content=body, headers={"content-type": "application/x-ndjson"})
                client.post(path, content=body, headers={"content-type": TEXT, "idempotency-key": TEXT})
        client.post("/v1/collections/c/attend", json={"query": TEXT, "filter": {"field": TEXT, "operator": TEXT}})
        client.post("/v1/collections/c/attend", content=json.dumps({"query": f"{TEXT} \ud800"}), headers=json_)
        client.post("/v1/collections/c/compare", json={"query": f'"{TEXT}" OR NEAR('})
        client.post("/v1/encode", json={"texts": [TEXT], "model": TEXT})
        client.post("/v1/embeddings", json={"input": TEXT, "model": TEXT})
        client.post("/v1/trace", json={"text": TEXT})
        client.get("/v1/collections", params={"cursor": TEXT, "prefix": TEXT})
        client.get(f"/v1/collections?{TEXT}={KEY}&key={KEY}")
        for headers in (
            {"x-api-key": f"{KEY}x"},
            {"authorization": f"Basic {KEY}"},
            {"x-api-key": "", "cookie": KEY, "host": TEXT},
            {"origin": f"https://{TEXT}"},
            {"user-agent": TEXT, "referer": TEXT, "x-request-id": f"{TEXT} {TEXT}"},
        ):
            client.get("/v1/collections", headers=headers)
            client.get("/", headers=headers)
        client.request(TEXT.upper(), "/v1/collections")
    for raw in (
        f"GET / HTTP/1.1\r\nHost: localhost\r\n{TEXT}\r\n\r\n",
        f"{TEXT}\r\n\r\n",
        f"POST {documents} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nContent-Length: {TEXT}\r\n\r\n",
        f"POST {documents} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
        f"Content-Length: 999\r\n\r\n{TEXT}",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(raw.encode())
            connection.settimeout(0.5)
            with suppress(TimeoutError):
                connection.recv(4096)


@pytest.mark.thorough
def test_no_line_has_a_text_or_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("SOFTKV_API_KEYS", KEY)
    monkeypatch.setenv("SOFTKV_SLOW_REQUEST_MS", "0.001")
    with serving(tmp_path, "--encoder", DEFAULT_MODEL, "--log-format", "json") as running:
        log: list[str] = []
        reading = threading.Thread(target=log.extend, args=(running.process.stderr,))
        reading.start()
        while any("encoder" in name for name in httpx.get(f"{running.url}/readyz", timeout=60).json()["loading"]):
            time.sleep(0.1)
        port = int(running.url.rpartition(":")[2])
        with ThreadPoolExecutor(2) as callers:
            list(callers.map(lambda _: hostile(running.url, port), range(2)))
        running.process.send_signal(signal.SIGTERM)
        reading.join(30)
    assert sum("slow request" in line for line in log) > 50
    assert sum("API_KEYS#1" in line for line in log) > 50
    for line in log:
        assert not any(secret in line.lower() for secret in SECRETS), line


def test_the_slowest_requests_are_listed_without_their_content(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"encoder": "none", "slow_request_ms": 0.001, "read_keys": ("r",), "api_keys": (KEY,)}
    with RunningService(data_dir=tmp_path, **settings) as running, running.client() as client:
        writer, reader = {"x-api-key": KEY}, {"x-api-key": "r"}
        client.put("/v1/collections/notes", json={}, headers=writer).raise_for_status()
        for i in range(120):
            client.get(f"/v1/collections/notes/documents/secret-{i}", headers=reader)
        answer = client.get("/v1/service/slow", headers=reader)
        assert client.get("/v1/service/slow").status_code == 401
    listed = answer.json()
    took = [request["took_ms"] for request in listed["requests"]]
    assert len(took) == 100
    assert took == sorted(took, reverse=True)
    assert listed["threshold_ms"] == 0.001
    first = next(one for one in listed["requests"] if one["method"] == "PUT")
    assert (first["route"], first["collection"], first["status"]) == ("/v1/collections/{name}", "notes", 201)
    assert "storage" in first["stages_ms"]
    assert "secret" not in answer.text
    assert KEY not in answer.text

"""A service stopped by a signal: /readyz fails first, then the process ends in time, and each client gets a reason."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from softkv_service.server.server import STREAM_SECONDS
from softkv_workshop.lab.lab import CHILD
from tests.running import children_of
from tests.service.server.stopping import (
    BUSY,
    BY_ITSELF,
    IN_TIME,
    Asked,
    Stopped,
    chunk,
    head,
    lines,
    read_until,
    stoppable,
)

LARGE = [[float(i % 7), 1.0] for i in range(1990)]
SLOW = {"query": LARGE, "key": LARGE, "value": LARGE, "normaliser": "entmax15", "temperature": 0.5}
UPLOAD = head("POST /v1/collections/c/documents", "application/x-ndjson", "Transfer-Encoding: chunked")
LONG = 60  # seconds of draining, which no test waits for
BATCH = b"".join(b'{"id": "%d", "key_vector": [1, 2]}\n' % number for number in range(1000))
pytestmark = [pytest.mark.process, pytest.mark.end_to_end, pytest.mark.filterwarnings("ignore::ResourceWarning")]


def test_a_stopping_service_is_red_for_a_moment_and_waits_for_no_body(tmp_path: Path) -> None:
    with stoppable(tmp_path, "--drain-seconds", "3") as running:
        running.client.put("/v1/collections/c", json={"encoder": None}).raise_for_status()
        body = head("PUT /v1/collections/c/documents/a", "application/json", "Content-Length: 30")
        stalled, half = running.raw(body + b"{"), running.raw(b"GET /livez HTTP/1.1\r\nHo")
        idle = running.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        upload = running.raw(UPLOAD + chunk(BATCH) + chunk(b'{"id": "lost", '))
        read_until(upload, b'"upserted":1000')
        running.tell()
        wait_until_red(running)
        new = running.client.put("/v1/collections/c/documents/b", json={"key_vector": [1, 2]})
        assert (new.status_code, new.headers["connection"]) == (201, "close")
        assert running.client.get("/v1/backup").json()["code"] == "stopping"
        assert lines(upload)[-1]["problem"]["code"] == "stopping"
        assert time.monotonic() - running.told < 2 + BUSY
        answer = stalled.recv(65536)
        assert b"503 Service Unavailable" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "stopping"
        assert half.recv(100) == idle.recv(100) == b""
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((half.getpeername()[0], half.getpeername()[1]), timeout=5)
        assert running.gone() < BY_ITSELF
    with stoppable(tmp_path, "--drain-seconds", "0") as again:
        assert again.client.get("/v1/collections/c").json()["documents"] == 1001
        again.tell()
        assert again.gone() < BY_ITSELF


def wait_until_red(running: Stopped) -> None:
    """Poll /readyz like a load balancer until it fails."""
    while (ready := running.client.get("/readyz", timeout=30)).json()["status"] != "draining":
        assert time.monotonic() - running.told < 1 + BUSY
    assert ready.status_code == 503


@pytest.mark.thorough
def test_listeners_hear_of_the_stop_and_training_ends(tmp_path: Path) -> None:
    with stoppable(tmp_path) as running:
        body = {"task": "copy", "seconds": 100}
        with running.client.stream("POST", "/v1/lab/train", json=body) as answer:
            heard = answer.iter_lines()
            assert next(line for line in heard if line.startswith("event")) == "event: begun"
            (child,) = children_of(running.process.pid, module=CHILD)
            running.tell()
            *_, last = [line for line in heard if line]
            assert time.monotonic() - running.told < 2 + BUSY
        assert json.loads(last.removeprefix("data: "))["code"] == "stopping"
        assert running.gone() < BY_ITSELF
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.thorough
def test_ctrl_c_has_no_moment_and_a_second_signal_no_patience(tmp_path: Path) -> None:
    with stoppable(tmp_path, "--drain-seconds", str(LONG)) as running:
        running.tell(signal.SIGINT)
        assert running.gone() < LONG / 2
    with stoppable(tmp_path, "--drain-seconds", str(LONG)) as running:
        running.tell()
        wait_until_red(running)
        running.process.send_signal(signal.SIGTERM)
        assert running.gone() < LONG / 2


@pytest.mark.thorough
def test_threads_that_compute_do_not_keep_it(tmp_path: Path) -> None:
    with stoppable(tmp_path) as running:
        calls = [Asked("POST", f"{running.url}/v1/attend", json=SLOW) for _ in range(3)]
        time.sleep(1)
        running.tell()
        assert running.gone() < IN_TIME
    # Cut, where an answer was being written as the time was over.
    assert all(call.status() in (200, None) or call.refused() for call in calls)


@pytest.mark.thorough
def test_texts_that_wait_for_the_encoder_are_refused_and_streams_of_them_end(tmp_path: Path) -> None:
    texts = [f"text number {number} about the behaviour of house cats " * 8 for number in range(3000)]
    with stoppable(tmp_path, "--encoder", "all-MiniLM-L6-v2") as running:
        running.client.put("/v1/collections/c", json={}).raise_for_status()
        url, stream = f"{running.url}/v1/encode", {"accept": "application/x-ndjson"}
        bulk = Asked("POST", url, json={"texts": texts})
        parts = Asked("POST", url, json={"texts": texts}, headers=stream)
        documents = [{"id": str(number), "key": text} for number, text in enumerate(texts)]
        written = Asked("POST", f"{running.url}/v1/collections/c/documents", json={"documents": documents})
        body = "\n".join(map(json.dumps, documents))
        upload = Asked(
            "POST",
            f"{running.url}/v1/collections/c/documents",
            content=body.replace('"id": "', '"id": "n').encode(),
            headers={"content-type": "application/x-ndjson"},
        )
        while "softkv_encoder_waiting_texts 0.0" in (seen := running.client.get("/metrics").text):
            assert seen
        time.sleep(2)
        running.tell()
        parts.join(STREAM_SECONDS + BUSY)
        upload.join(1)
        assert time.monotonic() - running.told < STREAM_SECONDS + 1.5 + BUSY
        assert running.gone() < IN_TIME
    assert bulk.refused()
    assert written.refused()
    assert parts.answer is not None
    last = json.loads(parts.answer.text.splitlines()[-1])
    assert (last["done"], last["problem"]["code"]) == (False, "stopping")
    assert upload.answer is not None
    end = json.loads(upload.answer.text.splitlines()[-1])
    assert (end["done"], end["problem"]["code"]) == (False, "stopping")
    with stoppable(tmp_path) as again:
        assert again.client.get("/v1/collections/c").json()["documents"] == end["upserted"]


@pytest.mark.thorough
def test_an_unread_backup_is_cut_and_uploads_end(tmp_path: Path) -> None:
    with stoppable(tmp_path) as running:
        running.client.put("/v1/collections/c", json={"encoder": None}).raise_for_status()
        value = "x" * 20_000
        for first in range(0, 2000, 500):
            documents = [{"id": str(first + i), "key_vector": [1, 2], "value": value} for i in range(500)]
            running.client.post("/v1/collections/c/documents", json={"documents": documents}).raise_for_status()
        backup = running.raw(b"GET /v1/backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert backup.recv(1000).startswith(b"HTTP/1.1 200")
        received = 0
        uploads = [running.raw(UPLOAD + chunk(BATCH)) for _ in range(20)]
        running.tell()
        for upload in uploads:
            end = lines(upload)[-1]
            assert end.get("problem", end)["code"] == "stopping"  # as one that had begun says it, or one that had not
        assert time.monotonic() - running.told < STREAM_SECONDS + 1 + BUSY
        assert running.gone() < IN_TIME
        with suppress(ConnectionResetError):
            while part := backup.recv(1 << 20):
                received += len(part)
        assert received < 2000 * len(value)
    assert not list(tmp_path.glob("softkv.copy-*"))


@pytest.mark.thorough
def test_a_start_after_an_unclean_stop_reports_the_recovered_log(tmp_path: Path) -> None:
    with stoppable(tmp_path, "--log-format", "json") as running:
        running.client.put("/v1/collections/c", json={"encoder": None}).raise_for_status()
        running.client.put("/v1/collections/c/documents/a", json={"key_vector": [1, 2]}).raise_for_status()
        running.process.kill()
        running.process.wait()
    with stoppable(tmp_path, "--log-format", "json") as again:
        event = json.loads(again.before[0])
        again.tell(signal.SIGINT)
        again.gone()
    assert (event["process"], event["collections"], event["documents"]) == (running.process.pid, 1, 1)
    assert event["log_bytes"] > 0 < event["seconds"]
    with stoppable(tmp_path, "--log-format", "json") as once_more:
        assert "not closed" not in "".join(once_more.before)

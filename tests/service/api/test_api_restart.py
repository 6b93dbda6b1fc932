"""The start of a service on data that another one wrote."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from softkv_service.storage import SQLiteStore
from tests.bfloat16 import needs_bfloat16
from tests.running import RunningService
from tests.service.api.repeats import Write, new, same
from tests.service.storage.making import OF_ITSELF, SETTINGS, WITH_SETS

ASKED = {"query": "why does my pet purr?", "include": ["value"], "top_k": 2}
# A service that kills itself once the first write to a document is on disk, before it is answered.
KILLED = """
import os, signal, sys, threading
from softkv_service.storage.sqlite.writer import Writer
from tests.running import RunningService

def end():
    os.kill(os.getpid(), signal.SIGKILL)

upsert = Writer.upsert
def upsert_and_end(self, *given, **named):
    self.after_commit(end)
    return upsert(self, *given, **named)
Writer.upsert = upsert_and_end
with RunningService(data_dir=sys.argv[1], encoder="none") as running:
    running.wait_until_ready()
    print(running.url, flush=True)
    threading.Event().wait()
"""
WITH_KEY = {"include": "key_vector"}
BOOKS = [{"id": "cats", "key": "the behaviour of house cats"}, {"id": "bread", "key": "baking bread at home"}]


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    """A data directory with a collection in it, and what the collection answered."""
    directory = tmp_path_factory.mktemp("left")
    with RunningService(data_dir=directory) as running, running.client() as client:
        running.wait_until_ready()
        client.put("/v1/collections/books", json={"temperature": 0.1})
        client.post("/v1/collections/books/documents", json={"documents": BOOKS})
        return directory, client.post("/v1/collections/books/attend", json=ASKED).json()["matches"]


def test_a_restarted_service_answers_as_before(left_behind):
    directory, before = left_behind
    with RunningService(data_dir=directory) as running, running.client() as client:
        running.wait_until_ready()
        assert client.post("/v1/collections/books/attend", json=ASKED).json()["matches"] == before
        assert client.get("/v1/collections/books").json()["temperature"] == 0.1


def test_a_calibration_of_its_own_texts_is_dropped_and_questions_go_on(tmp_path, capfd):
    model = {"encoder": "all-MiniLM-L6-v2", "precision": "float32", "dimension": 384}
    settings = replace(SETTINGS, calibration=OF_ITSELF, **model)
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        writer.create_collection("books", replace(settings, temperature=0.05832645197880583, null="auto"))
    path = "/v1/collections/books"
    with RunningService(data_dir=tmp_path) as running, running.client() as client:
        running.wait_until_ready()
        assert "own texts are not read any more collections=['books']" in capfd.readouterr().err
        client.post(f"{path}/documents", json={"documents": BOOKS})
        kept = client.get(path).json()
        assert (kept["temperature"], kept["null"], kept["calibration"]) == (0.2, 0.31, None)
        assert "own texts is not read any more" in kept["notice"]
        plain = client.post(f"{path}/attend", json=ASKED).json()["evidence"]
        answer = client.post(f"{path}/attend", json={**ASKED, "min_confidence": 0.8})
        assert (answer.status_code, answer.json()["evidence"]["verdict"]) == (200, plain["verdict"]), answer.text
        assert "so min_confidence has no effect" in answer.json()["reason"]
        client.patch(path, json={"calibration": None})
        kept = client.get(path).json()
        assert (kept["temperature"], kept["null"], kept["notice"]) == (0.2, 0.31, None)
        assert client.post(f"{path}/attend", json={**ASKED, "min_confidence": 0.8}).status_code == 422


def test_a_calibration_with_conformal_sets_goes_on_without_them(tmp_path, capfd):
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        calibrated = replace(SETTINGS, temperature=0.05832645197880583, null="calibrated", calibration=WITH_SETS)
        writer.create_collection("sets", calibrated)
    path = "/v1/collections/sets"
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        assert "conformal sets of stored calibrations are not read any more collections=['sets']" in (
            capfd.readouterr().err
        )
        documents = [{"id": name, "key_vector": vector} for name, vector in (("a", [1, 0]), ("b", [0, 1]))]
        assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
        kept = client.get(path).json()["calibration"]
        assert (kept["temperature"], kept["labels"]) == (0.05832645197880583, {"present": 120, "absent": 120})
        answer = client.post(f"{path}/attend", json={"query": [1, 0], "min_confidence": 0.5}).json()
        assert 0.5 < answer["matches"][0]["confidence"] < 1
        refused = client.post(f"{path}/attend", json={"query": [1, 0], "conformal": 0.9})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/conformal")


def test_keys_in_float32_are_compared_with_questions_in_int16_and_stay_as_they_are(tmp_path):
    path, matches = "/v1/collections/books", {}
    for precision in ("float32", "int16"):
        with RunningService(data_dir=tmp_path, precision=precision) as running, running.client() as client:
            running.wait_until_ready()
            if precision == "float32":
                client.put(path, json={"temperature": 0.1})
                client.post(f"{path}/documents", json={"documents": BOOKS})
                keys = client.get(f"{path}/documents/cats", params=WITH_KEY).json()["key_vector"]
            assert client.get(path).json()["precision"] == "float32"
            matches[precision] = client.post(f"{path}/attend", json=ASKED).json()["matches"]
            if precision == "int16":
                assert client.patch(f"{path}/documents/cats", json={"metadata": {"shelf": 1}}).status_code == 200
                assert client.put(f"{path}/documents/new", json={"key": ASKED["query"]}).status_code == 201
                again = client.post(f"{path}/attend", json={**ASKED, "top_k": 3}).json()["matches"]
                client.post(f"{path}/documents", json={"documents": BOOKS}).raise_for_status()
                assert client.get(f"{path}/documents/cats", params=WITH_KEY).json()["key_vector"] == keys
                near_keys = [*keys[:-1], keys[-1] + 2**-12]
                client.put(f"{path}/documents/cats", json={"key": BOOKS[0]["key"], "key_vector": near_keys})
                written = client.get(f"{path}/documents/cats", params=WITH_KEY).json()["key_vector"]
                assert written == pytest.approx(near_keys, abs=1e-7)
                assert written != keys
    near, similarities = ([match["similarity"] for match in matches[name]] for name in ("float32", "int16"))
    assert [match["id"] for match in matches["int16"]] == [match["id"] for match in matches["float32"]]
    assert similarities == pytest.approx(near, abs=1e-3)
    assert similarities != near
    assert [match["similarity"] for match in again] == [pytest.approx(1, abs=1e-9), *similarities]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param({"precision": "bfloat16"}, "start the service with PRECISION=", marks=needs_bfloat16),
        ({"encoder": "none"}, "the encoders of this service are: none"),
    ],
)
def test_texts_are_not_mixed_with_another_encoders_and_vectors_still_work(left_behind, settings, says):
    directory, _ = left_behind
    with RunningService(data_dir=directory, **settings) as running, running.client() as client:
        running.wait_until_ready()
        refused = client.post("/v1/collections/books/attend", json=ASKED)
        assert (refused.status_code, refused.json()["code"]) == (503, "encoder_missing")
        assert says in refused.json()["detail"]
        written = client.put("/v1/collections/books/documents/new", json={"key": "a text"})
        assert written.status_code == 503
        body = {"query": [1.0] + [0.0] * 383, "null": False}
        assert len(client.post("/v1/collections/books/attend", json=body).json()["matches"]) == 2


@pytest.mark.end_to_end
@pytest.mark.kill
def test_a_write_whose_answer_was_lost_to_kill_nine_is_answered_when_it_is_sent_again(tmp_path):
    path, key = "/v1/collections/c/documents/a", {"idempotency-key": "8e03978e"}
    options = {"json": {"key_vector": [1, 2]}, "headers": key}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as child:
        url = next(line for line in child.stdout if line.startswith("http")).strip()
        with httpx.Client(base_url=url, timeout=60) as client:
            assert client.put("/v1/collections/c", json={}).status_code == 201
            with pytest.raises(httpx.RemoteProtocolError):
                client.put(path, **options)
        assert child.wait() == -signal.SIGKILL
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        repeat = client.put(path, **options)
        assert (repeat.status_code, repeat.headers["idempotency-replayed"]) == (201, "true")
        assert repeat.json() == {"upserted": 1, "truncated": []}
        assert client.get("/v1/collections/c").json()["documents"] == 1
        assert client.put(path, json={"key_vector": [1, 2]}).status_code == 200


def test_a_write_that_was_answered_is_answered_again_and_needs_no_encoder(tmp_path):
    write, key = Write("PUT", "/documents/a", {"key": "the behaviour of house cats"}), new()
    made, made_key = Write("PUT", "", {"encoder": "all-MiniLM-L6-v2"}), new()
    with RunningService(data_dir=tmp_path) as running, running.client() as client:
        running.wait_until_ready()
        made_first, first = (
            made.send(client, "/v1/collections/c", made_key),
            write.send(client, "/v1/collections/c", key),
        )
        assert (made_first.status_code, first.status_code) == (201, 201)
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        assert write.send(client, "/v1/collections/c", new()).status_code == 503
        same(write.send(client, "/v1/collections/c", key), first)
        same(made.send(client, "/v1/collections/c", made_key), made_first)

"""The lab over HTTP: the events of a training, the answers of a trained model, and the callers that may train."""

from __future__ import annotations

import json

import numpy as np
import pytest

from softkv_workshop.lab.lab import CHILD
from tests.running import RunningService, children_of
from tests.waiting import until

READER = {"X-API-Key": "reader"}
PAIRS = [{"query": "an animal that purrs", "key": "cat"}, {"query": "it barks", "key": "dog"}]


def events(answer) -> list[tuple[str, dict]]:
    """Return the events of a whole answer, without the comments between them."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [event for event in answer.text.split("\n\n") if event.startswith("event: ")]
    return [(event.split("\n")[0][7:], json.loads(event.split("\n")[1][6:])) for event in blocks]


def train(client, **body) -> list[tuple[str, dict]]:
    return events(client.post("/v1/lab/train", json=body))


@pytest.fixture(scope="module")
def trained(client):
    events = train(client, task="dates", steps=3, seed=2)
    return events, events[-1][1]


def test_a_training_tells_of_itself_and_its_model_is_kept(client, trained):
    events, last = trained
    assert (events[0][0], events[-1][0]) == ("begun", "trained")
    assert {name for name, _ in events[1:-1]} <= {"step", "tested"}
    assert last["step"] == 3
    assert 0 <= last["accuracy"] <= 1
    assert 0 <= last["aligned"] <= 1
    assert {length["length"] for length in last["lengths"]} <= set(range(1, 13))
    lab = client.get("/v1/lab").json()
    assert (lab["open"], lab["training"]) == (True, False)
    kept_model = next(model for model in lab["models"] if model["id"] == last["id"])
    assert kept_model["parameters"] == events[0][1]["parameters"]
    assert (kept_model["task"], kept_model["model"], kept_model["seed"]) == ("dates", "transformer", 2)


def test_each_token_that_is_written_has_weights_over_the_source(client, trained):
    _, last = trained
    body = {"model": last["id"], "source": last["examples"][0]["source"]}
    decoded = client.post("/v1/lab/decode", json=body).json()
    attention, within = np.array(decoded["attention"]), np.array(decoded["source_attention"])
    m, n = len(decoded["tokens"]), len(decoded["source"])
    assert attention.shape == (1, 1, m, n)
    assert within.shape == (1, 1, n, n)
    np.testing.assert_allclose(attention.sum(-1), 1, atol=1e-5)
    written = "".join(token["text"] for token in decoded["tokens"] if token["text"] != "<end>")
    assert written == decoded["text"]
    assert all(0 < token["probability"] <= 1 for token in decoded["tokens"])


@pytest.mark.thorough
def test_training_on_pairs_reports_their_weights(client):
    events = train(client, task="pairs", pairs=PAIRS * 3, steps=20)
    assert events[0] == ("begun", {"parameters": 2 * 384 * 32, "held_out": [4]})
    first, last = events[1][1], events[-1][1]
    assert (first["step"], last["step"]) == (0, 20)
    np.testing.assert_allclose(np.sum(first["weights"], axis=1), 1, atol=1e-5)
    assert client.get("/v1/lab").json()["training"] is False


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        ({"task": "pairs"}, "/pairs", "learns from pairs of a query and a key: send some"),
        ({"task": "copy", "pairs": PAIRS}, "/pairs", "makes its own examples: leave pairs out"),
        ({"task": "pairs", "pairs": PAIRS, "model": "gru"}, "/model", "learned by attention, not by gru"),
        ({"task": "pictures", "model": "lstm"}, "/model", "lstm reads one token after the other"),
        ({"task": "pairs", "pairs": PAIRS[:1]}, "/pairs", "at least 2"),
        ({"task": "copy", "seconds": 1000}, "/seconds", "wanted a number up to 120"),
        ({"task": "chess"}, "/task", "'copy', 'reverse'"),
    ],
)
def test_an_invalid_training_is_refused_before_it_begins(client, body, pointer, message):
    answer = client.post("/v1/lab/train", json=body)
    assert answer.status_code == 422
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == pointer
    assert message in flaw["detail"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"source": "3 Brumaire 2014"}, 422, "'Brumaire' is not a token of the task dates"),
        ({"picture": [[0.0] * 16] * 16}, 422, "reads a text, got a picture"),
        ({"picture": [[1e300] * 16] * 16}, 422, "wanted a number up to 1"),
        ({}, 422, "send exactly one of source and picture"),
        ({"source": "3", "model": "m-none"}, 404, "there is no trained model 'm-none'"),
    ],
)
def test_an_invalid_input_of_a_model_is_refused(client, trained, body, status, message):
    answer = client.post("/v1/lab/decode", json={"model": trained[1]["id"], **body})
    assert answer.status_code == status
    assert message in answer.text


def test_a_client_that_hangs_up_ends_the_training(client):
    with client.stream("POST", "/v1/lab/train", json={"task": "copy", "seconds": 100}) as answer:
        heard = answer.iter_raw()
        next(heard)
        assert client.get("/v1/lab").json()["training"] is True
        assert len(children_of(module=CHILD)) == 1
    until(lambda: not client.get("/v1/lab").json()["training"])
    assert children_of(module=CHILD) == []


@pytest.mark.parametrize(
    ("lab", "status"), [("writers", 403), pytest.param("readers", 200, marks=pytest.mark.thorough)]
)
def test_readers_train_where_they_may(tmp_path, lab, status):
    settings = {"encoder": "none", "api_keys": ("writer",), "read_keys": ("reader",), "lab": lab}
    with RunningService(data_dir=tmp_path, **settings) as running, running.client() as client:
        body = {"task": "copy", "steps": 1}
        answer = client.post("/v1/lab/train", json=body, headers=READER)
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["code"] == "lab_closed"
        else:
            assert events(answer)[-1][0] == "trained"
        assert client.get("/v1/lab", headers=READER).json()["open"] is (status == 200)
        assert client.get("/v1/lab", headers={"X-API-Key": "writer"}).json()["open"] is True
        assert client.post("/v1/lab/train", json=body).status_code == 401

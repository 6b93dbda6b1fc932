"""A calibration from labelled questions is fitted, kept, reported, and removed again."""

from __future__ import annotations

import numpy as np
import pytest

from tests.running import RunningService

D = 12
N = 300


def vectors(n: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, D))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def labelled(n: int, noise: float = 0.45) -> list[dict]:
    """Return labelled questions: half near a document, half near a missing one."""
    stored_vectors, gone = vectors(N, 0), vectors(N, 1)
    random = np.random.default_rng(2)
    questions = []
    for i in range(n):
        key = (stored_vectors if i % 2 else gone)[i % N]
        query = key + noise * random.normal(size=D) / np.sqrt(D) * 2
        questions.append({"query": query.tolist(), "id": f"{i % N}" if i % 2 else None})
    return questions


@pytest.fixture
def path(client, collection):
    documents = [{"id": f"{i}", "key_vector": key.tolist()} for i, key in enumerate(vectors(N, 0))]
    return collection(documents, encoder=None, null=0.3)


def test_a_calibration_with_a_gain_is_stored_and_adds_confidences(client, path):
    questions = labelled(240)
    body = client.post(f"{path}/calibrate", json={"questions": questions}).json()
    assert not body["applied"]
    assert client.get(path).json()["calibration"] is None
    calibrated = client.post(f"{path}/calibrate", json={"questions": questions, "apply": True}).json()
    assert calibrated["applied"], calibrated
    untimed = {"applied": None, "at": None, "took_ms": None}
    assert calibrated | untimed == body | untimed
    assert calibrated["gained"]["label_loss"]["value"] > calibrated["gained"]["label_loss"]["error"]
    assert calibrated["after"]["log_loss"]["value"] < calibrated["before"]["log_loss"]["value"]
    assert calibrated["labels"] == {"present": 120, "absent": 120}
    assert calibrated["after"]["off_topic_none"] == {"value": None, "error": None}, "no text can be encoded"
    now = client.get(path).json()
    assert (now["temperature"], now["null"]) == (calibrated["temperature"], "calibrated")
    bounds = {"at_most": None, "short": None, "at_least": None, "fades_from": None}
    assert now["background"] == {"mean": calibrated["level"], "deviation": 0, "of": "labels", "pairs": 0, **bounds}
    assert now["calibration"] == {
        "version": 2,
        "from": "labels",
        "at": calibrated["at"],
        "documents": N,
        "encoder": None,
        "temperature": calibrated["temperature"],
        "level": calibrated["level"],
        "full_text": 0,
        "none_from": calibrated["none_from"],
        "errors": calibrated["errors"],
        "labels": {"present": 120, "absent": 120},
        "rerank": None,
        "outgrown": False,
    }
    query = questions[1]["query"]
    answer = client.post(f"{path}/attend", json={"query": query, "top_k": 5, "min_confidence": 0.2}).json()
    # Independently, in float64: the weight of the best without the null key, and how far all outweigh that, through the
    # curve.
    unit = np.array(query) / np.linalg.norm(query)
    keys = vectors(N, 0).astype(np.float32).astype(np.float64)
    logits = keys @ unit / np.linalg.norm(keys, axis=1) / calibrated["temperature"]
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    x = np.log(weights.max() / (1 - weights.max()))
    curve = calibrated["confidence"]
    z = np.logaddexp.reduce(logits) - np.log(N) - calibrated["level"] / calibrated["temperature"]
    logit = curve["slope"] * min(x, 0) + curve["slope_above"] * max(x, 0) + curve["offset"]
    logit += curve["lead_slope"] * min(z, 0) + curve["lead_slope_above"] * max(z, 0)
    first = 1 / (1 + np.exp(-logit))
    confidences = [match["confidence"] for match in answer["matches"]]
    assert confidences[0] == pytest.approx(first, rel=1e-6)
    assert sum(confidences) <= 1
    with_null = np.append(logits, np.log(N) + calibrated["level"] / calibrated["temperature"])
    shares = np.exp(with_null - with_null.max())
    shares = np.sort(shares[:-1] / shares.sum())[::-1]
    assert confidences[1] == pytest.approx((1 - first) * shares[1] / (1 - shares[0]), rel=1e-6)
    assert answer["evidence"]["verdict"] == ("one" if first >= 0.2 else "several")
    # With other options there is no confidence.
    assert (
        "confidence" not in client.post(f"{path}/attend", json={"query": query, "temperature": 1}).json()["matches"][0]
    )
    taken = client.patch(path, json={"calibration": None}).json()
    assert (taken["temperature"], taken["null"], taken["calibration"]) == (0.05, 0.3, None)
    refused = client.post(f"{path}/attend", json={"query": query, "min_confidence": 0.5})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/min_confidence")


def test_a_trial_gives_the_reason_for_which_the_fit_would_not_be_stored(client, path):
    body = {"questions": labelled(240)}
    assert client.post(f"{path}/calibrate", json=body | {"apply": True}).json()["applied"]
    stored = client.get(path).json()["calibration"]
    again, trial = (client.post(f"{path}/calibrate", json=body | {"apply": apply}).json() for apply in (True, False))
    assert (again["applied"], trial["applied"]) == (False, False)
    assert "beside the calibration that it would replace" in again["reason"]
    assert trial["reason"] == again["reason"]
    assert client.get(path).json()["calibration"] == stored


def test_expired_documents_do_not_count(client, path):
    expired = [{"id": f"old {i}", "key_vector": [1] * D, "expires": "2001-01-01T00:00:00Z"} for i in range(2 * N)]
    assert client.post(f"{path}/documents", json={"documents": expired}).json()["upserted"] == 2 * N
    made = client.post(f"{path}/calibrate", json={"questions": labelled(240), "apply": True}).json()
    assert (made["applied"], made["documents"]) == (True, N)
    assert not client.get(path).json()["calibration"]["outgrown"]
    (listed,) = [one for one in client.get("/v1/collections").json()["collections"] if one["name"] in path]
    assert not listed["calibration"]["outgrown"]


def test_judgements_of_missing_and_keyless_documents_are_left_out_and_named(client, path):
    client.put(f"{path}/documents/keyless", json={"value": "never found"})
    known, near = labelled(60), vectors(1, 3)[0].tolist()
    first, *others = known
    questions = [
        first,
        {"query": near, "id": "gone"},
        *others,
        {"query": near, "ids": ["keyless", "gone"]},
        {"query": others[0]["query"], "ids": ["gone", others[0]["id"]]},
    ]
    named = [("/questions/1/id", "gone"), ("/questions/61/ids/0", "keyless"), ("/questions/61/ids/1", "gone")]
    named.append(("/questions/62/ids/0", "gone"))
    expected, answer = (client.post(f"{path}/calibrate", json={"questions": sent}) for sent in (known, questions))
    assert answer.status_code == 200, answer.text
    assert answer.json()["left_out"] == [
        {"pointer": pointer, "detail": f"no document with a key has the id {i!r}: correct the id, or leave it out"}
        for pointer, i in named
    ]
    assert expected.json()["left_out"] == []
    for name in ("labels", "temperature", "level", "before", "after"):
        assert answer.json()[name] == expected.json()[name], name


def test_keeping_it_wants_a_key_that_may_write(tmp_path):
    settings = {"encoder": "none", "api_keys": ("w",), "read_keys": ("r",)}
    with RunningService(data_dir=tmp_path, **settings) as running, running.client() as client:
        client.put("/v1/collections/own", json={"dimension": D}, headers={"x-api-key": "w"})
        sent = {"questions": labelled(60)}
        responses = [
            client.post("/v1/collections/own/calibrate", json=sent | {"apply": label}, headers={"x-api-key": "r"})
            for label in (False, True)
        ]
    assert [label.status_code for label in responses] == [422, 403]

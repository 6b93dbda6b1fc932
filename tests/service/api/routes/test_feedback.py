"""Feedback is kept, listed and deleted; labels follow from it."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.running import RunningService
from tests.service.api.routes.test_calibrate import D, N, labelled, vectors


@pytest.fixture
def path(client: httpx.Client, collection: Any) -> str:
    made: str = collection(encoder=None, null=0.3)
    documents = [{"id": f"{i}", "key_vector": key.tolist()} for i, key in enumerate(vectors(N, 0))]
    assert client.post(f"{made}/documents", json={"documents": documents}).status_code == 200
    return made


def judged(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [question | {"right": True} for question in questions]


def give(client: httpx.Client, path: str, judgements: list[dict[str, Any]], **more: Any) -> httpx.Response:
    return client.post(f"{path}/feedback", json={"feedback": judgements}, **more)


def listed(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    page: dict[str, Any] = client.get(f"{path}/feedback", params=parameters).json()
    return page


def refused(answer: httpx.Response) -> tuple[str, str]:
    (flaw,) = answer.json()["errors"]
    assert answer.status_code == 422
    return flaw["pointer"], flaw["detail"]


def test_feedback_is_listed_in_pages_and_deleted(client, path):
    query = vectors(N, 0)[3].tolist()
    said = [{"query": query, "id": "3", "right": True}, {"query": query, "id": "4", "right": False}]
    said += [{"query": [1.0] * D, "id": None, "right": True}]
    assert give(client, path, said).json() == {"kept": 3, "left_out": []}
    first = listed(client, path, limit=2)
    assert (first["count"], len(first["feedback"])) == (3, 2)
    second = listed(client, path, limit=2, cursor=first["next_cursor"])
    assert second["next_cursor"] is None
    records = first["feedback"] + second["feedback"]
    np.testing.assert_allclose([record.pop("query") for record in records], [query, query, [1.0] * D])
    numbers = [record.pop("number") for record in records]
    assert all(record.pop("at").endswith("Z") for record in records)
    nearest = client.post(f"{path}/attend", json={"query": [1.0] * D, "top_k": 1}).json()["matches"][0]["id"]
    assert records == [
        {"id": "3", "right": True, "first": "3"},
        {"id": "4", "right": False, "first": "3"},
        {"id": None, "right": True, "first": nearest},
    ]
    assert listed(client, path, limit=0)["feedback"] == []
    assert client.post(f"{path}/feedback/delete", json={"numbers": [numbers[0], 2**62]}).json() == {"deleted": 1}
    assert [record["number"] for record in listed(client, path)["feedback"]] == numbers[1:]
    assert client.post(f"{path}/feedback/delete", json={"all": True}).json() == {"deleted": 2}
    assert listed(client, path) == {"feedback": [], "next_cursor": None, "count": 0}


def test_pages_go_on_after_a_damaged_record(client, path, service):
    give(client, path, [{"query": [1.0] * D, "id": f"{i}", "right": True} for i in range(4)])
    first = listed(client, path)["feedback"][0]["number"]
    with service.app.state.parts.catalogue.store.writing() as writer:
        writer._connection.execute("UPDATE feedback SET document = 'x' WHERE id = ?", (first,))
    page = listed(client, path, limit=2)
    rest = listed(client, path, limit=3, cursor=page["next_cursor"])
    assert [record["id"] for record in page["feedback"] + rest["feedback"]] == ["1", "2", "3"]
    assert (page["count"], rest["next_cursor"]) == (4, None)


def test_a_default_filter_of_recent_documents_has_its_instant(client, path):
    """The service asks the question with the collection's defaults, at the time of the request."""
    old = {"field": "metadata.at", "operator": "<", "value": {"datetime": "now-7d"}}
    assert client.patch(path, json={"defaults": {"filter": old}}).status_code == 200
    client.patch(f"{path}/documents/7", json={"metadata": {"at": "2001-01-01"}})
    assert give(client, path, [{"query": [1.0] * D, "id": "7", "right": True}]).json() == {"kept": 1, "left_out": []}
    assert listed(client, path)["feedback"][0]["first"] == "7"


def test_a_repeated_request_is_kept_and_deleted_once(client, path):
    said = [{"query": [1.0] * D, "id": None, "right": True}]
    for _ in range(2):
        kept = give(client, path, said, headers={"Idempotency-Key": "fed back"})
        assert kept.json() == {"kept": 1, "left_out": []}
    assert listed(client, path)["count"] == 1
    for _ in range(2):
        deleted = client.post(f"{path}/feedback/delete", json={"all": True}, headers={"Idempotency-Key": "gone"})
        assert deleted.json() == {"deleted": 1}


def test_judgements_of_missing_documents_are_left_out_and_named(client, path):
    said = [{"query": [1.0] * D, "id": identity, "right": True} for identity in ("gone", "3", "lost")]
    answer = give(client, path, said).json()
    assert answer["kept"] == 1
    assert [(flaw["pointer"], flaw["detail"][:29]) for flaw in answer["left_out"]] == [
        ("/feedback/0/id", "there is no document 'gone': "),
        ("/feedback/2/id", "there is no document 'lost': "),
    ]
    assert [record["id"] for record in listed(client, path)["feedback"]] == ["3"]
    refusal = give(client, path, said[::2])
    assert refusal.status_code == 422
    assert [flaw["pointer"] for flaw in refusal.json()["errors"]] == ["/feedback/0/id", "/feedback/1/id"]
    assert listed(client, path)["count"] == 1


def test_a_calibration_from_feedback_is_that_of_the_same_labels(client, path):
    questions = labelled(240)
    few = client.post(f"{path}/calibrate", json={"from": "feedback"})
    assert refused(few) == (
        "/from",
        "from feedback follow 0 questions with an answer and 0 without one, and nothing from 0 others: wanted at "
        "least 30, and of either kind at least 10; give more feedback, or send labelled questions",
    )
    expected = client.post(f"{path}/calibrate", json={"questions": questions}).json()
    # Contradictions before the truth, and questions from which nothing follows.
    contradictions = [{"query": questions[1]["query"], "id": None, "right": True}]
    contradictions += [{"query": questions[0]["query"], "id": "5", "right": True}]
    undecided = [{"query": [1.0] * D, "id": None, "right": False}]
    give(client, path, contradictions)
    give(client, path, judged(questions))
    give(client, path, undecided)
    made = client.post(f"{path}/calibrate", json={"from": "feedback", "apply": True}).json()
    assert (made["from"], made["labels"], made["applied"]) == ("feedback", {"present": 120, "absent": 120}, True)
    assert made["temperature"] == pytest.approx(expected["temperature"])
    assert made["confidence"] == pytest.approx(expected["confidence"], rel=1e-3)
    now = client.get(path).json()["calibration"]
    assert (now["from"], now["at"]) == ("feedback", made["at"])
    # Later feedback changes nothing by itself.
    give(client, path, judged(labelled(200, noise=1.2)))
    assert client.get(path).json()["calibration"] == now


@pytest.fixture
def keyed(tmp_path) -> Any:
    mine = {"field": "metadata.mine", "operator": "==", "value": True}
    lines = [
        ("w", "write", {}),
        ("r", "read", {}),
        ("f", "feedback", {}),
        ("part", "feedback", {"filter": mine}),
        ("owner", "write", {"filter": mine}),
    ]
    from softkv_service.api.keyring import line_of

    file = tmp_path / "keys"
    file.write_text("".join(f"{line_of(name, scope, '', name, **limits)}\n" for name, scope, limits in lines))
    with RunningService(data_dir=tmp_path / "data", encoder="none", keys_file=file) as running, running.client() as one:
        one.put("/v1/collections/c", json={"dimension": 2}, headers={"x-api-key": "w"})
        documents = [{"id": name, "key_vector": [1, i], "metadata": {"mine": not i}} for i, name in enumerate("ab")]
        one.post("/v1/collections/c/documents", json={"documents": documents}, headers={"x-api-key": "w"})
        yield one


def test_a_key_of_its_scope_gives_feedback_and_changes_nothing_else(keyed):
    one = {"feedback": [{"query": [1, 0], "id": "a", "right": True}]}
    calls = [
        ("POST", "/v1/collections/c/feedback", one),
        ("GET", "/v1/collections/c/feedback", None),
        ("POST", "/v1/collections/c/feedback/delete", {"all": True}),
        ("POST", "/v1/collections/c/attend", {"query": [1, 0]}),
        ("DELETE", "/v1/collections/c/documents/a", None),
    ]

    def send(key: str, method: str, path: str, body: Any) -> int:
        return keyed.request(method, path, json=body, headers={"x-api-key": key}).status_code

    assert {key: [send(key, *call) for call in calls] for key in ("r", "f", "part", "owner", "w")} == {
        "r": [403, 403, 403, 200, 403],
        "f": [200, 403, 403, 200, 403],
        "part": [200, 403, 403, 200, 403],
        "owner": [200, 403, 403, 200, 204],
        "w": [422, 200, 200, 200, 404],
    }
    assert keyed.get("/v1/collections?limit=0", headers={"x-api-key": "f"}).json()["access"] == "feedback"


def test_a_key_with_a_filter_says_nothing_of_other_documents(keyed):
    def give(key: str, identity: str | None) -> httpx.Response:
        body = {"feedback": [{"query": [1, 0], "id": identity, "right": True}]}
        return keyed.post("/v1/collections/c/feedback", json=body, headers={"x-api-key": key})

    hidden, missing, nothing = (give("part", identity) for identity in ("b", "c", None))
    assert refused(hidden)[1].replace("'b'", "'c'") == refused(missing)[1]
    assert "sees a part of the collection" in refused(nothing)[1]
    assert give("part", "a").status_code == give("f", "a").status_code == 200
    records = keyed.get("/v1/collections/c/feedback", headers={"x-api-key": "w"}).json()["feedback"]
    assert [record["first"] for record in records] == [None, "a"]

"""GET /v1: what a service is, and every limit, which a request at it meets and a request above it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from softkv.answers.service import Limits
from tests.running import RunningService

SMALL = {"max_queue": 5, "encoder": "none"}
C = "/v1/collections/c"


@dataclass(frozen=True)
class Met:
    """A call that comes up to a limit: its body for n, and the status that n + 1 is answered with.

    `inside` is what n is answered with where the call then lacks something else, as an encoder.
    """

    path: str
    body: Callable[[int], Any]
    above: int = 422
    inside: int = 200
    method: str = "POST"
    header: str | None = None

    def send(self, client: httpx.Client, n: int) -> httpx.Response:
        headers = {} if self.header is None else {self.header: "x" * n}
        return client.request(self.method, self.path.replace("{n}", "x" * n), json=self.body(n), headers=headers)


def vectors(n: int) -> list[dict[str, Any]]:
    return [{"id": str(i), "key_vector": [1, 2]} for i in range(n)]


def nested(n: int) -> Any:
    return [nested(n - 1)] if n > 1 else 1


def deep(n: int) -> dict[str, Any]:
    return {"operator": "NOT", "conditions": [deep(n - 1)] if n > 1 else []}


def of_texts(n: int) -> dict[str, Any]:
    return {"field": "metadata.x", "operator": "in", "value": ["a"] * (n // 2)}


def of_two_lists(n: int) -> dict[str, Any]:
    return {"operator": "OR", "conditions": [of_texts(n), of_texts(n + 1)]}


def of_fields(n: int) -> dict[str, Any]:
    conditions = [{"field": f"metadata.{i}", "operator": "==", "value": 1} for i in range(n)]
    return {"operator": "OR", "conditions": conditions * 2}


def logits(n: int) -> dict[str, Any]:
    """At least n of them, n where 2,000 divides it."""
    keys = [[1]] * -(-n // 2000)
    return {"query": [[1]] * 2000, "key": keys, "value": keys, "vector_format": "base64"}


def with_value(n: int) -> dict[str, Any]:
    return {"key_vector": [1, 2], "value": nested(n)}


def hopfield(n: int) -> dict[str, Any]:
    return {"query": [[1]], "key": [[1]], "value": [[1]], "hopfield_steps": n}


def labelled(n: int) -> dict[str, Any]:
    return {"questions": [{"query": [1, i], "id": None} for i in range(n)]}


ASKED = {"query": [1, 0]}
NO_MODEL = 404
PART = {"vector": [1, 0]}
MET = {
    "documents": Met(f"{C}/documents", lambda n: {"documents": vectors(n)}, above=413),
    "queries": Met(f"{C}/attend", lambda n: {"queries": [[1, 0]] * n}),
    "temperatures": Met(f"{C}/sweep", lambda n: {**ASKED, "temperatures": [1] * n}),
    "top_k": Met(f"{C}/attend", lambda n: {**ASKED, "top_k": n}),
    "answer_matches": Met(f"{C}/attend", lambda n: {"queries": [[1, 0]] * 2, "top_k": -(-n // 2)}),
    "query_parts": Met(f"{C}/attend", lambda n: {"query": [PART] * n}),
    "read_fields": Met(
        f"{C}/attend", lambda n: {**ASKED, "read": [{"field": "metadata.year", "as": "mean"} for _ in range(n)]}),
    "groups": Met(f"{C}/attend", lambda n: {**ASKED, "group_by": {"field": "metadata.year", "groups": n}}),
    "group_documents": Met(f"{C}/attend", lambda n: {**ASKED, "group_by": {"field": "metadata.year", "documents": n}}),
    "sweep_weights": Met(f"{C}/sweep", lambda n: {**ASKED, "temperatures": [1] * 1000, "top_k": -(-n // 1000)}),
    "page": Met(f"{C}/documents/query", lambda n: {"limit": n}),
    "document_keys": Met(f"{C}/documents/many", lambda n: {"key_vectors": [[1, 2]] * n}, inside=201, method="PUT"),
    # Nothing answers any of them, which is found once they are few enough.
    "calibrate_questions": Met(f"{C}/calibrate", labelled, inside=422),
    "feedback_characters": Met(
        f"{C}/feedback", lambda n: {"feedback": [{"query": "x" * n, "id": None, "right": True}]}, inside=422),
    "rows": Met("/v1/compare", lambda n: {"query": "q", "rows": [{"key": "k"}] * n}, inside=422),
    "room_rows": Met("/v1/rooms", lambda n: {"rows": [{"key": "k"}] * n}),
    "room_characters": Met("/v1/rooms", lambda n: {"rows": [{"key": "k" * n}]}),
    "filter_depth": Met(f"{C}/documents/query", lambda n: {"filter": deep(n)}),
    "filter_values": Met(f"{C}/documents/query", lambda n: {"filter": of_two_lists(n)}),
    "filter_fields": Met(f"{C}/documents/query", lambda n: {"filter": of_fields(n)}),
    "fields": Met(f"{C}/documents/fields", lambda n: {"fields": [f"metadata.{i}" for i in range(n)]}),
    "field_values": Met(f"{C}/documents/fields", lambda n: {"values": True, "limit": n}),
    "encode_texts": Met("/v1/encode", lambda n: {"texts": ["a"] * n}, above=413, inside=NO_MODEL),
    "encode_texts_with_tokens": Met(
        "/v1/encode", lambda n: {"texts": ["a"] * n, "tokens": True}, above=413, inside=NO_MODEL),
    "embeddings_inputs": Met(
        "/v1/embeddings", lambda n: {"model": "none", "input": ["a"] * n}, above=400, inside=NO_MODEL),
    "rerank_documents": Met("/v1/rerank", lambda n: {"query": "a", "documents": ["b"] * n}, above=413, inside=NO_MODEL),
    "rerank_query_characters": Met("/v1/rerank", lambda n: {"query": "a" * n, "documents": ["b"]}, inside=NO_MODEL),
    "score_characters": Met(
        "/v1/score", lambda n: {"text_1": ["a" * (n - 3), "a"], "text_2": ["b", "b"]}, above=413, inside=NO_MODEL),
    "trace_layers": Met("/v1/trace", lambda n: {"text": "a", "layers": [0] * n}, inside=NO_MODEL),
    "logits": Met("/v1/attend", logits, above=413),
    "hopfield_steps": Met("/v1/attend", hopfield),
    "vector_width": Met("/v1/collections/wide", lambda n: {"dimension": n}, inside=201, method="PUT"),
    "id_characters": Met(f"{C}/documents", lambda n: {"documents": [{"id": "猫" * n, "key_vector": [1, 2]}]}),
    "name_characters": Met("/v1/collections/{n}", lambda n: {}, inside=201, method="PUT"),
    "idempotency_key_characters": Met(C, lambda n: {}, method="PUT", header="idempotency-key"),
    "json_depth": Met(f"{C}/documents/a", with_value, inside=201, method="PUT"),
}  # fmt: skip
# The rest: test_limits and test_at_once have the body and the queue, test_once the hours, test_encode_trace the trace
# and test_encode_trace_numbers its vectors without heads, test_rooms has what several calls make together,
# test_attend_groups the groups of many queries, test_query_parts their parts, and test_attend_highlight its sentences.
ELSEWHERE = {
    "answer_groups",
    "highlight_sentences",
    "body_bytes",
    "requests_at_once",
    "trace_characters",
    "trace_numbers",
    "trace_without_head_tokens",
    "idempotency_hours",
    "request_parts",
}
ELSEWHERE |= {"rooms", "room_bytes", "room_listeners", "room_seconds"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    with RunningService(data_dir=tmp_path_factory.mktemp("small"), **SMALL) as running, running.client() as client:
        client.put(C, json={"dimension": 2})
        yield client


def test_the_description_has_version_encoder_and_limits(client):
    answer = client.get("/v1").json()
    limits = answer.pop("limits")
    expected = {"version": version("softkv"), "encoder": "all-MiniLM-L6-v2", "keys_required": False, "shards": None}
    assert answer == expected
    assert list(limits) == list(Limits.__annotations__)
    assert all(type(limit) is int and limit > 0 for limit in limits.values())


def test_every_limit_is_met_by_a_call():
    assert MET.keys() | ELSEWHERE == Limits.__annotations__.keys()


@pytest.mark.parametrize("limit", MET)
def test_at_a_limit_is_taken_and_above_it_refused(small, limit):
    limit_value, met = small.get("/v1").json()["limits"][limit], MET[limit]
    taken = met.send(small, limit_value)
    assert taken.status_code == met.inside, taken.text[:500]
    refused = met.send(small, limit_value + 1)
    assert refused.status_code == met.above, refused.text[:500]
    length = limit_value - 1 if limit == "name_characters" else limit_value  # the pattern's, of what follows the first
    assert str(length) in refused.text.replace(",", ""), refused.text[:500]
    counted = limit == "calibrate_questions"  # the refusal of these says how many there are
    assert taken.status_code < 400 or counted or str(limit_value) not in taken.text, taken.text[:500]


@pytest.mark.parametrize("option", [{"top_p": 0.5}, {"top_k": None, "top_p": 0.5}])
def test_without_top_k_a_share_of_the_weight_counts_a_thousand_matches(client, collection, option):
    path = collection(encoder=None, dimension=2)
    refused = client.post(f"{path}/attend", json={"queries": [[1, 0]] * 11, **option})
    assert refused.status_code == 422
    assert "in parts of 10" in refused.json()["detail"]
    assert refused.json()["errors"][0]["pointer"] == "/queries"
    assert client.post(f"{path}/attend", json={"queries": [[1, 0]] * 10, **option}).status_code == 200
    assert client.post(f"{path}/attend", json={"queries": [[1, 0]] * 64}).status_code == 200


@pytest.mark.parametrize(("anonymous", "required"), [({}, True), ({"allow_anonymous": "read"}, False)], ids=str)
def test_whether_it_wants_keys(tmp_path, anonymous, required):
    settings = {"encoder": "none", "api_keys": ("w",), "read_keys": ("r",)} | anonymous
    with RunningService(data_dir=tmp_path, **settings) as running, running.client() as client:
        assert client.get("/v1").status_code == (401 if required else 200)
        assert client.get("/v1", headers={"x-api-key": "r"}).json()["keys_required"] == required
        unknown = client.get("/v1", headers={"x-api-key": "rr"})
        assert unknown.status_code == 401
        assert "not one this service knows" in unknown.json()["detail"]

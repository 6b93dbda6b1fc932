"""Reranking over HTTP, in the forms of Cohere, Jina and vLLM, by a small random cross-encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from softkv_service.encoding import Reranker, write_pair
from tests.checkpoints import edit_json, write_cross_encoder
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED

QUERY = "what does a cat need?"
DOCUMENTS = ["a cat needs sleep", "relational databases", "", "a cat asleep in the sun"]


@pytest.fixture(scope="module")
def client(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("service")
    gelu = write_cross_encoder(folder / "gelu")
    edit_json(gelu / "config.json", {"sentence_transformers": {"activation_fn": "torch.nn.GELU"}})
    wordless = write_cross_encoder(folder / "wordless", tokenizer_class="TokenizersBackend")
    edit_json(wordless / "tokenizer.json", {"post_processor": None})
    file = folder / "encoders.toml"
    file.write_text(
        f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n[rerankers.pairs]\nmodel = "{model}"\n'
        '[rerankers.gone]\nmodel = "/no/model"\n'
        f'[rerankers.gelu]\nmodel = "{gelu}"\n[rerankers.wordless]\nmodel = "{wordless}"\n'
    )
    with (
        RunningService(data_dir=folder / "data", encoders=file) as running,
        running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client,
    ):
        yield client


def logits(reranker: Reranker, *pairs: tuple[str, str]) -> list[float]:
    values: list[float] = reranker.encode([write_pair(*pair) for pair in pairs], "query").vectors[:, 0].tolist()
    return values


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_a_reranker_is_loaded_by_its_first_pair(client: httpx.Client, model: Path) -> None:
    pairs, gone, *_ = client.get("/v1/encoders").json()["rerankers"]
    assert pairs == {"name": "pairs", "kind": None, "model": str(model), "max_tokens": None, "state": "unloaded"} | {
        "detail": None,
        "memory_bytes": 0,
    }
    assert client.post("/v1/rerank", json={"query": "a", "documents": ["b"]}).status_code == 200
    pairs, gone, *_ = client.get("/v1/encoders").json()["rerankers"]
    assert (pairs["kind"], pairs["state"], pairs["max_tokens"]) == ("core", "ready", 64)
    assert pairs["memory_bytes"] > 0
    assert gone["state"] == "unloaded"


@pytest.mark.parametrize("version", ["1", "2"])
def test_documents_come_in_the_order_of_their_logits(client: httpx.Client, reranker: Reranker, version: str) -> None:
    expected = [sigmoid(logit) for logit in logits(reranker, *((QUERY, text) for text in DOCUMENTS))]
    sent = {"model": "pairs", "query": QUERY, "documents": [DOCUMENTS[0], *({"text": text} for text in DOCUMENTS[1:])]}
    answer = client.post(f"/v{version}/rerank", json=sent, headers={"x-request-id": "request-7"}).json()
    order = np.argsort(expected)[::-1].tolist()
    assert [result["index"] for result in answer["results"]] == order
    scores = [result["relevance_score"] for result in answer["results"]]
    np.testing.assert_allclose(scores, [expected[i] for i in order], rtol=0, atol=1e-6)
    assert all(result.keys() == {"index", "relevance_score"} for result in answer["results"])
    assert (answer["id"], answer["model"]) == ("request-7", "pairs")
    assert answer["meta"] == {"api_version": {"version": version}, "billed_units": {"search_units": 1}}
    assert (
        answer["usage"]["total_tokens"]
        == reranker.encode([write_pair(QUERY, t) for t in DOCUMENTS], "query").token_counts.sum()
    )


def test_scores_of_pairs(client: httpx.Client, reranker: Reranker) -> None:
    answer = client.post("/v1/score", json={"model": "pairs", "text_1": QUERY, "text_2": DOCUMENTS}).json()
    expected = [sigmoid(logit) for logit in logits(reranker, *((QUERY, text) for text in DOCUMENTS))]
    assert [(line["index"], line["object"]) for line in answer["data"]] == [(i, "score") for i in range(4)]
    np.testing.assert_allclose([line["score"] for line in answer["data"]], expected, rtol=0, atol=1e-6)
    assert (answer["object"], answer["model"]) == ("list", "pairs")
    pairs = client.post("/v1/score", json={"text_1": DOCUMENTS, "text_2": DOCUMENTS[::-1]}).json()["data"]
    expected = [sigmoid(logit) for logit in logits(reranker, *zip(DOCUMENTS, DOCUMENTS[::-1], strict=True))]
    np.testing.assert_allclose([line["score"] for line in pairs], expected, rtol=0, atol=1e-6)
    (one,) = client.post("/v1/score", json={"text_1": QUERY, "text_2": "sleep"}).json()["data"]
    assert one["score"] == pytest.approx(sigmoid(logits(reranker, (QUERY, "sleep"))[0]), abs=1e-6)


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "told"),
    [
        (
            "rerank",
            {"model": "minilm"},
            404,
            "model_not_found",
            "rerankers of this service are pairs, gone, gelu, wordless, model is",
        ),
        (
            "rerank",
            {"model": "gone"},
            503,
            "encoder_unavailable",
            "the reranker 'gone' is not ready: there is no model",
        ),
        ("rerank", {"documents": [{"body": "a"}]}, 422, "invalid_content", 'an object with a \\"text\\"'),
        ("rerank", {"top_n": 1, "top_k": 2}, 422, "invalid_content", "top_n and top_k came"),
        ("rerank", {"documents": [{"text": "a"}], "rank_fields": ["text", "title"]}, 422, "invalid_content", "title"),
        (
            "score",
            {"text_1": ["a"] * 3, "text_2": ["b", "c"]},
            422,
            "invalid_content",
            "3 texts came in text_1 and 2 in",
        ),
        ("score", {"text_1": 3}, 422, "invalid_content", "wanted a text, or a list"),
    ],
)
def test_refusals(client: httpx.Client, path: str, body: dict[str, object], status: int, code: str, told: str) -> None:
    good = {"query": "a", "documents": ["b"]} if path == "rerank" else {"text_1": "a", "text_2": ["b"]}
    answer = client.post(f"/v1/{path}", json=good | body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert told in answer.text


def test_an_activation_that_scores_cannot_have_is_refused_only_for_scores(client: httpx.Client) -> None:
    assert client.post("/v1/rerank", json={"model": "gelu", "query": "a", "documents": ["b"]}).status_code == 200
    refusal = client.post("/v1/score", json={"model": "gelu", "text_1": "a", "text_2": "b"})
    assert (refusal.status_code, refusal.json()["errors"][0]["pointer"]) == (422, "/model")
    assert "activation_fn of 'gelu' is torch.nn.GELU, and scores may have Identity" in refusal.text


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        ("rerank", {"query": "", "documents": ["a", "", {"text": ""}]}, ["/documents/1", "/documents/2"]),
        ("rerank", {"query": "", "documents": [""]}, ["/documents/0"]),
        ("score", {"text_1": ["a", ""], "text_2": ["", ""]}, ["/text_2/1"]),
        ("score", {"text_1": "", "text_2": ""}, ["/text_2"]),
    ],
)
def test_a_pair_without_tokens_is_refused_with_its_place(
    client: httpx.Client, path: str, body: dict[str, object], pointers: list[str]
) -> None:
    refusal = client.post(f"/v1/{path}", json=body | {"model": "wordless"})
    assert (refusal.status_code, [error["pointer"] for error in refusal.json()["errors"]]) == (422, pointers)
    assert "both texts are empty for this model" in refusal.text


def test_documents_are_ranked_by_the_fields_that_the_request_names(client: httpx.Client, reranker: Reranker) -> None:
    documents = [{"text": "same words", "title": "cats purr"}, {"text": "same words", "title": "ships"}]
    sent = {"query": QUERY, "documents": documents, "return_documents": None}
    for names, texts in {
        ("title", "text"): ["title: cats purr\ntext: same words", "title: ships\ntext: same words"],
        ("title",): ["cats purr", "ships"],
    }.items():
        results = client.post("/v1/rerank", json=sent | {"rank_fields": names}).json()["results"]
        expected = [sigmoid(logit) for logit in logits(reranker, *((QUERY, text) for text in texts))]
        scores = [result["relevance_score"] for result in sorted(results, key=lambda result: int(result["index"]))]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
        assert scores[0] != scores[1]
    assert len(client.post("/v2/rerank", json=sent | {"top_k": 1}).json()["results"]) == 1


@pytest.mark.parametrize("path", ["/rerank", "/score", "/embeddings", "/collections/a/attend"])
def test_a_call_without_its_version_is_named_with_it(client: httpx.Client, path: str) -> None:
    refusal = client.post(path, json={})
    assert refusal.status_code in (404, 405)
    assert f"write /v1{path}" in refusal.json()["detail"]


def test_no_more_of_a_document_is_read_than_its_tokens_in_the_request(client: httpx.Client) -> None:
    documents, words = ["tree " * 30, "a dog and a cat"], ["tree tree tree", "a dog and"]
    sent = {"query": QUERY, "return_documents": True}
    short = client.post("/v1/rerank", json=sent | {"documents": documents, "max_tokens_per_doc": 3}).json()
    expected = client.post("/v1/rerank", json=sent | {"documents": words}).json()
    scores = [[row["relevance_score"] for row in answer["results"]] for answer in (short, expected)]
    assert (scores[0], short["usage"]) == (scores[1], expected["usage"])
    assert {row["document"]["text"] for row in short["results"]} == set(documents)
    whole = client.post("/v1/rerank", json=sent | {"documents": documents}).json()
    plain = client.post("/v1/rerank", json=sent | {"documents": documents, "max_tokens_per_doc": 4096}).json()
    assert whole["results"] == plain["results"] != short["results"]

"""A reranker inside the softmax: the logits of the best documents gain its own, by a small random cross-encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.encoding import Reranker, write_pair
from tests.checkpoints import save_one_sided_cross_encoder
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED

QUERY = "what does a cat need?"
KEYS = [
    *("a cat needs sleep", "cats like milk", "a dog needs a walk", "relational databases", "the sun and the moon"),
    *("how to feed a kitten", "pets that purr", "a history of Rome", "the need for speed", "catalogue of plants"),
]
WALL = "/v1/collections/pets"


@pytest.fixture(scope="module")
def running(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    file = folder / "encoders.toml"
    file.write_text(
        f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n[rerankers.pairs]\nmodel = "{model}"\n'
        f'[rerankers.one-sided]\nmodel = "{folder / "one-sided"}"\n'
    )
    with RunningService(data_dir=folder / "data", encoders=file) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def client(running: RunningService) -> Iterator[httpx.Client]:
    with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
        client.put(WALL, json={"late": False})
        documents = [{"id": str(i), "key": key, "metadata": {"year": i}} for i, key in enumerate(KEYS)]
        client.post(f"{WALL}/documents", json={"documents": documents}).raise_for_status()
        yield client


def ask(client: httpx.Client, **body: Any) -> dict[str, Any]:
    sent = {"query": QUERY, "top_k": len(KEYS), "include": ["key", "explanation"]} | body
    answer = client.post(f"{WALL}/attend", json=sent)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def logit(reranker: Reranker, text: str, query: str = QUERY) -> float:
    return float(reranker.encode([write_pair(query, text)], "query").vectors[0, 0])


def expect(base: Mapping[str, Any], addends: Mapping[str, float]) -> tuple[dict[str, float], float, float]:
    """Return weights by id, null weight and log-partition, in float64, from an answer without a reranker."""
    ids = [match["id"] for match in base["matches"]]
    logits = np.array([match["logit"] + addends.get(match["id"], 0.0) for match in base["matches"]], dtype=np.float64)
    null = base["evidence"]["null_similarity"] / base["temperature"]
    partition = np.logaddexp(np.logaddexp.reduce(logits), null)
    return dict(zip(ids, np.exp(logits - partition).tolist(), strict=True)), float(np.exp(null - partition)), partition


def check(answer: Mapping[str, Any], base: Mapping[str, Any], addends: Mapping[str, float]) -> None:
    weights, null_weight, partition = expect(base, addends)
    actual = {match["id"]: match["weight"] for match in answer["matches"]}
    assert actual.keys() == weights.keys()
    np.testing.assert_allclose([actual[i] for i in weights], list(weights.values()), rtol=0, atol=1e-6)
    assert list(actual) == sorted(weights, key=lambda i: -weights[i])
    assert answer["evidence"]["null_weight"] == pytest.approx(null_weight, abs=1e-6)
    assert answer["evidence"]["log_partition"] == pytest.approx(partition, abs=1e-6)
    assert answer["evidence"]["null_similarity"] == base["evidence"]["null_similarity"]
    for match in answer["matches"]:
        line = match["explanation"]["addends"][-1]
        assert line["of"] == "rerank"
        assert line["addend"] == pytest.approx(addends.get(match["id"], 0.0), abs=1e-6)
        assert (line["logit"] is None) == (match["id"] not in addends)


def head(base: Mapping[str, Any], depth: int) -> list[tuple[str, str]]:
    return [(match["id"], match["key"]) for match in base["matches"][:depth]]


TERMS = {
    "full_text": 0.5,
    "bias": {"field": "metadata.year", "factor": 0.3},
    "filter": {"field": "metadata.year", "operator": "<", "value": 8},
}


@pytest.mark.parametrize(("depth", "weight", "options"), [(4, 2.5, {}), (50, 0.7, {}), (5, 0.0, {}), (3, 2, TERMS)])
def test_weights_match_the_softmax_in_float64(
    client: httpx.Client, reranker: Reranker, depth: int, weight: float, options: dict[str, Any]
) -> None:
    base = ask(client, **options)
    addends = {i: weight * logit(reranker, key) for i, key in head(base, depth)}
    answer = ask(client, rerank={"model": "pairs", "depth": depth, "weight": weight}, **options)
    check(answer, base, addends)
    assert answer["certificate"]["reranked"] == depth
    assert "reranked" not in base["certificate"]


def test_the_first_reranker_reads_fifty_documents_with_weight_one(client: httpx.Client, reranker: Reranker) -> None:
    base = ask(client)
    answer = ask(client, rerank={})
    check(answer, base, {i: logit(reranker, key) for i, key in head(base, 50)})
    assert answer["certificate"]["reranked"] == 50
    same = ask(client, rerank={"weight": "auto", "model": "pairs", "depth": 50})
    assert same["matches"] == answer["matches"]


def test_a_field_is_read_by_the_weights_of_the_matches(client: httpx.Client) -> None:
    read = {"field": "metadata.year", "as": "mean"}
    plain = ask(client, read=read)
    answer = ask(client, rerank={"model": "pairs", "depth": 4, "weight": 2.5}, read=read)
    shares = {match["id"]: match["weight"] for match in answer["matches"]}
    mean = sum(int(i) * share for i, share in shares.items()) / sum(shares.values())
    assert answer["read"]["value"] == pytest.approx(mean, abs=1e-6)
    assert abs(answer["read"]["value"] - plain["read"]["value"]) > 1e-3


def test_each_query_has_a_head_of_its_own(client: httpx.Client, reranker: Reranker) -> None:
    queries = [QUERY, "old stories of emperors"]
    body = {"queries": queries, "top_k": len(KEYS), "include": ["key", "explanation"]}
    bases = client.post(f"{WALL}/attend", json=body).json()["results"]
    answers = client.post(f"{WALL}/attend", json=body | {"rerank": {"depth": 2, "weight": 1}}).json()["results"]
    for query, base, answer in zip(queries, bases, answers, strict=True):
        check(answer, base, {i: logit(reranker, key, query) for i, key in head(base, 2)})


def test_documents_without_a_key_text_keep_their_logits(client: httpx.Client, reranker: Reranker) -> None:
    name = "/v1/collections/mixed"
    client.put(name, json={})
    vectors = client.post("/v1/encode", json={"texts": [QUERY], "purpose": "query"}).json()["embeddings"]
    documents = [{"id": "vector", "key_vector": vectors[0]}, {"id": "text", "key": KEYS[0]}]
    client.post(f"{name}/documents", json={"documents": documents}).raise_for_status()
    sent = {"query": QUERY, "include": ["key", "explanation"]}
    base = client.post(f"{name}/attend", json=sent).json()
    answer = client.post(f"{name}/attend", json=sent | {"rerank": {"weight": 3}}).json()
    check(answer, base, {"text": 3 * logit(reranker, KEYS[0])})


def test_the_best_part_of_a_split_text_is_read(client: httpx.Client, reranker: Reranker) -> None:
    name = "/v1/collections/long"
    client.put(name, json={})
    text = ". ".join(["the walls of Rome and its seven hills"] * 6 + ["a cat needs sleep and milk"] * 4)
    split = {"tokens": 40, "overlap": 5}
    client.put(f"{name}/documents/long", json={"key": text, "split": split}).raise_for_status()
    client.put(f"{name}/documents/short", json={"key": "a dog"})
    sent = {"query": QUERY, "include": ["key", "explanation"]}
    base = client.post(f"{name}/attend", json=sent).json()
    part = next(match["part"] for match in base["matches"] if match["id"] == "long")
    answer = client.post(f"{name}/attend", json=sent | {"rerank": {"depth": 1}}).json()
    assert base["matches"][0]["id"] == "long"
    (match,) = [match for match in answer["matches"] if match["id"] == "long"]
    expected = logit(reranker, text[part["start"] : part["end"]])
    assert match["explanation"]["addends"][-1]["logit"] == pytest.approx(expected, abs=1e-6)


WRITES: dict[str, Callable[[httpx.Client], httpx.Response]] = {
    "another": lambda client: client.put(f"{WALL}/documents/new", json={"key": "a cat needs a sofa"}),
    "deleted": lambda client: client.delete(f"{WALL}/documents/new"),
}


@pytest.mark.parametrize("options", [{}, {"bias": TERMS["bias"]}, {"include": ["explanation", "key_vector"]}])
def test_an_answer_is_of_one_version_though_others_write_while_the_reranker_reads(
    running: RunningService,
    client: httpx.Client,
    reranker: Reranker,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    """A document that is written meanwhile is absent or keeps its logit, and one that is deleted is absent."""
    ask(client, rerank={})
    model = running.app.state.parts.catalogue.encoders.rerankers["pairs"].queue.encoder
    encode = model.encode
    for name, write in WRITES.items():

        def write_and_encode(texts: Sequence[str], purpose: str, write: Any = write) -> Any:
            write(client).raise_for_status()
            return encode(texts, purpose)

        sent = {"query": f"{QUERY} {name} {[*options]}", "top_k": 20} | options  # so that no logit is cached
        before = ask(client, **sent | {"include": ["key", "explanation"]})
        monkeypatch.setattr(model, "encode", write_and_encode)
        answer = ask(client, rerank={"depth": 4, "weight": 2}, **sent)
        monkeypatch.undo()
        after = ask(client, **sent)
        assert len(before["matches"]) != len(after["matches"])
        ids = {match["id"] for match in answer["matches"]}
        addends = {i: 2 * logit(reranker, key, sent["query"]) for i, key in head(before, 4)}
        assert name != "deleted" or "new" in addends
        base = before if name == "another" and "new" not in ids else after
        check(answer, base, {i: addend for i, addend in addends.items() if i in ids})


REFUSED: Sequence[tuple[dict[str, Any], str, str]] = [
    ({"rerank": {"model": "none"}}, "/rerank/model", "rerankers of this service are pairs, one-sided, model is 'none'"),
    ({"rerank": {}, "query": [0.1] * 384}, "/rerank", "a query is a vector"),
    ({"rerank": {}, "query": [{"id": "0"}]}, "/rerank", "a query is a weighted sum"),
    ({"rerank": {}, "query": "cat " * 2501}, "/query", "10004 characters came, a reranker takes 10000"),
    ({"rerank": {}, "temperature": "auto"}, "/temperature", "give a number"),
    ({"rerank": {}, "normaliser": "sparsemax"}, "/normaliser", "rerank is for softmax"),
    ({"rerank": {"depth": 1000}, "query": None, "queries": ["a cat"] * 11}, "/rerank/depth", "reranks 10000 documents"),
]


@pytest.mark.thorough
def test_a_query_that_its_reranker_cannot_read_is_named(client: httpx.Client, running: RunningService) -> None:
    save_one_sided_cross_encoder(running.settings.data_dir.parent / "one-sided", "only_second")
    body = {"rerank": {"model": "one-sided"}, "query": "cat " * 99}
    test_refusals(client, body, "/query", "the query alone has more tokens than the 64")


@pytest.mark.parametrize(("body", "pointer", "told"), REFUSED)
def test_refusals(client: httpx.Client, body: dict[str, Any], pointer: str, told: str) -> None:
    sent = {key: value for key, value in ({"query": QUERY} | body).items() if value is not None}
    answer = client.post(f"{WALL}/attend", json=sent)
    assert answer.status_code == 422, answer.text
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == pointer
    assert told in flaw["detail"]

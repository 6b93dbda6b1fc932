"""Late interaction inside the softmax: the words of the best documents, and the mass that these keep together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.encoding import DEFAULT_MODEL, default_checkpoint
from softkv_service.encoding.words import read_projection
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED

QUERY = "what does a cat need?"
KEYS = [
    *("a cat needs sleep", "cats like milk", "a dog needs a walk", "relational databases", "the sun and the moon"),
    *("how to feed a kitten", "pets that purr", "a history of Rome", "the need for speed", "catalogue of plants"),
    *("a cat", "what an animal needs", "the cat's whiskers", "kittens need their mother", "cat food"),
]
WALL = "/v1/collections/pets"
LATE = {"rerank": {"model": "late"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(data_dir=tmp_path_factory.mktemp("service") / "data") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def client(running: RunningService) -> Iterator[httpx.Client]:
    with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
        client.put(WALL, json={"late": False})
        documents = [
            {"id": f"{i:02}", "key": key, "metadata": {"year": i, "even": i % 2 == 0}} for i, key in enumerate(KEYS)
        ]
        client.post(f"{WALL}/documents", json={"documents": documents}).raise_for_status()
        yield client


def ask(client: httpx.Client, wall: str = WALL, **body: Any) -> dict[str, Any]:
    sent = {"query": QUERY, "top_k": len(KEYS), "include": ["key", "explanation"]} | body
    answer = client.post(f"{wall}/attend", json=sent)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def weights(answer: Mapping[str, Any]) -> dict[str, float]:
    return {match["id"]: match["weight"] for match in answer["matches"]}


def addend(match: Mapping[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = match["explanation"]["addends"][-1]
    assert line["of"] == "late"
    return line


def check(answer: Mapping[str, Any], base: Mapping[str, Any], depth: int = 10) -> None:
    """Check that the best documents of `base` keep their mass together, and everything else its weight."""
    head = [match["id"] for match in base["matches"][:depth]]
    before, after = weights(base), weights(answer)
    assert before.keys() == after.keys()
    assert sum(after[i] for i in head) == pytest.approx(sum(before[i] for i in head), abs=1e-9)
    for i in before.keys() - set(head):
        assert after[i] == pytest.approx(before[i], abs=1e-9)
    assert [match["id"] for match in answer["matches"]][len(head) :] == [*before][len(head) :]
    assert {match["id"] for match in answer["matches"][: len(head)]} == set(head)
    for name in ("null_weight", "null_similarity", "log_partition"):
        assert answer["evidence"][name] == pytest.approx(base["evidence"][name], abs=1e-9)
    assert (answer["evidence"]["verdict"] == "none") == (base["evidence"]["verdict"] == "none")
    assert answer["certificate"]["reranked"] == depth
    for match in answer["matches"]:
        line, steps = addend(match), match["explanation"]
        logit = steps["similarity"] / steps["temperature"] + sum(one["addend"] for one in steps["addends"])
        assert logit == pytest.approx(match["logit"], abs=1e-9)
        if match["id"] in head:
            old = match["logit"] - line["addend"] + steps.get("log_weight_of_other_parts", 0.0)
            new = (old + line["words"]) / line["divisor"] + line["shift"]
            assert new == pytest.approx(old + line["addend"], abs=1e-9)
            shares = [pair["share"] for pair in line["pairs"]]
            assert sum(shares) == pytest.approx(1)
            mean = sum(pair["share"] * pair["cosine"] for pair in line["pairs"])
            assert line["similarity"] == pytest.approx(mean)
            assert line["words"] == pytest.approx(1.2 / steps["temperature"] * line["similarity"])
        else:
            assert (line["addend"], line["words"], line["pairs"]) == (0, None, [])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.2},
        {"full_text": 0.5},
        {"bias": {"field": "metadata.year", "factor": 0.1}},
        {"null": False},
        {"null": 0.4},
        {"include": ["key", "explanation", "output"]},
    ],
    ids=str,
)
def test_the_ten_share_their_mass_again(client: httpx.Client, options: dict[str, Any]) -> None:
    base, answer = ask(client, **options), ask(client, **LATE, **options)
    if options.get("null") is False:
        base["evidence"]["null_similarity"] = answer["evidence"]["null_similarity"] = 0
    check(answer, base)
    assert weights(answer) != weights(base)


def test_the_words_are_those_of_the_last_layer_in_torch(client: httpx.Client) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(default_checkpoint()), device="cpu")
    projection = read_projection(DEFAULT_MODEL)

    def words(text: str) -> tuple[list[str], np.ndarray[Any, Any]]:
        tokens = model.tokenizer(text, return_offsets_mapping=True)
        vectors = model.encode(text, output_value="token_embeddings").numpy()[1:-1]
        names = [text[start:end] for start, end in tokens["offset_mapping"][1:-1]]
        kept = [i for i, name in enumerate(names) if any(map(str.isalnum, name))]
        projected = vectors[kept] / np.linalg.norm(vectors[kept], axis=1, keepdims=True) @ projection
        return [names[i] for i in kept], projected / np.linalg.norm(projected, axis=1, keepdims=True)

    answer = ask(client, **LATE)
    asked, of_query = words(QUERY)  # each word is one piece
    for match in answer["matches"][:10]:
        names, of_key = words(match["key"])
        cosines = of_query @ of_key.T
        pairs = addend(match)["pairs"]
        assert [pair["word"] for pair in pairs] == asked
        if len(names) == len(match["key"].split()):
            np.testing.assert_allclose([pair["cosine"] for pair in pairs], cosines.max(axis=1), atol=0.01)
        for pair in pairs:
            assert match["key"][pair["start"] : pair["end"]] == pair["found"]


def test_a_document_that_was_read_never_falls_behind_one_that_was_not(client: httpx.Client) -> None:
    for depth in (1, 2, 5, 14, 15, 50):
        base = ask(client)
        check(ask(client, rerank={"model": "late", "depth": depth}), base, depth)


def test_with_a_filter_the_ten_are_among_those_that_pass(client: httpx.Client) -> None:
    passes = {"filter": {"field": "metadata.even", "operator": "==", "value": True}}
    check(ask(client, **LATE, **passes), ask(client, **passes))


def test_groups_diversity_and_the_smallest_set_read_the_new_weights(client: httpx.Client) -> None:
    answer = ask(client, **LATE)
    new = weights(answer)
    grouped = ask(client, **LATE, group_by={"field": "metadata.even"})["group_by"]
    sums = {group["value"]: group["weight"] for group in grouped["groups"]}
    for value, total in sums.items():
        assert total == pytest.approx(sum(new[f"{i:02}"] for i in range(len(KEYS)) if (i % 2 == 0) == value), abs=1e-6)
    some = ask(client, **LATE, top_p=0.5, top_k=None)
    assert some["complete"] is True
    assert [*weights(some)] == [*new][: len(some["matches"])]
    spread = ask(client, **LATE, diversity=0.3)
    places = {match["id"] for match in spread["matches"]}
    assert sum(weights(spread).values()) == pytest.approx(
        sum(weight for i, weight in new.items() if i in places)
        + sum(one["weight"] for match in spread["matches"] for one in match.get("stands_for", [])),
        abs=1e-9,
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"full_text": 0.5}, {"bias": {"field": "metadata.year", "factor": 0.1}}, {"null": False}],
    ids=str,
)
def test_a_field_is_read_by_the_weights_of_the_matches(client: httpx.Client, options: dict[str, Any]) -> None:
    reads = [
        {"field": "metadata.year", "as": "mean"},
        {"field": "metadata.even", "as": "vote"},
        {"field": "metadata.year", "as": "quantile", "quantiles": [0.5]},
    ]
    plain, late = (
        ask(client, temperature=0.2, read=reads, include=["metadata"], **options, **rerank) for rerank in ({}, LATE)
    )
    assert abs(plain["read"][0]["value"] - late["read"][0]["value"]) > 1e-3
    shares = {match["id"]: match["weight"] for match in late["matches"]}
    total = sum(shares.values())
    mean, vote, quantile = late["read"]
    assert mean["value"] == pytest.approx(sum(int(i) * share for i, share in shares.items()) / total, abs=1e-6)
    even = sum(share for i, share in shares.items() if int(i) % 2 == 0) / total
    assert vote["votes"][0] == {"value": bool(even > 0.5), "weight": pytest.approx(max(even, 1 - even), abs=1e-6)}
    below = np.cumsum([shares[i] for i in sorted(shares)]) / total
    assert quantile["value"] == int(np.searchsorted(below, 0.5))


def test_each_query_has_a_head_of_its_own(client: httpx.Client) -> None:
    queries = [QUERY, "old stories of emperors"]
    body = {"queries": queries, "top_k": len(KEYS), "include": ["key", "explanation"]}
    bases = client.post(f"{WALL}/attend", json=body).json()["results"]
    answers = client.post(f"{WALL}/attend", json=body | LATE).json()["results"]
    for base, answer in zip(bases, answers, strict=True):
        check(answer, base)


def test_all_parts_of_a_long_text_count_and_the_best_one_is_read(client: httpx.Client) -> None:
    name = "/v1/collections/long"
    client.put(name, json={"late": False})
    text = ". ".join(["the walls of Rome and its seven hills"] * 6 + ["a cat needs sleep and milk"] * 9)
    split = {"tokens": 40, "overlap": 5}
    client.put(f"{name}/documents/long", json={"key": text, "split": split}).raise_for_status()
    for i, key in enumerate(KEYS[:4]):
        client.put(f"{name}/documents/short{i}", json={"key": key})
    base, answer = ask(client, name), ask(client, name, rerank={"model": "late", "depth": 3})
    check(answer, base, 3)
    (match,) = (match for match in answer["matches"] if match["id"] == "long")
    for pair in addend(match)["pairs"]:
        assert text[pair["start"] : pair["end"]] == pair["found"]
        assert match["part"]["start"] <= pair["start"] < pair["end"] <= match["part"]["end"]


def test_documents_without_words_keep_their_weights(client: httpx.Client) -> None:
    name = "/v1/collections/mixed"
    client.put(name, json={})
    vectors = client.post("/v1/encode", json={"texts": [QUERY], "purpose": "query"}).json()["embeddings"]
    documents = [{"id": "vector", "key_vector": vectors[0]}, {"id": "a", "key": KEYS[0]}]
    documents += [{"id": "b", "key": "?!"}, {"id": "c", "key": ""}]
    client.post(f"{name}/documents", json={"documents": documents}).raise_for_status()
    base, answer = ask(client, name), ask(client, name, **LATE)
    assert weights(answer)["vector"] == pytest.approx(weights(base)["vector"], abs=1e-9)
    for match in answer["matches"]:
        if match["id"] in ("b", "c"):
            assert (addend(match)["similarity"], addend(match)["pairs"]) == (0, [])


def test_a_question_without_words_shares_by_its_logits_alone(client: httpx.Client) -> None:
    answer = ask(client, query="?!", **LATE)
    assert {addend(match)["addend"] == 0 for match in answer["matches"][10:]} == {True}
    assert sum(weights(answer).values()) + answer["evidence"]["null_weight"] == pytest.approx(1)


REFUSED = [
    ({"temperature": 0}, "/temperature", "send a temperature above 0"),
    ({"temperature": "auto"}, "/temperature", "give a number"),
    ({"normaliser": "entmax15"}, "/normaliser", "rerank is for softmax"),
    ({"query": [0.1] * 384}, "/rerank", "a query is a vector"),
    ({"query": [{"id": "00"}]}, "/rerank", "a query is a weighted sum"),
    ({"rerank": {"model": "late", "weight": 2}}, "/rerank/weight", "1, or 0 to leave it out"),
    (
        {"rerank": {"model": "late", "depth": 501}, "query": None, "queries": [QUERY] * 2},
        "/rerank/depth",
        "reranks 1000 documents in all",
    ),
]


@pytest.mark.parametrize(("body", "pointer", "told"), REFUSED)
def test_refusals(client: httpx.Client, body: dict[str, Any], pointer: str, told: str) -> None:
    sent = {name: value for name, value in ({"query": QUERY} | LATE | body).items() if value is not None}
    answer = client.post(f"{WALL}/attend", json=sent)
    assert answer.status_code == 422, answer.text
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == pointer
    assert told in flaw["detail"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"encoder": None, "dimension": 384}, "it has none"),
        ({"similarity": "gaussian"}, "cosine or dot, got gaussian"),
    ],
)
def test_collections_that_it_is_not_for(client: httpx.Client, settings: dict[str, Any], told: str) -> None:
    client.put("/v1/collections/other", json=settings)
    query = [0.1] * 384 if "dimension" in settings else QUERY
    answer = client.post("/v1/collections/other/attend", json={"query": query} | LATE)
    client.delete("/v1/collections/other")
    assert answer.status_code == 422
    assert told in answer.json()["errors"][0]["detail"] or "a query is a vector" in answer.json()["errors"][0]["detail"]


def test_weight_zero_changes_nothing(client: httpx.Client) -> None:
    assert weights(ask(client, rerank={"model": "late", "weight": 0})) == pytest.approx(weights(ask(client)), abs=1e-12)


LABELS = [
    *({"query": f"{key} or so, {n}", "id": f"{i:02}"} for i, key in enumerate(KEYS) for n in range(2)),
    *({"query": f"the capital of country {n}", "id": None} for n in range(12)),
]


def create(client: httpx.Client, name: str, **settings: Any) -> str:
    wall = f"/v1/collections/{name}"
    assert client.put(wall, json=settings).status_code == 201
    documents = [{"id": f"{i:02}", "key": key} for i, key in enumerate(KEYS)]
    client.post(f"{wall}/documents", json={"documents": documents}).raise_for_status()
    return wall


def calibrate(client: httpx.Client, wall: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{wall}/calibrate", json={"questions": LABELS, "apply": True} | body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    assert result["applied"], result["reason"]
    return result


def test_a_calibration_may_decide_whether_it_counts(client: httpx.Client) -> None:
    stored = calibrate(client, create(client, "labelled", late=False), rerank={"model": "late"})["rerank"]
    assert (stored["model"], stored["depth"]) == ("late", 10)
    assert stored["weight"] in (0, 1)


def test_a_calibration_of_a_collection_that_has_it_is_fitted_with_it(client: httpx.Client) -> None:
    wall = create(client, "labelled-words")
    result = calibrate(client, wall)
    assert result["rerank"] == {"model": "late", "depth": 10, "weight": 1}
    assert result["reranked"] is not None
    answer = ask(client, wall)
    assert answer["certificate"]["reranked"] == 10
    assert answer["matches"][0]["confidence"] is not None
    assert client.get(wall).json()["notice"] is None
    searched = ask(client, wall, full_text="auto")  # has confidences without it alone
    assert "reranked" not in searched["certificate"]
    assert searched["matches"][0]["confidence"] is not None


def test_vectors_among_the_labels_are_fitted_without_it(client: httpx.Client) -> None:
    wall = create(client, "labelled-vectors")
    vector = {"query": [0.1] * 384, "id": None}
    assert calibrate(client, wall, questions=[*LABELS, vector])["rerank"] is None


def test_a_calibration_without_late_interaction_keeps_its_confidences(client: httpx.Client) -> None:
    wall = create(client, "switched", late=False)
    calibrate(client, wall)
    before = ask(client, wall)
    changed = client.patch(wall, json={"late": True}).json()
    assert "calibrated again" in changed["notice"]
    waiting = ask(client, wall)
    assert weights(waiting) == weights(before)
    assert waiting["matches"][0]["confidence"] == before["matches"][0]["confidence"]
    client.patch(wall, json={"calibration": None})
    assert client.get(wall).json()["notice"] is None
    assert ask(client, wall)["certificate"]["reranked"] == 10


def test_new_collections_of_texts_have_it(client: httpx.Client) -> None:
    wall = create(client, "usual")
    assert client.get(wall).json()["late"]
    usual, plain = ask(client, wall), ask(client, wall, rerank=None)
    assert "applied" not in usual
    check(usual, plain)
    assert weights(ask(client, wall, **LATE)) == weights(usual)
    many = client.post(f"{wall}/attend", json={"queries": [QUERY, "a walk"]}).json()
    assert [answer["certificate"]["reranked"] for answer in many["results"]] == [10, 10]
    ruled_out: list[dict[str, Any]] = [
        {"temperature": 0},
        {"temperature": "auto"},
        {"normaliser": "sparsemax"},
        {"query": [0.1] * 384},
        {"query": [{"text": "a cat"}, {"text": "a dog", "weight": -0.5}]},
        {"query": "cat " * 2501},
        {"full_text": 0.5},
        {"bias": {"filter": {"field": "id", "operator": "==", "value": "01"}, "addend": 1}},
    ]
    for options in ruled_out:
        answer = client.post(f"{wall}/attend", json={"query": QUERY} | options)
        assert answer.status_code == 200, answer.text
        assert "reranked" not in answer.json()["certificate"]
    client.patch(wall, json={"late": False})
    assert weights(ask(client, wall)) == weights(plain)


@pytest.mark.parametrize(
    "settings",
    [{"late": False}, {"encoder": None, "dimension": 2}, {"similarity": "gaussian"}, {"similarity": "scaled_dot"}],
)
def test_other_collections_are_without_late_interaction(client: httpx.Client, settings: dict[str, Any]) -> None:
    wall = "/v1/collections/without"
    client.delete(wall)
    assert client.put(wall, json=settings).json()["late"] is False


def test_an_empty_collection_has_an_answer(client: httpx.Client) -> None:
    wall = "/v1/collections/empty"
    assert client.put(wall, json={}).json()["late"]
    answer = client.post(f"{wall}/attend", json={"query": QUERY}).json()
    assert (answer["matches"], answer["evidence"]["verdict"]) == ([], "none")


def test_late_interaction_among_the_defaults_is_refused(client: httpx.Client) -> None:
    refused = client.put("/v1/collections/other", json={"defaults": {"rerank": {"model": "late"}}})
    (flaw,) = refused.json()["errors"]
    assert (refused.status_code, flaw["pointer"]) == (422, "/defaults/rerank")
    assert '"late": true beside defaults' in flaw["detail"]

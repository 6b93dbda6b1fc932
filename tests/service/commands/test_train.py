"""`softkv train`: made codes are learned and kept, what gains nothing is not, and unsuitable files are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_attention.lookup import Memory, Rows
from softkv_attention.similarity import SIMILARITIES
from softkv_service.commands.fitting import LabelledQueries, factor, fit_projection, reciprocal_ranks
from tests.service.commands.codes import make_documents
from tests.service.commands.conftest import Softkv

NAMED, OTHERS = make_documents(24, 5)


@pytest.fixture
def parts(client: httpx.Client) -> Iterator[str]:
    client.put("/v1/collections/parts", json={})
    documents = [{"id": document.name, "key": document.text} for document in NAMED]
    documents += [{"id": f"other-{i}", "key": text} for i, text in enumerate(OTHERS[:100])]
    client.post("/v1/collections/parts/documents", json={"documents": documents})
    yield "/v1/collections/parts"
    client.delete("/v1/collections/parts")


def written(path: Path, pairs: list[tuple[Any, Any]]) -> str:
    path.write_text("".join(json.dumps({"query": query, "id": identity}) + "\n" for query, identity in pairs))
    return str(path)


@pytest.mark.end_to_end
def test_made_codes_are_learned_and_kept(softkv: Softkv, client: httpx.Client, parts: str, tmp_path: Path) -> None:
    pairs = [(question, document.name) for document in NAMED for question in document.questions]
    file = written(tmp_path / "pairs.jsonl", [*pairs, ("what is the weather", None), ("what is gone", "gone")])
    report = json.loads(softkv("train", file, "-c", "parts", "--apply", "--json").stdout)
    assert (report["pairs"], report["held_out"], report["applied"], report["drops"]) == (80, 40, True, [])
    assert report["left_out"] == [f"line {len(pairs) + 2} of {file}: no document with a key has the id 'gone'"]
    assert report["gain"] > 2 * report["error"]
    assert report["mrr_before"] < 0.2 < 0.6 < report["mrr_after"]
    kept = client.get(parts).json()["projection"]
    assert (kept["rank"], kept["trained"]["mrr_after"]) == (report["rank"], report["mrr_after"])
    right = 0
    for document in NAMED:
        answer = client.post(f"{parts}/attend", json={"query": document.questions[0], "top_k": 1}).json()
        right += answer["matches"][0]["id"] == document.name
    assert right > 0.6 * len(NAMED)
    again = softkv("train", file, "-c", "parts", "--apply")
    assert f"MRR of 40 other pairs: {report['mrr_after']:.3f}, then {report['mrr_after']:.3f}" in again.stdout
    assert "not kept" in again.stdout, "it gains nothing beside itself"


def test_questions_that_the_encoder_understands_gain_nothing(
    softkv: Softkv, client: httpx.Client, parts: str, tmp_path: Path
) -> None:
    pairs = [(f"where is the {text.lower()}?", f"other-{i}") for i, text in enumerate(OTHERS[:90])]
    shown = softkv("train", written(tmp_path / "pairs.jsonl", pairs), "-c", "parts", "--apply")
    assert "not kept, since the gain is at most twice its standard error" in shown.stdout
    assert "about documents without a pair in the training" in shown.stdout
    assert client.get(parts).json()["projection"] is None


MANY = [(f"question {i}", NAMED[0].name) for i in range(60)]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            MANY[:59] + MANY[:5] + [("unanswered", None)],
            "59 different questions with an answer came, and training needs 60",
        ),
        (
            [*MANY[:59], ("question", "unknown")],
            "1 judgements do not count, the others do: line 60 of .*: no document with a key has the id 'unknown' .*59 "
            "different questions with an answer came",
        ),
        ([*MANY, ([0.5, 0.5], NAMED[0].name)], "line 61 of .*: expected the text of a question, got a vector"),
    ],
    ids=["few", "unknown", "vector"],
)
def test_an_unsuitable_file_is_refused(
    softkv: Softkv, parts: str, tmp_path: Path, pairs: list[tuple[Any, Any]], message: str
) -> None:
    refused = softkv("train", written(tmp_path / "pairs.jsonl", pairs), "-c", "parts")
    assert refused.exit_code == 1
    assert re.search(message, " ".join(refused.stderr.split())), refused.stderr


def test_an_unsuitable_collection_is_refused(softkv: Softkv, client: httpx.Client, tmp_path: Path) -> None:
    file = written(tmp_path / "pairs.jsonl", MANY)
    for settings, message in (({"encoder": None}, "has no encoder"), ({"temperature": 0}, "has no gradient")):
        client.put("/v1/collections/unsuitable", json=settings)
        refused = softkv("train", file, "-c", "unsuitable")
        assert refused.exit_code == 1
        assert message in " ".join(refused.stderr.split())
        client.delete("/v1/collections/unsuitable")


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_the_rank_of_the_best_right_document_is_counted(similarity: str) -> None:
    random = np.random.default_rng(0)
    keys, queries = random.normal(size=(40, 7)).astype(np.float32), random.normal(size=(9, 7))
    owners = np.arange(40) // 2 * 2
    memory = Memory(similarity)
    memory.publish(add=Rows(np.arange(40), keys, None, owners))
    answers = [sorted({int(2 * i), int(2 * ((i * 5) % 20))}) for i in range(9)]
    table = SIMILARITIES[similarity](queries, keys.astype(np.float64)).reshape(9, 20, 2).max(axis=2)
    expected = [
        1 / (1 + np.count_nonzero(row > row[[answer // 2 for answer in right]].max()))
        for row, right in zip(table, answers, strict=True)
    ]
    assert reciprocal_ranks(memory, queries, answers).tolist() == pytest.approx(expected)


def test_documents_that_tie_with_the_right_one_count_half() -> None:
    memory = Memory.of(np.ones((3, 2)), similarity="dot")
    assert reciprocal_ranks(memory, np.ones((1, 2)), [[1]]).tolist() == [0.5]


def test_a_matrix_is_the_product_of_its_factors() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(9, 2)) @ random.normal(size=(2, 9))
    down, up = factor(matrix)
    assert down.shape == up.shape == (2, 9)
    np.testing.assert_allclose(down.T.astype(np.float64) @ up, matrix, atol=1e-5)
    assert factor(np.zeros((3, 3)))[0].shape == (1, 3)


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_a_rotation_of_the_queries_is_undone_and_noise_is_not_learned(similarity: str) -> None:
    random = np.random.default_rng(0)
    keys = random.normal(size=(300, 16))
    rotation, _ = np.linalg.qr(random.normal(size=(16, 16)))
    memory = Memory.of(keys, similarity=similarity)
    rotated = LabelledQueries((keys @ rotation)[:240].astype(np.float32), [[i] for i in range(240)])
    temperature = 0.1 if similarity == "cosine" else 1.0
    fitted = fit_projection(memory, rotated, temperature)
    assert fitted.gains
    assert fitted.is_new.all()
    assert fitted.after.mean() > 0.7 > 0.2 > fitted.before.mean()
    assert (fitted.pairs, len(fitted.before)) == (160, 80)
    noise = LabelledQueries(random.normal(size=(240, 16)).astype(np.float32), rotated.answers)
    assert not fit_projection(memory, noise, temperature).gains

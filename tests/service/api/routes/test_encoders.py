"""Several encoders, each chosen by name, loaded when first needed, and unloaded; and one of a folder of the user's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.checkpoints import FEW_TOKENS, link_default_model
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED

MINILM = "all-MiniLM-L6-v2"
SMALL_WIDTH = 64


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second model: the first numbers of the real one's vectors, of so few words that topics are soon measured."""
    files = FEW_TOKENS | {"config_sentence_transformers.json": json.dumps({"truncate_dim": SMALL_WIDTH})}
    return link_default_model(tmp_path_factory.mktemp("small"), files)


def write(folder: Path, *encoders: tuple[str, str | Path]) -> Path:
    """Write a file of encoders, the first of which is the default."""
    tables = "".join(f"[encoders.{name}]\nmodel = {json.dumps(str(model))}\n" for name, model in encoders)
    (folder / "encoders.toml").write_text(f"default = {json.dumps(encoders[0][0])}\n{tables}")
    return folder / "encoders.toml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="module")
def client(folder: Path, small: Path) -> Iterator[httpx.Client]:
    file = write(folder, ("minilm", MINILM), ("small", small))
    with RunningService(data_dir=folder / "data", encoders=file) as running:
        running.wait_until_ready()
        with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
            yield client


def states(client: httpx.Client) -> dict[str, str]:
    return {encoder["name"]: encoder["state"] for encoder in client.get("/v1/encoders").json()["encoders"]}


def test_the_default_is_loaded_at_the_start_and_others_by_their_first_text(client: httpx.Client, small: Path) -> None:
    client.delete("/v1/encoders/small/memory")
    first, second = client.get("/v1/encoders").json()["encoders"]
    assert (first["name"], first["kind"], first["model"], first["default"]) == ("minilm", "core", MINILM, True)
    assert (first["dimension"], first["state"], first["detail"]) == (384, "ready", None)
    assert first["memory_bytes"] > 60_000_000
    assert first["background"]["mean"] == pytest.approx(0.042, abs=0.001)
    assert (second["name"], second["model"], second["default"]) == ("small", str(small), False)
    assert (second["state"], second["memory_bytes"]) == ("unloaded", 0)
    assert (first["late"], second["late"]) == (True, False)
    answer = client.post("/v1/encode", json={"texts": ["a cat"], "model": "small"}).json()
    assert (answer["model"], answer["dimension"]) == ("small", SMALL_WIDTH)
    assert states(client) == {"minilm": "ready", "small": "ready"}
    assert [one["late"] for one in client.get("/v1/encoders").json()["encoders"]] == [True, False]
    assert client.get("/readyz").status_code == 200


def test_models_and_embeddings_go_by_the_same_names(client: httpx.Client) -> None:
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["minilm", "small"]
    vectors = [
        client.post("/v1/embeddings", json={"model": name, "input": "a cat"}).json()["data"][0]["embedding"]
        for name in ("minilm", "small")
    ]
    assert [len(vector) for vector in vectors] == [384, SMALL_WIDTH]
    cut = np.array(vectors[0][:SMALL_WIDTH])
    np.testing.assert_allclose(vectors[1], cut / np.linalg.norm(cut) * np.linalg.norm(vectors[1]), atol=1e-6)
    unknown = client.post("/v1/embeddings", json={"model": "none", "input": "a cat"})
    assert unknown.status_code == 404
    assert "minilm, small" in unknown.json()["error"]["message"]
    traced = client.post("/v1/trace", json={"text": "a cat", "model": "small"})
    assert (traced.status_code, traced.json()["model"]) == (200, "small")


def test_a_collection_keeps_the_encoder_that_it_names(client: httpx.Client) -> None:
    made = client.put("/v1/collections/short", json={"encoder": "small"}).json()
    assert (made["encoder"], made["dimension"]) == ("small", SMALL_WIDTH)
    assert client.put("/v1/collections/long", json={}).json()["encoder"] == "minilm"
    for name in ("short", "long"):
        documents = [{"id": text, "key": text} for text in ("cats", "databases")]
        assert client.post(f"/v1/collections/{name}/documents", json={"documents": documents}).status_code == 200
        answer = client.post(f"/v1/collections/{name}/attend", json={"query": "a cat", "top_k": 1}).json()
        assert answer["matches"][0]["id"] == "cats"


def test_an_unloaded_encoder_gives_its_memory_back_and_is_loaded_again(client: httpx.Client) -> None:
    assert client.post("/v1/encode", json={"texts": ["a"], "model": "small"}).status_code == 200
    for _ in range(2):
        answer = client.delete("/v1/encoders/small/memory")
        assert (answer.status_code, answer.json()["state"], answer.json()["memory_bytes"]) == (200, "unloaded", 0)
        assert answer.json()["dimension"] == SMALL_WIDTH
    assert client.post("/v1/encode", json={"texts": ["a"], "model": "small"}).status_code == 200
    unknown = client.delete("/v1/encoders/large/memory")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "model_not_found")


CARD = """* Loss: [<code>MultipleNegativesRankingLoss</code>](https://sbert.net/) with these parameters:
  ```json
  {"scale": 32.0, "similarity_fct": "dot_score"}
  ```
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model, cut to 64 numbers, compared by dot and trained at scale 32."""
    settings = json.dumps({"truncate_dim": 64, "similarity_fn_name": "dot"})
    files = FEW_TOKENS | {"README.md": CARD, "config_sentence_transformers.json": settings}
    return link_default_model(tmp_path_factory.mktemp("own"), files)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def own_client(model: Path, data_dir: Path) -> Iterator[httpx.Client]:
    with RunningService(data_dir=data_dir, encoder=str(model)) as running:
        running.wait_until_ready()
        with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
            yield client


def test_a_new_collection_is_compared_as_its_maker_does(own_client: httpx.Client) -> None:
    made = own_client.put("/v1/collections/mine", json={}).json()
    assert (made["similarity"], made["dimension"], made["temperature"]) == ("dot", 64, 1 / 32)
    assert own_client.put("/v1/collections/mine", json={"similarity": None}).status_code == 200
    assert own_client.put("/v1/collections/mine", json={"similarity": "cosine"}).status_code == 409


@pytest.mark.thorough
def test_a_folder_that_was_cut_later_is_refused_where_its_longer_vectors_are(model: Path, tmp_path: Path) -> None:
    changed = tmp_path / "model"
    shutil.copytree(model, changed, symlinks=True)
    options = {"data_dir": tmp_path / "data", "encoder": str(changed)}
    with RunningService(**options) as running, running.client() as client:
        running.wait_until_ready()
        client.put("/v1/collections/longer", json={})
        document = {"documents": [{"id": "a", "key": "a cat"}]}
        assert client.post("/v1/collections/longer/documents", json=document).status_code == 200
    (changed / "config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": 48}))
    with RunningService(**options) as running, running.client() as client:
        running.wait_until_ready()
        response = client.post("/v1/collections/longer/attend", json={"query": "kitten"})
        written = client.post("/v1/collections/longer/documents", json=document)
        assert (response.status_code, written.status_code) == (422, 422)
        assert "query has width 48, the keys of 'longer' have width 64" in response.json()["detail"]
        assert "key_vector has width 48, collection 'longer' holds width 64" in written.json()["detail"]

"""A service that runs a folder of the user's: what its maker says of it is what collections get."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.checkpoints import link_default_model
from tests.running import RunningService
from tests.service.api.test_openapi import DESCRIBED

CARD = """* Loss: [<code>MultipleNegativesRankingLoss</code>](https://sbert.net/) with these parameters:
  ```json
  {"scale": 32.0, "similarity_fct": "dot_score"}
  ```
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model, cut to 64 numbers, compared by dot and trained at scale 32."""
    settings = json.dumps({"truncate_dim": 64, "similarity_fn_name": "dot"})
    files = {"README.md": CARD, "config_sentence_transformers.json": settings}
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


@pytest.mark.parametrize(
    ("settings", "similarity", "temperature"),
    [
        ({"similarity": None}, "dot", 1 / 32),
        # The card speaks of dots, and these vectors are shorter than one: the temperature of cosines is measured, and
        # higher than that of whole vectors, for 64 numbers tell less apart.
        ({"similarity": "cosine"}, "cosine", 0.1),
        ({"similarity": "scaled_dot"}, "scaled_dot", 1 / 32 / 8),
        ({"similarity": "gaussian"}, "gaussian", 1),
        ({"temperature": 0.3}, "dot", 0.3),
        ({"encoder": None}, "cosine", 0.05),
        ({"encoder": None, "similarity": "dot"}, "dot", 1),
    ],
)
def test_settings_of_the_request_precede_those_of_the_model(own_client, settings, similarity, temperature) -> None:
    made = own_client.put("/v1/collections/asked", json=settings).json()
    own_client.delete("/v1/collections/asked")
    assert made["similarity"] == similarity
    assert made["temperature"] == pytest.approx(temperature, rel=1e-12)


def test_the_model_says_how_it_is_run(own_client: httpx.Client, model: Path) -> None:
    (description,) = own_client.get("/v1/models").json()["data"]
    assert description["id"] == str(model)
    assert (description["dimension"], description["similarity"]) == (64, "dot")
    assert (description["temperature"], description["temperature_source"]) == (1 / 32, "model card")
    assert (description["batched"], description["notes"]) == (True, [])


def test_embeddings_can_be_cut_further(own_client: httpx.Client, model: Path) -> None:
    def embed(**options: object) -> httpx.Response:
        return own_client.post("/v1/embeddings", json={"model": str(model), "input": "a red house", **options})

    whole = np.array(embed().json()["data"][0]["embedding"])
    assert whole.shape == (64,)
    assert 0.1 < np.linalg.norm(whole) < 0.9
    cut = np.array(embed(dimensions=16).json()["data"][0]["embedding"])
    np.testing.assert_allclose(cut, whole[:16] / np.linalg.norm(whole[:16]), atol=1e-6)
    refused = embed(dimensions=65)
    assert refused.status_code == 400
    assert "64 dimensions, got 65" in refused.json()["error"]["message"]


def test_rows_that_come_with_a_question_are_compared_alike(own_client: httpx.Client) -> None:
    rows = [{"key": "cat", "value": "meows"}, {"key": "dog", "value": "barks"}]
    answer = own_client.post("/v1/compare", json={"query": "kitten", "rows": rows}).json()["attention"]
    assert answer["temperature"] == 1 / 32
    assert answer["matches"][0]["value"] == "meows"


@pytest.mark.thorough
def test_a_collection_keeps_its_settings_after_a_change_of_the_model(model: Path, tmp_path: Path) -> None:
    changed = tmp_path / "model"
    shutil.copytree(model, changed, symlinks=True)
    options = {"data_dir": tmp_path / "data", "encoder": str(changed)}
    with RunningService(**options) as running, running.client() as client:
        running.wait_until_ready()
        before = client.put("/v1/collections/kept", json={}).json()
    (changed / "README.md").write_text(CARD.replace("32.0", "100.0"))
    with RunningService(**options) as running, running.client() as client:
        running.wait_until_ready()
        assert client.get("/v1/collections/kept").json() | {"costs": None} == before
        assert client.put("/v1/collections/new", json={}).json()["temperature"] == 0.01


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

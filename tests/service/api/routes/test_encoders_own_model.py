"""A service that runs a folder of the user's: what its maker says of it is what collections get."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.checkpoints import FEW_TOKENS, link_default_model
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

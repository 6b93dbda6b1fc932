"""Clients of other rerankers at this service: Cohere's own, LangChain's for Cohere, and LiteLLM's for two providers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.checkpoints import write_cross_encoder
from tests.examples import ROOT
from tests.running import RunningService

pytestmark = pytest.mark.integration

PYTHON = ROOT / ".venv-integrations" / "bin" / "python"
QUERY, DOCUMENTS = "what does a cat need?", ["relational databases", "a cat needs sleep", "a cat asleep in the sun"]
CLIENTS = ["cohere", "cohere v2", "langchain-cohere", "litellm cohere", "litellm jina_ai"]
FOREIGN = ("COHERE_", "CO_API", "JINA_", "LANGCHAIN_", "LANGSMITH_", "LITELLM_")


@pytest.fixture(scope="module")
def reranking(tmp_path_factory):
    """A service with a small random cross-encoder."""
    folder = tmp_path_factory.mktemp("service")
    file = folder / "encoders.toml"
    file.write_text(
        f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n'
        f'[rerankers.pairs]\nmodel = "{write_cross_encoder(folder / "pairs")}"\n'
    )
    with RunningService(data_dir=folder / "data", encoders=file) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def answers(reranking):
    """Return what each client says, in the environment of other libraries."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-alone makes it")
    done = subprocess.run(
        [PYTHON, "-I", Path(__file__).with_name("rerank_clients.py")],
        input=json.dumps({"url": reranking.url, "query": QUERY, "documents": DOCUMENTS, "model": "pairs"}),
        env={name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_gets_the_order_and_the_scores_of_the_service(reranking, answers, name):
    with reranking.client() as client:
        fields = {"model": "pairs", "query": QUERY, "documents": DOCUMENTS, "top_n": 2}
        results = client.post("/v1/rerank", json=fields).json()["results"]
    indices, scores = zip(*answers[name]["ranked"], strict=True)
    assert list(indices) == [result["index"] for result in results]
    assert list(scores) == pytest.approx([result["relevance_score"] for result in results])


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_shows_which_rerankers_there_are(answers, name):
    assert "rerankers of this service are pairs" in answers[name]["refusal"]
